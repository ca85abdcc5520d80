"""Plain lines for a pipe, colour and bars for a terminal, aligned tables for both."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from trollbridge.actors.operations.log import Line
from trollbridge.messages.control import MemberRecord
from trollbridge.ui_adapter import log_reading, process_table
from trollbridge.ui_adapter import screen as timing
from trollbridge.ui_adapter.screen import Screen, amount, columns

if TYPE_CHECKING:
    from pathlib import Path


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_columns_are_aligned_and_the_last_one_is_not_padded() -> None:
    """Two spaces between them."""
    assert columns([("a", "bb", "c"), ("aaa", "b", "cccc")]) == ["a    bb  c", "aaa  b   cccc"]
    assert columns([]) == []


@pytest.mark.parametrize(("count", "text"), [(0, "0 bytes"), (1023, "1023 bytes"), (50 << 20, "50.0 MiB")])
def test_amounts_are_for_people(count: int, text: str) -> None:
    """Mebibytes where they tell more."""
    assert amount(count) == text


def test_a_pipe_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """No colour, no bar; one line says what was done."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(timing, "time", SimpleNamespace(monotonic=iter((100.0, 100.5)).__next__))
    stream = io.StringIO()
    screen = Screen(stream)
    screen.heading("Part")
    screen.table([("A", "B"), ("1", "2")], headed=True)
    with screen.progress("sent") as report:
        report(1 << 20, 2 << 20)
        report(2 << 20, 2 << 20)
    lines = stream.getvalue().splitlines()
    assert lines[:4] == ["", "Part", "  A  B", "  1  2"]
    assert lines[4] == "  sent: 2.0 MiB in 0.50 s, 4 MiB/s"
    assert len(lines) == 5


def test_a_terminal_gets_colour_unless_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_COLOR and TERM=dumb are respected."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert Screen(Terminal()).paint("text", "bad") == "\x1b[1;31mtext\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert Screen(Terminal()).paint("text", "bad") == "text"
    monkeypatch.setenv("TERM", "dumb")
    assert not Screen(Terminal()).terminal


def test_the_processes_are_what_the_kernel_says() -> None:
    """Parent and command from /proc; a process that has ended has neither."""
    [own, ended] = process_table.rows([MemberRecord("own", "ui", 1), MemberRecord("gone", "broker", 1 << 22)])
    assert (own.parent, own.pid, own.role, own.name) == (0, 1, "ui", "own")
    assert own.command
    assert ended == process_table.Row(1 << 22, None, "broker", "gone", None)
    assert process_table.as_text([ended])[1] == (str(1 << 22), "-", "broker", "gone", "-")


def test_the_log_is_read_by_whole_lines_and_each_once(tmp_path: Path) -> None:
    """A line that is still being written waits for its end."""
    path = tmp_path / "log"
    one, two = '{"time":1.0,"event":"ring.sealed","epoch":1}\n', '{"time":2.5,"event":"ring.sealed","epoch":2}\n'
    path.write_text(one + two[:20], encoding="utf-8")
    reader = log_reading.LogReader(path)
    reader.refresh()
    reader.refresh()
    assert [each.epoch for each in reader.lines] == [1]
    with path.open("a", encoding="utf-8") as file:
        file.write(two[20:])
    assert [each.epoch for each in reader.wait(1, lambda each: each.epoch == 2, 5)] == [2]
    assert reader.wait(3, lambda each: each.event == "ring.sealed", 0.0) == reader.lines
    assert len(reader.lines) == 2


def test_a_log_line_is_told_in_one_row() -> None:
    """Who, how it ended, why, what next."""
    line = Line(
        time=3.5, event="process.ended", epoch=1, member="vault", pid=7, signal="SIGKILL", expected=False,
        next="the ring is dismantled",
    )  # fmt: skip
    row = ("+0.500", "epoch 1", "process.ended", "vault (7); SIGKILL; the ring is dismantled")
    assert log_reading.told(line, 3.0) == row
