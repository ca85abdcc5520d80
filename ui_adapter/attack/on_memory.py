"""Attacks on the memory and the descriptors of another process of the same user.

May import: our actors' isolation, `attempt`, `victim`. Invariant: the only process aimed at is the ground's victim.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import kernel
from trollbridge.ui_adapter.attack.attempt import (
    BUILD,
    ROOT,
    forgotten,
    on_victim,
    shows_canary,
)
from trollbridge.ui_adapter.attack.needs import Need
from trollbridge.ui_adapter.attack.victim import Lost

if TYPE_CHECKING:
    from trollbridge.ui_adapter.attack.ground import Ground

_ATTACH: Final = 16
_PEEK: Final = 2
_POKE: Final = 5
_SEIZE: Final = 0x4206
_INTERRUPT: Final = 0x4207
_WALL: Final = 0x40000000
_WRITTEN: Final = b"POKED!!!"
_COLD: Final = 20
_KCMP_VM: Final = 1


def _poked(ground: Ground, _found: bytes) -> bool:
    with contextlib.suppress(Lost):
        return ground.victim.memory(len(ground.canary)) != ground.canary
    return False


def _attached(ground: Ground) -> int:
    kernel.syscall("ptrace", _ATTACH, ground.victim.pid, 0, 0)
    os.waitpid(ground.victim.pid, _WALL)
    return ground.victim.pid


def _peeked(ground: Ground) -> bytes:
    pid = _attached(ground)
    word = ctypes.create_string_buffer(8)
    found = b""
    for offset in range(0, len(ground.canary) // 8 * 8, 8):
        kernel.syscall("ptrace", _PEEK, pid, ground.victim.address + offset, word)
        found += word.raw
    return found


def _most_of_canary(ground: Ground, found: bytes) -> bool:
    return len(found) >= 8 and ground.canary.startswith(found)  # noqa: PLR2004  # one word at least


def _wrote_by_ptrace(ground: Ground) -> None:
    pid = _attached(ground)
    kernel.syscall("ptrace", _POKE, pid, ground.victim.address, int.from_bytes(_WRITTEN, "little"))
    kernel.syscall("ptrace", 17, pid, 0, 0)  # PTRACE_DETACH: it runs on


def _seized(ground: Ground) -> None:
    kernel.syscall("ptrace", _SEIZE, ground.victim.pid, 0, 0)
    kernel.syscall("ptrace", _INTERRUPT, ground.victim.pid, 0, 0)
    os.waitpid(ground.victim.pid, _WALL)


def _vector(address: int, size: int) -> bytes:
    return struct.pack("=QQ", address, size)


def _read_memory(ground: Ground) -> bytes:
    buffer = ctypes.create_string_buffer(len(ground.canary))
    ours = _vector(ctypes.addressof(buffer), len(ground.canary))
    theirs = _vector(ground.victim.address, len(ground.canary))
    kernel.syscall("process_vm_readv", ground.victim.pid, ours, 1, theirs, 1, 0)
    return buffer.raw


def _write_memory(ground: Ground) -> None:
    buffer = ctypes.create_string_buffer(_WRITTEN)
    ours = _vector(ctypes.addressof(buffer), len(_WRITTEN))
    theirs = _vector(ground.victim.address, len(_WRITTEN))
    kernel.syscall("process_vm_writev", ground.victim.pid, ours, 1, theirs, 1, 0)


def _through_memory_file(ground: Ground) -> bytes:
    return os.pread(os.open(f"/proc/{ground.victim.pid}/mem", os.O_RDONLY), len(ground.canary), ground.victim.address)


def _into_memory_file(ground: Ground) -> None:
    os.pwrite(os.open(f"/proc/{ground.victim.pid}/mem", os.O_RDWR), _WRITTEN, ground.victim.address)


def _through_descriptor_link(ground: Ground) -> bytes:
    return os.pread(os.open(f"/proc/{ground.victim.pid}/fd/{ground.victim.file}", os.O_RDONLY), 4096, 0)


def _taken(ground: Ground, theirs: int) -> int:
    return kernel.syscall("pidfd_getfd", kernel.syscall("pidfd_open", ground.victim.pid, 0), theirs, 0)


def _through_taken(ground: Ground) -> bytes:
    return os.pread(_taken(ground, ground.victim.file), 4096, 0)


def _speak_for_it(ground: Ground) -> None:
    os.write(_taken(ground, ground.victim.their_link), b"forged")


def _was_spoken_for(ground: Ground, _found: bytes) -> bool:
    return ground.victim.link.recv(16) == b"forged"


def _where_pages_are(ground: Ground) -> None:
    page = (ground.victim.page + 4095) // 4096 * 4096
    kernel.syscall("move_pages", ground.victim.pid, 1, struct.pack("=Q", page), 0, ctypes.create_string_buffer(8), 0)


def _migrate(ground: Ground) -> None:
    nodes = (1).to_bytes(8, "little")
    kernel.syscall("migrate_pages", ground.victim.pid, 64, nodes, nodes)


def _advise(ground: Ground) -> None:
    page = (ground.victim.page + 4095) // 4096 * 4096
    descriptor = kernel.syscall("pidfd_open", ground.victim.pid, 0)
    kernel.syscall("process_madvise", descriptor, _vector(page, 4096), 1, _COLD, 0)


def _release(ground: Ground) -> None:
    descriptor = kernel.syscall("pidfd_open", ground.victim.pid, 0)
    try:
        kernel.syscall("process_mrelease", descriptor, 0)
    except OSError as error:
        if error.errno != errno.EINVAL:  # it lives: the call reached it
            raise


def _count(ground: Ground) -> None:
    kernel.syscall("perf_event_open", performance_event(), ground.victim.pid, -1, -1, 0)


def performance_event() -> ctypes.Array[ctypes.c_char]:
    """Return a struct perf_event_attr for the time of a task in its own code: what an ordinary user may ask for."""
    return ctypes.create_string_buffer(struct.pack("=IIQQQQQ", 1, 112, 1, 0, 0, 0, 0x60).ljust(112, b"\0"))


def _locks_of_it(ground: Ground) -> None:
    head, size = ctypes.create_string_buffer(8), ctypes.create_string_buffer(8)
    kernel.syscall("get_robust_list", ground.victim.pid, head, size)


def _same_table(ground: Ground) -> None:
    kernel.syscall("kcmp", ground.victim.pid, ground.victim.pid, _KCMP_VM, 0, 0)


MEMORY: Final = (
    on_victim("ptrace-attach", "Attach to it", lambda g: forgotten(_attached(g))),
    on_victim("ptrace-seize", "Seize and interrupt it", _seized),
    on_victim("ptrace-peek", "Read its memory by ptrace(2)", _peeked, _most_of_canary),
    on_victim("ptrace-poke", "Write its memory by ptrace(2)", _wrote_by_ptrace, _poked),
    on_victim("vm-read", "Read its memory by process_vm_readv(2)", _read_memory, shows_canary),
    on_victim("vm-write", "Write its memory by process_vm_writev(2)", _write_memory, _poked),
    on_victim("mem-read", "Read /proc/PID/mem", _through_memory_file, shows_canary),
    on_victim("mem-write", "Write /proc/PID/mem", _into_memory_file, _poked),
    on_victim("fd-link", "Open a file of its own through /proc/PID/fd", _through_descriptor_link, shows_canary),
    on_victim("pidfd-getfd", "Take its descriptor", _through_taken, shows_canary),
    on_victim("speak-for-it", "Take its link, and speak on it", _speak_for_it, _was_spoken_for),
    on_victim("move-pages", "Ask where its pages are", _where_pages_are, needs=BUILD),
    on_victim("migrate-pages", "Move its pages", _migrate, needs=BUILD),
    on_victim("madvise", "Push its pages out", _advise, needs=ROOT),
    on_victim("mrelease", "Call for the release of its memory", _release),
    on_victim("perf", "Measure it", _count, needs=frozenset({Need.PERF, Need.BUILD})),
    on_victim("robust-list", "Ask where its locks are", _locks_of_it),
    on_victim("kcmp", "Compare its kernel objects", _same_table, needs=BUILD),
)
