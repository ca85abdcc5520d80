"""Attacks from inside on the kernel and the machine: namespaces, mounts, modules, clocks, names, shared objects.

May import: our actors' isolation, `attempt`, `on_memory`. Invariant: what could change the machine is asked for in a
form that the kernel refuses after it has checked who asks (a wrong magic number, a name that does not exist), or sets
what is set already.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import kernel
from trollbridge.ui_adapter.attack.attempt import (
    BUILD,
    ROOT,
    X86,
    Attempt,
    called,
    contents,
    forgotten,
    reached,
    shows_canary,
)
from trollbridge.ui_adapter.attack.inside_reading import HERE
from trollbridge.ui_adapter.attack.needs import Need
from trollbridge.ui_adapter.attack.on_memory import performance_event

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.attack.attempt import Act
    from trollbridge.ui_adapter.attack.ground import Ground

_NOWHERE: Final = b"/nowhere/trollbridge"
_NEW_USER: Final = 0x10000000
_NEW_MOUNTS: Final = 0x00020000
_NEW_NAMES: Final = 0x04000000
_NEW_NET: Final = 0x40000000
_USER_MODE_ONLY: Final = 1
_KEY_OF_PROCESS: Final = -2
_KEY_READ: Final = 11
_TICK: Final = 0x4000
_TIMEX_SIZE: Final = 208
_UNPRIVILEGED: Final = frozenset({Need.USER_NAMESPACES})


def _own_name(ground: Ground) -> None:
    del ground
    name = socket.gethostname().encode()
    kernel.syscall("sethostname", name, len(name))


def _same_tick(ground: Ground) -> None:
    """Set the length of the clock's tick to what it is."""
    del ground
    state = ctypes.create_string_buffer(_TIMEX_SIZE)
    kernel.syscall("clock_adjtime", 0, state)
    struct.pack_into("=I", state, 0, _TICK)
    kernel.syscall("clock_adjtime", 0, state)


def _program(ground: Ground) -> None:
    del ground
    kernel.syscall("bpf", 0, struct.pack("=IIII", 2, 4, 8, 1).ljust(72, b"\0"), 72)  # BPF_MAP_CREATE: an array


def _faults(ground: Ground) -> None:
    del ground
    kernel.syscall("userfaultfd", os.O_CLOEXEC | _USER_MODE_ONLY)


def _measure(ground: Ground) -> None:
    del ground
    kernel.syscall("perf_event_open", performance_event(), 0, -1, -1, 0)


def _own_key(ground: Ground) -> bytes:
    key = kernel.syscall("add_key", b"user", b"trollbridge", ground.canary, len(ground.canary), _KEY_OF_PROCESS)
    buffer = ctypes.create_string_buffer(128)
    kernel.syscall("keyctl", _KEY_READ, key, buffer, len(buffer))
    return buffer.raw


def _removed(make: str, arguments: tuple[int, ...], control: str, removal: tuple[int, ...]) -> Act:
    """Return an act that makes a System V object and removes it."""

    def act(_ground: Ground) -> None:
        kernel.syscall(control, kernel.syscall(make, *arguments), *removal)

    return act


def _queue(ground: Ground) -> None:
    name = ground.shared.encode()
    kernel.syscall("mq_open", name, os.O_CREAT | os.O_RDWR, 0o600, 0)
    kernel.syscall("mq_unlink", name)


def _namespace(kind: str) -> Callable[[Ground], None]:
    def keep(ground: Ground) -> None:
        ground.kept.append(os.open(f"/proc/self/ns/{kind}", os.O_RDONLY))

    return keep


def _setns(ground: Ground) -> None:
    kernel.syscall("setns", ground.kept[0], 0)


def _opened(path: str, flags: int = os.O_RDONLY) -> Callable[[Ground], None]:
    """Return an act that opens a file of the system's, and neither reads nor writes it."""
    return lambda _ground: forgotten(os.open(path, flags))


def _changed_root(ground: Ground) -> bytes:
    os.chroot(ground.home)
    return contents(os.open("/.ssh/id_canary", os.O_RDONLY))


def _mounted_at(ground: Ground) -> None:
    buffer = ctypes.create_string_buffer(4096)
    kernel.syscall("listmount", struct.pack("=IIQQQ", 32, 0, (1 << 64) - 1, 0, 0), buffer, 8, 0)
    del ground


