"""The control channel: the one descriptor that a child inherits, between it and the supervisor.

May import: our messages, `sockets`. Invariant: each end takes only its own union of messages; the supervisor's end
takes them only from the process that it spawned.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Generic, TypeVar

from trollbridge.actors.processes import sockets
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.messages import control
from trollbridge.messages.errors import Malformed

if TYPE_CHECKING:
    from trollbridge.messages.codec import Codec

Out = TypeVar("Out")
In = TypeVar("In")
LARGEST = 256 * 1024
"""Bytes of one control message."""


class Channel(Generic[Out, In]):
    """One end of a control channel."""

    def __init__(self, end: socket.socket, outgoing: Codec[Out], incoming: Codec[In]) -> None:
        """Take the socket and what is said in each direction."""
        self.socket = end
        self._outgoing = outgoing
        self._incoming = incoming
        self._alone: bytearray | None = None

    def refuse_descriptors(self) -> None:
        """From now on, take messages without any descriptor, by a call that could not receive one."""
        self._alone = bytearray(LARGEST)

    def fileno(self) -> int:
        """Return the descriptor, for selectors."""
        return self.socket.fileno()

    def send(self, message: Out, *descriptors: int) -> None:
        """Send one message; raises `LinkLost` if nobody is there to take it, or nobody takes it."""
        try:
            sockets.send_with(self.socket, self._outgoing.encode(message), descriptors)
        except OSError:
            raise LinkLost from None

    def receive(self, *, wait: bool = True) -> tuple[In, list[int]]:
        """Take the next message and its descriptors; raises `LinkLost` at the end, `BlockingIOError`, `Malformed`."""
        try:
            data, descriptors = self._packet(0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            raise
        except OSError:
            raise LinkLost from None
        if not data:
            raise LinkLost
        return self._incoming.decode(data), descriptors

    def _packet(self, flags: int) -> tuple[bytes, list[int]]:
        if self._alone is None:
            return sockets.receive_with(self.socket, LARGEST, flags=flags)
        return sockets.receive_alone(self.socket, self._alone, flags=flags), []

    def close(self) -> None:
        """Close this end."""
        self.socket.close()


class ParentChannel(Channel[control.ToChild, control.FromChild]):
    """The supervisor's end: never blocks, and knows the only process that it listens to."""

    def __init__(self, end: socket.socket) -> None:
        """Take the socket."""
        super().__init__(end, control.TO_CHILD, control.FROM_CHILD)
        end.setblocking(False)  # noqa: FBT003  # the standard library's signature
        sockets.demand_credentials(end)
        self._buffer = bytearray(LARGEST)
        self._most = 0
        self._given: list[int] = []

    def accept_descriptors(self) -> None:
        """From now on, take descriptors with a message that asks for an errand; until then, with none."""
        self._most = 1 + control.MOST_GIVEN

    def given(self) -> list[int]:
        """Return, once, the descriptors that came with the message that was taken last; the caller owns them."""
        given, self._given = self._given, []
        return given

    def close(self) -> None:
        """Close this end, and what came over it that nobody took."""
        sockets.close_all(self.given())
        super().close()

    def take(self, pid: int) -> control.FromChild:
        """Take the next message, which process `pid` must have sent; raises as `receive`, `Malformed` for another's."""
        sockets.close_all(self.given())
        try:
            length, sender, self._given = sockets.receive_given(self.socket, self._buffer, self._most)
        except BlockingIOError:
            raise
        except OSError:
            raise LinkLost from None
        if not length:
            raise LinkLost
        if sender != pid:
            raise Malformed
        message = self._incoming.decode(bytes(self._buffer[:length]))
        if isinstance(message, control.Errand) is not bool(self._given):
            raise Malformed
        return message


def child_channel(descriptor: int) -> Channel[control.FromChild, control.ToChild]:
    """Return the child's end, made of the descriptor that it inherited."""
    return Channel(socket.socket(fileno=descriptor), control.FROM_CHILD, control.TO_CHILD)
