"""Lines of a bounded width, and words that are never broken."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import termios

import pytest

from trollbridge.ui_adapter import wrapping


@pytest.mark.parametrize(("told", "wide"), [(132, 132), (80, 80), (20, 40), (0, 80)])
def test_a_terminal_says_how_wide_it_is(told: int, wide: int) -> None:
    """One that does not say is taken for 80 columns; one that is too narrow breaks the lines itself."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, told, 0, 0))
    with os.fdopen(ours, "rb"), os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        assert wrapping.width(terminal) == wide


def test_a_pipe_has_the_same_lines_whatever_the_terminal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS belongs to a terminal."""
    monkeypatch.setenv("COLUMNS", "50")
    assert wrapping.width(io.StringIO()) == wrapping.PIPE


def test_a_word_is_never_broken() -> None:
    """A path that is longer than the line stays whole; dashes are no places to break at."""
    path = "/a/very-long-path/of-a-file"
    assert wrapping.wrapped(f"reads {path} only", 12, first="- ", rest="  ") == ["- reads", f"  {path}", "  only"]
    assert wrapping.wrapped("", 12, first="  ") == [""]


def test_the_last_cell_of_a_row_is_wrapped_in_its_own_column() -> None:
    """The others are aligned and whole, however little room is left."""
    table = [("a", "name", "one two three four five six seven eight"), ("bbb", "n", "short")]
    assert wrapping.rows(table, 40) == [
        ["  a    name  one two three four five six", "             seven eight"],
        ["  bbb  n     short"],
    ]
    (lines,) = wrapping.rows([("a-name-that-is-as-long-as-the-line", "one two three four five six")], 30)
    assert lines == ["  a-name-that-is-as-long-as-the-line  one two three four five", " " * 38 + "six"]
    assert wrapping.rows([], 40) == []
