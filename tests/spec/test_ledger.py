"""The ledger of calls as SPEC section 13 has it: written by the shipped enclave, read by the tests' own reader."""

from __future__ import annotations

import secrets
import time
from contextlib import closing
from typing import TYPE_CHECKING, Final

import pytest

from tests.spec import ledger
from tests.spec.ledger import Account, Ledger, digest
from tests.spec.packing import pack, unpack
from tests.spec.ring import GRANTED
from tests.spec.test_lone_enclave import enclave

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.spec.packing import Value

METHODS: Final[list[Value]] = [[name, [], 0, 0, False, 0] for name in (*GRANTED, "exit")]
QUARANTINED: Final = 11
KEY: Final = secrets.token_bytes(32)


@pytest.fixture
def page() -> Iterator[Ledger]:
    """Yield a page that no server has yet."""
    with closing(Ledger()) as made:
        yield made


def test_what_was_begun_and_what_was_done_stand_there_after_the_end(page: Ledger) -> None:
    """A58: one call after the other, each under its sequence; one that fails was begun and no more."""
    with enclave(grants=METHODS, page=[page.descriptor]) as (_, hostile):
        first, fails = hostile.sealed_call("echo", b"a"), hostile.sealed_call("declared")
        calls = [first, fails, hostile.sealed_call("echo", b"b"), hostile.sealed_call("zeros", 3)]
        answers = [hostile.answer(call) for call in calls]
        assert [answer and answer[:1] for answer in answers] == [b"\x02", b"\x04", b"\x02", b"\x02"]
    begun, failed, *done = (call.sequence for call in calls)
    assert page.clients() == ["console"]
    assert page.count() == 4
    assert page.account("console") == Account([failed], [begun, *done], 0)
    last = page.running()
    assert (last.runs, last.digest, last.method, last.sequence) == (False, bytes(16), "zeros", calls[3].sequence)


def test_the_call_that_ran_at_the_end_is_named_and_its_like_is_not_run_again(page: Ledger) -> None:
    """R6, R7, A58: who called what, since and until when, by a keyed digest; beside quarantine, others run."""
    before = time.monotonic_ns() // 1000
    deadline = before + 3_600_000_000
    deadly = digest(KEY, "exit", pack([9]))
    with enclave(grants=METHODS, page=[page.descriptor], key=KEY) as (child, hostile):
        assert hostile.answer(hostile.sealed_call("echo", b"a")) is not None
        call = hostile.sealed_call("exit", 9, deadline=deadline)
        hostile.send(call)
        assert child.wait() == 9
    found = page.running()
    assert before <= found.since <= time.monotonic_ns() // 1000
    assert found == (True, "console", found.since, deadline, deadly, "exit", call.sequence)
    assert page.account("console").begun == [call.sequence]
    with enclave(grants=METHODS, key=KEY, quarantined=[deadly]) as (_, hostile):
        fault = hostile.answer(hostile.sealed_call("exit", 9))
        assert fault is not None
        assert fault[:1] == b"\x04"
        assert isinstance(told := unpack(fault[1:]), list)
        assert told[0] == QUARANTINED
        assert hostile.answer(hostile.sealed_call("echo", b"still")) == b"\x02" + pack(b"still")


def test_of_a_call_whose_place_was_taken_nothing_is_known(page: Ledger) -> None:
    """A58: there is room for so many; from where on all is known is told."""
    more = 3
    with enclave(grants=METHODS, page=[page.descriptor]) as (_, hostile):
        calls = [hostile.sealed_call("echo", b"") for _ in range(ledger.SLOTS + more)]
        for call in calls:
            assert hostile.answer(call) is not None
    sequences = [call.sequence for call in calls]
    assert page.count() == len(calls)
    assert page.account("console") == Account([], sequences[more:], sequences[more - 1] + 1)
