"""Attacks on what /proc shows of another process of the same user, and lets others change.

May import: our actors' isolation, `attempt`. Invariant: the only process aimed at is the ground's victim.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import kernel
from trollbridge.ui_adapter.attack.attempt import (
    BUILD,
    NO_NEEDS,
    ROOT,
    contents,
    on_victim,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.attack.ground import Ground
    from trollbridge.ui_adapter.attack.needs import Need

_BUILT: Final = frozenset({"numa_maps", "pagemap", "io", "clear_refs", "syscall", "personality", "map_files"})
_READ: Final = (
    ("environ", "its environment"),
    ("auxv", "where its parts lie"),
    ("maps", "the map of its memory"),
    ("smaps", "the map in detail"),
    ("smaps_rollup", "a summary of the map"),
    ("numa_maps", "the map by memory node"),
    ("pagemap", "which pages it has"),
    ("syscall", "the call it is in"),
    ("personality", "its personality"),
    ("io", "what it reads and writes"),
    ("timerslack_ns", "its timer slack"),
    ("coredump_filter", "what its core file would hold"),
)
_PUBLIC: Final = (
    ("stat", "its state"),
    ("status", "its status"),
    ("cmdline", "its command line"),
    ("comm", "its name"),
    ("limits", "its limits"),
    ("cgroup", "its control group"),
    ("oom_score", "how soon it would be killed for memory"),
    ("mountinfo", "its mounts"),
)
_LISTED: Final = ("fd", "fdinfo", "map_files", "task", "ns", "net")
_LINKED: Final = ("cwd", "root", "exe", "ns/user", "ns/mnt")
_WRITTEN_TO: Final = (
    ("clear_refs", b"1", "which pages it uses"),
    ("coredump_filter", b"0", "what its core file would hold"),
    ("oom_score_adj", b"1000", "how soon it is killed for memory"),
    ("timerslack_ns", b"1000000000", "its timer slack"),
)


def _whole(_ground: Ground, found: bytes) -> bool:
    """Tell whether anything was read."""
    return bool(found)


def read_proc(name: str) -> Callable[[Ground], bytes]:
    """Return an act that reads a file of /proc about the victim."""
    return lambda ground: contents(os.open(f"/proc/{ground.victim.pid}/{name}", os.O_RDONLY))


def write_proc(name: str, text: bytes) -> Callable[[Ground], None]:
    """Return an act that writes to a file of /proc about the victim."""

    def act(ground: Ground) -> None:
        os.write(os.open(f"/proc/{ground.victim.pid}/{name}", os.O_WRONLY), text)

    return act


def list_proc(name: str) -> Callable[[Ground], bytes]:
    """Return an act that lists a folder of /proc about the victim."""
    return lambda ground: os.fsencode(" ".join(os.listdir(f"/proc/{ground.victim.pid}/{name}")))  # noqa: PTH208  # names only


def link_proc(name: str) -> Callable[[Ground], bytes]:
    """Return an act that reads a link of /proc about the victim."""
    return lambda ground: os.fsencode(os.readlink(f"/proc/{ground.victim.pid}/{name}"))  # noqa: PTH115  # the system call


def _enter(ground: Ground) -> None:
    descriptor = os.open(f"/proc/{ground.victim.pid}/ns/user", os.O_RDONLY)
    with contextlib.suppress(OSError):  # it is our own namespace, which EINVAL says
        kernel.syscall("setns", descriptor, 0)


def _needs(name: str) -> frozenset[Need]:
    """Return what a file of /proc needs: some kernels are built without it; one is for root, if it is another's."""
    if name == "timerslack_ns":
        return ROOT
    return BUILD if name in _BUILT else NO_NEEDS


PROC: Final = (
    on_victim("setns", "Open its user namespace, to enter it", _enter),
    *(on_victim(f"proc-{name}", f"Read {title}", read_proc(name), _whole, needs=_needs(name)) for name, title in _READ),
    *(on_victim(f"proc-{name}", f"Read {title}", read_proc(name), _whole) for name, title in _PUBLIC),
    *(
        on_victim(f"proc-{name}", f"List its /proc/PID/{name}", list_proc(name), _whole, needs=_needs(name))
        for name in _LISTED
    ),
    *(
        on_victim(f"proc-{name.replace('/', '-')}-link", f"Read /proc/PID/{name}", link_proc(name), _whole)
        for name in _LINKED
    ),
    *(
        on_victim(f"proc-{name}-write", f"Change {title}", write_proc(name, text), needs=_needs(name))
        for name, text, title in _WRITTEN_TO
    ),
)