NAMESPACES: Final = (
    Attempt(
        "S5.user-namespace",
        "Make a user namespace, with every capability in it",
        called("unshare", _NEW_USER),
        needs=_UNPRIVILEGED,
    ),
    Attempt("S5.mount-namespace", "Make a mount namespace", called("unshare", _NEW_MOUNTS), needs=ROOT),
    Attempt(
        "S5.mount-namespace-user",
        "Make a user and a mount namespace",
        called("unshare", _NEW_USER | _NEW_MOUNTS),
        needs=_UNPRIVILEGED,
    ),
    Attempt(
        "S5.network-namespace",
        "Make a user and a network namespace",
        called("unshare", _NEW_USER | _NEW_NET),
        needs=_UNPRIVILEGED,
    ),
    Attempt(
        "S5.setns", "Enter a namespace that was open before the lock", _setns, needs=ROOT, before=_namespace("uts")
    ),
    Attempt("S5.unshare-files", "Get a descriptor table of one's own", called("unshare", 0x400)),
    Attempt("S5.chroot", "Change the root folder, and read there", _changed_root, shows_canary, ROOT),
    Attempt(
        "S5.pivot-root",
        "Pivot the root folder",
        reached("pivot_root", b".", b".", errors=(errno.EINVAL, errno.EBUSY)),
        needs=ROOT,
    ),
    Attempt(
        "S5.mount",
        "Mount a file system that does not exist",
        reached("mount", b"none", b"/", b"trollbridge", 0, 0, errors=(errno.ENODEV,)),
        needs=ROOT,
    ),
    Attempt(
        "S5.unmount", "Unmount what is no mount", reached("umount2", _NOWHERE, 0, errors=(errno.ENOENT,)), needs=ROOT
    ),
    Attempt("S5.fsopen", "Open a file system's context", called("fsopen", b"tmpfs", 0), needs=ROOT | BUILD),
    Attempt(
        "S5.move-mount",
        "Move a mount that does not exist",
        reached("move_mount", HERE, _NOWHERE, HERE, _NOWHERE, 0, errors=(errno.ENOENT,)),
        needs=ROOT | BUILD,
    ),
    Attempt("S5.list-mounts", "List the mounts", _mounted_at, needs=BUILD),
)
MACHINE: Final = (
    Attempt("S5.bpf", "Load a map for programs in the kernel", _program, needs=frozenset({Need.BPF, Need.BUILD})),
    Attempt("S5.userfaultfd", "Take one's own page faults", _faults, needs=BUILD),
    Attempt("S5.perf", "Measure oneself", _measure, needs=frozenset({Need.PERF, Need.BUILD})),
    Attempt(
        "S5.module",
        "Load an empty module",
        reached("init_module", b"", 0, b"", errors=(errno.ENOEXEC, errno.EINVAL)),
        needs=ROOT | BUILD,
    ),
    Attempt(
        "S5.module-remove",
        "Remove a module that does not exist",
        reached("delete_module", b"trollbridge", 0, errors=(errno.ENOENT,)),
        needs=ROOT | BUILD,
    ),
    Attempt(
        "S5.kexec",
        "Load a kernel with flags that do not exist",
        reached("kexec_load", 0, 0, 0, 0x7FFF0000, errors=(errno.EINVAL,)),
        needs=ROOT | BUILD,
    ),
    Attempt(
        "S5.reboot",
        "Reboot by the wrong magic number",
        reached("reboot", 1, 1, 1, 0, errors=(errno.EINVAL,)),
        needs=ROOT,
    ),
    Attempt(
        "S5.swap-on",
        "Swap to a file that does not exist",
        reached("swapon", _NOWHERE, 0, errors=(errno.ENOENT,)),
        needs=ROOT | BUILD,
    ),
    Attempt(
        "S5.swap-off",
        "Stop swapping to it",
        reached("swapoff", _NOWHERE, errors=(errno.ENOENT, errno.EINVAL)),
        needs=ROOT | BUILD,
    ),
    Attempt(
        "S5.accounting",
        "Account to a file that does not exist",
        reached("acct", _NOWHERE, errors=(errno.ENOENT,)),
        needs=ROOT | BUILD,
    ),
    Attempt(
        "S5.quota",
        "Ask for quotas of a device that does not exist",
        reached("quotactl", 0x80000700, _NOWHERE, 0, 0, errors=(errno.ENOENT, errno.ENOTBLK)),
        needs=BUILD,
    ),
    Attempt("S5.kernel-log", "Ask for the size of the kernel's log", called("syslog", 10, 0, 0), needs=ROOT),
    Attempt("S5.kernel-log-device", "Open the kernel's log", _opened("/dev/kmsg"), needs=ROOT | BUILD),
    Attempt(
        "S5.kernel-setting",
        "Open a setting of the kernel for writing",
        _opened("/proc/sys/kernel/core_pattern", os.O_WRONLY),
        needs=ROOT | BUILD,
    ),
    Attempt("S5.kernel-symbols", "Open the kernel's symbols", _opened("/proc/kallsyms"), needs=BUILD),
    Attempt(
        "S5.device-tree", "Open a file of /sys", _opened("/sys/kernel/mm/transparent_hugepage/enabled"), needs=BUILD
    ),
    Attempt("S5.clock", "Set the clock's tick to what it is", _same_tick, needs=ROOT),
    Attempt("S5.host-name", "Set the host's name to what it is", _own_name, needs=ROOT),
    Attempt("S5.port-level", "Ask for input and output ports", called("iopl", 0), needs=X86 | BUILD),
    Attempt(
        "S5.descriptor-table",
        "Read the processor's local descriptor table",
        called("modify_ldt", 0, 0, 0),
        needs=X86 | BUILD,
    ),
    Attempt("S5.memory-policy", "Set a memory policy", called("set_mempolicy", 0, 0, 0), needs=BUILD),
    Attempt("S5.key", "Keep a key in the kernel", _own_key, shows_canary, BUILD),
    Attempt(
        "S5.shared-segment",
        "Make a shared segment",
        _removed("shmget", (0, mmap.PAGESIZE, 0o600), "shmctl", (0, 0)),
        needs=BUILD,
    ),
    Attempt("S5.message-queue", "Make a message queue", _removed("msgget", (0, 0o600), "msgctl", (0, 0)), needs=BUILD),
    Attempt("S5.semaphores", "Make semaphores", _removed("semget", (0, 1, 0o600), "semctl", (0, 0, 0)), needs=BUILD),
    Attempt("S5.posix-queue", "Make a POSIX message queue", _queue, needs=BUILD),
    Attempt("S5.memory-file", "Make a file in memory", called("memfd_create", b"attack", 0)),
    Attempt("S5.secret-memory", "Make more secret memory", called("memfd_secret", 0), needs=BUILD),
)
KERNEL: Final = (*NAMESPACES, *MACHINE)
