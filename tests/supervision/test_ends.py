"""How an application ends: by its user interface, by a signal, by a terminal that goes away."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import sys
from typing import Any, Final

import pytest

from tests.conftest import REPOSITORY
from tests.harness import acts
from tests.harness.puppeteer import Puppeteer, perform
from tests.harness.running import PATIENCE, Running
from trollbridge.actors import exits

STAGE: Final = "tests.harness.stage:puppet_app"
ENDING: Final = "tests.supervision.consoles:ending"
STUBBORN: Final = "tests.supervision.consoles:Stubborn"
BY_SIGNAL: Final = {signal.SIGTERM: 143, signal.SIGINT: 130}
MOMENTS: Final[list[tuple[str, dict[str, Any]]]] = [
    ("application.started", {}),
    ("ring.forming", {}),
    ("process.started", {"member": "broker"}),
    ("process.started", {"member": "puppet"}),
    ("process.started", {"member": "probe"}),
    ("process.started", {"member": "second"}),
    ("member.joined", {"member": "broker"}),
    ("member.joined", {"member": "puppet"}),
    ("ring.sealed", {}),
]
RESTART: Final[list[tuple[str, dict[str, Any]]]] = [
    ("process.ended", {"epoch": 1}),
    ("ring.dismantling", {"epoch": 1}),
    ("ring.dismantled", {"epoch": 1}),
    ("ring.forming", {"epoch": 2}),
    ("process.started", {"epoch": 2, "member": "broker"}),
    ("process.started", {"epoch": 2, "member": "probe"}),
    ("member.joined", {"epoch": 2, "member": "broker"}),
]


@pytest.mark.parametrize(
    ("way", "code", "said"),
    [
        ("none", 0, ""),
        ("return 0", 0, ""),
        ("return 3", 3, ""),
        ("return 255", 255, ""),
        ("sys.exit 4", 4, ""),
        ("os._exit 9", 9, ""),
        (
            "raise",
            exits.UI_CRASHED,
            "trollbridge: console failed: RuntimeError: a reason (at consoles.py:",
        ),
        ("declared", 1, "trollbridge: console: The vault holds no key of that name."),
        ("error", 1, "trollbridge: console: because"),
        ("interrupt", 130, ""),
        ("broken pipe", exits.OUTPUT_CLOSED, ""),
    ],
)
def test_the_end_of_the_user_interface_is_the_end_of_the_application(way: str, code: int, said: str) -> None:
    """A59: every way of ending: its own code is passed on, at most one line is said, and nothing is left."""
    with Running(ENDING, {"way": way}) as running:
        assert running.finish() == code
        assert [line[: len(said)] for line in running.said()] == ([said] if said else [])
        assert running.wait_for("application.stopped").exit_code == code
        assert [line.epoch for line in running.lines("ring.sealed")] == [1]


@pytest.mark.parametrize(("way", "code", "error"), [("raise", 70, "RuntimeError"), ("return 3", 3, "")])
def test_the_log_tells_an_error_of_the_user_interface_from_an_end_it_means(way: str, code: int, error: str) -> None:
    """A27: the error's class and place, without its text; an exit code that it returns is its own."""
    with Running(ENDING, {"way": way}) as running:
        assert running.finish() == code
        failed = running.lines("process.failed", member="console")
        assert [each.detail.partition(":")[0] for each in failed] == ([f"{error} at consoles.py"] if error else [])
        assert running.lines("process.ended", member="console")[0].expected is not bool(error)
        why = f"console ended by an error (exit code {code})" if error else "console has finished"
        assert running.wait_for("application.stopped").why == why
        assert "a reason" not in "".join(map(repr, running.lines()))


def test_a_user_interface_that_ends_while_the_ring_is_down_ends_the_application_too() -> None:
    """A59: whether the next ring is sealed yet makes no difference: it has finished, with a code of its own."""
    with Running(ENDING, {"way": "fall 5"}) as running:
        assert running.finish() == 5
        assert len(running.lines("process.started", member="console")) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_application_in_good_order(number: signal.Signals) -> None:
    """A59: everybody is told, everybody ends by itself, the code is the shell's for that signal."""
    with perform(grace=600.0) as puppet:
        puppet.interrupt(number)
        assert puppet.finish() == BY_SIGNAL[number]
        assert puppet.wait_for("application.stopping").why == number.name
        assert puppet.lines("process.killed") == []
        assert {line.signal for line in puppet.lines("process.ended")} == {""}
        assert puppet.said() == []


@pytest.mark.parametrize(("event", "fields"), MOMENTS)
def test_a_signal_at_any_moment_of_the_boot_stops_it(event: str, fields: dict[str, Any]) -> None:
    """A59, K6: right after each line of the log: the same code, no traceback, nothing left, and it does not hang."""
    with Puppeteer(STAGE, {"enclaves": ["probe", "second"]}) as puppet:
        puppet.wait_for(event, **fields)
        puppet.interrupt(signal.SIGTERM)
        assert puppet.finish() == BY_SIGNAL[signal.SIGTERM]
        assert puppet.said() == []
        assert puppet.lines()[-1].event == "application.stopped"


