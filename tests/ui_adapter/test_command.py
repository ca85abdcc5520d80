"""The command itself: help, version, log, exit codes, and an output that nobody takes."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import tomllib
from typing import TYPE_CHECKING

import msgspec
import pytest

from tests.conftest import REPOSITORY
from tests.ui_adapter.commands import APPLICATIONS, COMMAND, PATIENCE, environment, run, talk
from trollbridge.actors import exits
from trollbridge.actors.operations.log import Line
from trollbridge.ui_adapter.cli import EXIT_CODES
from trollbridge.ui_adapter.vault.exit_codes import TABLE as VAULT_CODES

if TYPE_CHECKING:
    from pathlib import Path


def test_an_application_runs_and_its_exit_code_is_that_of_its_ui() -> None:
    """The UI's own code goes through, 0 included; the log begins and ends with the application (A12, A13)."""
    ended = run("run", "declared:right")
    assert (ended.code, ended.output, ended.said) == (0, "as it is\n", [])
    events = [each.event for each in ended.log]
    assert (events[0], events[-1]) == ("application.started", "application.stopped")
    assert events.index("ring.sealed") < events.index("ring.dismantled")
    assert run("run", "declared:seven").code == 7


def test_the_log_is_appended_to_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    """`--log` keeps standard error free, and what the file held before."""
    log = tmp_path / "application.log"
    for _ in range(2):
        assert run("run", "declared:right", "--log", str(log)) == (0, "as it is\n", [], [])
    lines = [msgspec.json.decode(each, type=Line) for each in log.read_bytes().splitlines()]
    assert [each.event for each in lines].count("application.started") == 2
    assert log.stat().st_mode & 0o777 == 0o600


def test_quiet_leaves_out_the_log_and_nothing_else() -> None:
    """What fails is still told."""
    assert run("run", "declared:right", "--quiet") == (0, "as it is\n", [], [])
    failed = run("run", "declared:missing", "--quiet")
    assert (failed.code, len(failed.said), failed.log) == (1, 1, [])


def test_a_log_that_cannot_be_opened_starts_nothing(tmp_path: Path) -> None:
    """A wrong command line is told as such, with exit code 2."""
    ended = run("run", "declared:right", "--log", str(tmp_path / "no folder" / "log"))
    assert (ended.code, ended.output, ended.log) == (2, "", [])
    assert ended.said[-1].endswith("No such file or directory")


@pytest.mark.parametrize("arguments", [("ruin",), ("run",), ("run", "--loud", "declared:right"), ()])
def test_a_wrong_command_line_says_how_to_go_on(arguments: tuple[str, ...]) -> None:
    """Usage and a hint, exit code 2."""
    ended = run(*arguments)
    assert ended.code == 2
    assert ended.said[0].startswith("Usage: trollbridge ")


def test_the_version_is_the_one_of_the_distribution() -> None:
    """One number, in one place."""
    version = tomllib.loads(REPOSITORY.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert run("--version") == (0, f"trollbridge {version}\n", [], [])


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("demo", "-h")])
def test_the_help_has_every_exit_code(arguments: tuple[str, ...]) -> None:
    """The table of the help is the table of the README, and has each code of `exits`."""
    ended = run(*arguments)
    assert ended.code == 0
    for code, meaning in EXIT_CODES:
        assert re.search(rf"^ +{re.escape(code)} +{re.escape(meaning)}$", ended.output, re.MULTILINE)
    codes = {str(value) for name, value in vars(exits).items() if name.isupper()}
    assert codes <= {code for code, _ in EXIT_CODES}


def test_the_readme_has_every_exit_code() -> None:
    """The same codes with the same words, as two tables: that of an application, then that of the vault's commands."""
    readme = REPOSITORY.joinpath("README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \|$", readme, re.MULTILINE)
    known = {*EXIT_CODES, *VAULT_CODES}
    assert [row for row in rows if row in known] == [*EXIT_CODES, *VAULT_CODES]


