"""Unnamed SEQPACKET socket pairs: one packet is one record. The only module that touches a socket's options.

May import: the standard library, our messages. Invariant: a packet is taken whole or refused; every packet that the
broker takes carries the kernel's word for the process that sent it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from typing import TYPE_CHECKING, Final

from trollbridge.messages.control import MOST_GIVEN
from trollbridge.messages.errors import Malformed, TrollbridgeError
from trollbridge.messages.limits import LARGEST_RECORD

if TYPE_CHECKING:
    from collections.abc import Iterable

SEND_BUFFER: Final = 4 * LARGEST_RECORD
"""Bytes asked for; the kernel may grant less. One record must fit."""
_CREDENTIALS: Final = struct.Struct("3i")
_SPACE: Final = socket.CMSG_SPACE(_CREDENTIALS.size)
_DESCRIPTORS: Final = socket.CMSG_SPACE(4 * (1 + MOST_GIVEN))


class LinkLost(TrollbridgeError):
    """The other end of the socket is gone."""


def pair() -> tuple[socket.socket, socket.socket]:
    """Return a connected pair, close-on-exec."""
    both = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in both:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    return both


def demand_credentials(end: socket.socket) -> None:
    """Have the kernel attach the sender's PID to every packet that arrives here."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)


def receive_from(end: socket.socket, buffer: bytearray) -> tuple[int, int]:
    """Take one packet into `buffer`; return (its length, the PID that sent it). Length 0 is the end of the file.

    Raises `BlockingIOError` if there is none, `Malformed` for one that did not fit, or came with a descriptor.
    """
    length, pid, _ = receive_given(end, buffer, 0)
    return length, pid


def receive_given(end: socket.socket, buffer: bytearray, most: int) -> tuple[int, int, list[int]]:
    """Take one packet as `receive_from` does, and up to `most` descriptors that came with it, close-on-exec.

    Raises as `receive_from`; `Malformed` for more descriptors, of which then none is left open.
    """
    space = _SPACE + (socket.CMSG_SPACE(4 * most) if most else 0)
    wanted = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
    try:
        length, ancillary, flags, _ = end.recvmsg_into([buffer], space, wanted)
    except ConnectionResetError:  # it ended with something unread: told once, and before what it had still sent
        length, ancillary, flags, _ = end.recvmsg_into([buffer], space, wanted)
    pid = 0
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_CREDENTIALS:
            pid = _CREDENTIALS.unpack(data)[0]
    given = _given(ancillary)
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) or len(given) > most:
        close_all(given)
        raise Malformed
    return length, pid, given


def _given(ancillary: Iterable[tuple[int, int, bytes]]) -> list[int]:
    """Return the descriptors that came with a packet."""
    found: list[int] = []
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found += struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4])
    return found


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors that nobody wants."""
    for each in descriptors:
        os.close(each)


def send_with(end: socket.socket, data: bytes, descriptors: tuple[int, ...]) -> None:
    """Send one packet, with copies of `descriptors`."""
    if descriptors:
        socket.send_fds(end, [data], list(descriptors))
    else:
        end.send(data)


def receive_with(end: socket.socket, size: int, *, flags: int = 0) -> tuple[bytes, list[int]]:
    """Take one packet of at most `size` bytes and the descriptors that came with it, close-on-exec."""
    data, ancillary, received, _ = end.recvmsg(size, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC | flags)
    descriptors = _given(ancillary)
    if received & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        close_all(descriptors)
        raise Malformed
    return data, descriptors


def receive_alone(end: socket.socket, buffer: bytearray, *, flags: int = 0) -> bytes:
    """Take one packet through `buffer`; descriptors that came with it are closed by the kernel, unseen."""
    length = end.recv_into(buffer, 0, socket.MSG_TRUNC | flags)  # MSG_TRUNC: the whole length, whatever fitted
    if length > len(buffer):
        raise Malformed
    return bytes(memoryview(buffer)[:length])


def cut(end: socket.socket) -> None:
    """Shut both directions down, so that whoever waits on either end wakes up; closing comes later."""
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
