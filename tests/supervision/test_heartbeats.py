"""Heartbeats: a member that is stopped is found and replaced; one that works, or whose code waits, is left alone."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Final

import pytest

from tests.harness.gate import Gate
from tests.harness.puppeteer import Backstage, Told, perform
from tests.supervision import outcome_acts
from trollbridge.actors.supervision.heartbeat import SILENT

if TYPE_CHECKING:
    from pathlib import Path

BEAT: Final = 0.1
"""Seconds between the heartbeats of these applications; one is tested at the pace of every day."""
QUICK: Final = 0.02
SILENCE: Final = SILENT * QUICK
"""Seconds after which a process that neither answers nor works is given up there."""


@pytest.mark.parametrize(("member", "beat"), [("probe", BEAT), ("broker", None), ("puppet", BEAT)])
def test_a_stopped_member_is_found_and_replaced(member: str, beat: float | None) -> None:
    """K6: SIGSTOP; the log says that it is stopped, it is killed, and the next ring answers."""
    with perform(beat=beat) as puppet:
        stopped = puppet.kill(member, signal.SIGSTOP)
        hung = puppet.wait_for("process.hung", member=member)
        assert (hung.pid, hung.why) == (stopped, "it is stopped by a signal")
        assert puppet.wait_for("process.ended", pid=stopped).signal == "SIGKILL"
        puppet.await_epoch(2)
        assert puppet.result("probe.echo", b"replaced") == b"replaced"
        assert {line.member for line in puppet.lines("process.hung")} == {member}


def test_a_caller_of_a_stopped_enclave_is_told() -> None:
    """K6, A14: who waits for an enclave that has been stopped does not wait for ever."""
    with perform(beat=BEAT) as puppet:
        puppet.result("probe.echo", b"warm")
        puppet.interrupt(signal.SIGSTOP)  # so that it finds the stopped enclave only once the call is on its way
        puppet.kill("probe", signal.SIGSTOP)
        called = puppet.send("probe.echo", b"into silence")
        puppet.interrupt(signal.SIGCONT)
        assert called.outcome() == "RingDismantled: not started"
        assert puppet.wait_for("process.hung").member == "probe"


def test_a_stopped_extension_costs_the_ring_nothing(tmp_path: Path) -> None:
    """K6: it is killed; ring and UI go on."""
    with Backstage(tmp_path) as back, perform(beat=BEAT, extensions={"extra": back.path}) as puppet:
        back.next_hand()
        puppet.kill("extra", signal.SIGSTOP)
        assert puppet.wait_for("process.hung").member == "extra"
        assert puppet.wait_for("process.ended", member="extra").expected is False
        assert (puppet.result("probe.echo", b"on"), puppet.epoch) == (b"on", 1)


def test_an_enclave_that_neither_answers_nor_works_is_replaced(tmp_path: Path) -> None:
    """K6: hung, not stopped: a handler that waits for what does not come, and for too many beats."""
    with Gate(tmp_path) as gate, perform(beat=QUICK) as puppet:
        promise = puppet.send("probe.hold", gate.path)
        gate.await_one()
        assert promise.outcome() == "RingDismantled: unknown"
        assert puppet.wait_for("process.hung", member="probe").why == "it neither answers nor works"


def test_a_handler_within_its_deadline_is_slow_unless_the_deadline_is_an_extensions(tmp_path: Path) -> None:
    """K6, P5: a short one ends nobody sooner, a long one of an extension's nobody later, and it spoils no call.

    Two enclaves that wait for what does not come, one for the UI, which has said for how long; twice the other one for
    an extension, which may not have the same call run again. The UI may. The other one goes on waiting while its ring
    falls, and is killed for that.
    """
    with (
        Gate(tmp_path) as gate,
        Backstage(tmp_path) as back,
        perform(
            beat=QUICK,
            grace=600.0,
            enclaves=("probe", "other"),
            restarts=9,
            extensions={"extra": back.path},
            extension_grants=["probe.hold"],
        ) as puppet,
    ):
        for epoch, within in ((1, SILENCE / 2), (2, SILENCE * 50)):
            extra = back.next_hand()
            slow = puppet.call("other.hold", gate.path, within=SILENCE * 50)
            gate.await_one()
            begun = time.monotonic()
            extra.tell(outcome_acts.insist, handler="probe.hold", positional=[gate.path], within=within)
            gate.await_one()
            hung = puppet.wait_for("process.hung", epoch=epoch)
            assert (hung.member, hung.why) == ("probe", "it neither answers nor works")
            assert time.monotonic() - begun > SILENCE * 0.9
            puppet.wait_for("ring.dismantling", epoch=epoch)
            puppet.kill("other")
            assert slow.outcome() == "RingDismantled: unknown"
            puppet.await_epoch(epoch + 1)
        extra = back.next_hand()
        with pytest.raises(Told) as told:
            extra.result("probe.hold", gate.path)
        assert told.value.kind == "Quarantined"
        puppet.call("probe.hold", gate.path, within=SILENCE * 50)
        gate.await_one()
        assert puppet.lines("process.hung", member="other") == []
        noted = [puppet.wait_for(event) for event in ("call.suspected", "call.quarantined")]
        assert {each.why.partition(";")[0] for each in noted} == {"it ran when its server was killed as hung"}
        puppet.kill("probe")  # which would wait


def test_an_enclave_that_computes_is_left_alone() -> None:
    """K6: a handler that uses the processor for twice as long, while the UI's main thread waits for it."""
    with perform(beat=QUICK) as puppet:
        promise = puppet.send("probe.busy", 2 * SILENCE)
        promise.ask_to_get(None)
        assert puppet.answer() > 0
        assert puppet.lines("process.hung") == []
        assert puppet.epoch == 1
