"""An application that cannot run: it stops at its limit, says why, and does not try a deadly call for ever."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

import pytest

from tests.harness.puppeteer import Puppeteer, Told, perform
from trollbridge.actors import exits

if TYPE_CHECKING:
    from pathlib import Path

DEADLY: Final = int(signal.SIGSEGV)


def test_a_call_that_kills_its_enclave_is_not_sent_a_third_time(tmp_path: Path) -> None:
    """K4: never sent again on its own; quarantined after the second kill; every other call goes on."""
    journal = tmp_path / "journal"
    with perform(journal=str(journal)) as puppet:
        for epoch in (2, 3):
            promise = puppet.send("probe.die", DEADLY)
            assert promise.outcome() == "RingDismantled: unknown"
            puppet.await_epoch(epoch)
        with pytest.raises(Told) as told:
            puppet.result("probe.die", DEADLY)
        assert told.value.kind == "Quarantined"
        noted = [(line.event, line.member, line.detail.rpartition(" ")[0]) for line in puppet.lines() if line.told_by]
        known = "die, called by puppet, digest"
        assert noted == [("call.suspected", "probe", known), ("call.quarantined", "probe", known)]
        assert puppet.result("probe.mark", "alive") == 1
        with pytest.raises(Told) as other:
            puppet.result("probe.die", int(signal.SIGBUS))
        assert other.value.outcome == "unknown"
        puppet.await_epoch(4)
        assert puppet.leave() == 0
    assert journal.read_text().split() == ["start", "die", "start", "die", "start", "alive", "die", "start"]


def test_the_death_of_another_member_quarantines_nothing() -> None:
    """K4: a call that was outstanding when the broker died, twice, is as good as before."""
    with perform(restarts=10) as puppet:
        for epoch in range(2, 6):
            promise = puppet.send("probe.echo", b"innocent")
            puppet.kill("broker")
            assert promise.outcome() == "value" or promise.outcome().startswith("RingDismantled: ")
            puppet.await_epoch(epoch)
        assert puppet.result("probe.echo", b"innocent") == b"innocent"


def test_a_crash_loop_stops_at_the_intensity_limit() -> None:
    """K5: so many restarts and no more; then 69, one line that says so, and a last log line that is clear."""
    with perform(restarts=3, period=600.0) as puppet:
        for epoch in range(1, 5):
            puppet.wait_for("ring.sealed", epoch=epoch)
            puppet.kill("probe")
            puppet.wait_for("ring.dismantling", epoch=epoch)
        assert puppet.finish() == exits.RING_LOST
        assert [line.restart for line in puppet.lines("ring.restarting")] == [1, 2, 3]
        assert puppet.lines("ring.restarting")[1].detail == "2 of 3 within 600 s"
        delays = [line.delay for line in puppet.lines("ring.restarting")]
        assert delays == sorted(delays)
        assert puppet.said() == [
            "trollbridge: the ring fell too often, last because probe ended (SIGKILL); the log tells why"
        ]
        assert puppet.wait_for("application.gave_up").why == "probe ended (SIGKILL)"
        last = puppet.lines()[-1]
        assert (last.event, last.exit_code) == ("application.stopped", exits.RING_LOST)


def test_restarts_that_lie_far_apart_are_no_crash_loop() -> None:
    """K5: the limit holds within its period only: with a short one, many more deaths are survived."""
    with perform(restarts=1, period=0.001) as puppet:
        for epoch in range(2, 6):
            puppet.kill("probe")
            puppet.await_epoch(epoch)
        assert puppet.result("probe.echo", b"still here") == b"still here"


def test_no_restart_is_allowed_where_none_is_declared() -> None:
    """K5: with an intensity of nought the first death is the end."""
    with perform(restarts=0) as puppet:
        puppet.kill("broker")
        assert puppet.finish() == exits.RING_LOST
        assert puppet.lines("ring.forming", epoch=2) == []


def test_an_enclave_that_cannot_start_again_ends_in_the_limit(tmp_path: Path) -> None:
    """K5: it starts once and never again: each attempt is a restart, and the last log line comes."""
    folder = tmp_path / "only once"
    with Puppeteer("tests.supervision.consoles:once", {"folder": str(folder), "restarts": 2}) as puppet:
        puppet.await_epoch(1)
        puppet.kill("probe")
        assert puppet.finish() == exits.RING_LOST
        assert [line.epoch for line in puppet.lines("ring.sealed")] == [1]
        assert [line.restart for line in puppet.lines("ring.restarting")] == [1, 2]
        assert [line.epoch for line in puppet.lines("process.failed", member="probe")] == [2, 3]
        assert puppet.lines()[-1].event == "application.stopped"


def test_back_off_can_be_interrupted() -> None:
    """K5, K6: SIGTERM while the supervisor waits ten minutes before a restart ends it: no ring is formed."""
    with perform("tests.supervision.pacing_app:patient", restarts=10, wait=600.0) as puppet:
        puppet.kill("broker")
        puppet.await_epoch(2)
        puppet.kill("broker")
        assert puppet.wait_for("ring.restarting", restart=2).delay == 600.0
        puppet.interrupt(signal.SIGTERM)
        assert puppet.finish() == 128 + signal.SIGTERM
        assert puppet.lines("ring.forming", epoch=3) == []