def test_a_reader_that_goes_away_ends_the_ui_without_a_traceback(tmp_path: Path) -> None:
    """`trollbridge run … | head -1`: the UI is told by its write, and its code says so; also where the log goes too."""
    errors = tmp_path / "errors"
    with errors.open("wb") as file:
        for told in (file.fileno(), subprocess.STDOUT):
            with talk("run", "declared:chatty", errors=told) as chatty:
                chatty.hear("ready\n")
                chatty.say("\n")
                chatty.hang_up()
                assert chatty.end() == exits.OUTPUT_CLOSED
    lines = [msgspec.json.decode(each, type=Line) for each in errors.read_bytes().splitlines()]
    assert lines[-1].event == "application.stopped", "a log, and nothing that is none, such as a traceback"


@pytest.mark.parametrize(
    ("redirection", "arguments", "code"),
    [
        (">&-", ("run", "declared:right", "-q"), 0),
        ("<&- >&- 2>&-", ("run", "declared:right"), 0),
        ("2>&-", ("run", "declared:no_ui_class"), exits.DECLARATION),
        (">/dev/full", ("run", "declared:right", "-q"), exits.OUTPUT_CLOSED),
        (">/dev/full", ("--help",), exits.OUTPUT_CLOSED),
        ("2>/dev/full", ("run", "declared:right"), 0),
    ],
)
def test_a_closed_or_full_output_changes_no_more_than_it_must(
    redirection: str, arguments: tuple[str, ...], code: int
) -> None:
    """Closed descriptors are as /dev/null; what cannot be written is a code of its own; a lost log stops nothing."""
    assert run(*arguments, prefix=["/bin/sh", "-c", f'exec "$@" {redirection}', "sh"]).code == code


def test_help_that_nobody_reads_ends_quietly() -> None:
    """SIGPIPE's place is taken by an exit code; the reader has gone before the first byte."""
    reads, writes = os.pipe()
    os.close(reads)
    try:
        done = subprocess.run(
            [COMMAND, "--help"],
            stdin=subprocess.DEVNULL,
            stdout=writes,
            stderr=subprocess.PIPE,
            env=environment(),
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(writes)
    assert (done.returncode, done.stderr) == (exits.OUTPUT_CLOSED, b"")


def test_nothing_of_the_command_is_imported_from_the_current_folder_by_surprise(tmp_path: Path) -> None:
    """A `select.py` beside the application does not become the standard library's (S6)."""
    for name in ("select.py", "socket.py", "msgspec.py"):
        tmp_path.joinpath(name).write_text("raise SystemExit('shadowed')", encoding="utf-8")
    for path in APPLICATIONS.glob("*.py"):
        tmp_path.joinpath(path.name).write_bytes(path.read_bytes())
    assert run("run", "declared:right", "-q", folder=tmp_path)[:3] == (0, "as it is\n", [])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_application_in_order(number: signal.Signals) -> None:
    """128 and the signal's number, as a shell has it; every process is gone (A59, K6)."""
    with talk("run", "declared:idle") as idle:
        idle.hear("ready\n")
        idle.popen.send_signal(number)
        assert idle.end() == 128 + number


def test_a_signal_that_came_before_the_end_of_the_ui_counts() -> None:
    """However late the supervisor gets to look: it finds both, and an exit code does not depend on luck (A13)."""
    with talk("run", "declared:idle") as idle:
        idle.hear("ready\n")
        ui = idle.member("troll-ui")
        idle.popen.send_signal(signal.SIGSTOP)
        idle.popen.send_signal(signal.SIGTERM)
        idle.hang_up()
        poll = select.poll()
        poll.register(ui, select.POLLIN)
        assert poll.poll(PATIENCE * 1000), "the UI ends with its input"
        os.close(ui)
        idle.popen.send_signal(signal.SIGCONT)
        assert idle.end() == 128 + signal.SIGTERM


def test_the_command_is_the_installed_one() -> None:
    """What is tested is the console script, not a module that is run."""
    shown = subprocess.run([COMMAND, "--version"], capture_output=True, env=environment(), check=True)
    assert shown.stdout.startswith(b"trollbridge ")
