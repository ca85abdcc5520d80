"""Addresses: both sides walk the same ratchet, and every step leaves the last address dead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.messages.address import Caller, Directory
from trollbridge.messages.errors import AuthenticationFailed
from trollbridge.messages.labels import ratchet

SEEDS = {"sign": bytes(range(32)), "list": bytes(range(1, 33)), "die": bytes(range(2, 34))}


def test_caller_and_directory_agree_without_a_message() -> None:
    """A6: a thousand calls, a thousand addresses."""
    callers = {name: Caller(seed) for name, seed in SEEDS.items()}
    directory = Directory(SEEDS)
    seen: list[bytes] = []
    for turn in range(1_000):
        name = ("sign", "list", "die")[turn * turn % 3]
        seen.append(callers[name].next())
        assert directory.take(seen[-1]) == name
    assert len(set(seen)) == 1_000
    assert {len(each) for each in seen} == {16}


def test_a_recorded_address_reaches_nothing() -> None:
    """A6, A7: neither the last one nor the one before, and asking does not move the true one on."""
    caller, directory = Caller(SEEDS["sign"]), Directory(SEEDS)
    used = [caller.next() for _ in range(3)]
    assert [directory.take(each) for each in used] == ["sign"] * 3
    for each in used:
        with pytest.raises(AuthenticationFailed):
            directory.take(each)
    assert directory.take(caller.next()) == "sign"


def test_an_address_ahead_of_its_turn_reaches_nothing() -> None:
    """F9: addresses are taken in order; the true next one still works."""
    caller, directory = Caller(SEEDS["sign"]), Directory(SEEDS)
    first, second = caller.next(), caller.next()
    with pytest.raises(AuthenticationFailed):
        directory.take(second)
    assert [directory.take(first), directory.take(second)] == ["sign", "sign"]


@given(st.binary(max_size=64))
def test_a_guess_reaches_nothing(guess: bytes) -> None:
    """A5: any bytes but the one address, names of handlers among them."""
    directory = Directory(SEEDS)
    for each in (guess, b"", b"sign", SEEDS["sign"], bytes(16)):
        with pytest.raises(AuthenticationFailed):
            directory.take(each)


def test_an_address_leads_back_to_no_seed_and_on_to_no_other_address() -> None:
    """A6: an address is cut from the same hash as the next seed, beside it and not out of it."""
    seed, address = ratchet(SEEDS["sign"])
    following, second = ratchet(seed)
    assert len({SEEDS["sign"], seed, following, address, second, address + address}) == 6
    assert address not in seed + following + second


def test_a_directory_of_nothing_has_no_address() -> None:
    """A26: before it joins, an enclave has none."""
    with pytest.raises(AuthenticationFailed):
        Directory({}).take(bytes(16))
