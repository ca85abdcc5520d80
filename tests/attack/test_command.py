"""`trollbridge attack` as a person and a program use it: help, list, table, JSON, exit codes, interruption."""

from __future__ import annotations

import io
import re
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.attack.commands import attack, document, stage
from tests.conftest import descendants, outliving
from tests.ui_adapter.commands import COMMAND, environment
from trollbridge.actors import exits
from trollbridge.ui_adapter.attack import report, suite
from trollbridge.ui_adapter.attack.catalogue import Attack, Outcome, Position, Result
from trollbridge.ui_adapter.attack.command import EXIT_CODES

if TYPE_CHECKING:
    from pathlib import Path

LIMIT = 60.0


def test_the_help_has_examples_positions_and_exit_codes(tmp_path: Path) -> None:
    """What a person needs stands in the help of the command."""
    ended = attack(tmp_path, "--help")
    assert (ended.code, ended.said) == (0, [])
    for code, meaning in EXIT_CODES:
        assert re.search(rf"^ +{re.escape(code)} +{re.escape(meaning)}$", ended.output, re.MULTILINE)
    assert all(name in ended.output for name in (*suite.POSITIONS, "trollbridge attack notary:app", "--json"))


def test_the_list_starts_nothing(tmp_path: Path) -> None:
    """Name, position and title of every attack, without an application."""
    ended = attack(tmp_path, "--list")
    assert (ended.code, ended.log) == (0, [])
    assert [line.split()[0] for line in ended.output.splitlines()] == [each.name for each in suite.attacks()]
    few = attack(tmp_path, "--list", "--only=F1", "--position=extension")
    assert [line.split()[0] for line in few.output.splitlines()] == ["F1.another-link"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "Missing argument 'MODULE:APP'"),
        (("declared:plain", "--only=F77"), 2, "no attack is called so"),
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


def test_people_get_a_table_and_programs_a_document(tmp_path: Path) -> None:
    """The same results, with a summary in words and in numbers."""
    shown = attack(tmp_path, "declared:plain", "--only=F1.used-uid", "--only=F3.other-member")
    assert (shown.code, shown.said) == (0, [])
    assert re.search(r"^ +F1\.used-uid +stopped +.*1 executed$", shown.output, re.MULTILINE)
    assert "From the position: extension" in shown.output
    assert "Nothing got through." in shown.output.splitlines()[-1]
    assert "\x1b" not in shown.output
    told = document(attack(tmp_path, "declared:plain", "--json", "--only=F1.used-uid"))
    assert (told.application, told.passed, told.counts["stopped"]) == ("declared:plain", True, 1)
    assert [(each.name, each.row, each.position) for each in told.results] == [("F1.used-uid", "F1", "hostile UI")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interruption_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    """A59, K6: in the middle of the attacks; the copy is stopped, and the code is the signal's."""
    before = descendants()
    command = subprocess.Popen(
        [COMMAND, "attack", "declared:plain", "--only=F", "--only=R"],
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


def test_a_report_names_what_got_through_and_what_was_not_finished() -> None:
    """In words at the end, where people look, and in the document."""
    through = Result(Attack("F1.x", Position.EXTENSION, "try", "refused"), Outcome.THROUGH, "executed twice")
    made = suite.Report("m:app", 2.0, (through,), (through,), ("F2.y",), (suite.Untried("R6", "no"),))
    stream = io.StringIO()
    report.show(stream, made)
    last = stream.getvalue().splitlines()[-1]
    assert last == (
        "1 attacks in 2.0 s: 1 got through. Not brought to their end: F2.y. "
        "Honest calls before and after are answered NOT AS THEY SHOULD BE. GOT THROUGH: F1.x."
    )
    assert "  R6  no" in stream.getvalue()
    assert '"passed": false' in report.as_json(made)
    assert '"works": false' in report.as_json(made)
