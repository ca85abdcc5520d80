"""What a declaration starts, in which order, and what happens to a boot that somebody spoils."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.harness import acts
from tests.harness.interpreter import interpreter
from tests.harness.puppeteer import Backstage, Puppeteer, perform
from tests.harness.stage import PUPPET, puppet_app
from trollbridge.actors.exits import BOOT_FAILED
from trollbridge.actors.supervision.spawn import Process
from trollbridge.actors.supervision.supervisor import Supervisor
from trollbridge.messages import control
from trollbridge.messages.errors import RingDismantled, UsageError
from trollbridge.messages.ids import MemberId, Role

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY: Final = "the user interface runs"
MEDDLING: Final = "tests.harness.meddling:"
ENTRY: Final = "from trollbridge.actors.entry.child import main; main()"
PATH: Final = tuple(sys.path)


def command_line(pid: int) -> list[str]:
    """Return the arguments of a process."""
    with open(f"/proc/{pid}/cmdline", encoding="utf-8") as arguments:  # noqa: PTH123
        return arguments.read().split("\0")[:-1]


def test_one_declaration_starts_four_processes_and_says_who_they_are() -> None:
    """A12, A1 in their first form: supervisor, broker, enclave and UI are four freshly exec'd processes in one ring."""
    with perform() as puppet:
        members = puppet.act(acts.members)
        assert [each[:2] for each in members] == [
            ["supervisor", "supervisor"],
            ["broker", "broker"],
            ["probe", "enclave"],
            ["puppet", "ui"],
        ]
        pids = {name: pid for name, _, pid in members}
        assert len(set(pids.values())) == 4
        assert pids == {
            "supervisor": puppet.supervisor,
            **{line.member: line.pid for line in puppet.lines("process.started")},
        }
        for name, role, pid in members[1:]:
            arguments = command_line(pid)
            assert (arguments[0], arguments[1], role in arguments) == (sys.executable, "-I", True), name
        assert puppet.result("probe.pid") == pids["probe"]
        assert puppet.leave() == 0


def test_the_log_tells_a_whole_life_in_order() -> None:
    """A12, A59: one line for each transition, from the start to the stop, and nothing else."""
    with perform() as puppet:
        assert puppet.leave() == 0
        events = [line.event for line in puppet.lines()]
        assert events[:2] == ["application.started", "ring.forming"]
        assert sorted(events[2:11]) == ["member.joined"] * 3 + ["process.locked"] * 3 + ["process.started"] * 3
        assert events[11] == "ring.sealed"
        for member in ("broker", "probe", "puppet"):
            life = [line.event for line in puppet.lines() if line.member == member]
            assert life[:3] == ["process.started", "process.locked", "member.joined"]
        ended = [(line.member, line.exit_code, line.expected) for line in puppet.lines("process.ended")]
        assert ended[0] == ("puppet", 0, True)
        assert set(ended) == {
            ("puppet", 0, True),
            ("probe", 0, True),
            ("broker", 0, True),
        }
        assert events[-2:] == ["ring.dismantled", "application.stopped"]
        assert puppet.said() == []


def test_the_user_interface_runs_only_once_the_ring_is_sealed() -> None:
    """A13: in a boot that fails at its last step, the UI's process was there and its code never ran; else it runs."""
    with Puppeteer(f"{MEDDLING}wrong_ticket", {"member": "puppet", "canary": CANARY}) as spoiled:
        assert spoiled.finish() == BOOT_FAILED
        assert len(spoiled.lines("process.started", member="puppet")) == 1
        assert spoiled.output.items == []
    with perform(canary=CANARY) as puppet:
        assert puppet.leave() == 0
        assert puppet.output.items[0] == CANARY


@pytest.fixture
def orphaned() -> Iterator[socket.socket]:
    """Yield one end of a control channel whose other end nobody holds."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    theirs.close()
    with ours:
        yield ours


@pytest.mark.parametrize("role", ["ui", "enclave", "broker", "extension"])
def test_a_process_without_a_supervisor_ends_with_an_error(role: str, orphaned: socket.socket) -> None:
    """A13: nobody on the control channel, so no ring: a non-zero exit, and not a word."""
    ended = subprocess.run(
        [sys.executable, "-I", "-c", ENTRY, role, str(orphaned.fileno())],
        pass_fds=[orphaned.fileno()],
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, b"", b"")


def test_without_a_ring_a_bridge_calls_nothing() -> None:
    """A13, A45: a UI that is started as plain Python has no ring, and every call says so."""
    from trollbridge.actors.calling.client import Client  # noqa: PLC0415
    from trollbridge.ui_adapter.bridge import Bridge  # noqa: PLC0415

    bridge = Bridge(Client())
    with pytest.raises(RingDismantled, match=r"no sealed ring, and vault\.sign was not sent"):
        bridge.vault.sign(b"document")
    assert (bridge.epoch, bridge.members, bridge.wait_sealed(0)) == (None, (), False)


def test_a_seal_without_a_join_does_not_start_the_user_interface(capfd: pytest.CaptureFixture[str]) -> None:
    """A13, A32: a child that is told `Seal` before it could join ends; its code, which would write, has not run."""
    process = Process(MemberId("puppet"), Role.UI, 1, interpreter())
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with here, there:
        settings = (("canary", CANARY),)
        process.channel.send(control.Boot("puppet", Role.UI.value, PUPPET, settings, PATH), there.fileno())
        process.channel.send(control.Seal(()))
        os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED | os.WNOWAIT)
        assert process.reap() == 1
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("member", ["puppet", "probe"])
@pytest.mark.parametrize("token", ["random", "zero", "foreign"])
def test_a_wrong_join_token_aborts_the_boot(member: str, token: str, tmp_path: Path) -> None:
    """A32, A36, R7, I6: the boot fails with its code and one line, and no code has run but the enclave's own start."""
    journal = tmp_path / "journal"
    settings = {"member": member, "token": token, "canary": CANARY, "journal": str(journal)}
    with Puppeteer(f"{MEDDLING}wrong_token", settings) as spoiled:
        assert spoiled.finish() == BOOT_FAILED
        assert spoiled.wait_for("join.refused").member == member
        assert spoiled.lines("ring.sealed") == spoiled.lines("member.joined", member=member) == []
        assert spoiled.output.items == []
        [said] = spoiled.said()
        assert said.startswith(f"trollbridge: {member}")
    begun = journal.read_text().split()
    if member == "probe":
        assert begun == ["start"]
    else:  # the boot may be over before the enclave starts
        assert set(begun) - {"start"} == set()


