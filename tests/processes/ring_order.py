"""The order that every log must show: one ring is gone, with all its processes, before the next one is formed (A50)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.harness.running import Running


def assert_one_ring_after_the_other(running: Running, *, keeps: str = "puppet") -> None:
    """Fail unless all but `keeps`, the UI, ended and their ring was dismantled before the next one was formed."""
    lines = running.lines()
    for before, after in pairwise(line.epoch for line in running.lines("ring.forming")):
        events = [(line.event, line.member, line.epoch) for line in lines]
        dismantled = events.index(("ring.dismantled", "supervisor", before))
        assert events.index(("ring.dismantling", "supervisor", before)) < dismantled
        assert dismantled < events.index(("ring.forming", "supervisor", after))
        started = {line.member for line in running.lines("process.started", epoch=before)}
        for member in started - {keeps}:
            assert events.index(("process.ended", member, before)) < dismantled
        sealed = running.lines("ring.sealed", epoch=before)
        assert lines[dismantled].fingerprint in {line.fingerprint for line in sealed} or not sealed
