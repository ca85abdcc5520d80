"""What /proc tells about a process from outside: descriptors, sockets, arguments, environment. Imports nothing of ours.

Without root, the kernel keeps the descriptors and the environment of a process that is not dumpable from everybody:
then a function here returns None, and that is one of the things that tests assert.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

PATIENCE = 20.0
GLANCE = 0.01
"""Seconds between two looks."""
LISTENING_TCP = "0A"  # <net/tcp_states.h>: TCP_LISTEN
BOUND_UDP = "07"  # an unconnected UDP socket that has a port
ACCEPTING = 0x10000  # <linux/net.h>: __SO_ACCEPTCON, in the flags of /proc/net/unix
KERNEL_NAME = re.compile(r"@[0-9a-f]{5}", re.ASCII)


def descriptors(pid: int) -> dict[int, str] | None:
    """Return what each descriptor of a process is: a path, `socket:[inode]`, `pipe:[inode]`, `anon_inode:…`."""
    found: dict[int, str] = {}
    try:
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                found[int(each.name)] = str(each.readlink())
    except PermissionError:
        return None
    except FileNotFoundError:  # it has ended
        pass
    return found


def descriptors_at_rest(pid: int, expected: int, seconds: float = PATIENCE) -> int:
    """Return how many descriptors a process has once they are as many as expected; what there are in the end, if not.

    A process that has just answered may not have closed yet what it answered over.
    """
    until = time.monotonic() + seconds
    while (count := len(descriptors(pid) or ())) != expected and time.monotonic() < until:
        threading.Event().wait(GLANCE)
    return count


def states(pid: int) -> set[str]:
    """Return the states of the threads of a process, as letters: `T` is stopped, `Z` has ended; none: it is gone."""
    found: set[str] = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for each in Path(f"/proc/{pid}/task").iterdir():
            found.add((each / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0])
    return found


def await_stopped(pid: int, seconds: float = PATIENCE) -> None:
    """Wait until a process that was sent SIGSTOP does nothing more, or has ended; raises `TimeoutError`."""
    until = time.monotonic() + seconds
    while not states(pid) <= {"T", "Z", "X"}:
        if time.monotonic() > until:
            raise TimeoutError
        threading.Event().wait(GLANCE)


def arguments(pid: int) -> bytes:
    """Return the command line of a process, which anybody may read."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def environment(pid: int) -> bytes | None:
    """Return the environment that a process was started with."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        return None


def memory_map(pid: int) -> str | None:
    """Return where everything lies in a process."""
    try:
        return Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
    except PermissionError:
        return None


def core_limit(pid: int) -> tuple[str, str]:
    """Return the soft and the hard limit of a process for core files."""
    for line in Path(f"/proc/{pid}/limits").read_text(encoding="ascii").splitlines():
        if line.startswith("Max core file size"):
            return line.split()[4], line.split()[5]
    raise LookupError


def _rows(name: str) -> list[list[str]]:
    try:
        lines = Path(f"/proc/net/{name}").read_text(encoding="ascii", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    return [line.split() for line in lines[1:]]


def listening() -> dict[int, str]:
    """Return the inode of every socket of this network name space on which somebody can be reached, and what it is."""
    found: dict[int, str] = {}
    for name, state in (("tcp", LISTENING_TCP), ("tcp6", LISTENING_TCP), ("udp", BOUND_UDP), ("udp6", BOUND_UDP)):
        found |= {int(row[9]): f"{name} {row[1]}" for row in _rows(name) if row[3] == state}
    for name in ("raw", "raw6", "packet"):
        found |= {int(row[9 if name != "packet" else 8]): name for row in _rows(name)}
    for row in _rows("unix"):
        named = row[7] if len(row) > 7 else ""
        if int(row[3], 16) & ACCEPTING or (named and not KERNEL_NAME.fullmatch(named)):
            found[int(row[6])] = f"unix {named}"
    return found


def kernel_names(inodes: set[int]) -> list[str]:
    """Return the abstract names, without the leading zero, that the kernel gave these sockets by itself.

    It does so for a socket with SO_PASSCRED once it sends (unix(7), "Autobind feature"); that opens nothing: a socket
    that is connected accepts nobody.
    """
    rows = [row for row in _rows("unix") if len(row) > 7 and int(row[6]) in inodes]
    return [row[7][1:] for row in rows if KERNEL_NAME.fullmatch(row[7])]


def sockets(pid: int) -> set[int] | None:
    """Return the inodes of the sockets of a process."""
    found = descriptors(pid)
    return None if found is None else sockets_among(found.values())


def sockets_among(found: Iterable[str]) -> set[int]:
    """Return the inodes of the sockets among descriptors that are told as `descriptors` tells them."""
    return {int(text[len("socket:[") : -1]) for text in found if text.startswith("socket:[")}
