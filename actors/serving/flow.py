"""A stream as its server's protocol sees it: how much may be sent, how long, and whether anybody still wants it.

May import: our messages, `invocation`. Invariant: an item goes out only against credit, which never exceeds
`FIRST_CREDIT`, whatever a client asks for.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from trollbridge.actors.serving.faults import safe
from trollbridge.messages import payloads
from trollbridge.messages.limits import FIRST_CREDIT

if TYPE_CHECKING:
    from trollbridge.actors.serving.invocation import Invocation
    from trollbridge.messages.ids import Microseconds

PROGRESS_GAP: Final = 50_000
"""Microseconds that lie at least between two reports of progress, but for the one that says that all is done."""


class FlowState(enum.Enum):
    """Whether a stream goes on."""

    OPEN = 1
    HALTED = 2
    """Its client wants no more of it; it still gets the reply."""
    GONE = 3
    """Nobody waits: its client has left, or its UID is void."""


class Flow:
    """One stream, from its call to its reply."""

    __slots__ = ("credit", "deadline", "given", "invocation", "state", "told")

    def __init__(self, invocation: Invocation, deadline: Microseconds) -> None:
        """Take the call; the first credit is implied."""
        self.invocation: Final = invocation
        self.deadline: Final = deadline
        self.credit = FIRST_CREDIT
        self.given = 0
        """Items and reports of progress that were sent."""
        self.state = FlowState.OPEN
        self.told = 0
        """When progress was told last, in microseconds."""

    def pull(self, items: int) -> None:
        """Note that the client takes so many more."""
        self.credit = min(FIRST_CREDIT, self.credit + items)

    def tells(self, now: int, *, finished: bool) -> bool:
        """Note a report of progress; return whether it is to be sent."""
        if now - self.told < PROGRESS_GAP and not finished:
            return False
        self.told = now
        return True

    def report(self, progress: payloads.Progress, now: int) -> bytes:
        """Return a report's content, empty if one was sent just now; raises `Malformed` for what cannot travel."""
        if not self.tells(now, finished=progress.done == progress.total):
            return b""
        note = "" if self.invocation.exported.mark.sensitive else safe(progress.note)
        content = payloads.encode(
            payloads.StreamProgress(self.given, payloads.Progress(progress.done, progress.total, note))
        )
        payloads.decode(content)
        return content
