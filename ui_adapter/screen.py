"""What a person sees: headings, lines, aligned tables, progress. Colour and bars only where the output is a terminal.

May import: `rich`, where there is a terminal. Invariant: what goes into a file or a pipe is plain lines.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    Report = Callable[[int, int | None], None]

_MIB: Final = 1 << 20
_COLOURS: Final = {"heading": "1", "good": "32", "bad": "1;31", "faint": "2"}


def amount(count: int) -> str:
    """Return a number of bytes for people."""
    return f"{count / _MIB:.1f} MiB" if count >= _MIB // 10 else f"{count} bytes"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as lines with aligned columns, two spaces apart; the last column keeps its length."""
    if not rows:
        return []
    widths = [max(len(row[number]) for row in rows) for number in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows
    ]


class Screen:
    """Standard output, or another stream."""

    def __init__(self, stream: TextIO) -> None:
        """Take the stream; a character that its encoding lacks becomes a question mark."""
        self._stream: Final = stream
        self.terminal: Final = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._coloured: Final = self.terminal and "NO_COLOR" not in os.environ
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")

    def paint(self, text: str, style: str) -> str:
        """Return the text in a style (`heading`, `good`, `bad`, `faint`) where there is colour."""
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if self._coloured else text

    def line(self, text: str = "") -> None:
        """Write a line at once; raises `OSError` if nobody takes it any more."""
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def heading(self, text: str) -> None:
        """Write the heading of a part."""
        self.line(f"\n{self.paint(text, 'heading')}")

    def table(self, rows: Sequence[Sequence[str]], *, headed: bool = False) -> None:
        """Write the rows as aligned columns, indented; the first one as the table's head."""
        for number, text in enumerate(columns(rows)):
            self.line(f"  {self.paint(text, 'faint') if headed and not number else text}".rstrip())

    @contextlib.contextmanager
    def progress(self, title: str) -> Generator[Report]:
        """Give a function that takes (bytes done, bytes in all if known); afterwards, write what took how long."""
        started = time.monotonic()
        seen = [0]
        with self._bar(title) if self.terminal else contextlib.nullcontext(_ignore) as show:

            def report(done: int, total: int | None) -> None:
                seen[0] = total or done
                show(done, total)

            yield report
        seconds = time.monotonic() - started
        speed = f", {seen[0] / _MIB / seconds:.0f} MiB/s" if seen[0] >= _MIB and seconds else ""
        self.line(
            f"  {title}: {amount(seen[0])} in {seconds:.2f} s{speed}" if seen[0] else f"  {title}: {seconds:.2f} s"
        )

    @contextlib.contextmanager
    def _bar(self, title: str) -> Generator[Report]:
        from rich.console import Console  # noqa: PLC0415  # costs 60 ms: only a terminal pays for it
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        words = TextColumn("  {task.description}"), BarColumn(), DownloadColumn(binary_units=True), TimeElapsedColumn()
        with Progress(*words, console=Console(file=self._stream), transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)


def _ignore(_done: int, _total: int | None) -> None:
    """Show nothing."""
