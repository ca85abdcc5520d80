"""What a promise from another process comes to: always something, exactly once, and never silence after a death."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.harness import acts
from tests.harness.gate import Gate
from tests.harness.puppeteer import Told, perform
from tests.harness.running import PATIENCE
from tests.processes import ring_acts

if TYPE_CHECKING:
    from pathlib import Path

CREDIT = 256  # calls of one handler that a client may have in flight


def test_a_promise_resolves_with_the_value_and_keeps_it() -> None:
    """A14: the value, the same however often it is asked for."""
    with perform() as puppet:
        promise = puppet.call("probe.echo", b"hello")
        assert [promise.get(), promise.get(), promise.done, promise.cancel()] == [b"hello", b"hello", True, False]
        assert puppet.leave() == 0


def test_a_promise_resolves_with_the_error_that_a_handler_declares() -> None:
    """A14: a declared error arrives with its name and its text."""
    with perform() as puppet:
        promise = puppet.call("probe.refuse", "not today")
        for _ in range(2):
            with pytest.raises(Told) as told:
                promise.get()
            assert (told.value.kind, told.value.name, told.value.text) == ("DeclaredError", "Unwilling", "not today")


def test_an_undeclared_exception_becomes_an_incident_whose_text_stays_inside() -> None:
    """A14, I6: the caller gets an incident's number, the log the same number, and neither of them the text."""
    with perform() as puppet:
        with pytest.raises(Told) as told:
            puppet.result("probe.fail", "the combination is canary")
        line = puppet.wait_for("handler.failed", member="puppet")
        assert told.value.kind == "HandlerFailed"
        assert (line.why, line.detail.split()[0]) == ("builtins.ValueError", "fail")
        assert line.detail.split()[1] in told.value.text
        assert puppet.leave() == 0
        assert "canary" not in puppet.report()


def test_a_call_that_cannot_be_is_refused_with_its_own_error() -> None:
    """A14, A17, A26: unknown, unmarked, not granted, wrong types, too long; and the ring goes on."""
    calls: list[tuple[str, list[object], str]] = [
        ("probe.nothing", [], "NoSuchHandler"),
        ("nobody.echo", [b""], "NoSuchHandler"),
        ("probe.unmarked", [], "NoSuchHandler"),
        ("probe.on_start", [], "NoSuchHandler"),
        ("probe.mark", ["x"], "NotGranted"),
        ("probe.echo", ["text"], "InvalidArguments"),
        ("probe.echo", [], "InvalidArguments"),
        ("probe.echo", [b"", b""], "InvalidArguments"),
        ("probe.echo", [bytes(5 << 20)], "TooLarge"),
    ]
    with perform(grants=["probe.echo"]) as puppet:
        for handler, arguments, kind in calls:
            with pytest.raises(Told) as told:
                puppet.result(handler, *arguments)
            assert told.value.kind == kind, handler
            assert puppet.result("probe.echo", b"still here") == b"still here"


def test_a_promise_that_timed_out_is_still_pending_and_resolves_later(tmp_path: Path) -> None:
    """A14: a time-out takes nothing away; asked again after the reply, the promise has the value."""
    with Gate(tmp_path) as gate, perform() as puppet:
        promise = puppet.send("probe.hold", gate.path)
        gate.await_one()
        with pytest.raises(Told) as told:
            promise.get(0.01)
        assert (told.value.kind, promise.done) == ("Timeout", False)
        gate.open("now")
        assert promise.get() == "now"


def test_a_call_whose_deadline_passes_is_never_started(tmp_path: Path) -> None:
    """A14: `DeadlineExceeded`, and the journal shows that the handler did not run; one with time to spare does."""
    journal = tmp_path / "journal"
    with Gate(tmp_path) as gate, perform(journal=str(journal)) as puppet:
        held = puppet.send("probe.hold", gate.path)
        gate.await_one()
        late = puppet.call("probe.mark", "late", within=0.05)
        timely = puppet.call("probe.mark", "timely", within=60.0)
        assert late.outcome() == "DeadlineExceeded"
        gate.open()
        assert [held.get(), timely.get(), late.outcome()] == ["go on", 1, "DeadlineExceeded"]
        assert puppet.leave() == 0
    assert journal.read_text().split() == ["start", "timely"]


def test_a_call_whose_deadline_passes_in_the_inbox_is_never_started(tmp_path: Path) -> None:
    """A14: it came in time, behind one that took longer than it could wait."""
    journal = tmp_path / "journal"
    with Gate(tmp_path) as gate, perform(journal=str(journal)) as puppet:
        first = puppet.send("probe.hold", gate.path)
        gate.await_one()
        gate.open()
        assert [first.get(), puppet.result("probe.mark", "before")] == ["go on", 1]  # so there are leases
        assert puppet.act(ring_acts.wait_behind, gate=gate.path, within=0.3) == "DeadlineExceeded"
        gate.await_one()
        gate.open()
        assert puppet.result("probe.mark", "after") == 2
        assert puppet.leave() == 0
    assert journal.read_text().split() == ["start", "before", "after"]


