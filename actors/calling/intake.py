"""What has arrived of a stream at its client and nobody has taken yet: the core of it, without a thread or a socket.

May import: our messages, `promise`. Invariant: it holds at most `FIRST_CREDIT` items, since no more were asked for; the
client's lock is held around every call.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from trollbridge.messages.errors import Malformed, OutOfSequence
from trollbridge.messages.limits import FIRST_CREDIT
from trollbridge.messages.payloads import split

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.actors.calling.promise import Promise
    from trollbridge.messages.payloads import Progress

    Told = Callable[[int, int], None]

ENOUGH: Final = FIRST_CREDIT // 2
"""Items that are taken before the server is asked for as many again."""


class Intake:
    """The client's end of one stream."""

    __slots__ = ("_count", "_taken", "_unused", "arrival", "halted", "items", "progress", "report", "unwatched")

    def __init__(self, report: Told | None) -> None:
        """Take whom to tell how far the handler has come."""
        self.report: Final = report
        self.items: Final[deque[Any]] = deque()
        self.arrival: Promise[None] | None = None
        """Resolved when something arrives, for whoever waits."""
        self.progress: Progress | None = None
        """What the handler said last of how far it has come."""
        self.halted = False
        """Whether the client wants no more."""
        self.unwatched = False
        """Whether nobody can take the items any more, while the result is still wanted: they are let go of."""
        self._unused = FIRST_CREDIT
        self._count = 0
        self._taken = 0

    def arrived(self, number: int) -> None:
        """Note an item or a report that came.

        Raises `OutOfSequence` if one before it is missing, `Malformed` if it was not asked for.
        """
        if number != self._count:
            raise OutOfSequence
        if not self._unused:
            raise Malformed
        self._unused -= 1
        self._count += 1

    def ended(self, counted: bytes) -> bytes:
        """Return the result, without the number of items in front of it; raises `OutOfSequence` if some are missing."""
        number, result = split(counted)
        if number != self._count and not self.halted:
            raise OutOfSequence
        return result

    def taken(self) -> int:
        """Note that an item or a report is used; return for how many more to ask now."""
        self._taken += 1
        if self._taken < ENOUGH:
            return 0
        more, self._taken = self._taken, 0
        self._unused += more
        return more
