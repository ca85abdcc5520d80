"""A stream: the items that a handler yields, as they come, and the promise of its result.

May import: `promise`, our messages. Invariants: whoever waits pumps the link, as for a promise; what nobody takes is
not sent; a stream that is left or let go of is cancelled.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar

from trollbridge.actors.calling.promise import Promise
from trollbridge.messages.error_words import LATE
from trollbridge.messages.errors import DeadlineExceeded, StreamEnded

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from trollbridge.actors.calling.intake import Intake
    from trollbridge.actors.calling.pending import Pending
    from trollbridge.messages.payloads import Progress

T = TypeVar("T")


class StreamSource(Protocol):
    """Who brings the items: the client of a ring."""

    def next_of(self, pending: Pending) -> tuple[Any] | Promise[None] | None:
        """Return the next item; or what is resolved when there may be one; or None if the stream has ended."""
        ...

    def let_go(self, pending: Pending, *, kept: bool) -> None:
        """Let go of a stream soon, of its result too unless that is `kept`; called from any thread, at any time."""


class Stream(Generic[T]):
    """What calling a stream handler returns: iterate over it, `for` or `async for`; `result` is the promise of the end.

    The items come first: while nobody takes them, the handler waits and gives no result. Once the stream is dropped, it
    is cancelled; if somebody has asked for `result`, it runs to its end instead, and its items are let go of.
    """

    def __init__(self, source: StreamSource, pending: Pending, intake: Intake) -> None:
        """Take who brings the items, the call, and what has come of its stream."""
        self._source = source
        self._pending = pending
        self._intake = intake
        self._promise = pending.promise
        self._kept = False

    @property
    def result(self) -> Promise[Any]:
        """The promise of what the handler returns at the end."""
        self._kept = True
        return self._promise

    @property
    def progress(self) -> Progress | None:
        """What the handler said last of how far it has come."""
        return self._intake.progress

    def get(self, *, timeout: float | None = None) -> T:
        """Return the next item; wait at most `timeout` seconds, then raise `pykka.Timeout`.

        Raises `StreamEnded` after the last, the handler's error, `DeadlineExceeded`, `Cancelled` or `RingDismantled`.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            found = self._next()
            if not isinstance(found, Promise):
                return found[0]
            self._arrived(found, None if until is None else max(0.0, until - time.monotonic()))

    def _next(self) -> tuple[T] | Promise[None]:
        found = self._source.next_of(self._pending)
        if found is None:
            self._promise.get(timeout=0)  # raises what it ended by
            raise StreamEnded
        return found

    def _arrived(self, arrival: Promise[None], timeout: float | None) -> None:
        try:
            arrival.get(timeout=timeout)
        except DeadlineExceeded:
            raise self._late() from None

    def _late(self) -> DeadlineExceeded:
        error = DeadlineExceeded(LATE)
        self._promise.resolve(error=error)
        return error

    def cancel(self) -> bool:
        """Give it up; its handler is told, and cleans up. Return whether it had not ended."""
        return self._promise.cancel()

    def when_ended(self, callback: Callable[[Promise[Any]], None]) -> None:
        """Call `callback` with the promise of the end once that is resolved; it does not count as asking for it.

        From the thread that resolves it, at once if it is resolved. The callback must not hold the stream.
        """
        promise = self._promise
        promise.when_done(lambda: callback(promise))

    def __iter__(self) -> Self:
        """Return itself."""
        return self

    def __next__(self) -> T:
        """Return the next item; wait for it as long as it takes."""
        try:
            return self.get()
        except StreamEnded:
            raise StopIteration from None

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> T:
        """Return the next item without blocking the running asyncio loop."""
        while True:
            try:
                found = self._next()
            except StreamEnded:
                raise StopAsyncIteration from None
            if not isinstance(found, Promise):
                return found[0]
            try:
                await found
            except DeadlineExceeded:
                raise self._late() from None

    def __enter__(self) -> Self:
        """Return itself; leaving the block cancels what is left."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give up what is left."""
        self.cancel()

    async def __aenter__(self) -> Self:
        """Return itself; leaving the block cancels what is left."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Give up what is left."""
        self.cancel()

    def __del__(self) -> None:
        """Give up what nobody can take any more."""
        if not self._promise.done:
            self._source.let_go(self._pending, kept=self._kept)

    def __repr__(self) -> str:
        """Show the state, never an item."""
        return f"<Stream, {'ended' if self._promise.done else 'open'}, {len(self._intake.items)} items here>"
