"""The streams that a process takes: what has come is handed out, more is asked for, what is dropped is let go of.

May import: our messages, the other actors modules. Invariants: everything that an intake holds is touched with the
client's lock held; nothing in here waits.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from trollbridge.actors.calling.intake import Intake
from trollbridge.actors.calling.promise import Promise, Source
from trollbridge.actors.calling.stream import Stream
from trollbridge.messages.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from trollbridge.actors.calling.pending import Pending


class Taking:
    """Every stream of one client."""

    def __init__(
        self,
        source: Source,
        lock: AbstractContextManager[bool],
        used: Callable[[Pending], None],
        nudge: Callable[[], None],
    ) -> None:
        """Take who pumps, the client's lock, what asks for more (it is held then), and what has `take_leave` called."""
        self._source = source
        self._lock = lock
        self._used = used
        self._nudge = nudge
        self._dropped: Final[deque[tuple[Pending, bool]]] = deque()
        """Streams that nobody holds any more, and whether their results are still wanted."""

    def open(self, pending: Pending) -> Stream[Any]:
        """Return the stream of a call that is about to be made."""
        intake = pending.intake = Intake(pending.progress)
        pending.progress = None
        pending.promise.when_done(lambda: self._ended(intake))
        return Stream(self, pending, intake)

    def _ended(self, intake: Intake) -> None:
        with self._lock:
            arrival, intake.arrival = intake.arrival, None
        if arrival is not None:
            arrival.resolve()

    def next_of(self, pending: Pending) -> tuple[Any] | Promise[None] | None:
        """Return a stream's next item; or what is resolved when there may be one; or None if it has ended."""
        intake = pending.intake
        if intake is None:
            raise UsageError
        with self._lock:
            if intake.items:
                item = intake.items.popleft()
                self._used(pending)
                return (item,)
            if pending.promise.done:
                return None
            if intake.arrival is None or intake.arrival.done:
                intake.arrival = Promise(self._source, pending.promise.deadline)
            return intake.arrival

    def let_go(self, pending: Pending, *, kept: bool) -> None:
        """Let go of a stream soon: this may run in the midst of anything, even with the lock held."""
        self._dropped.append((pending, kept))
        self._nudge()

    def take_leave(self) -> None:
        """Cancel what has been dropped; where the result is still wanted, let go of the items."""
        while self._dropped:
            pending, kept = self._dropped.popleft()
            intake = pending.intake
            if not kept or intake is None:
                pending.promise.cancel()
                continue
            with self._lock:
                intake.unwatched = True
                while intake.items:
                    intake.items.popleft()
                    self._used(pending)
