"""Quarantine: one call is told from another, counted, and refused at the second death; nothing else is."""

from __future__ import annotations

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.actors.outcomes.quarantine import (
    DEADLY,
    DIGEST_SIZE,
    MOST,
    NO_DIGEST,
    Spared,
    Suspects,
    digest,
    of_caller,
)
from trollbridge.messages.errors import Quarantined

KEY: Final = b"k" * 32
HALF: Final = 32 * 1024


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_the_same_call_has_the_same_digest_and_another_has_another(one: bytes, two: bytes) -> None:
    """K4: by method and arguments; under another application's key it is another."""
    assert (digest(KEY, "sign", one) == digest(KEY, "sign", two)) is (one == two)
    assert digest(KEY, "sign", one) != digest(KEY, "sig", b"n" + one)
    assert digest(KEY, "sign", one) != digest(b"j" * 32, "sign", one)
    assert len(digest(KEY, "sign", one)) == DIGEST_SIZE


@pytest.mark.parametrize(
    ("place", "counts"), [(0, True), (HALF - 1, True), (HALF, False), (2 * HALF, True), (3 * HALF - 1, True)]
)
def test_of_a_long_call_its_ends_and_its_length_count(place: int, *, counts: bool) -> None:
    """K4: what is hashed is bounded, as it is hashed before each call."""
    data = bytes(3 * HALF)
    changed = data[:place] + b"x" + data[place + 1 :]
    assert (digest(KEY, "sign", data) != digest(KEY, "sign", changed)) is counts
    assert digest(KEY, "sign", data) != digest(KEY, "sign", data + b"\0")
    whole = bytes(2 * HALF)
    assert digest(KEY, "sign", whole) != digest(KEY, "sign", whole[: HALF // 2] + b"x" + whole[HALF // 2 + 1 :])


def test_a_server_refuses_what_it_was_told_and_nothing_else() -> None:
    """K4: when it joined, or later; without a key, nothing."""
    spared = Spared()
    assert spared.check("sign", b"a", "console") == NO_DIGEST
    spared.learn(KEY, [digest(KEY, "sign", b"a")])
    for caller in ("console", "plugin"):
        with pytest.raises(Quarantined):
            spared.check("sign", b"a", caller)
        assert spared.check("sign", b"b", caller) == digest(KEY, "sign", b"b")
    assert spared.check("verify", b"a", "console") == digest(KEY, "verify", b"a")
    spared.refuse([digest(KEY, method, b"a") for method in ("sign", "verify")])
    for method in ("sign", "verify"):
        with pytest.raises(Quarantined):
            spared.check(method, b"a", "console")
    spared.refuse([digest(KEY, "sign", b"a")])
    assert spared.check("verify", b"a", "console") == digest(KEY, "verify", b"a"), "an operator has lifted it"


def test_what_is_refused_to_one_caller_is_not_to_another() -> None:
    """K4, P5: a call at which a server was hung; the same call of somebody else's may have reason to wait."""
    spared, found = Spared(), digest(KEY, "wait", b"a")
    spared.learn(KEY, [of_caller(KEY, found, "plugin")])
    with pytest.raises(Quarantined):
        spared.check("wait", b"a", "plugin")
    assert spared.check("wait", b"a", "console") == spared.check("wait", b"a", "plugin2") == found
    assert spared.check("wait", b"b", "plugin") == digest(KEY, "wait", b"b")


def test_the_second_death_puts_a_call_in_quarantine_for_its_service() -> None:
    """K4: whichever replica died; another service's call of the same looks is another call."""
    suspects = Suspects()
    first, second = digest(suspects.key, "sign", b"a"), digest(suspects.key, "sign", b"b")
    assert [suspects.died("vault", each) for each in (first, second, first)] == [1, 1, DEADLY]
    assert suspects.died("notary", second) == 1
    assert [suspects.listed(each) for each in ("vault", "notary", "nobody")] == [(first,), (), ()]
    assert Suspects().key != suspects.key


def test_what_is_lifted_is_one_services_quarantine_and_nothing_else() -> None:
    """K4: a call that was lifted needs two more deaths; one that was suspected once stays so."""
    suspects = Suspects()
    for service, found in (("vault", b"a"), ("vault", b"a"), ("vault", b"b"), ("notary", b"a"), ("notary", b"a")):
        suspects.died(service, found, "sign", "console", 7.0)
    assert suspects.clear("vault") == 1
    assert [suspects.listed(each) for each in ("vault", "notary")] == [(), (b"a",)]
    assert [(name, found, *each) for name, found, each in suspects.quarantined()] == [
        ("notary", b"a", DEADLY, "sign", "console", 7.0)
    ]
    assert [suspects.died("vault", each) for each in (b"a", b"b")] == [1, DEADLY]
    assert suspects.clear("nobody") == 0


def test_what_the_log_says_of_a_digest_nobody_can_choose() -> None:
    """A37: whatever a server that is not ours any more has written in its place; the same call is known again."""
    suspects = Suspects()
    first = suspects.mark(b"SECRETSECRETSECR")
    assert first == suspects.mark(b"SECRETSECRETSECR") != suspects.mark(b"SECRETSECRETSECS")
    assert first != Suspects().mark(b"SECRETSECRETSECR")


def test_only_so_many_calls_are_remembered() -> None:
    """P3: a caller whose every call kills its server does not fill the supervisor's memory, nor its messages."""
    suspects = Suspects()
    for number in range(2 * MOST):
        for _ in range(DEADLY):
            suspects.died("vault", b"%016d" % number)
    assert suspects.listed("vault") == tuple(b"%016d" % number for number in range(MOST, 2 * MOST))
