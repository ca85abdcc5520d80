"""New keys for a running application: what is in flight ends, what is new waits; nothing is lost or runs twice."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING, Any

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
        assert running.finish(60) == 0
        found = shown(running)
        assert [line.why for line in running.lines("ring.drained")] == [QUIET] * CHANGES
    assert found["epoch"] == CHANGES + 1
    assert list(found["ends"]) == ["right"]
    words = journal.read_text().splitlines()
    assert len(words) == len(set(words)) == found["ends"]["right"] + CHANGES


def test_calls_in_flight_have_a_while_to_end_in_and_no_longer(tmp_path: Path) -> None:
    """A58, P3, I8: what ends in time is answered; an extension that keeps a call in flight cannot delay it."""
    with (
        Gate(tmp_path) as gate,
        Backstage(tmp_path) as backstage,
        perform(f"{APPLICATIONS}:slow", drain=5.0, strings=backstage.path, grace=0.5) as puppet,
    ):
        backstage.next_hand()
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
        assert drained(puppet) == [QUIET]

        extra = backstage.next_hand()
        kept = extra.send("probe.hold", gate.path)
        gate.await_one()
        puppet.interrupt(signal.SIGHUP)
        puppet.wait_for("ring.draining", epoch=2)
        puppet.act(rekeying_app.await_drain)
        kept.ask_to_get()
        assert puppet.result("probe.echo", b"waits for the next epoch") == b"waits for the next epoch"
        assert puppet.epoch == 3
        assert drained(puppet)[1:] == ["the time is over; these had calls in flight: extra"]
        assert len(puppet.lines("ring.draining")) == 2

        old = puppet.pid("console")
        puppet.tell(acts.control_packet, packet=control.FROM_CHILD.encode(control.Drained(3)))
        assert puppet.wait_for("process.refused").pid == old  # nobody has asked
        puppet.wait_for("ring.sealed", epoch=4)


def test_an_extension_that_has_not_joined_yet_is_waited_for_and_goes_on(tmp_path: Path) -> None:
    """A58: it says of the right epoch that it has no call in flight; it is no liar, and comes again with the ring."""
    with (
        Backstage(tmp_path) as backstage,
        perform(f"{APPLICATIONS}:slow", drain=20.0, strings=backstage.path, grace=5.0) as puppet,
    ):
        started = puppet.wait_for("process.started", member="extra")
        os.kill(started.pid, signal.SIGSTOP)
        puppet.await_epoch(1)
        puppet.interrupt(signal.SIGHUP)
        puppet.wait_for("ring.draining", epoch=1)
        os.kill(started.pid, signal.SIGCONT)
        puppet.await_epoch(2)
        puppet.wait_for("extension.joined", epoch=2)
        assert backstage.next_hand().result("probe.echo", b"on") == b"on"
        assert drained(puppet) == [QUIET]
        assert puppet.lines("process.refused") == []


def test_the_keys_are_changed_after_so_many_calls_and_after_so_long(tmp_path: Path) -> None:
    """A45: by the declaration, whichever comes first."""
    with perform(f"{APPLICATIONS}:marking", journal=str(tmp_path / "journal"), calls=20, seconds=2.0) as puppet:
        for number in range(20):
            assert puppet.result("clerk.mark", f"{number}") == f"{number}"
        puppet.await_epoch(2)
        puppet.await_epoch(3)
        assert puppet.leave() == 0
        whys = [line.why for line in puppet.lines("rekey.due")[:2]]
    assert whys == ["these keys have carried 20 calls", "these keys are 2 seconds old"]


def test_a_call_that_may_be_made_twice_outlives_the_death_of_its_server_once(tmp_path: Path) -> None:
    """A58, K4: idempotent calls are sent again once, nothing else is; what kills its server, twice in all."""
    journal = tmp_path / "journal"
    with perform(f"{APPLICATIONS}:with_host", journal=str(journal)) as puppet:
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
    with Running(f"{APPLICATIONS}:lasting", {"journal": str(tmp_path / "journal")}) as running:
        assert running.finish(30) == 0
        assert shown(running) == {"right": True, "epoch": 2}
