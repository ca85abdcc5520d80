"""New keys for a running application: what is in flight ends, what is new waits; nothing is lost or runs twice."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness import acts, wire
from tests.harness.gate import Gate
from tests.harness.puppeteer import Backstage, Puppeteer, perform
from tests.harness.running import Running
from tests.supervision import rekeying_app
from trollbridge.messages import control

if TYPE_CHECKING:
    from pathlib import Path

APPLICATIONS = "tests.supervision.rekeying_app"
CHANGES = 3
QUIET = "no call is in flight"


def shown(running: Running) -> Any:  # noqa: ANN401  # whatever the application has shown
    """Return what an application has shown in its only line."""
    [line] = running.output.items
    return wire.decode(line)


def drained(puppet: Puppeteer) -> list[str]:
    """Return why each change of keys went on."""
    return [line.why for line in puppet.lines("ring.drained")]


def test_no_call_of_a_crowd_is_lost_while_the_keys_are_changed(tmp_path: Path) -> None:
    """A45, A58: thousands of calls of two threads and a loop; three SIGHUPs; each is run once, and answered."""
    journal = tmp_path / "journal"
    with Running(f"{APPLICATIONS}:crowd", {"journal": str(journal), "changes": CHANGES}) as running:
        assert running.finish(120) == 0
        found = shown(running)
        assert [line.why for line in running.lines("ring.drained")] == [QUIET] * CHANGES
    assert found["epoch"] == CHANGES + 1
    assert list(found["ends"]) == ["right"]
    words = journal.read_text().splitlines()
    assert len(words) == len(set(words)) == found["ends"]["right"] + CHANGES


def test_calls_in_flight_have_a_while_to_end_in(tmp_path: Path) -> None:
    """A58: what ends in time is answered, and what is new waits for the next epoch; one change at a time."""
    with (
        Gate(tmp_path) as gate,
        Backstage(tmp_path) as backstage,
        perform(f"{APPLICATIONS}:slow", drain=600.0, strings=backstage.path) as puppet,
    ):
        held = puppet.send("probe.hold", gate.path)
        gate.await_one()
        puppet.interrupt(signal.SIGHUP)
        puppet.wait_for("ring.draining", epoch=1)
        puppet.act(rekeying_app.await_drain)
        new = puppet.call("probe.echo", b"made while the keys are changed")
        puppet.interrupt(signal.SIGHUP)  # it is under way
        gate.open()
        assert [held.get(), new.get()] == ["go on", b"made while the keys are changed"]
        puppet.await_epoch(2)
        assert puppet.epoch == 2
        assert drained(puppet) == [QUIET]
        assert len(puppet.lines("ring.draining")) == 1

        old = puppet.pid("console")
        puppet.tell(acts.control_packet, packet=control.FROM_CHILD.encode(control.Drained(2)))
        assert puppet.wait_for("process.refused").pid == old  # nobody has asked
        puppet.wait_for("ring.sealed", epoch=3)


def test_an_extension_that_keeps_a_call_in_flight_cannot_delay_new_keys(tmp_path: Path) -> None:
    """A58, P3, I8: for longer than the calls have to end in; the enclave that is held would let its ring fall no more.

    So it is killed here.
    """
    with (
        Gate(tmp_path) as gate,
        Backstage(tmp_path) as backstage,
        perform(f"{APPLICATIONS}:slow", drain=5.0, strings=backstage.path) as puppet,
    ):
        extra = backstage.next_hand()
        kept = extra.send("probe.hold", gate.path)
        gate.await_one()
        puppet.tell(rekeying_app.call_as_it_drains, handler="probe.echo", positional=[b"waits for the next epoch"])
        puppet.interrupt(signal.SIGHUP)
        kept.ask_to_get()
        puppet.wait_for("ring.dismantling", epoch=1)
        puppet.kill("probe")
        assert puppet.answer() == b"waits for the next epoch"
        assert puppet.epoch == 2
        assert drained(puppet) == ["the time is over; these had calls in flight: extra"]
        assert len(puppet.lines("ring.draining")) == 1


def test_an_extension_that_has_not_joined_yet_is_waited_for_and_goes_on(tmp_path: Path) -> None:
    """A58: it says of the right epoch that it has no call in flight; it is no liar, and comes again with the ring."""
    with (
        Backstage(tmp_path) as backstage,
        Gate(tmp_path) as gate,
        perform(f"{APPLICATIONS}:slow", drain=600.0, strings=backstage.path, gate=gate.path) as puppet,
    ):
        gate.await_one()
        puppet.interrupt(signal.SIGHUP)
        puppet.wait_for("ring.draining", epoch=1)
        assert puppet.lines("extension.joined") == puppet.lines("ring.drained") == []
        gate.open()
        puppet.await_epoch(2)
        gate.await_one()
        gate.open()
        puppet.wait_for("extension.joined", epoch=2)
        assert backstage.next_hand().result("probe.echo", b"on") == b"on"
        assert drained(puppet) == [QUIET]
        assert puppet.lines("process.refused") == []


@pytest.mark.parametrize(
    ("due", "why"),
    [
        ({"calls": 20, "seconds": 600.0}, "these keys have carried 20 calls"),
        ({"calls": 1000, "seconds": 1.0}, "these keys are 1 seconds old"),
    ],
)
def test_the_keys_are_changed_after_so_many_calls_or_after_so_long(
    due: dict[str, float], why: str, tmp_path: Path
) -> None:
    """A45: by the declaration, whichever comes first."""
    with perform(f"{APPLICATIONS}:marking", journal=str(tmp_path / "journal"), **due) as puppet:
        for number in range(20):
            assert puppet.result("clerk.mark", f"{number}") == f"{number}"
        puppet.await_epoch(2)
        assert puppet.leave() == 0
        assert puppet.wait_for("rekey.due", epoch=1).why == why


def test_a_call_that_may_be_made_twice_outlives_the_death_of_its_server_once(tmp_path: Path) -> None:
    """A58, K4: idempotent calls are sent again once, nothing else is; what kills its server, twice in all."""
    journal = tmp_path / "journal"
    with perform(f"{APPLICATIONS}:with_host", journal=str(journal), beat=600.0) as puppet:
        for server, lost, epoch in (("runner", "ServerLost", 1), ("clerk", "RingDismantled", 2)):
            old = puppet.pid(server)
            os.kill(old, signal.SIGSTOP)
            look, mark = puppet.send(f"{server}.look", server), puppet.send(f"{server}.mark", "never")
            os.kill(old, signal.SIGKILL)
            assert look.get() == server
            assert [puppet.epoch, mark.outcome()] == [epoch, f"{lost}: not started"]
        for server, epoch in (("runner", 2), ("clerk", 4)):
            assert puppet.call(f"{server}.poison", "poison").outcome() == "Quarantined"
            puppet.await_epoch(epoch)
            assert puppet.result(f"{server}.mark", "after") == "after"
    assert Counter(journal.read_text().split()) == {"runner": 1, "clerk": 1, "poison": 4, "after": 2}


def test_a_loop_that_waits_is_told_by_the_next_ring(tmp_path: Path) -> None:
    """A58: asyncio; more calls than may be in flight, none of them lost."""
    with Running(f"{APPLICATIONS}:lasting", {"journal": str(tmp_path / "journal"), "beat": 600.0}) as running:
        assert running.finish(60) == 0
        assert shown(running) == {"right": True, "epoch": 2}
