"""`trollbridge log`, and the options beside `--log`: what a person types, reads and gets as an exit code."""

from __future__ import annotations

import json
import os
import socket
import threading
from typing import TYPE_CHECKING, Final

import click
import pytest
from click.testing import CliRunner

from tests.ui_adapter.commands import run
from trollbridge.actors import exits
from trollbridge.actors.operations import log_key
from trollbridge.actors.operations.rotation import SMALLEST
from trollbridge.messages.errors import AlreadyRunning
from trollbridge.ui_adapter.finishing import _run as finished  # pyright: ignore[reportPrivateUsage]
from trollbridge.ui_adapter.log_command import log as command
from trollbridge.ui_adapter.log_places import Place, log_to

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE: Final = 20.0
VALUE: Final = "ab" * 32


def ask(*arguments: str, typed: str = "") -> tuple[int, list[str]]:
    """Run `trollbridge log` with these arguments; return its exit code and its lines."""
    ended = CliRunner().invoke(command, arguments, input=typed)
    return ended.exit_code, ended.output.splitlines()


def write(place: Place, *, end: bool = True) -> None:
    """Write one short run."""
    log = log_to(place, quiet=False)
    log.line("application.started", 0, member="supervisor")
    if end:
        log.line("application.stopped", 0, member="supervisor")
    log.close()


def test_a_log_of_the_command_is_verified_by_the_command(tmp_path: Path) -> None:
    """A55: two runs under a key, then an edit: 0, 3 while it has no end, 1; the key comes from a file or by a pipe."""
    made = run("log", "key", str(tmp_path / "key"), folder=tmp_path)
    assert (made.code, len(made.said)) == (0, 1)
    (tmp_path / "verification").write_text(made.output, encoding="ascii")
    options = ("--log", "log", "--log-key", "key", "--log-size", str(SMALLEST))
    (tmp_path / "seven.py").write_text(APPLICATION, encoding="utf-8")
    for _ in range(2):
        assert run("run", "seven:app", "--no-operator", *options, folder=tmp_path).code == 7
    verified = run("log", "verify", "log", "--key", "verification", folder=tmp_path)
    assert (verified.code, verified.said) == (0, [])
    lines = (tmp_path / "log").read_bytes()
    count, last = lines.count(b"\n"), json.loads(lines.splitlines()[-1])
    assert verified.output.splitlines() == [
        f"log is as it was written ({count} lines, 2 runs)",
        f"last line: {last['seq']} {last['chain']}",
    ]
    path = str(tmp_path / "log")
    assert ask("verify", path, "--key", "-", "--head", last["chain"].upper(), typed=made.output)[0] == 0
    for arguments in ((path,), (path, "--json")):  # nothing is wrong with it, and nothing is said of it
        code, said = ask("verify", *arguments)
        assert (code, said[-1]) == (2, f"Error: {path} is under a key: it cannot be judged without --key")
        assert not any("intact" in each or "as it was" in each for each in said)
    (tmp_path / "cut").write_bytes(b"".join(lines.splitlines(keepends=True)[3:]))
    code, said = ask("verify", str(tmp_path / "cut"))  # what is wrong for sure is told, key or not
    assert (code, said[0]) == (1, "cut:1: what comes before it is missing: it is line 4 of its run")
    write(Place(path, key=str(tmp_path / "key")), end=False)
    code, said = ask("verify", path, "--key", str(tmp_path / "verification"))
    assert (code, said[0].partition("; ")[2]) == (3, "its end is open: the application still runs, or was killed")
    (tmp_path / "log").write_bytes(lines.replace(b'"exit_code":7', b'"exit_code":0', 1))
    code, said = ask("verify", path, "--key", str(tmp_path / "verification"))
    assert code == 1
    number = lines[: lines.index(b'"exit_code":7')].count(b"\n") + 1
    assert said[0] == f"log:{number}: it is not as it was written: altered or put in, or the line before it is"


APPLICATION: Final = '''
"""Ends with 7."""
from trollbridge.actors import App
from trollbridge.ui_adapter.bridge import UiActor


class Seven(UiActor):
    def main(self, bridge):
        return 7


app = App(ui=Seven)
'''


