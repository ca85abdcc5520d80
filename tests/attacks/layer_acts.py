"""Acts of a user interface or an extension that makes the most of a layer that is missing."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import ctypes
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from trollbridge.actors.supervision.spawn import CONTROL
from trollbridge.messages.envelope import Kind
from trollbridge.messages.record import Item, Routed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.puppet import Strings

_PTRACE_ATTACH = 16
_PIDFD_GETFD = 438
"""The number of the system call, on x86-64 and aarch64 alike."""


def _worked(attempt: Callable[[], object]) -> str:
    try:
        attempt()
    except OSError as error:
        return type(error).__name__
    return "worked"


def _traced(pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(_PTRACE_ATTACH, pid, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    os.waitpid(pid, 0)
    libc.ptrace(17, pid, 0, 0)


def _took_descriptor(pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    end = os.pidfd_open(pid)
    try:
        taken = libc.syscall(_PIDFD_GETFD, end, CONTROL, 0)
        if taken < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")
        os.close(taken)
    finally:
        os.close(end)


def reach_for(_strings: Strings, pid: int) -> dict[str, str]:
    """Try what one process can do to look into another; return what became of each attempt."""
    return {
        "memory": _worked(lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY))),
        "descriptors": _worked(lambda: os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208  # names only
        "environment": _worked(lambda: Path(f"/proc/{pid}/environ").read_bytes()),
        "trace": _worked(lambda: _traced(pid)),
        "take a descriptor": _worked(lambda: _took_descriptor(pid)),
    }


def read_file(_strings: Strings, path: str) -> bytes:
    """Read a file."""
    return Path(path).read_bytes()


def listen(_strings: Strings) -> None:
    """Open a port on the loopback interface, and close it."""
    with socket.socket() as end:
        end.bind(("127.0.0.1", 0))
        end.listen()


def end(_strings: Strings, pid: int) -> None:
    """Kill a process."""
    os.kill(pid, signal.SIGKILL)


def next_sequence(strings: Strings) -> int:
    """Return the sequence of the next call: one more than that of the last one that was remembered."""
    items: list[tuple[Item, bytes]] = strings.kept["items"]
    return 1 + max(item.sequence for item, _ in items if isinstance(item, Routed) and item.kind == Kind.CALL)


def meddle_with_the_next_call(strings: Strings, uid: bytes) -> None:
    """Change the next packet on its way out, as somebody between this process and the broker could.

    With a `uid` it gets that one in its header, instead of its own; else one bit of its body is turned.
    """
    tapped, items = strings.tap.sockets[1], strings.kept["items"]
    send = tapped.send

    def meddling(data: bytes, flags: int = 0) -> int:
        tapped.send = send  # type: ignore[method-assign]
        if not uid:
            return send(data[:-100] + bytes([data[-100] ^ 1]) + data[-99:], flags)
        own = items[-1][0].uid
        if data.count(own) != 1:
            raise LookupError
        return send(data.replace(own, uid), flags)

    tapped.send = meddling  # type: ignore[method-assign]
