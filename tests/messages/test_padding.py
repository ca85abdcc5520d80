"""Padmé against the formula of its paper, in other words than the program's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.messages.padding import SMALLEST, padded

LENGTHS = st.integers(min_value=0, max_value=1 << 32)


def by_the_paper(length: int) -> int:
    """Algorithm 1 of Nikitin et al., PoPETs 2019/4, with floating logarithms as it is printed."""
    exponent = math.floor(math.log2(length))
    bits = math.floor(math.log2(exponent)) + 1
    last = exponent - bits
    mask = (1 << last) - 1
    return (length + mask) & ~mask


@pytest.mark.parametrize(
    ("length", "expected"),
    [(129, 144), (144, 144), (145, 160), (1_000, 1_024), (1_025, 1_088), (65_537, 67_584), (1_000_000, 1_015_808)],
)
def test_padme_gives_the_lengths_that_its_formula_gives(length: int, expected: int) -> None:
    """A19: worked by hand: 1,000,000 has exponent 19, five bits are kept, so it is rounded up to a multiple of 2^14."""
    assert (padded(length), by_the_paper(length)) == (expected, expected)


@given(length=st.integers(min_value=SMALLEST + 1, max_value=1 << 24))
def test_padme_is_the_formula_of_the_paper(length: int) -> None:
    """A19: for every length above the smallest class."""
    assert padded(length) == by_the_paper(length)


@given(length=st.integers(min_value=0, max_value=SMALLEST))
def test_everything_short_is_of_one_length(length: int) -> None:
    """A19: a yes and a no, and every short argument, look alike."""
    assert padded(length) == 128


@given(length=LENGTHS)
def test_padding_never_cuts_and_costs_at_most_an_eighth(length: int) -> None:
    """A19: the paper's bound of 12 percent above the smallest class; a padded length is its own class."""
    size = padded(length)
    assert size >= length
    assert size <= max(SMALLEST, 1.12 * length)
    assert padded(size) == size


@given(first=LENGTHS, second=LENGTHS)
def test_longer_never_looks_shorter(first: int, second: int) -> None:
    """A19: monotonic, so classes do not overlap."""
    assert (padded(first) <= padded(second)) or first > second


def test_few_lengths_are_told_apart() -> None:
    """A19: all lengths up to one mebibyte show as fewer than 300; that is what an observer may learn."""
    assert len({padded(length) for length in range(0, 1 << 20, 5)}) < 300
