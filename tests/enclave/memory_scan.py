"""A look through the memory of a running process: every mapping that can be read, and how often a secret stands there.

Imports nothing of ours. What the kernel does not let even root read is told apart: that is where long-lived keys lie.
Bytes that a process has freed are memory too, and are counted.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHUNK: Final = 16 << 20
"""Bytes that are looked at together."""
SECRET_PAGES: Final = "/secretmem"
"""How the kernel names the pages of memfd_secret(2) in /proc/PID/maps."""
PATIENCE: Final = 60.0
"""Seconds within which a process comes to rest."""
OF_THE_KERNEL: Final = ("[vvar]", "[vvar_vclock]", "[vsyscall]")
"""The clock's pages and a call gate, the same in every process; the kernel reads them to nobody."""


class Area(NamedTuple):
    """One line of /proc/PID/maps: addresses, access, and the file or purpose."""

    start: int
    end: int
    access: str
    name: str


class Found(NamedTuple):
    """What a scan came to: how often each secret stands in readable memory, and what could not be read."""

    counts: dict[str, int]
    unreadable: tuple[Area, ...]
    size: int
    """Bytes that were looked at."""


def areas(pid: int) -> list[Area]:
    """Return every mapping of a process; raises `PermissionError` where the kernel keeps them from this user."""
    found: list[Area] = []
    for line in Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines():
        fields = line.split(maxsplit=5)
        start, end = (int(each, 16) for each in fields[0].split("-"))
        found.append(Area(start, end, fields[1], fields[5] if len(fields) > 5 else ""))
    return found


def secret_pages(pid: int) -> list[Area]:
    """Return the mappings of memfd_secret(2)."""
    return [each for each in areas(pid) if each.name.startswith(SECRET_PAGES)]


def scan(pid: int, secrets: Mapping[str, bytes], chunk: int = CHUNK, *, writable: bool = False) -> Found:
    """Count each secret in all readable memory of a process; raises `PermissionError` where it cannot be opened.

    The process must be at rest: where mappings came or went meanwhile, as just after an answer, all is looked at anew,
    for some time.

    `writable`: only in what the process can write to: the rest, code and constants, is what it was when it was mapped.
    """
    until = time.monotonic() + PATIENCE
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY | os.O_CLOEXEC)
    try:
        before = areas(pid)
        while True:
            wanted = [each for each in before if "w" in each.access or not writable]
            found = _scan(memory, wanted, secrets, chunk)
            after = areas(pid)
            if after == before:
                return found
            assert time.monotonic() < until, "the process does not come to rest"
            before = after
    finally:
        os.close(memory)


def _scan(memory: int, where: list[Area], secrets: Mapping[str, bytes], chunk: int) -> Found:
    counts = dict.fromkeys(secrets, 0)
    unreadable: list[Area] = []
    size = 0
    overlap = max(map(len, secrets.values())) - 1
    for area in where:
        if area.name in OF_THE_KERNEL:
            continue
        try:
            for kept, block in _blocks(memory, area, chunk, overlap):
                size += len(block) - kept
                for name, secret in secrets.items():
                    counts[name] += _count(block, secret, kept)
        except OSError as error:
            if error.errno not in {errno.EIO, errno.EFAULT}:
                raise
            unreadable.append(area)
    return Found(counts, tuple(unreadable), size)


def _blocks(memory: int, area: Area, chunk: int, overlap: int) -> Iterator[tuple[int, bytes]]:
    """Yield the bytes of a mapping in blocks, each with how many bytes at its start the last one ended with."""
    at, tail = area.start, b""
    while at < area.end:
        fresh = os.pread(memory, min(chunk, area.end - at), at)
        if not fresh:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        at += len(fresh)
        block = tail + fresh
        yield len(tail), block
        tail = block[-overlap:] if overlap else b""


def _count(block: bytes, secret: bytes, kept: int) -> int:
    """Count the places at which `secret` ends beyond the first `kept` bytes: the others were counted before."""
    count, at = 0, block.find(secret)
    while at >= 0:
        count += at + len(secret) > kept
        at = block.find(secret, at + 1)
    return count
