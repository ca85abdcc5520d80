"""The tap: what a hostile user interface sees of its own link, join token and keys included."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.harness.replacing import replace
from trollbridge.actors.calling.joining import Joining
from trollbridge.actors.entry import caller

if TYPE_CHECKING:
    import socket

    from trollbridge.actors.calling.membership import Membership
    from trollbridge.messages import control


class TappedSocket:
    """A socket that keeps a copy of every packet, and otherwise is the one that it wraps."""

    def __init__(self, end: socket.socket) -> None:
        """Take the socket to wrap."""
        self.end = end
        self.sent: list[bytes] = []
        self.received: list[bytes] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # stands in for every attribute of a socket
        """Return the socket's own attribute."""
        return getattr(self.end, name)

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self.end.fileno()

    def send(self, data: bytes, flags: int = 0) -> int:
        """Send and keep a packet."""
        count = self.end.send(data, flags)
        self.sent.append(bytes(data))
        return count

    def sendmsg(self, buffers: list[bytes], ancillary: tuple[()], flags: int) -> int:
        """Send and keep a packet."""
        count = self.end.sendmsg(buffers, ancillary, flags)
        self.sent.append(b"".join(buffers))
        return count

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Receive and keep a packet."""
        packet = self.end.recv(size, flags)
        self.received.append(packet)
        return packet

    def recv_into(self, buffer: bytearray, size: int = 0, flags: int = 0) -> int:
        """Receive and keep a packet."""
        length = self.end.recv_into(buffer, size, flags)
        self.received.append(bytes(buffer[:length]))
        return length


class Tap:
    """Everything that joining brought into this process, epoch by epoch."""

    def __init__(self, *, capture: bool) -> None:
        """With `capture`, wrap the link's socket from its first packet on."""
        self._capture = capture
        self.sockets: dict[int, TappedSocket] = {}
        self.joins: dict[int, control.Join] = {}
        self.memberships: dict[int, Membership] = {}

    def install(self) -> None:
        """Be told of every join in this process, from now on."""
        tap = self

        class Tapped(Joining):
            """Joining, with somebody who looks on."""

            def join(self, end: socket.socket, message: control.Join) -> Membership:
                """Join, and keep what was needed for it."""
                tap.joins[message.epoch] = message
                used: Any = end
                if tap._capture:
                    used = tap.sockets[message.epoch] = TappedSocket(end)
                membership = tap.memberships[message.epoch] = super().join(used, message)
                return membership

        replace(caller, Joining=Tapped)
