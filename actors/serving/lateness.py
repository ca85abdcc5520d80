"""Deadlines as a server judges them: a call that is too late does not start, and the log hears of it, not each time.

May import: our messages, `invocation`. Invariant: what is counted here has one entry for each client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.control import NoticeKind
from trollbridge.messages.errors import DeadlineExceeded, Malformed
from trollbridge.messages.limits import FARTHEST

if TYPE_CHECKING:
    from trollbridge.actors.serving.invocation import Outside
    from trollbridge.messages.ids import MemberId, Microseconds

_SECOND: Final = 1_000_000


class Lateness:
    """How often each client was too late."""

    def __init__(self, outside: Outside) -> None:
        """Take whose clock it is, and where notices go."""
        self._out = outside
        self._calls: dict[MemberId, int] = {}

    def check(self, client: MemberId, deadline: Microseconds) -> None:
        """Raise `DeadlineExceeded` if it has passed, `Malformed` if no client could have meant it."""
        if not deadline:
            return
        left = deadline - self._out.now()
        if left < 0:
            self._note(client)
            raise DeadlineExceeded
        if left > FARTHEST * _SECOND:
            raise Malformed

    def _note(self, client: MemberId) -> None:
        """Note a call that came too late: the first, the second, the fourth …, lest lateness fill the log."""
        self._calls[client] = count = self._calls.get(client, 0) + 1
        if not count & (count - 1):
            self._out.notice(NoticeKind.CALL_LATE, client, "its deadline had passed", f"{count} so far")
