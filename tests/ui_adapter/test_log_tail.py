"""The lines of a log file, while it grows and is rotated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from trollbridge.messages.errors import UsageError
from trollbridge.ui_adapter import log_tail

if TYPE_CHECKING:
    from pathlib import Path


def test_what_stands_in_a_file_is_told_line_by_line(tmp_path: Path) -> None:
    """The last one also without its newline; an empty file has none."""
    log = tmp_path / "log"
    for text, lines in ((b"a\nb\n", [b"a", b"b"]), (b"a\n\nb", [b"a", b"", b"b"]), (b"", [])):
        log.write_bytes(text)
        assert [*log_tail.lines(str(log))] == lines


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """In the system's words."""
    with pytest.raises(UsageError, match="No such file"):
        next(log_tail.lines(str(tmp_path / "log")))
    with pytest.raises(UsageError, match="directory"):
        next(log_tail.lines(str(tmp_path)))


def test_a_file_is_followed_through_rotation_and_each_line_comes_once(tmp_path: Path) -> None:
    """A line is told once it is complete; what was written to the old file before it was moved is told first."""
    log = tmp_path / "log"
    log.write_bytes(b"one\ntw")
    found = log_tail.lines(str(log), follow=True)
    assert [next(found), next(found)] == [b"one", None]
    with log.open("ab") as file:
        file.write(b"o\n")
    assert [next(found), next(found)] == [b"two", None]
    with log.open("ab") as file:
        file.write(b"three\n")
    log.rename(tmp_path / "log.1")
    log.write_bytes(b"four\n")
    assert [next(found), next(found), next(found)] == [b"three", None, b"four"]
    assert next(found) is None
    log.write_bytes(b"5\n")
    assert next(found) == b"5"
    found.close()


def test_a_file_that_is_away_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    """As between the two steps of a rotation."""
    log = tmp_path / "log"
    log.write_bytes(b"one\n")
    found = log_tail.lines(str(log), follow=True)
    assert next(found) == b"one"
    log.unlink()
    assert [next(found), next(found)] == [None, None]
    log.write_bytes(b"two\n")
    assert next(found) == b"two"
    found.close()
