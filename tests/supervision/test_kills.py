"""Sudden death, of anybody at any moment: nothing is left behind, and what can go on does."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.harness import acts
from tests.harness.gate import Gate
from tests.harness.puppeteer import Backstage, Puppeteer, Told, perform

if TYPE_CHECKING:
    from pathlib import Path

STAGE: Final = "tests.harness.stage:puppet_app"
KILLED: Final = -signal.SIGKILL
MOMENTS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("application.started", {}),
    ("ring.forming", {}),
    ("process.started", {"member": "broker"}),
    ("process.started", {"member": "puppet"}),
    ("process.started", {"member": "probe"}),
    ("member.joined", {"member": "broker"}),
    ("member.joined", {"member": "puppet"}),
    ("member.joined", {"member": "probe"}),
    ("ring.sealed", {}),
]
RESTART: Final[list[tuple[str, dict[str, Any]]]] = [
    ("process.ended", {"epoch": 1}),
    ("ring.dismantling", {"epoch": 1}),
    ("ring.dismantled", {"epoch": 1}),
    ("ring.restarting", {"epoch": 1}),
    ("ring.forming", {"epoch": 2}),
    ("process.started", {"epoch": 2, "member": "broker"}),
    ("process.started", {"epoch": 2, "member": "probe"}),
    ("member.joined", {"epoch": 2, "member": "broker"}),
    ("ring.sealed", {"epoch": 2}),
]


@pytest.mark.parametrize(("event", "fields"), MOMENTS)
def test_nothing_outlives_a_supervisor_that_is_killed_during_the_boot(event: str, fields: dict[str, Any]) -> None:
    """A59, K6, A39: SIGKILL right after each line of the log of a boot; there is no process left."""
    with Puppeteer(STAGE, {"enclaves": ["probe", "second"]}) as puppet:
        puppet.wait_for(event, **fields)
        puppet.popen.kill()
        assert puppet.finish() == KILLED


@pytest.mark.parametrize(("event", "fields"), RESTART)
def test_nothing_outlives_a_supervisor_that_is_killed_during_a_restart(event: str, fields: dict[str, Any]) -> None:
    """A59, K6, A39: the same for each line of a restart, in which old processes end and new ones start."""
    with perform() as puppet:
        puppet.kill("probe")
        puppet.wait_for(event, **fields)
        puppet.popen.kill()
        assert puppet.finish() == KILLED


def test_nothing_outlives_a_supervisor_that_is_killed_in_the_middle_of_work(tmp_path: Path) -> None:
    """A59, K6: the UI waits, an enclave is stuck in a handler, an extension ignores SIGTERM: all of them go too."""
    with (
        Backstage(tmp_path) as back,
        Gate(tmp_path) as gate,
        perform(extensions={"extra": back.path}, enclaves=("probe", "second")) as puppet,
    ):
        back.next_hand().act(acts.hold_out, packet=b"")
        held = puppet.send("second.hold", gate.path)
        gate.await_one()
        held.ask_to_get(None)
        os.kill(puppet.supervisor, signal.SIGKILL)
        assert puppet.finish() == KILLED


@pytest.mark.parametrize("victim", ["supervisor", "broker", "probe", "puppet"])
def test_no_file_is_left_by_anybody_who_is_killed(victim: str, tmp_path: Path) -> None:
    """A59, A37: neither in the home folder nor in the temporary one nor where it was started."""
    folders = [tmp_path / name for name in ("home", "temporary", "here")]
    for each in folders:
        each.mkdir()
    environment = {"HOME": str(folders[0]), "TMPDIR": str(folders[1])}
    with Puppeteer(STAGE, {}, folder=folders[2], environment=environment) as puppet:
        puppet.await_epoch(1)
        if victim == "supervisor":
            puppet.popen.kill()
            assert puppet.finish() == KILLED
        else:
            puppet.kill(victim)
            puppet.await_epoch(2)
            assert puppet.leave() == 0
    assert sorted(tmp_path.rglob("*")) == sorted(folders)


def test_a_stopped_supervisor_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    """A59, K6: stopped first, so that it can say nothing, then killed."""
    with Gate(tmp_path) as gate, perform() as puppet:
        puppet.send("probe.hold", gate.path)
        gate.await_one()
        puppet.interrupt(signal.SIGSTOP)
        puppet.interrupt(signal.SIGKILL)
        assert puppet.finish() == KILLED


@pytest.mark.parametrize("member", ["probe", "broker", "puppet"])
def test_a_member_that_is_killed_is_replaced_in_the_next_ring(member: str) -> None:
    """A50, A59, K6: the ring falls, its processes are reaped, the next answers; the log says who, why, what next."""
    with perform() as puppet:
        old = puppet.kill(member)
        line = puppet.wait_for("process.ended", pid=old)
        assert (line.signal, line.exit_code, line.expected) == ("SIGKILL", None, False)
        assert line.next == "the ring is dismantled"
        puppet.await_epoch(2)
        assert puppet.result("probe.echo", b"hi") == b"hi"
        assert puppet.pid(member) != old
        assert [each.incarnation for each in puppet.lines("process.started", member=member)] == [1, 2]
        assert puppet.leave() == 0


@pytest.mark.parametrize("members", [("probe", "broker"), ("broker", "puppet"), ("puppet", "probe", "broker")])
def test_members_that_are_killed_at_once_are_all_replaced(members: tuple[str, ...]) -> None:
    """A59, K6: several deaths, one fall, one new ring."""
    with perform() as puppet:
        old = [puppet.pid(member) for member in members]
        puppet.interrupt(signal.SIGSTOP)  # so that it learns of all of them at once, and ends none of them itself
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        puppet.interrupt(signal.SIGCONT)
        puppet.await_epoch(2)
        assert len(puppet.lines("ring.dismantled", epoch=1)) == 1
        assert {each.pid for each in puppet.lines("process.ended", epoch=1)} >= set(old)
        assert puppet.result("probe.echo", b"hi") == b"hi"


@pytest.mark.parametrize("event", ["process.started", "member.joined"])
@pytest.mark.parametrize("member", ["probe", "broker"])
def test_a_member_that_is_killed_during_a_restart_costs_one_more_restart(event: str, member: str) -> None:
    """A50, K6: a death while epoch 2 forms: it is dismantled like any other, and epoch 3 answers."""
    with perform() as puppet:
        puppet.kill("probe")
        pid = puppet.wait_for(event, member=member, epoch=2).pid
        os.kill(pid, signal.SIGKILL)
        puppet.wait_for("process.ended", pid=pid)
        puppet.await_epoch(3)
        assert puppet.result("probe.echo", b"hi") == b"hi"
        assert puppet.leave() == 0


def test_the_user_interface_keeps_its_process_and_its_work() -> None:
    """A42 in its first form: a UI without foreign code rejoins over its control socket; what it kept is still there."""
    with perform() as puppet:
        before = puppet.pid("puppet")
        promise = puppet.call("probe.echo", b"from epoch 1")
        assert promise.get() == b"from epoch 1"
        puppet.kill("probe")
        puppet.await_epoch(2)
        assert puppet.pid("puppet") == before
        assert promise.get() == b"from epoch 1"
        assert len(puppet.lines("process.started", member="puppet")) == 1


def test_a_death_under_full_mailboxes_is_told_to_everybody() -> None:
    """K7, A14, A58: an enclave is stopped, its mailbox full; log, callers and the next ring learn of its death."""
    with perform(beat=600.0) as puppet:  # so that it is left stopped until all have called
        puppet.result("probe.echo", b"warm")
        puppet.kill("probe", signal.SIGSTOP)
        promises = [puppet.call("probe.echo", bytes(60_000)) for _ in range(300)]
        promises[0].ask_to_get(None)  # whoever waits sends what is ready, until nobody takes any more
        puppet.kill("probe")
        assert puppet.wait_for("process.ended", member="probe").signal == "SIGKILL"
        with pytest.raises(Told, match="dismantled"):
            puppet.answer()
        assert {each.outcome() for each in promises} == {"RingDismantled: not started"}
        puppet.await_epoch(2)
        assert puppet.result("probe.echo", b"after") == b"after"
