"""Reads the log of a running application or of a file, and tells the lines that were asked for.

May import: our actors' log and events, the operator's client, the parts of `logs`. Invariant: only reads; a line goes
out as it was written, or in words that hold no character that could steer a terminal.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Final, TextIO

import click
import msgspec

from trollbridge.actors.operations.events import EVENTS, Severity
from trollbridge.actors.operations.log import Line
from trollbridge.messages.operator import MOST_RECENT
from trollbridge.ui_adapter import log_tail
from trollbridge.ui_adapter.log_pretty import Gathering
from trollbridge.ui_adapter.log_wanted import Found
from trollbridge.ui_adapter.operator_client import ConnectionEnded
from trollbridge.ui_adapter.operator_places import chosen, running_names
from trollbridge.ui_adapter.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.ui_adapter.log_pretty import Told
    from trollbridge.ui_adapter.log_wanted import Wanted

_STYLES: Final = {
    Severity.CRITICAL: "bad",
    Severity.ERROR: "bad",
    Severity.WARNING: "heading",
    Severity.INFO: "faint",
}
"""How a line is painted, by how grave it is."""

_BEFORE: Final = 0.5
"""Seconds within which the lines from before have come; what comes later counts as new."""
_GAP: Final = 0.05
"""Seconds without a line after which they have."""


class Teller:
    """Tells the lines that were asked for, in words or as they are."""

    def __init__(self, stream: TextIO, wanted: Wanted, most: int | None, *, pretty: bool, plain: bool) -> None:
        """Take where they go, which they are, and how many of what there is already; None: all.

        `pretty`: in words; `plain`: as they are; neither: in words on a terminal.
        """
        self._screen: Final = Screen(stream)
        self._pretty: Final = pretty or (not plain and self._screen.terminal)
        self._most: Final = most
        self._decode: Final = msgspec.json.Decoder(Line).decode
        self._number = 0
        self._above: tuple[str, int] | None = None
        self._gathering: Final = Gathering()
        self._found = Found(wanted)
        self.wrong = 0
        """How many of what was read were no lines of a log."""

    def tell(self, reference: str | None, *, follow: bool) -> None:
        """Tell the lines of the application or the file that is meant; with `follow`, go on until there is no more.

        What was asked for and cannot be found is told on standard error.

        Raises `UsageError` for a file that cannot be read, and as `operator_places.chosen` does.
        """
        for each in self._found.unknown():
            click.echo(f"trollbridge: {each}", err=True)
        if reference is not None and _is_file(reference):
            self._go_on(log_tail.lines(reference, follow=follow))
        else:
            self._go_on(_of_application(reference, follow=follow))
        for each in self._found.missing(self._number):
            click.echo(f"trollbridge: {each}", err=True)

    def _go_on(self, found: Iterator[bytes | str | None]) -> None:
        """Tell the last of what there is already, then each that comes; a None stands between the two."""
        before: deque[tuple[Line, bytes | str]] = deque(maxlen=self._most)
        for text in found:
            if text is None:
                break
            line = self._fitting(text)
            if line is not None:
                before.append((line, text))
                if self._most is None:
                    self._write(*before.popleft())
        for each in before:
            self._write(*each)
        self._tell(*self._gathering.rest())
        for text in found:
            line = None if text is None else self._fitting(text)
            if text is None:
                self._tell(*self._gathering.rest())
            elif line is not None:
                self._write(line, text)
        self._tell(*self._gathering.rest())

    def _fitting(self, text: bytes | str) -> Line | None:
        """Return a line if it is one that was asked for; what is no line of a log is told on standard error."""
        self._number += 1
        try:
            line = self._decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.wrong += 1
            click.echo(f"trollbridge: line {self._number} is no line of a log", err=True)
            return None
        return line if self._found.take(line) else None

    def _write(self, line: Line, text: bytes | str) -> None:
        if not self._pretty:
            self._screen.line(text if isinstance(text, str) else text.decode())
            return
        self._tell(*self._gathering.take(line))

    def _tell(self, *lines: Told) -> None:
        for found in lines:
            if (found.day, found.epoch) != self._above:
                self._above = found.day, found.epoch
                self._screen.line(self._screen.paint(f"{found.day}, epoch {found.epoch}", "heading"))
            known = EVENTS.get(found.event)
            style = None if known is None else _STYLES.get(known.severity)
            self._screen.line(found.text if style is None else self._screen.paint(found.text, style))


def last_lines(reference: str) -> list[Line] | None:
    """Return the last lines of a running application; None if a file is meant, or no application has that name."""
    if _is_file(reference) or reference not in running_names():
        return None
    with chosen(reference) as client:
        return [msgspec.json.decode(each, type=Line) for each in client.recent()]


def _is_file(reference: str) -> bool:
    """Return whether a name is that of a file: with a slash in it, or of one that is here, and of no application."""
    return "/" in reference or (os.path.exists(reference) and reference not in running_names())  # noqa: PTH110


def _of_application(reference: str | None, *, follow: bool) -> Iterator[str | None]:
    """Yield the last lines of a running application; with `follow` a None, then each that comes until it ends.

    Then too, a None says that there is no more for the moment.
    """
    with chosen(reference) as client:
        if not follow:
            yield from client.recent()
            return
        client.follow(MOST_RECENT)
        until = time.monotonic() + _BEFORE
        while (left := until - time.monotonic()) > 0 and (line := client.line(min(left, _GAP))) is not None:
            yield line
        yield None
        wait: float | None = _GAP
        with contextlib.suppress(ConnectionEnded):
            while True:
                line = client.line(wait)
                wait = None if line is None else _GAP
                yield line