@pytest.mark.parametrize("meddling", ["wrong_ticket", "wrong_epoch", "short_token"])
@pytest.mark.parametrize("member", ["puppet", "probe"])
def test_every_other_failed_join_aborts_the_boot_too(meddling: str, member: str) -> None:
    """A36, R7: a forged session, another epoch, a key that is too short: never swallowed."""
    with Puppeteer(f"{MEDDLING}{meddling}", {"member": member, "canary": CANARY}) as spoiled:
        assert spoiled.finish() == BOOT_FAILED
        assert (spoiled.lines("ring.sealed"), spoiled.output.items) == ([], [])
        assert len(spoiled.said()) == 1


def test_a_broker_that_dies_during_the_boot_aborts_it() -> None:
    """R7: a dead broker, a clear error, a non-zero exit."""
    with Puppeteer(f"{MEDDLING}dead_broker", {"canary": CANARY}) as spoiled:
        assert spoiled.finish() == BOOT_FAILED
        assert spoiled.output.items == []
        assert spoiled.wait_for("process.ended", member="broker").signal == "SIGKILL"
        assert len(spoiled.said()) == 1


@pytest.mark.parametrize("member", ["puppet", "probe"])
def test_a_token_of_the_last_epoch_opens_no_later_one(member: str) -> None:
    """A32, A38, A45: the first ring forms, the second does not with a used token; honest tokens form it."""
    settings = {"member": member, "token": "used", "from_epoch": 2, "restarts": 1}
    with Puppeteer(f"{MEDDLING}wrong_token", settings) as spoiled:
        spoiled.await_epoch(1)
        spoiled.kill("probe")
        assert spoiled.finish() != 0
        assert spoiled.wait_for("join.refused").epoch == 2
        assert [line.epoch for line in spoiled.lines("ring.sealed")] == [1]
    with perform() as puppet:
        puppet.kill("probe")
        puppet.await_epoch(2)
        assert puppet.result("probe.echo", b"hi") == b"hi"


def test_the_ring_is_sealed_before_any_extension_starts(tmp_path: Path) -> None:
    """A33: the log shows the order, in the second epoch too."""
    with (
        Backstage(tmp_path) as back,
        perform(extensions={"extra": back.path}, extension_grants=["probe.echo"]) as puppet,
    ):
        assert back.next_hand().result("probe.echo", b"from outside") == b"from outside"
        puppet.kill("probe")
        puppet.await_epoch(2)
        assert back.next_hand().result("probe.echo", b"again") == b"again"
        puppet.wait_for("process.started", epoch=2, member="extra")
        events = [(line.event, line.epoch, line.member) for line in puppet.lines()]
        for epoch in (1, 2):
            sealed = events.index(("ring.sealed", epoch, "supervisor"))
            assert sealed < events.index(("process.started", epoch, "extra"))
        assert puppet.leave() == 0
        assert puppet.lines("process.refused") == []


def test_an_extension_cannot_be_started_before_the_seal() -> None:
    """A33: the other order raises, and nothing was started."""
    supervisor = Supervisor(puppet_app(extensions={"extra": "nowhere"}))
    with pytest.raises(UsageError, match="only once the ring is sealed"):
        supervisor.rings.start_extension(MemberId("extra"))
    assert not list(supervisor._processes)


def test_an_extension_is_not_in_the_ring(tmp_path: Path) -> None:
    """A41, A42 in their first form: it may call, holds no ring key, and its death leaves the ring alone."""
    grants = ["probe.secret", "probe.echo"]
    with Backstage(tmp_path) as back, perform(extensions={"extra": back.path}, extension_grants=grants) as puppet:
        hand = back.next_hand()
        assert hand.result("probe.secret").startswith("<Sealed result of probe.secret")
        assert puppet.result("probe.secret").startswith("the word")
        assert hand.act(acts.secrets, of=1)["ring_key"] is None
        puppet.kill("extra", signal.SIGKILL)
        ended = puppet.wait_for("process.ended", member="extra")
        assert (ended.expected, ended.next) == (False, "it is not started again until the next ring")
        assert puppet.result("probe.echo", b"unmoved") == b"unmoved"
        assert puppet.epoch == 1
        assert puppet.leave() == 0
