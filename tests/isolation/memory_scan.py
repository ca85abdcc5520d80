"""How often some bytes lie in the memory of a process: every mapping of /proc/PID/maps, read through /proc/PID/mem."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_OF_THE_KERNEL = ("[vvar]", "[vvar_vclock]", "[vsyscall]")


class Found(NamedTuple):
    """The result of a scan."""

    copies: int
    unreadable: tuple[str, ...]
    """The names of the mappings that cannot be read."""


def scan(pid: int, wanted: bytes) -> Found:
    """Count `wanted` in the memory of a process; raises `PermissionError` if that may not be looked into."""
    copies, unreadable = 0, list[str]()
    memory = os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    try:
        for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
            bounds, access, _, _, _, name = [*line.split(maxsplit=5), ""][:6]
            start, end = (int(each, 16) for each in bounds.split("-"))
            if "r" not in access or name in _OF_THE_KERNEL:
                continue
            try:
                copies += os.pread(memory, end - start, start).count(wanted)
            except OSError:
                unreadable.append(name)
    finally:
        os.close(memory)
    return Found(copies, tuple(unreadable))
