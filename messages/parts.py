"""Contents too long for one envelope: cut into PARTs on one side, put together on the other.

May import: our messages. Invariants: a sender has at most `WINDOW` long bodies under way to a peer; a receiver never
holds more than its limit; a content that was cut counts only whole.

The last piece of a content that was cut, in its CALL, REPLY or ITEM, starts with a zero byte, the whole's length, and
the sequence of its first PART, so that no two contents can be spliced:

    0      1              9              17
    | 00   | total, u64   | first, u64   | the rest of the content |
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from trollbridge.messages.aead import TAG_SIZE
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import Malformed, TooLarge
from trollbridge.messages.padding import padded
from trollbridge.messages.session import LARGEST_CONTENT, PREFIX_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trollbridge.messages.envelope import Envelope
    from trollbridge.messages.ids import HandlerUID, Microseconds
    from trollbridge.messages.session import Session

    Told = Callable[[int, int], None]

WINDOW: Final = 16
"""PARTs and long bodies under way to one peer: 2 MiB."""
LONG: Final = 16 * 1024
"""Bytes of a body from which a CALL, REPLY or ITEM needs credit as a PART does."""
_CUT: Final = (Kind.CALL, Kind.REPLY, Kind.ITEM)
PART_SIZE: Final = 129_004
"""Bytes of content in each PART but the last; its sealed body stays below 128 KiB."""
_WHOLE: Final = 17
"""Bytes before the last piece of a content that was cut."""


def counts(kind: int, length: int) -> bool:
    """Return whether a body of this kind and length in bytes needs credit."""
    return kind == Kind.PART or (length > LONG and kind in _CUT)


def at_once(length: int) -> bool:
    """Return whether a content of this length in bytes goes out in one envelope, without credit."""
    return padded(PREFIX_SIZE + length) + TAG_SIZE <= LONG


class _Cutting:
    """One content on its way."""

    __slots__ = ("deadline", "first", "kind", "progress", "rest", "total", "uid")

    def __init__(
        self, kind: int, uid: HandlerUID, deadline: Microseconds, content: bytes, progress: Told | None
    ) -> None:
        self.kind = kind
        self.uid = uid
        self.deadline = deadline
        self.rest = memoryview(content)
        self.total = len(content)
        self.progress = progress
        self.first: int | None = None
        """The sequence of its first PART, once it is sealed."""

    def next(self) -> tuple[int, bytes | memoryview, int]:
        """Return the kind and the content of the next envelope, and how much is left after it."""
        rest = self.rest
        if len(rest) > LARGEST_CONTENT - _WHOLE:
            return Kind.PART, rest[:PART_SIZE], len(rest) - PART_SIZE
        if self.first is None:
            return self.kind, rest, 0
        return self.kind, b"\0" + self.total.to_bytes(8, "big") + self.first.to_bytes(8, "big") + rest, 0


class Outgoing:
    """Long contents on their way to one peer, one after the other."""

    __slots__ = ("_queue", "_session", "_window", "held", "reports")

    def __init__(self, session: Session) -> None:
        """Take the session that seals them."""
        self._session = session
        self._window = WINDOW
        self._queue: deque[_Cutting] = deque()
        self.held = 0
        """Bytes of the contents that wait or are under way, each whole until its last piece is sealed."""
        self.reports: deque[tuple[Told, int, int]] = deque()
        """Progress to tell, once no lock is held: the function, bytes sealed so far, bytes in all."""

    @property
    def idle(self) -> bool:
        """Whether no content waits or is under way."""
        return not self._queue

    def put(
        self,
        kind: int,
        uid: HandlerUID,
        deadline: Microseconds,
        content: bytes,
        progress: Told | None = None,
    ) -> None:
        """Queue a content of any length; progress is reported in bytes as its parts are sealed."""
        self._queue.append(_Cutting(kind, uid, deadline, content, progress))
        self.held += len(content)

    def forget(self, uid: HandlerUID) -> None:
        """Send no more of a content whose call was refused."""
        self._queue = deque(each for each in self._queue if each.uid != uid)
        self.held = sum(each.total for each in self._queue)

    def credit(self, parts: int) -> None:
        """Note that this many long bodies have been passed on."""
        self._window = min(WINDOW, self._window + parts)

    def drain(self) -> Iterator[Envelope]:
        """Seal and yield what the window allows."""
        while self._queue:
            cutting = self._queue[0]
            kind, piece, left = cutting.next()
            if kind == Kind.PART or not at_once(len(piece)):
                if not self._window:
                    return
                self._window -= 1
            cutting.rest = cutting.rest[len(cutting.rest) - left :]
            if kind != Kind.PART:
                self._queue.popleft()
                self.held -= cutting.total
            envelope = self._session.seal(kind, cutting.uid, cutting.deadline, piece)
            if cutting.first is None:
                cutting.first = envelope.sequence
            yield envelope
            if cutting.progress is not None:
                self.reports.append((cutting.progress, cutting.total - left, cutting.total))


class Assembly:
    """The one long content that is arriving from a peer."""

    __slots__ = ("_first", "_held", "_limit", "_refused", "_uid")

    def __init__(self, limit: int) -> None:
        """Take the most bytes that a content may have."""
        self._limit = limit
        self._held = bytearray()
        self._uid: HandlerUID | None = None
        self._first = 0
        self._refused = False

    def __len__(self) -> int:
        """Return the bytes held so far."""
        return len(self._held)

    def add(self, uid: HandlerUID, sequence: int, piece: memoryview) -> None:
        """Add the PART with this sequence. A content that grows too long is let go of, and so is an unfinished one."""
        if self._uid != uid:  # the session keeps the order, so the other's sender has given it up
            self._uid, self._first, self._held, self._refused = uid, sequence, bytearray(), False
        if len(self._held) + len(piece) > self._limit:
            self._refused, self._held = True, bytearray()
        elif not self._refused:
            self._held += piece

    def finish(self, uid: HandlerUID, last: memoryview) -> bytes | bytearray | memoryview:
        """Return the whole content that ends with `last`.

        Raises `TooLarge` if it went over the limit, `Malformed` if a part of it is missing.
        """
        if self._uid != uid:
            if len(last) > self._limit:
                raise TooLarge
            return last  # one that lost its parts starts with 00, which no payload does
        whole, refused = self._held, self._refused
        self._held, self._uid, self._refused = bytearray(), None, False
        if len(last) < _WHOLE or last[0]:
            raise Malformed
        total, first = int.from_bytes(last[1:9], "big"), int.from_bytes(last[9:_WHOLE], "big")
        if refused or total > self._limit:
            raise TooLarge
        whole += last[_WHOLE:]
        if len(whole) != total or first != self._first:
            raise Malformed
        return whole
