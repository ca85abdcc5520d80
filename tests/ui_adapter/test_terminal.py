"""The plain terminal, by pipe and on a real terminal, and what becomes of everybody when that is closed."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.ui_adapter.commands import run, talk_on_a_terminal
from trollbridge.actors.operations.log import Line

if TYPE_CHECKING:
    from pathlib import Path

CLOSED = 128 + signal.SIGHUP
SOON = 5.0
"""Seconds within which everything is gone once the terminal is."""


def test_lines_from_a_pipe_are_answered_one_by_one() -> None:
    """Handlers with their types, calls, streams with what they tell; the end of input ends it (A17, A18)."""
    lines = (
        'handlers\nclerk.copy hello\nclerk.copy "two words"\nclerk.copy text=5x\nclerk.copies "a\\nb" 2\n'
        "\n# not a call\nclerk.wait 0\n"
    )
    ended = run("run", "declared:terminal", "-q", typed=lines)
    assert (ended.code, ended.said) == (0, [])
    shown = ended.output.splitlines()
    shown.remove("… 2 of 2 \N{REPLACEMENT CHARACTER}[2Jcopied")  # when it has come: before the items, if they wait
    assert shown == [
        "clerk.copies(text: str, number: int) -> Generator[str, None, int]",
        "clerk.copy(text: str) -> str",
        "clerk.wait(seconds: float) -> str",
        "hello",
        "two words",
        "5x",
        *["a", "b"] * 2,
        "2",
        "waited",
    ]


def test_an_error_is_shown_as_one_line_and_the_next_line_is_taken() -> None:
    """Every refusal has its type and its sentence; a script's exit code tells that there was one."""
    lines = (
        'clerk.burn\nclerk.withheld\nclerk.copy 5\nclerk.copy "open\nnonsense\nclerk.copy @/nowhere\nclerk.copy on\n'
    )
    ended = run("run", "declared:terminal", "-q", typed=lines)
    assert (ended.code, ended.said) == (1, [])
    *errors, last = ended.output.splitlines()
    assert [each.partition(":")[0] for each in errors] == [
        "NoSuchHandler", "NotGranted", "InvalidArguments", "NotUnderstood", "NotUnderstood", "NotRead",
    ]  # fmt: skip
    assert last == "on"


def test_what_an_enclave_returns_cannot_steer_the_terminal() -> None:
    """Escape sequences come out as replacement characters."""
    ended = run("run", "declared:terminal", "-q", typed='clerk.copy "\\x1b[2Jgone\\u202e"\n')
    assert ended.output == "\N{REPLACEMENT CHARACTER}[2Jgone\N{REPLACEMENT CHARACTER}\n"


def test_a_vault_is_made_and_opened_from_the_terminal(tmp_path: Path) -> None:
    """The password is taken from the next line, or asked for, and hashed before it leaves the UI (A25)."""
    more = {"VAULT": str(tmp_path / "test.vault")}
    made = run(
        "run", "declared:vault_terminal", "-q", more=more, typed="create vault password-only\na b c\nvault.status\n"
    )
    assert made.output.splitlines()[1].startswith("VaultStatus(state='open'")
    unlock = "unlock vault password-only\n"
    opened = run("run", "declared:vault_terminal", "-q", more=more, typed=f"{unlock}x\n{unlock}a b c\n")
    assert [each.partition(":")[0] for each in opened.output.splitlines()] == ["WrongPassword", "done"]


def test_control_c_gives_up_a_call_or_a_line_and_not_the_application() -> None:
    """The supervisor does not see it: the terminal's foreground is the UI's."""
    with talk_on_a_terminal("run", "declared:terminal", "-q") as terminal:
        terminal.hear("> ")
        answer = ""
        while "Cancelled: The call was cancelled." not in answer:  # or the line was given up, if it came too early
            terminal.say("clerk.wait 30\n")
            terminal.hear("clerk.wait 30\r\n")
            terminal.say("\x03")
            answer = terminal.hear("> ")
        terminal.say("half a line\x03")
        terminal.say("x\n")  # Python's readline looks for a signal that comes too early at the end of the line only
        terminal.hear("> ")
        terminal.say("quit\n")
        assert terminal.end() == 0
        assert "half is neither" not in terminal.heard


def test_the_end_of_input_on_a_terminal_ends_the_application() -> None:
    """Ctrl-D."""
    with talk_on_a_terminal("run", "declared:terminal", "-q") as terminal:
        terminal.hear("> ")
        terminal.say("\x04")
        assert terminal.end() == 0


def test_control_c_stops_an_application_whose_ui_does_not_take_it() -> None:
    """UI and supervisor both get it, as any command would."""
    with talk_on_a_terminal("run", "declared:idle", "-q") as idle:
        idle.hear("ready\r\n")
        idle.say("\x03")
        assert idle.end() == 128 + signal.SIGINT


@pytest.mark.parametrize("name", ["idle", "terminal"])
def test_a_closed_terminal_ends_everything_within_seconds(name: str) -> None:
    """The supervisor takes the hang-up for what it is, not for the order to make new keys (R5, A59)."""
    with talk_on_a_terminal("run", f"declared:{name}") as application:
        application.hear("ring.sealed")
        application.hang_up()
        assert application.end(SOON) == CLOSED


@pytest.mark.parametrize("name", ["idle", "terminal"])
def test_a_closed_terminal_under_a_shell_ends_everything_within_seconds(tmp_path: Path, name: str) -> None:
    """The shell gets the signal; whoever of us does not hears of it by the UI's end. All of it ends in order (A59)."""
    log = tmp_path / "log"
    with talk_on_a_terminal("run", f"declared:{name}", "--log", str(log), under_a_shell=True) as application:
        application.hear("> " if name == "terminal" else "ready\r\n")
        application.hang_up()
        application.end(SOON)
    lines = [msgspec.json.decode(each, type=Line) for each in log.read_bytes().splitlines()]
    assert lines[-1].event == "application.stopped"


def test_a_hang_up_with_the_terminal_still_there_makes_new_keys() -> None:
    """SIGHUP to the supervisor alone is the operator's order; the application goes on in epoch 2 (A45)."""
    with talk_on_a_terminal("run", "declared:terminal") as application:
        application.hear("> ")
        application.popen.send_signal(signal.SIGHUP)
        application.hear('"event":"ring.sealed","epoch":2')
        application.say("clerk.copy again\n")
        application.hear("again\r\n")
        application.hear("again\r\n")
        application.say("quit\n")
        assert application.end() == 0
