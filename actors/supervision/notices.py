"""What the broker, enclaves and hosts noticed: lines of the log, and whose process ends for it.

May import: our messages, `log`, `children`. Invariants: each line says whose word it is; it is about a member of the
application or about nobody; its words are printable and short, whoever sent them; only the broker's word ends anybody;
a minute has a bounded number of lines of one kind by one process, so that none can talk the rest out of the log.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from trollbridge.messages.control import NoticeKind
from trollbridge.messages.ids import BROKER, Role
from trollbridge.messages.vault import printable

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.actors.operations.log import Log
    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.spawn import Process
    from trollbridge.messages.control import Notice
    from trollbridge.messages.ids import Epoch

NOBODY: Final = "?"
"""Stands for a member that the application does not have; no member has this name."""
LONGEST_WHY: Final = 200
LONGEST_DETAIL: Final = 1000
"""Characters: a path in a `sandbox.denied` may be long."""
MOST: Final = 60
"""Lines of one kind that one process may have in a `PERIOD`; the broker so many about each member."""
PERIOD: Final = 60.0
"""Seconds."""
_CUT: Final = frozenset({NoticeKind.MEMBER_REMOVED, NoticeKind.LINK_LOST})
_RARE: Final = _CUT | {NoticeKind.GRANT_USED}
"""What only the broker says, and by itself not often: once for a link, or for a handler and a member."""


class _Told:
    """What one process has said of one kind since a window began."""

    __slots__ = ("left_out", "lines", "until")

    def __init__(self, until: float) -> None:
        self.lines = self.left_out = 0
        self.until = until


class Notices:
    """Writes down what is told; has the process end whose link the broker has cut.

    It is also a timer: at `due`, `tick` writes down how much was left out.
    """

    def __init__(self, app: App, processes: Children, log: Log) -> None:
        """Take the declaration, the processes and the log."""
        self._members: Final = frozenset({BROKER, *(child.member for child, _ in app.children)})
        self._processes: Final = processes
        self._log: Final = log
        self._told: Final[dict[tuple[str, NoticeKind, str], _Told]] = {}
        """By who says it, the kind, and in the broker's case about whom."""
        self._epoch = 0
        self.due: float | None = None
        """The monotonic time at which `tick` has something to do."""

    def take(self, process: Process, notice: Notice, epoch: Epoch, *, standing: bool) -> None:
        """Take what a process says. `standing`: while a ring falls, every member lets go of its link."""
        about = notice.about if notice.about in self._members else NOBODY
        offender = self._processes.get(notice.about) if process.role is Role.BROKER else None
        self._epoch = epoch
        over = not standing or offender is None or offender.ending()
        told = notice.kind is NoticeKind.LINK_LOST and about != NOBODY and over  # what ended it has a line of its own
        if not told and self._has_room(process, notice.kind, about, time.monotonic()):
            self._log.line(
                notice.kind.value,
                epoch,
                member=about,
                told_by=process.member,
                why=_fit(notice.why, LONGEST_WHY),
                detail=_fit(notice.detail, LONGEST_DETAIL),
            )
        if offender is not None and standing and notice.kind in _CUT:
            self._processes.expect_end(offender, 0.0 if notice.kind is NoticeKind.MEMBER_REMOVED else None)

    def tick(self, now: float) -> None:
        """Say of each window that is over how many lines were left out."""
        for key in [key for key, told in self._told.items() if told.until <= now]:
            told = self._told.pop(key)
            if told.left_out:
                lines = f"{told.left_out} line{'s' if told.left_out > 1 else ''} of {key[1].value}"
                self._log.line("notice.dropped", self._epoch, member=key[0], detail=lines)
        self.due = min((told.until for told in self._told.values() if told.left_out), default=None)

    def close(self) -> None:
        """Say it of those that are not over: the application ends."""
        self.tick(float("inf"))

    def _has_room(self, process: Process, kind: NoticeKind, about: str, now: float) -> bool:
        """Count a notice; return whether it becomes a line."""
        broker = process.role is Role.BROKER
        if broker and kind in _RARE:
            return True
        key = (process.member, kind, about if broker else "")
        told = self._told.get(key)
        if told is not None and told.until <= now:
            self.tick(now)
            told = None
        if told is None:
            told = self._told[key] = _Told(now + PERIOD)
        if told.lines < MOST:
            told.lines += 1
            return True
        told.left_out += 1
        self.due = told.until if self.due is None else min(self.due, told.until)
        return False


def _fit(text: str, longest: int) -> str:
    return printable(text if len(text) <= longest else text[: longest - 1] + "…")
