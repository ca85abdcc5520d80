"""The ledger of calls: what its page says is what the server did, whenever it is looked at, and whatever lies in it."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import random
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.actors.keeper import Keeper
from tests.actors.well import Source
from trollbridge.actors.handlers import exported
from trollbridge.actors.outcomes import call_ledger
from trollbridge.actors.outcomes.call_account import NOBODY, Account
from trollbridge.actors.outcomes.call_ledger import AT_CURRENT, CLIENTS, SIZE, SLOTS, CallLedger
from trollbridge.actors.serving.invocation import Caller, Invocation, Origin
from trollbridge.messages.control import NOTHING_KNOWN, TO_CHILD, Verdict
from trollbridge.messages.errors import Outcome
from trollbridge.messages.ids import HandlerUID, MemberId, Microseconds, Role

if TYPE_CHECKING:
    from collections.abc import Generator

VAULT: Final = MemberId("vault")
ECHO: Final = exported(Keeper)["echo"]
STREAM: Final = next(each for each in exported(Source).values() if each.item is not None)
DIGEST: Final = b"sixteen octets.."
LATEST: Final = 60
"""Calls of a client's that are looked at, of thousands."""


class Kept:
    """A page from both sides, and what truly became of each call."""

    def __init__(self, *clients: str) -> None:
        """Map it, and let these clients have sessions."""
        self.page: Final = call_ledger.make()
        self.ledger: Final = CallLedger(os.dup(self.page))
        self.clients: Final = frozenset(clients)
        self.truth: Final[dict[tuple[str, int], Outcome]] = {}
        self.sequences: Final = dict.fromkeys(clients, -1)
        for each in clients:
            self.ledger.founded(MemberId(each))

    def call(self, client: str, *, streams: bool = False) -> Invocation:
        """Have a call arrive, whose sequence is any later one."""
        self.sequences[client] += 1
        member = MemberId(client)
        origin = Origin(member, HandlerUID(bytes(16)), self.sequences[client])
        self.truth[client, origin.sequence] = Outcome.NOT_STARTED
        what = STREAM if streams else ECHO
        return Invocation(origin, Caller(member, Role.UI), what, (b"",), b"", Microseconds(77), DIGEST)

    def note(self, call: Invocation, outcome: Outcome) -> None:
        """Note what has become of a call."""
        self.truth[call.origin.client, call.origin.sequence] = outcome

    def run(self, client: str) -> None:
        """Let a call arrive and be carried out."""
        call = self.call(client)
        self.ledger.begin(call)
        self.ledger.end(call, streams=False, failed=False)
        self.note(call, Outcome.DONE)

    def account(self) -> Account:
        """Read the page."""
        return Account(os.pread(self.page, SIZE, 0), self.clients)

    def told(self, client: str) -> list[tuple[Outcome, Outcome]]:
        """Return what the first calls of a client's are told, and the last ones, each with the truth."""
        verdict = self.account().verdict(VAULT, client)
        mine = [(sequence, outcome) for (who, sequence), outcome in self.truth.items() if who == client]
        return [(verdict.outcome(sequence), outcome) for sequence, outcome in mine[:4] + mine[4:][-LATEST:]]


@contextlib.contextmanager
def kept(*clients: str) -> Generator[Kept]:
    """Keep a page for a block."""
    found = Kept(*clients)
    try:
        yield found
    finally:
        os.close(found.page)


STEPS: Final = st.lists(
    st.sampled_from(["call", "fail", "skip", "stream", "end", "cut", "aside", "again"]), max_size=60
)


@settings(max_examples=40, deadline=None)
@given(steps=STEPS, seed=st.integers(0, 1000), before=st.sampled_from([0, 3, SLOTS - 20, SLOTS + 5, 2 * SLOTS + 1]))
def test_what_the_page_says_is_true_at_any_moment(steps: list[str], seed: int, before: int) -> None:
    """A58, K7: calls, streams, refusals, new sessions, after few calls and after thousands: no word of it is false."""
    dice = random.Random(seed)  # which client is next
    with kept("console", "plugin") as page:
        streams: list[Invocation] = []
        for _ in range(before):
            page.run("console" if dice.random() < 0.9 else "plugin")
        for step in steps:
            _take(step, dice.choice(["console", "plugin"]), page, streams)
        for client in page.clients:
            check(page, client)
        assert page.account().running() is None


