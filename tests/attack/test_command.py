"""`trollbridge attack` as a person and a program use it: help, list, report, JSON, exit codes, interruption."""

from __future__ import annotations

import fcntl
import io
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TextIO

import msgspec
import pytest

from tests.attack.commands import attack, document, stage
from tests.conftest import descendants, outliving
from tests.ui_adapter.commands import COMMAND, environment
from trollbridge.actors import exits
from trollbridge.ui_adapter import wrapping
from trollbridge.ui_adapter.attack import report, suite
from trollbridge.ui_adapter.attack.catalogue import Attack, Outcome, Position, Result
from trollbridge.ui_adapter.attack.command import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIMIT = 60.0
ROOT: Final = os.geteuid() == 0
FOR_USERS: Final = (
    "As root, 2 outsider attacks on the running application were not tried: run it as an ordinary user for those."
)


def made(name: str, position: Position, outcome: Outcome, happened: str) -> Result:
    """Return a result."""
    return Result(
        Attack(name, position, "try something that is described at some length", "refused"), outcome, happened
    )


def told(*results: Result, root: bool = False) -> suite.Report:
    """Return a report of these results, of an application that works as before."""
    honest = made("A12.before", Position.HOSTILE_UI, Outcome.STOPPED, "right")
    return suite.Report("m:app", 2.0, results, (honest,), (), (suite.Untried("R6", "no"),), root=root)


def shown(found: suite.Report, *, verbose: bool = False) -> list[str]:
    """Return the lines that a pipe gets."""
    stream = io.StringIO()
    report.show(stream, found, verbose=verbose)
    return stream.getvalue().splitlines()


