"""What an attack needs of a machine before it can show anything, and whether this one has it.

May import: the standard library. Invariant: a need is decided by what the kernel says of itself, never by trying the
attack; only `Need.BUILD` is decided by trying, since a kernel does not tell with what it was built.
"""

from __future__ import annotations

import enum
import os
import resource
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Need(enum.StrEnum):
    """What must be there for an attack to work on an unlocked process."""

    ROOT = "it is for root"
    USER = "it is for an ordinary user; root may do it anyway"
    X86 = "x86-64 has the call"
    USER_NAMESPACES = "user namespaces for everyone (user.max_user_namespaces)"
    BPF = "bpf(2) for everyone (kernel.unprivileged_bpf_disabled)"
    PERF = "performance events for everyone (kernel.perf_event_paranoid)"
    IO_URING = "io_uring for everyone (kernel.io_uring_disabled)"
    FAST_OPEN = "TCP Fast Open for clients (net.ipv4.tcp_fastopen)"
    TYPING = "typing into one's own terminal (dev.tty.legacy_tiocsti)"
    CORE = "core files in the folder of the process (kernel.core_pattern, ulimit -Hc)"
    SHARED_FOLDER = "a folder in memory for everyone (/dev/shm)"
    TWO_CPUS = "a second processor"
    BUILD = "a kernel that is built with it, and a system that does not forbid it"


def _setting(name: str, default: int) -> int:
    """Return the number in /proc/sys/`name`; `default` where there is none."""
    try:
        with open(f"/proc/sys/{name}", encoding="ascii") as file:  # noqa: PTH123  # one plain read
            return int(file.read().split()[0])
    except (OSError, ValueError, IndexError):
        return default


def _core_file() -> bool:
    try:
        with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:  # noqa: PTH123  # one plain read
            relative = not file.read().startswith(("|", "/", "@"))
    except (OSError, ValueError):
        return False
    return relative and resource.getrlimit(resource.RLIMIT_CORE)[1] != 0


def _root() -> bool:
    return os.geteuid() == 0


_MET: dict[Need, Callable[[], bool]] = {
    Need.ROOT: _root,
    Need.USER: lambda: not _root(),
    Need.X86: lambda: os.uname().machine == "x86_64",
    Need.USER_NAMESPACES: lambda: (
        _setting("user/max_user_namespaces", 1) > 0
        and (_root() or _setting("kernel/unprivileged_userns_clone", 1) > 0)
        and (_root() or _setting("kernel/apparmor_restrict_unprivileged_userns", 0) == 0)
    ),
    Need.BPF: lambda: _root() or _setting("kernel/unprivileged_bpf_disabled", 0) == 0,
    Need.PERF: lambda: _root() or _setting("kernel/perf_event_paranoid", 2) <= 2,  # noqa: PLR2004  # the kernel's own
    Need.IO_URING: lambda: _setting("kernel/io_uring_disabled", 0) <= (1 if _root() else 0),
    Need.FAST_OPEN: lambda: bool(_setting("net/ipv4/tcp_fastopen", 0) & 1),
    Need.TYPING: lambda: _root() or _setting("dev/tty/legacy_tiocsti", 1) == 1,
    Need.CORE: _core_file,
    Need.SHARED_FOLDER: lambda: os.access("/dev/shm", os.W_OK),  # noqa: S108  # asked about, not written to
    Need.TWO_CPUS: lambda: len(os.sched_getaffinity(0)) > 1,
    Need.BUILD: lambda: True,
}


def unmet(needs: frozenset[Need]) -> tuple[Need, ...]:
    """Return those of `needs` that this process does not find, in the order in which they are defined."""
    return tuple(each for each in Need if each in needs and not _MET[each]())
