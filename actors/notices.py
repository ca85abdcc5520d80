"""What the broker, enclaves and hosts noticed: lines of the log, and whose process ends for it.

May import: our messages, `log`, `children`. Invariants: each line says whose word it is; it is about a member of the
application or about nobody; its words are printable and short, whoever sent them; only the broker's word ends anybody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.control import NoticeKind
from trollbridge.messages.ids import BROKER, Role
from trollbridge.messages.vault import printable

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.actors.children import Children
    from trollbridge.actors.log import Log
    from trollbridge.actors.spawn import Process
    from trollbridge.messages.control import Notice
    from trollbridge.messages.ids import Epoch

NOBODY: Final = "?"
"""Stands for a member that the application does not have; no member has this name."""
LONGEST_WHY: Final = 200
LONGEST_DETAIL: Final = 1000
"""Characters: a path in a `sandbox.denied` may be long."""
_CUT: Final = frozenset({NoticeKind.MEMBER_REMOVED, NoticeKind.LINK_LOST})


class Notices:
    """Writes down what is told; has the process end whose link the broker has cut."""

    def __init__(self, app: App, processes: Children, log: Log) -> None:
        """Take the declaration, the processes and the log."""
        self._members: Final = frozenset({BROKER, *(child.member for child, _ in app.children)})
        self._processes: Final = processes
        self._log: Final = log

    def take(self, process: Process, notice: Notice, epoch: Epoch, *, standing: bool) -> None:
        """Take what a process says. `standing`: while a ring falls, every member lets go of its link."""
        self._log.line(
            notice.kind.value,
            epoch,
            member=notice.about if notice.about in self._members else NOBODY,
            told_by=process.member,
            why=_fit(notice.why, LONGEST_WHY),
            detail=_fit(notice.detail, LONGEST_DETAIL),
        )
        offender = self._processes.get(notice.about) if process.role is Role.BROKER else None
        if offender is not None and standing and notice.kind in _CUT:
            self._processes.expect_end(offender, 0.0 if notice.kind is NoticeKind.MEMBER_REMOVED else None)


def _fit(text: str, longest: int) -> str:
    return printable(text if len(text) <= longest else text[: longest - 1] + "…")
