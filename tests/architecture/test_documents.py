"""What the documents say of the code is compared with the code."""

from __future__ import annotations

from pathlib import Path

from trollbridge.actors.trust_ring.ring import TRANSITIONS, RingEvent, RingState, diagram

ROOT = Path(__file__).parents[2]


def test_the_ring_page_shows_the_table_of_the_code() -> None:
    """The diagram in RING.md is the one that the transition table generates."""
    assert diagram() in (ROOT / "actors" / "trust_ring" / "RING.md").read_text(encoding="utf-8")


def test_the_diagram_has_one_arrow_for_each_row_and_each_end() -> None:
    """Start, end, and every transition: nothing is left out, nothing added."""
    assert diagram().count("-->") == len(TRANSITIONS) + 2


def test_nothing_leaves_a_dismantled_ring() -> None:
    """The last state absorbs: no event leads out of it."""
    assert not [event for event in RingEvent if (RingState.DISMANTLED, event) in TRANSITIONS]