def on_a_terminal(write: Callable[[TextIO], None], columns: int) -> str:
    """Return what `write` writes to a terminal of that width; less than the kernel keeps for a reader, 4 KiB."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(ours, "rb", buffering=0) as reader, os.fdopen(theirs, "w", encoding="utf-8") as stream:
        write(stream)
        stream.write("\0")
        stream.flush()
        heard = b""
        while not heard.endswith(b"\0"):
            heard += reader.read(4096) or b""
        return heard[:-1].decode().replace("\r\n", "\n")


def test_the_help_has_examples_positions_and_exit_codes(tmp_path: Path) -> None:
    """What a person needs stands in the help of the command."""
    ended = attack(tmp_path, "--help")
    assert (ended.code, ended.said) == (0, [])
    for code, meaning in EXIT_CODES:
        assert re.search(rf"^ +{re.escape(code)} +{re.escape(meaning)}$", ended.output, re.MULTILINE)
    assert all(name in ended.output for name in (*suite.POSITIONS, "trollbridge attack notary:app", "--json"))


def test_the_list_starts_nothing(tmp_path: Path) -> None:
    """Name, position and title of every attack, without an application; a position as the option writes it."""
    ended = attack(tmp_path, "--list")
    assert (ended.code, ended.log) == (0, [])
    lines = [line.split("  ") for line in ended.output.splitlines()]
    assert [line[:2] for line in lines] == [[each.name, report.OPTIONS[each.position]] for each in suite.attacks()]
    few = attack(tmp_path, "--list", "--only=f1", "--position=Extension")
    assert [line.split()[0] for line in few.output.splitlines()] == ["F1.another-link"]


def test_programs_get_the_list_as_a_document(tmp_path: Path) -> None:
    """What a result says of its attack, without an outcome."""
    ended = attack(tmp_path, "--list", "--json", "--only=F1.used-uid")
    listed: list[dict[str, Any]] = msgspec.json.decode(ended.output)
    (found,) = [each for each in suite.attacks() if each.name == "F1.used-uid"]
    assert listed == [
        {"name": "F1.used-uid", "row": "F1", "position": "hostile UI", "option": "hostile-ui",
         "title": found.title, "expected": found.expected},
    ]  # fmt: skip
    assert ended.code == 0


def test_a_terminal_gets_the_list_in_columns() -> None:
    """The title is wrapped within its own column; a name stays whole."""
    wanted = [each for each in suite.attacks() if each.name in ("P2.contents", "K3.inside.merge-pages")]
    lines = on_a_terminal(lambda stream: report.list_attacks(stream, wanted), 72).splitlines()
    assert [line[:33].rstrip() for line in lines] == [
        "P2.contents            extension", "", "K3.inside.merge-pages  inside", "",
    ]  # fmt: skip
    assert max(map(len, lines)) <= 72


def test_other_commands_do_not_wait_for_the_attacks() -> None:
    """Whoever asks for help, or runs an application, loads neither the suite nor what draws tables."""
    text = "import sys; from trollbridge.ui_adapter import cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", text], capture_output=True, text=True, timeout=LIMIT, check=True)
    loaded = [each for each in done.stdout.split() if each.startswith("trollbridge.ui_adapter.attack.")]
    assert loaded == ["trollbridge.ui_adapter.attack.command"]
    assert not {"rich", "ctypes", "subprocess"}.intersection(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "Missing argument 'MODULE:APP'"),
        (("declared:plain", "--only=F77"), 2, "no attack is called so"),
        (("declared:plain", "--only=F1", "--position=inside"), 2, "no attack is called so from there"),
        (("declared:plain", "--position=nowhere"), 2, "nowhere"),
        (("nowhere:app",), exits.DECLARATION, "there is no module nowhere here"),
        (("declared:missing", "--only=F1"), exits.DECLARATION, "nowhere"),
        (("declared:too_much", "--only=F1"), exits.NOT_ISOLATED, "Sandbox"),
    ],
)
def test_what_cannot_be_attacked_is_said_in_one_line(
    arguments: tuple[str, ...], code: int, said: str, tmp_path: Path
) -> None:
    """A wrong command line, a wrong declaration, too weak a kernel: its own code each, and nothing is left running."""
    ended = attack(tmp_path, *arguments)
    assert (ended.code, ended.output) == (code, ""), ended
    assert said in ended.said[-1]


def test_people_get_a_summary_and_programs_a_document(tmp_path: Path) -> None:
    """The same results: in a line for each position and part of the catalogue, and in numbers."""
    ended = attack(tmp_path, "declared:plain", "--only=f1.used-uid", "--only=F3.other-member", "--only=R1.")
    assert (ended.code, ended.said) == (0, [])
    lines = ended.output.splitlines()
    assert lines[1:5] == [
        "extension", "  F  freshness and single use  1 stopped",
        "", "hostile-ui: hostile UI",
    ]  # fmt: skip
    assert "  R  ring life cycle           1 stopped" in lines
    assert lines[-1] == "Nothing of 3 got through."
    assert "F1.used-uid" not in ended.output
    assert "\x1b" not in ended.output
    found = document(attack(tmp_path, "declared:plain", "--json", "--only=F1.used-uid"))
    assert (found.application, found.passed, found.counts["stopped"]) == ("declared:plain", True, 1)
    assert [(each.name, each.row, each.position) for each in found.results] == [("F1.used-uid", "F1", "hostile UI")]


def test_every_attack_is_shown_to_whoever_asks(tmp_path: Path) -> None:
    """With --verbose: outcome, name, title, what must happen and what did."""
    ended = attack(tmp_path, "declared:plain", "--verbose", "--only=F1.used-uid")
    assert ended.code == 0
    lines = ended.output.splitlines()
    first = next(
        number for number, line in enumerate(lines) if line.startswith("  stopped      F1.used-uid  call again")
    )
    words = " ".join(line.strip() for line in lines[first + 1 : lines.index("", first)])
    assert re.fullmatch(r"expected: .* happened: .*1 executed", words)


def test_what_root_cannot_try_is_said_in_the_last_line(tmp_path: Path) -> None:
    """K3: a pass by root says what it leaves out, and how to try that; the exit code stays."""
    ended = attack(tmp_path, "declared:plain", "--only=K3.memory", "--only=F1.used-uid")
    lines = ended.output.splitlines()
    assert ended.code == 0
    if ROOT:
        assert lines[-3:] == ["Nothing of 1 got through; 2 not tried.", *wrapped_for_a_pipe(FOR_USERS)]
    else:
        assert lines[-1] == "Nothing of 3 got through."


def wrapped_for_a_pipe(text: str) -> list[str]:
    """Return the lines that a pipe gets of a long one."""
    return wrapping.wrapped(text, wrapping.PIPE)


def test_a_narrow_terminal_without_colour_gets_whole_names_and_no_escape(tmp_path: Path) -> None:
    """80 columns, NO_COLOR: neither the report nor the progress has an escape, and no line is longer."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        [COMMAND, "attack", "declared:plain", "--only=K3.outsider"],
        stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, cwd=stage(tmp_path),
        env=environment({"TERM": "xterm", "NO_COLOR": "1"}),
    ) as command:  # fmt: skip
        os.close(theirs)
        written = b""
        try:
            with suppress(OSError):  # the command's side is closed
                while piece := os.read(ours, 4096):
                    written += piece
            command.wait(LIMIT)
        finally:
            os.close(ours)
            command.kill()
    heard = written.decode()
    assert command.returncode == 0, heard
    assert "\x1b" not in heard
    lines = [line.rpartition("\r")[2] for line in heard.split("\r\n")]
    assert max(map(len, lines)) <= 80
    assert re.search(
        r"^K3\.outsider\.vault-read and \d+ more$", "\n".join(each.strip() for each in lines), re.MULTILINE
    )
    assert re.search(r"\r\d+ of \d+: K3\.outsider\.\S+ \w", heard)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interruption_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    """A59, K6: in the middle of the attacks; the copy is stopped, and the code is the signal's."""
    before = descendants()
    command = subprocess.Popen(
        [COMMAND, "attack", "declared:plain"],  # every attack, so that it is not over before it is interrupted
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=stage(tmp_path),
        env=environment(),
    )
    try:
        while len([each for each in descendants() - before if each.name.startswith("troll-")]) < 4:
            assert command.poll() is None
        command.send_signal(number)
        assert command.wait(LIMIT) == 128 + number
        assert outliving(before, 5.0) == frozenset()
    finally:
        command.kill()
        command.wait(LIMIT)
        if command.stderr is not None:
            command.stderr.close()


