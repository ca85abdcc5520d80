"""The notes of an exception reach the person that its line reaches: printable, and not too many."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.ui_adapter.commands import PATIENCE, environment
from trollbridge.actors.processes.notes import behind, beneath

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION: Final = """
from trollbridge.actors import App
from trollbridge.ui_adapter.bridge import UiActor


class Show(UiActor):
    def main(self, bridge):
        error = ValueError("boom")
        error.add_note("with what it was:\\n    n=0")
        raise error


app = App(ui=Show)
"""


def noted(*notes: str) -> ValueError:
    """Return an exception with these notes."""
    error = ValueError("boom")
    for each in notes:
        error.add_note(each)
    return error


def test_notes_follow_line_by_line_or_behind() -> None:
    """P2: as they were added; without what is empty."""
    error = noted("first\n\n\tsecond", "third")
    assert beneath(error) == "\n  first\n      second\n  third"
    assert behind(error) == "; first; second; third"
    assert beneath(ValueError("boom")) == behind(None) == ""


def test_what_could_steer_a_terminal_and_what_has_no_end_is_not_shown() -> None:
    """I1, I4: a note is anything; a list of them too."""
    assert beneath(noted("\x1b[2Jgone\u202e")) == "\n  \ufffd[2Jgone\ufffd"
    assert len(beneath(noted(*["x" * 10**6] * 1000))) < 10_000
    assert beneath(noted(*"abcdefghij" * 10)).splitlines()[-1] == "  …"
    error = ValueError("boom")
    for wrong in (5, "text", [5, b"bytes", None]):
        error.__notes__ = wrong  # type: ignore[assignment]
        assert beneath(error) == behind(error) == ""


@pytest.mark.parametrize("logs", [False, True])
def test_a_user_interface_that_fails_shows_its_notes_and_an_application_may_have_no_log(
    logs: bool,  # noqa: FBT001  # a table
    tmp_path: Path,
) -> None:
    """P2: with `run(log=None)` the line and its notes are all that there is; the log's lines are as ever without."""
    (tmp_path / "inn.py").write_text(APPLICATION, encoding="utf-8")
    command = f"import sys, inn; sys.exit(inn.app.run({'' if logs else 'log=None'}))"
    ended = subprocess.run(
        [sys.executable, "-c", command],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    told = [each for each in ended.stderr.splitlines() if not each.startswith("{")]
    assert ended.returncode == 70
    assert told == [
        "trollbridge: show failed: ValueError: boom (at inn.py:10)",
        "  with what it was:",
        "      n=0",
    ]
    assert (ended.stderr.count('"application.stopped"') == 1) is logs
