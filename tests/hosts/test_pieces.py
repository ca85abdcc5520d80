"""Which pieces of a file have come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.actors.hosts.pieces import MOST_GAPS, Pieces
from trollbridge.messages.errors import InvalidArguments


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=20))
def test_what_is_counted_is_what_is_covered(pieces: list[tuple[int, int]]) -> None:
    """A15: whatever comes in whatever order, against a list of every single byte."""
    found, covered, end = Pieces(), set[int](), 0
    for offset, length in pieces:
        new = set(range(offset, offset + length))
        if new & covered:
            with pytest.raises(InvalidArguments, match="overlaps"):
                found.add(offset, length)
            continue
        found.add(offset, length)
        covered |= new
        end = max(end, offset + length)
        assert (found.bytes, found.end, found.whole) == (len(covered), end, covered == set(range(end)))


def test_gaps_are_bounded() -> None:
    """A56: single bytes with gaps between them take up no more than that; what fills a gap is taken."""
    pieces = Pieces()
    for number in range(MOST_GAPS + 1):
        pieces.add(2 * number, 1)
    with pytest.raises(InvalidArguments, match="gaps"):
        pieces.add(1 << 40, 1)
    for number in range(MOST_GAPS):
        pieces.add(2 * number + 1, 1)
    assert pieces.whole
    pieces.add(1 << 40, 1)
    assert not pieces.whole
