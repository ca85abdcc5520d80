"""A million UIDs: none twice, and no statistic that a guesser could use."""

from __future__ import annotations

from collections import Counter
from typing import Final

import pytest

from trollbridge.actors.broker.uids import CREDIT, Lease, UidLedger
from trollbridge.messages.ids import HandlerName, MemberId

COUNT: Final = 1_000_000
FREEDOM: Final = 255
LIMIT: Final = FREEDOM + 8 * (2 * FREEDOM) ** 0.5
"""Of chi-square with 255 degrees of freedom: the mean and eight standard deviations."""


def chi_square(data: bytes) -> float:
    """Return how far the 256 values of a byte are from being equally frequent."""
    expected = len(data) / 256
    counts = Counter(data)
    return sum((counts[value] - expected) ** 2 / expected for value in range(256))


@pytest.fixture(scope="module")
def million() -> bytes:
    """Give the UIDs of a ledger, one after the other, as it issued them."""
    ledger, found = UidLedger(), bytearray()
    for number in range(COUNT // CREDIT + 1):
        member = MemberId(f"m{number}")
        found += b"".join(ledger.issue(Lease(member, MemberId("vault"), HandlerName("vault.sign"))))
        ledger.forget(member)
    return bytes(found[: 16 * COUNT])


def test_no_uid_is_issued_twice(million: bytes) -> None:
    """F5, A27: among a million."""
    assert len({million[start : start + 16] for start in range(0, len(million), 16)}) == COUNT


def test_no_place_in_a_uid_prefers_a_value(million: bytes) -> None:
    """F5: no version digits, no clock, no counter: each of the 16 bytes is equally distributed."""
    assert [place for place in range(16) if chi_square(million[place::16]) > LIMIT] == []


def test_a_uid_says_nothing_about_the_next(million: bytes) -> None:
    """F5: differences between neighbours are as equally distributed as the UIDs themselves, at several distances."""
    whole = int.from_bytes(million, "big")
    for distance in (1, 2, CREDIT):
        shifted = whole ^ (whole >> (128 * distance))
        differences = shifted.to_bytes(len(million), "big")[16 * distance :]
        assert [place for place in range(16) if chi_square(differences[place::16]) > LIMIT] == []


def test_the_statistic_finds_a_counter_and_a_version_digit(million: bytes) -> None:
    """F5: the negative half: a UUID's fixed digits, or a counter, would be found."""
    sample = million[: 16 * 20_000]
    with_version = bytes(value & 0x0F | 0x40 for value in sample[6::16])
    counting = b"".join(number.to_bytes(16, "big") for number in range(20_000))
    assert (chi_square(with_version) > LIMIT, chi_square(counting[14::16]) > LIMIT) == (True, True)
    assert chi_square(sample[6::16]) < LIMIT