def test_a_cancelled_promise_stays_cancelled_when_its_reply_comes(tmp_path: Path) -> None:
    """A14, F8: cancelled once; the late reply changes nothing, and its UID goes on serving others."""
    with Gate(tmp_path) as gate, perform() as puppet:
        promise = puppet.send("probe.hold", gate.path)
        gate.await_one()
        assert [promise.cancel(), promise.cancel()] == [True, False]
        gate.open()
        for _ in range(CREDIT + 10):
            assert puppet.result("probe.pid") == puppet.pid("probe")
        assert promise.outcome() == "Cancelled"


@pytest.mark.parametrize("member", ["probe", "broker"])
def test_whoever_waits_without_a_limit_is_told_when_a_member_dies(member: str, tmp_path: Path) -> None:
    """A14, A39, A58: a call that runs ends as unknown, the one behind it as not started; the next epoch answers."""
    with Gate(tmp_path) as gate, perform(grace=PATIENCE) as puppet:
        waiting = puppet.send("probe.hold", gate.path)
        gate.await_one()
        other = puppet.send("probe.echo", b"behind it")
        waiting.ask_to_get(None)
        puppet.kill(member)
        if member != "probe":  # it stands at the gate, and nothing is told of its calls before it has ended
            puppet.wait_for("ring.dismantling")
            puppet.kill("probe")
        with pytest.raises(Told) as told:
            puppet.answer()
        assert (told.value.kind, told.value.outcome) == ("RingDismantled", "unknown")
        assert other.outcome() == "RingDismantled: not started"
        puppet.await_epoch(2)
        assert puppet.result("probe.echo", b"again") == b"again"
        assert waiting.outcome() == "RingDismantled: unknown"


def test_calls_that_were_never_started_are_told_so(tmp_path: Path) -> None:
    """A14, A58: with the credit used up: what waits for more, and what waits in the enclave, behind one that runs."""
    journal = tmp_path / "journal"
    with Gate(tmp_path) as gate, perform(journal=str(journal)) as puppet:
        held = puppet.send("probe.hold", gate.path)
        gate.await_one()
        promises = [puppet.call("probe.mark", f"word{number}") for number in range(CREDIT + 20)]
        puppet.act(acts.send, promise=promises[CREDIT - 1].name, seconds=PATIENCE)
        puppet.kill("probe")
        outcomes = [each.outcome() for each in promises]
        assert outcomes == ["RingDismantled: not started"] * (CREDIT + 20)
        assert held.outcome() == "RingDismantled: unknown"
        puppet.await_epoch(2)
        assert puppet.result("probe.mark", "after") == 1
    assert journal.read_text().split() == ["start", "start", "after"]


def test_a_call_that_only_half_left_the_process_was_not_started() -> None:
    """A14, A58: a long call whose last part is still here, since the broker stands still, cannot have been started."""
    with perform(beat=60.0, grace=PATIENCE) as puppet:
        assert puppet.result("probe.echo", b"warm") == b"warm"
        puppet.kill("broker", signal.SIGSTOP)
        promise = puppet.call("probe.echo", bytes(3 << 20))
        puppet.kill("probe")
        assert promise.outcome() == "RingDismantled: not started"
        puppet.kill("broker")
        puppet.await_epoch(2)
        assert puppet.result("probe.echo", b"again") == b"again"


def test_a_call_without_a_ring_is_refused_at_once(tmp_path: Path) -> None:
    """A14, A45: while no ring is sealed, a call raises, and its outcome is known: not started."""
    with Gate(tmp_path) as gate, perform(enclaves=("probe", "second"), grace=PATIENCE) as puppet:
        puppet.send("second.hold", gate.path)
        gate.await_one()  # so that no other ring is formed before the call has been refused
        puppet.tell(acts.call_as_it_falls, of=1, handler="probe.pid")
        puppet.kill("probe")
        with pytest.raises(Told) as told:
            puppet.answer()
        assert (told.value.kind, told.value.outcome) == ("RingDismantled", "not started")
        gate.open()
        puppet.await_epoch(2)
        assert puppet.result("probe.pid") == puppet.pid("probe", epoch=2)


def test_a_call_that_nobody_waits_for_is_carried_out(tmp_path: Path) -> None:
    """A14: sending does not depend on somebody asking for the reply."""
    with Gate(tmp_path) as gate, perform() as puppet:
        promise = puppet.call("probe.hold", gate.path)
        gate.await_one()
        gate.open()
        assert promise.get() == "go on"