# The report.


def test_a_report_names_what_got_through_and_what_was_not_finished() -> None:
    """In words at the end, where people look, and in the document."""
    through = made("F1.x", Position.EXTENSION, Outcome.THROUGH, "executed twice")
    found = suite.Report("m:app", 2.0, (through,), (through,), ("F2.y",), (suite.Untried("R6", "no"),))
    lines = shown(found)
    assert lines[-5:] == [
        "",
        "1 attack in 2.0 s: 1 got through.",
        "Honest calls before and after are answered NOT AS THEY SHOULD BE.",
        "Not brought to their end: F2.y.",
        "GOT THROUGH, 1 of 1: F1.x.",
    ]
    assert "  F1.x (extension): try something that is described at some length" in lines
    assert "      executed twice" in lines
    assert "  R6; --verbose says why" in lines
    assert "  R6  no" in shown(found, verbose=True)
    assert '"passed": false' in report.as_json(found)
    assert '"works": false' in report.as_json(found)


def test_what_is_not_stopped_is_told_by_its_reason() -> None:
    """Harmless attacks by one example, those that were not tried by name; stopped ones only as a number."""
    outsider, inside = Position.OUTSIDER, Position.INSIDE
    unlocked = "it does not work here without the lock either"
    lines = shown(
        told(
            made("K3.outsider.kill", outsider, Outcome.STOPPED, "EPERM"),
            made("K3.outsider.vault-read", outsider, Outcome.HARMLESS, "the files belong to the user"),
            made("K3.outsider.vault-link", outsider, Outcome.HARMLESS, "the files belong to the user"),
            made("S5.inside.can", inside, Outcome.NOT_TRIED, f"{unlocked} (EAFNOSUPPORT)"),
            made("S5.inside.ping", inside, Outcome.NOT_TRIED, f"{unlocked} (EACCES)"),
        )
    )
    text = "\n".join(lines)
    assert "  K  keys, processes, supervision  1 stopped, 2 harmless\n" in text
    assert "    2  outsider  the files belong to the user\n                 K3.outsider.vault-read and 1 more\n" in text
    assert f"    2  inside  {unlocked}\n               S5.inside.can, S5.inside.ping\n" in text
    assert lines[-1] == "Nothing of 3 got through; 2 not tried."
    assert "K3.outsider.kill" not in text


def test_a_verdict_speaks_of_what_was_tried() -> None:
    """Where nothing was, it says so; what root leaves out is counted by name and only for root."""
    root = "the user is root"
    left = [made(name, Position.OUTSIDER, Outcome.NOT_TRIED, root) for name in ("K3.memory", "K3.ui", "K3.outsider.x")]
    assert shown(told(*left))[-1] == "Nothing was tried; 3 not tried."
    assert shown(told(*left, root=True))[-2:] == wrapped_for_a_pipe(FOR_USERS)
    assert told(*left, root=True).passed
    stopped = made("F1.x", Position.EXTENSION, Outcome.STOPPED, "refused")
    assert shown(told(stopped, root=True))[-1] == "Nothing of 1 got through."


def test_a_terminal_gets_colour_and_no_line_beyond_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every attack at 60 columns; colour is what NO_COLOR takes away, and all that it does."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    name = "K3.extension.proc-coredump_filter-write"
    found = told(
        made(name, Position.EXTENSION, Outcome.THROUGH, "it works " * 12),
        made("F1.x", Position.HOSTILE_UI, Outcome.STOPPED, "refused"),
    )
    for verbose in (False, True):
        coloured = on_a_terminal(lambda stream: report.show(stream, found, verbose=verbose), 60)  # noqa: B023  # at once
        plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
        assert "\x1b[1;31m" in coloured
        assert max(map(len, plain.splitlines())) <= 60
        assert name in plain
        with monkeypatch.context() as quiet:
            quiet.setenv("NO_COLOR", "1")
            assert on_a_terminal(lambda stream: report.show(stream, found, verbose=verbose), 60) == plain  # noqa: B023