def test_a_wrong_command_line_is_told_as_such(tmp_path: Path) -> None:
    """A55: exit code 2, and nothing is written."""
    write(Place(str(tmp_path / "log")))
    path = str(tmp_path / "log")
    (tmp_path / "short").write_text("abc", encoding="ascii")
    (tmp_path / "bytes").write_bytes(b"\xff" * 64)
    before = sorted(each.name for each in tmp_path.iterdir())
    for arguments in (
        ("verify",),
        ("verify", str(tmp_path / "none")),
        ("verify", str(tmp_path)),
        ("verify", path, "--head", "abc"),
        ("verify", path, "--head", "zz" * 32),
        ("verify", path, "--key", str(tmp_path / "none")),
        ("verify", path, "--key", str(tmp_path / "short")),
        ("verify", path, "--key", str(tmp_path / "bytes")),
        ("verify", path, "--key", path),
        ("key",),
        ("key", path),
        ("key", str(tmp_path / "none" / "key")),
        ("schema", "more"),
    ):
        assert ask(*arguments)[0] == 2, arguments
    assert sorted(each.name for each in tmp_path.iterdir()) == before
    assert ask("verify", path, "--head", VALUE)[0] == 1


def test_the_help_says_what_a_code_means_and_what_a_key_is_good_for() -> None:
    """A55: so that nobody takes an unkeyed chain for more than it is."""
    code, lines = ask("verify", "--help")
    said = " ".join(" ".join(lines).split())
    assert code == 0
    assert [f"  {number}  " in "\n".join(lines) for number in (0, 1, 2, 3)] == [True] * 4
    assert "whoever can write the file can compute all values anew" in said


@pytest.mark.parametrize(
    "place",
    [
        Place(size=SMALLEST),
        Place(keep=3),
        Place("journal", size=SMALLEST),
        Place("log", keep=3),
        Place("/dev/null", size=SMALLEST),
        Place("none/log"),
        Place("."),
        Place("socket"),
        Place(key="good"),
        Place("log", key="none"),
        Place("log", key="open"),
        Place("log", key="short"),
    ],
)
def test_options_that_make_no_sense_start_nothing(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A55: each is told before the first process starts."""
    monkeypatch.chdir(tmp_path)
    log_key.make("good")
    log_key.make("open")
    (tmp_path / "open").chmod(0o644)
    (tmp_path / "short").touch(0o600)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("socket")
        with pytest.raises(click.UsageError):
            log_to(place, quiet=place.path is None)


def test_a_log_that_another_application_writes_is_left_to_it(tmp_path: Path) -> None:
    """A55: with the exit code of an application that runs already, which it is as a rule."""
    path = tmp_path / "log"
    log = log_to(str(path), quiet=True)
    with pytest.raises(AlreadyRunning, match="log: Another application"):
        log_to(str(path), quiet=True)
    assert finished(lambda: log_to(str(path), quiet=True)) == exits.RUNNING
    with pytest.raises(click.UsageError, match="Another application"):
        log_to(str(path), quiet=True, wait=0.1)  # a vault's command, whose exit codes are others
    path.rename(tmp_path / "log.1")
    path.touch()
    log_to(str(path), quiet=True).close()  # that one is not held
    path.unlink()
    (tmp_path / "log.1").rename(path)
    waits = threading.Thread(target=lambda: log_to(str(path), quiet=True, wait=PATIENCE).close())
    waits.start()
    log.close()
    waits.join(PATIENCE)
    assert not waits.is_alive()


def test_a_pipe_may_stand_where_a_file_may(tmp_path: Path) -> None:
    """A55: `--log >(sort)`, or a device: it is not waited for, and has no head."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(click.UsageError):
        log_to(str(path), quiet=False)  # nobody reads there
    reads = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write(Place(str(path)))
    assert [json.loads(each)["event"] for each in os.read(reads, 1 << 16).splitlines()] == [
        *("application.started", "application.stopped"),
    ]
    os.close(reads)
    write(Place("/dev/null"))
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]
