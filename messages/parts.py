"""Contents too long for one envelope: cut into PARTs on one side, put together on the other.

May import: our messages. Invariants: a sender has at most `window` PARTs under way to a peer; parts of two contents
never interleave; a receiver never holds more than its limit.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import TooLarge
from trollbridge.messages.session import LARGEST_CONTENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trollbridge.messages.envelope import Envelope
    from trollbridge.messages.ids import HandlerUID, Microseconds
    from trollbridge.messages.session import Session

WINDOW: Final = 16
"""PARTs under way to one peer: 2 MiB."""
PART_SIZE: Final = 129_004
"""Bytes of content in each PART but the last; its sealed body stays below 128 KiB."""


class Outgoing:
    """Long contents on their way to one peer, one after the other."""

    __slots__ = ("_queue", "_session", "_window")

    def __init__(self, session: Session) -> None:
        """Take the session that seals them."""
        self._session = session
        self._window = WINDOW
        self._queue: deque[tuple[int, HandlerUID, Microseconds, memoryview, Callable[[int, int], None] | None, int]] = (
            deque()
        )

    def put(
        self,
        kind: int,
        uid: HandlerUID,
        deadline: Microseconds,
        content: bytes,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Queue a content of any length; `progress(sent, total)` is called in bytes as its parts are sealed."""
        self._queue.append((kind, uid, deadline, memoryview(content), progress, len(content)))

    def credit(self, parts: int) -> None:
        """Note that this many PARTs have been passed on."""
        self._window = min(WINDOW, self._window + parts)

    def drain(self) -> Iterator[Envelope]:
        """Seal and yield what the window allows."""
        while self._queue:
            kind, uid, deadline, rest, progress, total = self._queue[0]
            if len(rest) <= LARGEST_CONTENT:
                self._queue.popleft()
                yield self._session.seal(kind, uid, deadline, rest)
                left = 0
            elif self._window:
                self._window -= 1
                self._queue[0] = (kind, uid, deadline, rest[PART_SIZE:], progress, total)
                yield self._session.seal(Kind.PART, uid, deadline, rest[:PART_SIZE])
                left = len(rest) - PART_SIZE
            else:
                return
            if progress is not None:
                progress(total - left, total)


class Assembly:
    """The one long content that is arriving from a peer."""

    __slots__ = ("_held", "_limit", "_refused", "_uid")

    def __init__(self, limit: int) -> None:
        """Take the most bytes that a content may have."""
        self._limit = limit
        self._held = bytearray()
        self._uid: HandlerUID | None = None
        self._refused = False

    def __len__(self) -> int:
        """Return the bytes held so far."""
        return len(self._held)

    def add(self, uid: HandlerUID, piece: memoryview) -> None:
        """Add a PART. One that grows too long is let go of, and so is another content that was not finished."""
        if self._uid != uid:  # the session keeps the order, so the other's sender has given it up
            self._uid, self._held, self._refused = uid, bytearray(), False
        if len(self._held) + len(piece) > self._limit:
            self._refused, self._held = True, bytearray()
        elif not self._refused:
            self._held += piece

    def finish(self, uid: HandlerUID, last: memoryview) -> bytes | bytearray | memoryview:
        """Return the whole content that ends with `last`; raises `TooLarge` if it went over the limit."""
        if self._uid != uid:
            if len(last) > self._limit:
                raise TooLarge
            return last
        whole, refused = self._held, self._refused or len(self._held) + len(last) > self._limit
        self._held, self._uid, self._refused = bytearray(), None, False
        if refused:
            raise TooLarge
        whole += last
        return whole
