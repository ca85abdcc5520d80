"""A process's end of a link: what is ready goes out as one sealed record; nothing here ever blocks in a send.

May import: our messages, `sockets`. Invariant: records leave in the order in which they were sealed; a record that
the kernel did not take waits, and everything behind it.
"""

from __future__ import annotations

import socket
from collections import deque
from typing import TYPE_CHECKING, Final

from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import HandshakeFailed
from trollbridge.messages.noise import Initiator
from trollbridge.messages.record import MOST_BODIES, Item, Link, Routed

if TYPE_CHECKING:
    from collections.abc import Callable

HANDSHAKE_SIZE: Final = 4096
MOST_ITEMS: Final = 256
LARGE: Final = 64 * 1024
"""Bytes of a body that starts a record of its own."""
ITEM_COST: Final = 512
"""Bytes that an item counts for while it waits, whatever it holds."""


def found_link(end: socket.socket, token: bytes, prologue: bytes, timeout: float) -> Link:
    """Join over `end` as the initiator; raises `HandshakeFailed` if the broker does not prove the token in time."""
    end.settimeout(timeout)
    try:
        first, waiting = Initiator(token, prologue).message_1()
        end.send(first)
        return Link(waiting.finish(end.recv(HANDSHAKE_SIZE)))
    except OSError:
        raise HandshakeFailed from None
    finally:
        end.settimeout(None)


class _Batch:
    """What makes one record: items and bodies, and once it is sealed the buffers to send."""

    __slots__ = ("buffers", "items", "sealed", "size")

    def __init__(self, items: list[Item], bodies: list[bytes], size: int) -> None:
        self.items = items
        self.buffers = bodies
        self.size = size
        self.sealed = False


class Endpoint:
    """One end of a founded link."""

    __slots__ = ("_bodies", "_items", "_link", "_size", "_waiting", "on_sent", "queued", "sent", "socket", "taken")

    def __init__(self, end: socket.socket, link: Link) -> None:
        """Take the connected socket and the link that was founded over it."""
        self.socket: Final = end
        self.queued = 0
        """Bytes that have not left this process: bodies, and `ITEM_COST` for each item."""
        self.sent = 0
        """Bytes of the records that have left this process."""
        self.taken = 0
        """Bytes of the records that have come."""
        self.on_sent: Callable[[list[Item]], None] | None = None
        """Called with the items of each record that the kernel has taken."""
        self._link = link
        self._items: list[Item] = []
        self._bodies: list[bytes] = []
        self._size = 0
        self._waiting: deque[_Batch] = deque()

    @property
    def idle(self) -> bool:
        """Whether everything has left this process."""
        return not self._items and not self._waiting

    @property
    def ready(self) -> int:
        """Items that wait for the next flush."""
        return len(self._items)

    def put(self, item: Item, body: bytes = b"") -> None:
        """Add an item to what goes out with the next flush."""
        size = len(body)
        if size > LARGE and self._items:
            self._close_batch()  # a long body behind many headers would make a record that no buffer takes
        self._items.append(item)
        self.queued += size + ITEM_COST
        if size:
            self._bodies.append(body)
            self._size += size
        if self._size >= MOST_BODIES or len(self._items) >= MOST_ITEMS:
            self._close_batch()

    def _close_batch(self) -> None:
        if self._items:
            self._waiting.append(_Batch(self._items, self._bodies, self._size))
            self._items, self._bodies, self._size = [], [], 0

    def flush(self) -> bool:
        """Send what is ready, as far as the kernel takes it; return whether nothing is left. Raises `LinkLost`."""
        waiting = self._waiting
        if not waiting and self._items:
            return self._send_at_once()
        self._close_batch()
        while waiting:
            batch = waiting[0]
            if not batch.sealed:  # sealing counts, so it is done once and the record kept
                batch.buffers.insert(0, self._link.seal(batch.items))
                batch.sealed = True
            try:
                self.sent += self.socket.send(b"".join(batch.buffers), socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except OSError:
                raise LinkLost from None
            waiting.popleft()
            self.queued -= batch.size + ITEM_COST * len(batch.items)
            if self.on_sent is not None:
                self.on_sent(batch.items)
        return True

    def _send_at_once(self) -> bool:
        """Send the only batch, without queueing it: what happens nearly always."""
        items, bodies, size = self._items, self._bodies, self._size
        self._items, self._bodies, self._size = [], [], 0
        bodies.insert(0, self._link.seal(items))
        try:
            self.sent += self.socket.send(b"".join(bodies), socket.MSG_DONTWAIT)
        except BlockingIOError:
            batch = _Batch(items, bodies, size)
            batch.sealed = True
            self._waiting.append(batch)
            return False
        except OSError:
            raise LinkLost from None
        self.queued -= size + ITEM_COST * len(items)
        if self.on_sent is not None:
            self.on_sent(items)
        return True

    def take_back(self, receiver: str) -> set[bytes]:
        """Have no envelope to this member leave that has not been sealed; return the UIDs of the CALLs among them."""
        kept: set[bytes] = set()
        self._close_batch()
        for batch in self._waiting:
            if batch.sealed:
                continue
            rest = iter(batch.buffers)
            pairs = [(item, next(rest) if type(item) is Routed and item.length else b"") for item in batch.items]
            stay = [each for each in pairs if type(each[0]) is not Routed or each[0].receiver != receiver]
            for each in batch.items:
                if type(each) is Routed and each.kind == Kind.CALL and each.receiver == receiver:
                    kept.add(each.uid)
            batch.items[:], batch.buffers[:] = [item for item, _ in stay], [body for _, body in stay if body]
            size = sum(map(len, batch.buffers))
            self.queued -= batch.size - size + ITEM_COST * (len(pairs) - len(stay))
            batch.size = size
        self._waiting = deque(each for each in self._waiting if each.items)
        return kept

    def drop(self) -> None:
        """Forget the link's keys and what waits to be sent."""
        self._link.drop()
        self._items, self._bodies, self._size = [], [], 0
        self._waiting.clear()

    def open(self, record: memoryview) -> list[tuple[Item, bytes]]:
        """Return the items of a record that arrived; raises `ProtocolError` for a bad one."""
        self.taken += len(record)
        return self._link.open(record)

    def receive(self, buffer: bytearray, flags: int = 0) -> list[tuple[Item, bytes]]:
        """Take the next record through `buffer`; raises `LinkLost` at the end, `BlockingIOError` if there is none."""
        try:
            length = self.socket.recv_into(buffer, 0, flags)
        except BlockingIOError:
            raise
        except OSError:
            raise LinkLost from None
        if not length:
            raise LinkLost
        self.taken += length
        return self._link.open(memoryview(buffer)[:length])