@pytest.mark.parametrize(("event", "fields"), RESTART)
def test_ctrl_c_at_any_moment_of_a_restart_stops_it(event: str, fields: dict[str, Any]) -> None:
    """A59, K6: the whole group gets SIGINT, as from a terminal: supervisor and UI; the others are no part of it."""
    with perform() as puppet:
        puppet.kill("probe")
        puppet.wait_for(event, **fields)
        os.killpg(puppet.supervisor, signal.SIGINT)
        assert puppet.finish() == 130
        assert puppet.said() == []


def test_a_terminal_s_ctrl_c_reaches_the_user_interface_and_nobody_else() -> None:
    """K6: enclaves and broker have sessions of their own; a UI that takes SIGINT ends with 130, and so does all."""
    with perform() as puppet:
        sessions = {member: os.getsid(puppet.pid(member)) for member in ("broker", "probe", "puppet")}
        assert sessions["puppet"] == os.getsid(puppet.supervisor)
        assert sessions["broker"] == puppet.pid("broker")
        assert sessions["probe"] == puppet.pid("probe")
        puppet.kill("puppet", signal.SIGINT)
        assert puppet.finish() == 130


def test_a_second_ctrl_c_does_not_wait() -> None:
    """K6: the first asks and would wait ten minutes for a stubborn UI; the second ends it on the spot."""
    with Running("tests.supervision.consoles:declared", {"ui": STUBBORN, "grace": 600.0}) as running:
        running.output.wait(lambda line: line == "ready", 20.0)
        running.interrupt(signal.SIGINT)
        running.wait_for("application.stopping")
        running.interrupt(signal.SIGINT)
        assert running.finish() == 130
        assert running.wait_for("process.killed", member="console").why == "it did not end in time"
        assert running.wait_for("process.ended", member="console").signal == "SIGKILL"


def test_a_user_interface_that_ignores_the_end_is_killed_in_time() -> None:
    """A59, K6: asked, waited for, then killed: the application ends whatever its UI does."""
    with Running("tests.supervision.consoles:declared", {"ui": STUBBORN, "grace": 0.3}) as running:
        running.output.wait(lambda line: line == "ready", 20.0)
        running.interrupt(signal.SIGTERM)
        assert running.finish() == 143
        assert running.wait_for("process.killed", member="console").why == "it did not end in time"
        assert running.wait_for("process.ended", member="console").signal == "SIGKILL"


def test_sighup_gives_new_keys_and_keeps_the_user_interface() -> None:
    """A45, R5: without a terminal it means re-key: dismantled whole, formed anew, calls in flight told."""
    with perform() as puppet:
        before = puppet.pid("puppet")
        puppet.interrupt(signal.SIGHUP)
        puppet.await_epoch(2)
        assert puppet.wait_for("ring.dismantling", epoch=1).why.startswith("SIGHUP")
        assert puppet.pid("puppet") == before
        assert puppet.result("probe.echo", b"new keys") == b"new keys"
        assert puppet.leave() == 0


def test_hang_ups_in_a_row_end_in_one_sealed_ring() -> None:
    """R5, K6: SIGHUP while a ring forms is not a second dismantling; the application comes to rest, sealed."""
    with perform(restarts=50) as puppet:
        for _ in range(20):
            puppet.interrupt(signal.SIGHUP)
        puppet.wait_for("ring.sealed", epoch=2)
        while puppet.lines("ring.dismantling")[-1].epoch >= puppet.lines("ring.sealed")[-1].epoch:
            puppet.wait_for("ring.sealed", epoch=puppet.lines("ring.dismantling")[-1].epoch + 1)
        puppet.act(acts.wait_sealed, seconds=20.0)
        assert puppet.result("probe.echo", b"at rest") == b"at rest"
        assert puppet.leave() == 0


def test_a_user_interface_that_ends_with_its_input_ends_the_application() -> None:
    """A59: input at its end: the puppet ends by itself, with 0, and so does everybody."""
    with perform() as puppet:
        puppet.stdin.close()
        assert puppet.finish() == 0
        assert puppet.wait_for("application.stopped").why == "puppet has finished"


def test_a_terminal_that_goes_away_ends_the_application() -> None:
    """A59: SIGHUP from a terminal that is gone means the end, not new keys; the UI here reads no input."""
    leader, follower = pty.openpty()
    settings = json.dumps({"ui": STUBBORN, "grace": 0.3})
    with open(leader, "rb", buffering=0) as terminal:  # noqa: PTH123  # a descriptor
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "tests.harness.launch", "tests.supervision.consoles:declared", settings],
            {**os.environ, "PYTHONPATH": str(REPOSITORY)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.ttyname(follower), os.O_RDWR, 0),  # which makes it its terminal
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
            ],
            setsid=True,
        )
        os.close(follower)
        shown = b""
        while b"ready" not in shown:
            shown += terminal.read(4096)
    ending = os.pidfd_open(pid)
    came, _, _ = select.select([ending], [], [], PATIENCE)
    os.close(ending)
    assert came, "it goes on"
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
