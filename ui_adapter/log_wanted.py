"""Which lines of a log a person asked for, and what of it there was not. Pure.

May import: our actors' log and events, our messages. Invariant: whoever gets no line is told what has no line.
"""

from __future__ import annotations

import difflib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.actors.operations.events import EVENTS
from trollbridge.messages.vault import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.actors.operations.log import Line

_DURATION: Final = re.compile(r"(?P<count>[0-9]{1,9})(?P<unit>[smhd])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST: Final = 50
"""Members that are named to who asked for another."""


class Wanted(NamedTuple):
    """Which lines a person asked for; what is empty or None asks for all."""

    epoch: int | None = None
    members: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    """Names, or what stands before their dot."""
    since: float | None = None
    """Seconds since 1970."""

    def fits(self, line: Line) -> bool:
        """Return whether the line is one of them; it is of a member also if that told it."""
        return (
            (self.epoch is None or line.epoch == self.epoch)
            and (not self.members or line.member in self.members or line.told_by in self.members)
            and (not self.events or line.event in self.events or line.event.partition(".")[0] in self.events)
            and (self.since is None or line.time >= self.since)
        )


def moment(text: str, now: float) -> float:
    """Return what `10m`, `2h`, `2026-11-26` or `2026-11-26T05:00` (UTC if no zone) means, in seconds since 1970.

    Raises `ValueError` for what means nothing.
    """
    ago = _DURATION.fullmatch(text)
    if ago is not None:
        return now - int(ago["count"]) * _UNITS[ago["unit"]]
    then = datetime.fromisoformat(text)
    return (then if then.tzinfo is not None else then.replace(tzinfo=UTC)).timestamp()


class Found:
    """What of a log has been seen, beside what was asked for."""

    def __init__(self, wanted: Wanted) -> None:
        """Take what was asked for."""
        self._wanted: Final = wanted
        self._members: dict[str, None] = {}
        self._fitted = False

    def take(self, line: Line) -> bool:
        """Take a line; return whether it was asked for."""
        if self._wanted.members and len(self._members) <= _MOST:
            self._members.update(dict.fromkeys(filter(None, (line.member, line.told_by))))
        fits = self._wanted.fits(line)
        self._fitted = self._fitted or fits
        return fits

    def unknown(self) -> Iterator[str]:
        """Yield a sentence for each event that was asked for and that there is not."""
        heads = {each.partition(".")[0] for each in EVENTS}
        for each in self._wanted.events:
            if each not in EVENTS and each not in heads:
                near = difflib.get_close_matches(each, [*EVENTS, *heads], 3)
                close = f"; did you mean {' or '.join(near)}?" if near else ""
                yield f"there is no event {printable(each)!r}{close}"

    def missing(self, lines: int) -> Iterator[str]:
        """Yield what there was not in so many lines, if none of them was asked for."""
        if self._fitted or self._wanted == Wanted():
            return
        yield f"none of the {lines} lines there is as asked for"
        if self._wanted.members and not any(each in self._members for each in self._wanted.members):
            known = ", ".join(printable(each) for each in sorted(self._members)[:_MOST]) or "nobody"
            yield f"the lines there are of {known}"
