"""A line of the log for people: when, what, who, why, what next. Pure.

May import: our actors' log, our messages. Invariants: every field of a line that says something is shown, whether this
page knows its name or not; whatever a line holds is data: printable, one line, cut where it is too long.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from trollbridge.actors.operations.log import Line
from trollbridge.messages.vault import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST: Final = 400
"""Characters of one text of a line that are shown."""
_WIDEST_EVENT: Final = 20
"""Columns that the event's name has; most are shorter."""
_WHO: Final = frozenset({"time", "event", "epoch", "member", "role", "pid", "incarnation", "told_by"})
"""Fields that are shown as when, what and who."""
_INTERNAL: Final = frozenset({"seq", "chain", "proof"})
"""Fields that only `trollbridge log verify` reads."""
GATHERED: Final = frozenset({"process.locked", "member.joined"})
"""Events that come once for each process of a ring, and say the same of each as a rule."""
_FIELDS: Final = {each.name: each.default for each in msgspec.structs.fields(Line)}


class Told(NamedTuple):
    """One line in columns."""

    day: str
    clock: str
    epoch: int
    event: str
    who: str
    what: str

    @property
    def text(self) -> str:
        """The line, without day and epoch: those stand above the lines that they are of."""
        rest = "  ".join(filter(None, (self.who, self.what)))
        return f"{self.clock}  {self.event:<{_WIDEST_EVENT}}  {rest}".rstrip()


def told(line: Line) -> Told:
    """Return the line in columns."""
    day, clock = _when(line.time)
    return Told(day, clock, line.epoch, _shown(line.event), _who(line), "; ".join(_what(line)))


class Gathering:
    """Tells the lines of a run of `GATHERED` events that differ only in whom they are about as one each."""

    def __init__(self) -> None:
        """Begin with none."""
        self._held: dict[tuple[str, str], list[Told]] = {}

    def take(self, line: Line) -> list[Told]:
        """Take the next line; return what is to be told now."""
        one = told(line)
        if line.event not in GATHERED:
            return [*self.rest(), one]
        before = self.rest() if any(each.epoch != one.epoch for of in self._held.values() for each in of) else []
        self._held.setdefault((one.event, one.what), []).append(one)
        return before

    def rest(self) -> list[Told]:
        """Return what was held back, as nothing more comes for the moment."""
        found = [of[-1]._replace(who=", ".join(each.who for each in of)) for of in self._held.values()]
        self._held.clear()
        return sorted(found, key=lambda each: each.clock)


def _when(seconds: float) -> tuple[str, str]:
    try:
        whole = time.gmtime(seconds)
    except (ValueError, OverflowError, OSError):  # a line is data
        return "", "?"
    return time.strftime("%Y-%m-%d UTC", whole), f"{time.strftime('%H:%M:%S', whole)}.{int(seconds % 1 * 1000):03}"


def _who(line: Line) -> str:
    inside = [_shown(line.role)] if line.role not in ("", line.member) else []
    inside += [str(line.pid)] if line.pid else []
    inside += [f"process {line.incarnation}"] if line.incarnation > 1 else []
    about = f" ({', '.join(inside)})" if inside else ""
    return f"{_shown(line.member)}{about}" + (f", says {_shown(line.told_by)}" if line.told_by else "")


def _what(line: Line) -> Iterator[str]:
    """Yield what the line says beside who it is about, in the order in which a person asks."""
    if line.signal or line.exit_code is not None:
        yield _shown(line.signal) if line.signal else f"exit code {line.exit_code}"
    if line.expected is not None:
        yield "expected" if line.expected else "unexpected"
    yield from filter(None, map(_shown, (line.why, line.detail)))
    if line.level:
        yield f"kept {_shown(line.level)}"
    if line.restart:
        yield f"restart {line.restart}"
    if line.delay:
        yield f"{'after' if line.event == 'log.resumed' else 'in'} {line.delay:.3g} s"
    yield from _others(line)
    if line.next:
        yield f"next: {_shown(line.next)}"


_WORDED: Final = frozenset({"signal", "exit_code", "expected", "why", "detail", "level", "restart", "delay", "next"})
_OTHERS: Final = tuple(name for name in _FIELDS if name not in _WHO | _INTERNAL | _WORDED)


def _others(line: Line) -> Iterator[str]:
    for name in _OTHERS:
        value: object = getattr(line, name)
        if value != _FIELDS[name]:
            yield f"{name.replace('_', ' ')} {_shown(str(value))}"


def _shown(text: str) -> str:
    return printable(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")