def _take(step: str, client: str, page: Kept, streams: list[Invocation]) -> None:
    ledger = page.ledger
    match step:
        case "call":
            call = page.call(client)
            ledger.begin(call)
            page.note(call, Outcome.UNKNOWN)
            running = page.account().running()
            assert running is not None
            assert (running.client, running.handler, running.digest, running.deadline) == (client, "echo", DIGEST, 77)
            check(page, client)
            ledger.end(call, streams=False, failed=False)
            page.note(call, Outcome.DONE)
        case "fail":
            call = page.call(client)
            ledger.begin(call)
            ledger.end(call, streams=False, failed=True)
            page.note(call, Outcome.UNKNOWN)
        case "skip":
            page.call(client)
        case "stream":
            call = page.call(client, streams=True)
            ledger.begin(call)
            ledger.end(call, streams=True, failed=False)
            page.note(call, Outcome.UNKNOWN)
            streams.append(call)
        case "end" | "cut" if streams:
            call = streams.pop()
            ledger.step(call)
            ledger.ended(call.origin, whole=step == "end")
            ledger.rest()
            if step == "end" and (call.origin.client, call.origin.sequence) in page.truth:
                page.note(call, Outcome.DONE)
        case "aside":
            call = page.call(client)
            with ledger.aside(call.origin):
                page.note(call, Outcome.UNKNOWN)
                check(page, client)
            page.note(call, Outcome.DONE)
        case "again":
            ledger.founded(MemberId(client))
            page.sequences[client] = -1
            for each in [each for each in page.truth if each[0] == client]:
                del page.truth[each]
            streams[:] = [each for each in streams if each.origin.client != client]
        case _:
            pass


def check(page: Kept, client: str) -> None:
    """See that whatever is told is true; and that of calls that still have their slots nothing is left open."""
    told = page.told(client)
    assert all(said in (true, Outcome.UNKNOWN) for said, true in told), told
    assert all(said is true for said, true in told[4:]), told


def test_a_page_cannot_be_shortened_nor_lengthened_by_whoever_has_it() -> None:
    """P5: else reading it could end the supervisor."""
    page = call_ledger.make()
    try:
        for size in (0, SIZE - 1, SIZE + 1):
            with pytest.raises(PermissionError):
                os.ftruncate(page, size)
        with pytest.raises(PermissionError):
            fcntl.fcntl(page, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        assert os.fstat(page).st_size == SIZE == -(-SIZE // mmap.PAGESIZE) * mmap.PAGESIZE
    finally:
        os.close(page)


def test_the_server_keeps_no_descriptor_of_its_page() -> None:
    """A59: what it was given is closed, and the page is written to all the same."""
    page = call_ledger.make()
    given_away = os.dup(page)
    ledger = CallLedger(given_away)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(given_away)
    ledger.founded(MemberId("console"))
    assert Account(os.pread(page, SIZE, 0), {"console"}).verdict(VAULT, "console") == Verdict("vault", 0, (), ())
    os.close(page)


@settings(max_examples=100, deadline=None)
@given(
    noise=st.lists(st.tuples(st.integers(0, SIZE - 8), st.binary(min_size=1, max_size=8)), max_size=40),
    cut=st.sampled_from([SIZE, SIZE, SIZE, SIZE - 1, 0, SIZE + 1]),
    whole=st.booleans(),
)
def test_whatever_lies_in_a_page_it_is_read(noise: list[tuple[int, bytes]], cut: int, *, whole: bool) -> None:
    """P3: names of members or of nobody, numbers that can be sent, and never an exception."""
    with kept("console", "plugin") as page:
        for _ in range(40):
            page.run("console")
        page.ledger.begin(page.call("plugin"))
        found = bytearray(os.pread(page.page, SIZE, 0))
    if whole:
        found = bytearray(random.Random(len(noise)).randbytes(SIZE))  # not a secret
        found[AT_CURRENT : AT_CURRENT + 8] = (1).to_bytes(8, "little")
    for place, octets in noise:
        found[place : place + len(octets)] = octets
    account = Account(bytes(found[:cut]).ljust(cut, b"\0"), {"console", "plugin"})
    running = account.running()
    assert running is None or running.client in {"console", "plugin", NOBODY}
    assert running is None or running.handler == NOBODY or running.handler.isidentifier()
    for client in ("console", "plugin", "stranger"):
        verdict = account.verdict(VAULT, client)
        assert TO_CHILD.decode(TO_CHILD.encode(verdict)) == verdict
        assert cut == SIZE or verdict == Verdict("vault", NOTHING_KNOWN, (), ())


def test_of_more_clients_than_there_is_room_for_nothing_is_known() -> None:
    """P3: and of those that have room, nothing false."""
    names = [f"plugin{number}" for number in range(CLIENTS + 2)]
    with kept(*names) as page:
        for each in names:
            page.run(each)
        told = [page.told(each)[0][0] for each in names]
        assert told == [Outcome.DONE] * CLIENTS + [Outcome.UNKNOWN] * 2
        page.ledger.begin(page.call(names[-1]))
        running = page.account().running()
        assert running is not None
        assert running.client == NOBODY


def test_once_no_handler_runs_no_digest_is_left() -> None:
    """A37: not even a keyed one."""
    with kept("console") as page:
        call = page.call("console")
        page.ledger.begin(call)
        assert DIGEST in os.pread(page.page, SIZE, 0)
        page.ledger.end(call, streams=False, failed=True)
        assert DIGEST not in os.pread(page.page, SIZE, 0)
