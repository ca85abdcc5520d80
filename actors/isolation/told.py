"""What a recorded process was about to do, read from the kernel's notification and from the process's memory.

May import: the other modules of this folder. Invariants: nothing is changed in the process, and it is let go on
whatever was found; a path is what the kernel will take it for, as far as that can be known beforehand.

Source: seccomp_unotify(2), <linux/seccomp.h>; proc(5).
"""

from __future__ import annotations

import contextlib
import enum
import fcntl
import functools
import os
import socket
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.actors.isolation import kernel
from trollbridge.actors.isolation.syscalls import TABLES, here

if TYPE_CHECKING:
    from collections.abc import Iterator

_RECEIVE: Final = 0xC050_2100
_SEND: Final = 0xC018_2101
_STILL: Final = 0x4008_2102
"""SECCOMP_IOCTL_NOTIF_RECV, _SEND, _ID_VALID."""
_NOTIFICATION: Final = struct.Struct("=QIIiIQ6Q")
_CONTINUE: Final = 1
_AT_FDCWD: Final = -100
_CLONE_THREAD: Final = 0x10000
_LONGEST: Final = 4096
_PAGE: Final = 4096
_ACCESS_MODE, _CREATE = os.O_ACCMODE, os.O_CREAT | os.O_TMPFILE & ~os.O_DIRECTORY


class Act(enum.StrEnum):
    """What a call was about to do, as far as a sandbox is concerned."""

    READ = "read"
    LIST = "list"
    """Open a folder."""
    WRITE = "write"
    """Change a file that is there."""
    MAKE = "make"
    """Make a file, or change one that would have been made; or make a second name of one."""
    FOLDER = "make a folder"
    REMOVE = "remove"
    """Take a name away."""
    LOOK = "look at"
    """Ask what there is, without opening it."""
    MISS = "miss"
    """Open what is not there."""
    EXECUTE = "execute"
    SOCKET = "socket"
    CONNECT = "connect"
    THREAD = "thread"
    FORK = "fork"
    OTHER = "other"
    """What no sandbox allows."""


class Told(NamedTuple):
    """One call of a process."""

    own: bool
    """Whether the member itself made it, rather than a program that it started."""
    call: str
    act: Act
    subject: str = ""
    """A path; `tcp`, `udp`, `unix`; `tcp:PORT`; or nothing."""


_LOOKING: Final = {
    **dict.fromkeys(("stat", "lstat", "access", "readlink"), (None, 0)),
    **dict.fromkeys(("newfstatat", "faccessat", "readlinkat"), (0, 1)),
}
_CHANGING: Final[dict[str, tuple[tuple[Act, int | None, int], ...]]] = {
    "creat": ((Act.MAKE, None, 0),),
    "truncate": ((Act.WRITE, None, 0),),
    "mkdir": ((Act.FOLDER, None, 0),),
    "mkdirat": ((Act.FOLDER, 0, 1),),
    "rmdir": ((Act.REMOVE, None, 0),),
    "unlink": ((Act.REMOVE, None, 0),),
    "unlinkat": ((Act.REMOVE, 0, 1),),
    "rename": ((Act.REMOVE, None, 0), (Act.MAKE, None, 1)),
    "renameat": ((Act.REMOVE, 0, 1), (Act.MAKE, 2, 3)),
    "renameat2": ((Act.REMOVE, 0, 1), (Act.MAKE, 2, 3)),
    "execve": ((Act.EXECUTE, None, 0),),
    "execveat": ((Act.EXECUTE, 0, 1),),
}
"""What each call does to which argument: the descriptor of a folder, if it takes one, and a path."""


class _Call(NamedTuple):
    """One notification."""

    number: int
    task: int
    name: str
    arguments: tuple[int, ...]


def listener_of(pid: int, pidfd: int) -> int:
    """Return a descriptor of the listener that a process has made; raises `OSError` if there is none, or no right."""
    folder = f"/proc/{pid}/fd"
    for each in os.listdir(folder):  # noqa: PTH208  # names only
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(f"{folder}/{each}") == "anon_inode:seccomp notify":  # noqa: PTH115
                return kernel.syscall("pidfd_getfd", pidfd, int(each), 0)
    msg = "it has no listener"
    raise OSError(msg)


def take(listener: int, member: int) -> list[Told]:
    """Take the next call of the member whose PID is `member`, or of a program of it; let it go on; return what it was.

    Raises `OSError` if it has gone in the meantime.
    """
    raw = bytearray(_NOTIFICATION.size)
    fcntl.ioctl(listener, _RECEIVE, raw)
    identity, task, _, number, architecture, _, *arguments = _NOTIFICATION.unpack(raw)
    name = _names().get(number, f"call {number}") if architecture == here() else f"foreign call {number}"
    try:
        found = list(_understood(_Call(identity, task, name, tuple(arguments)), member))
        fcntl.ioctl(listener, _STILL, struct.pack("=Q", identity))  # else what was read may be another process's
    finally:
        with contextlib.suppress(FileNotFoundError):  # it was killed, or a signal interrupted it and it calls again
            fcntl.ioctl(listener, _SEND, bytearray(struct.pack("=QqiI", identity, 0, 0, _CONTINUE)))
    return found


@functools.cache
def _names() -> dict[int, str]:
    return {number: name for name, number in TABLES[here()].items()}


