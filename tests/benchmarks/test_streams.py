"""The stream benchmark: every way carries the whole file, and there is a figure for each."""

from __future__ import annotations

from tests.benchmarks.bridge_streams import BESIDE, CALL_TITLES, MIB, PLAIN, TITLES, run_streams


def test_every_way_gives_a_figure() -> None:
    """With a short file, once: our three, the plain three beside them, each member's memory, each way to call."""
    told: list[str] = []
    found = run_streams(MIB + 1, told.append, rounds=1, calls=3)
    assert told == ["streams: round 1 of 1"]
    assert found.speed.keys() == TITLES.keys() == BESIDE.keys() | PLAIN.keys()
    assert found.peaks.keys() == {"supervisor", "broker", "target", "files", "programs", "streamconsole"}
    assert found.calls.keys() == CALL_TITLES.keys()
    assert all(figure > 0 for each in (found.speed, found.peaks, found.calls) for figure in each.values())