def _understood(call: _Call, member: int) -> Iterator[Told]:
    group = _group(call.task)
    own = group == member
    for act, subject in _acts(call, group):
        yield Told(own, call.name, act, subject)


def _acts(call: _Call, group: int) -> Iterator[tuple[Act, str]]:
    name, arguments = call.name, call.arguments
    if name in ("open", "openat"):
        first = 0 if name == "open" else 1
        yield from _opened(_path(call, first - 1 if first else None, first), arguments[first + 1])
    elif name in _LOOKING:
        path = _path(call, *_LOOKING[name])
        if os.path.lexists(path):
            yield Act.LOOK, path
    elif name in _CHANGING:
        for act, folder, at in _CHANGING[name]:
            path = _path(call, folder, at, follow=act in (Act.WRITE, Act.EXECUTE))
            if act in (Act.MAKE, Act.FOLDER) or os.path.lexists(path):
                yield act, path
    elif name == "socket":
        yield Act.SOCKET, _kind(arguments[0], arguments[1])
    elif name == "connect":
        yield from _connected(call, group)
    elif name in ("clone", "fork", "vfork"):
        yield (Act.THREAD if name == "clone" and arguments[0] & _CLONE_THREAD else Act.FORK), ""
    else:
        yield Act.OTHER, ""


def _opened(path: str, flags: int) -> Iterator[tuple[Act, str]]:
    there = os.path.lexists(path)
    if flags & _ACCESS_MODE == os.O_RDONLY and not flags & (_CREATE | os.O_TRUNC):
        act = Act.READ if there else Act.MISS
        yield (Act.LIST if os.path.isdir(path) else act), path  # noqa: PTH112
    elif there and not os.path.isdir(path):  # noqa: PTH112
        anew = flags & os.O_CREAT and os.path.isfile(path)  # noqa: PTH113  # elsewhere, or the next time, it is missing
        yield (Act.MAKE if anew else Act.WRITE), path
    elif there:  # a file without a name in that folder
        yield Act.MAKE, f"{path}/nameless"
    else:
        yield (Act.MAKE if flags & os.O_CREAT else Act.MISS), path


def _connected(call: _Call, group: int) -> Iterator[tuple[Act, str]]:
    address = _memory(call.task, call.arguments[1], min(call.arguments[2], 128))
    family = struct.unpack_from("=H", address)[0] if len(address) > 1 else 0
    if family in (socket.AF_INET, socket.AF_INET6):
        if _is_stream(group, call.arguments[0] & 0x7FFF_FFFF):
            yield Act.CONNECT, f"tcp:{struct.unpack_from('!H', address, 2)[0]}"
    elif family == socket.AF_UNIX:
        yield Act.CONNECT, "unix"


def _is_stream(group: int, descriptor: int) -> bool:
    pidfd = os.pidfd_open(group)
    try:
        with socket.socket(fileno=kernel.syscall("pidfd_getfd", pidfd, descriptor, 0)) as copy:
            return copy.type is socket.SOCK_STREAM
    finally:
        os.close(pidfd)


def _kind(family: int, kind: int) -> str:
    """Return what a sandbox calls a kind of socket; for one that none allows, its numbers."""
    base = kind & 0xF
    if family == socket.AF_UNIX:
        return "unix"
    if family in (socket.AF_INET, socket.AF_INET6) and base in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        return "tcp" if base == socket.SOCK_STREAM else "udp"
    return f"family {family}, type {base}"


# The process.


def _group(task: int) -> int:
    """Return the PID of the process that a thread belongs to."""
    with open(f"/proc/{task}/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
        return int(next(line for line in status if line.startswith("Tgid:")).split()[1])


def _memory(task: int, address: int, size: int) -> bytes:
    with open(f"/proc/{task}/mem", "rb", buffering=0) as memory:  # noqa: PTH123
        return os.pread(memory.fileno(), size, address)


def _text(task: int, address: int) -> str:
    """Return the string at an address, which ends with a zero byte."""
    found = b""
    with open(f"/proc/{task}/mem", "rb", buffering=0) as memory:  # noqa: PTH123
        while b"\0" not in found and len(found) < _LONGEST:
            at = address + len(found)
            found += os.pread(memory.fileno(), _PAGE - at % _PAGE, at)
    return os.fsdecode(found.partition(b"\0")[0])


def _path(call: _Call, folder: int | None, at: int, *, follow: bool = True) -> str:
    """Return an absolute path without symbolic links, but for the last component unless `follow`."""
    text = _text(call.task, call.arguments[at])
    if not text.startswith("/"):
        descriptor = (
            _AT_FDCWD if folder is None else struct.unpack("=i", struct.pack("=Q", call.arguments[folder])[:4])[0]
        )
        base = f"/proc/{call.task}/" + ("cwd" if descriptor == _AT_FDCWD else f"fd/{descriptor}")
        text = os.path.join(os.readlink(base), text)  # noqa: PTH115, PTH118
    if text.startswith(("/proc/", "/sys/")):
        return os.path.normpath(text)  # `self` would be somebody else here
    if follow:
        return os.path.realpath(text)
    head, tail = os.path.split(text.rstrip("/"))
    return os.path.join(os.path.realpath(head), tail)  # noqa: PTH118
