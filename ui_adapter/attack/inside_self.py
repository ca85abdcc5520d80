"""Attacks from inside on the process's own protections, identity and memory, and by other kinds of system call.

May import: our actors' isolation, `attempt`, `on_life`. Invariant: all of it concerns the attacker's own process,
which ends then.
"""

# ruff: noqa: PTH208  # the system call itself is what is tried, not what a path object makes of it

from __future__ import annotations

import ctypes
import mmap
import os
import resource
import struct
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import kernel
from trollbridge.actors.isolation.syscalls import X32_BIT, number
from trollbridge.ui_adapter.attack.attempt import (
    BUILD,
    NO_NEEDS,
    ROOT,
    X86,
    Attempt,
    Failed,
    called,
    claimed,
    contents,
    forgotten,
)
from trollbridge.ui_adapter.attack.on_life import ONE_PROCESSOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.attack.attempt import Act, Proof
    from trollbridge.ui_adapter.attack.ground import Ground
    from trollbridge.ui_adapter.attack.needs import Need

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_HIGH: Final = 1 << 32
_OLD_CALL: Final = bytes.fromhex("53b814000000cd805bc3")  # push rbx; mov eax, 20 (getpid); int 0x80; pop rbx; ret
_FUNCTION: Final = ctypes.CFUNCTYPE(ctypes.c_int)
_AREA: Final = mmap.PAGESIZE
_TRACE_ME: Final = 0
_FILTER: Final = 1
_ALLOW: Final = 0x7FFF0000


def _prctl(*arguments: int) -> Act:
    """Return an act that makes a prctl(2) call."""

    def act(_ground: Ground) -> None:
        kernel.syscall("prctl", *arguments, *(0,) * (5 - len(arguments)))

    return act


def _dumpable(option: int) -> Act:
    """Return an act that makes this process open to others again."""

    def act(_ground: Ground) -> None:
        kernel.syscall("prctl", option, 1, 0, 0, 0)
        if not kernel.prctl(kernel.PR_GET_DUMPABLE):
            msg = "still not dumpable"
            raise Failed(msg)

    return act


def _core_limit(_ground: Ground) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if hard == 0:
        hard = 4096
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))


def _files_limit(_ground: Ground) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))


def _own_filter(_ground: Ground) -> None:
    """Add a filter that allows everything, which would slow every call, and could answer some with lies."""
    kernel.syscall("prctl", kernel.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    code = ctypes.create_string_buffer(struct.pack("=HBBI", 0x06, 0, 0, _ALLOW))
    kernel.syscall("seccomp", _FILTER, 0, struct.pack("@HP", 1, ctypes.addressof(code)))


def _own_rules(_ground: Ground) -> None:
    kernel.syscall("landlock_create_ruleset", struct.pack("=Q", 1), 8, 0)


def _regained(_ground: Ground) -> None:
    """Set every capability that the process may have to effective."""
    header = struct.pack("=Ii", 0x20080522, 0)
    data = ctypes.create_string_buffer(24)
    kernel.syscall("capget", header, data)
    permitted = struct.unpack("=6I", data.raw)[1]
    kernel.syscall("capset", header, data)
    if not permitted:
        msg = "no capability to regain"
        raise Failed(msg)


def _alarm_for(name: str) -> Callable[[Ground], None]:
    def act(_ground: Ground) -> None:
        timer = ctypes.create_string_buffer(8)
        if name == "timer_create":
            kernel.syscall(name, 1, 0, timer)
        else:
            kernel.syscall(name, 0, struct.pack("=qqqq", 0, 0, 3600, 0), 0)

    return act


def _own_affinity(_ground: Ground) -> None:
    kernel.syscall("sched_setaffinity", 0, len(ONE_PROCESSOR), ONE_PROCESSOR)


def _signal_parent(_ground: Ground) -> None:
    os.kill(os.getppid(), 0)


def _signal_group(_ground: Ground) -> None:
    os.kill(0, 0)


def _map_old_call(ground: Ground) -> None:
    """Have machine code at hand that makes a 32-bit system call, as if some library had it."""
    del ground
    area = mmap.mmap(-1, _AREA, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    area.write(_OLD_CALL)
    _AREAS.append(area)


_AREAS: Final[list[mmap.mmap]] = []


def _old_call(_ground: Ground) -> None:
    found = _FUNCTION(ctypes.addressof(ctypes.c_char.from_buffer(_AREAS[0])))()
    if found != os.getpid():
        msg = f"getpid of the 32-bit kind answered {found}"
        raise Failed(msg)


def _raw(call: int) -> Act:
    """Return an act that makes a system call of that number, without arguments, which must answer our pid."""

    def act(_ground: Ground) -> None:
        if _LIBC.syscall(ctypes.c_long(call)) != os.getpid():
            msg = f"errno {ctypes.get_errno()}"
            raise Failed(msg)

    return act


def _own_memory(_ground: Ground) -> bytes:
    """Change memory that is mapped read-only, through /proc/self/mem, which does not ask."""
    area = mmap.mmap(-1, _AREA, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    kernel.syscall("mprotect", address, _AREA, mmap.PROT_READ)
    os.pwrite(os.open("/proc/self/mem", os.O_RDWR), b"forced", address)
    return ctypes.string_at(address, 6)


def _forced(_ground: Ground, found: bytes) -> bool:
    return found == b"forced"


def _read(path: str) -> Callable[[Ground], bytes]:
    return lambda _ground: contents(os.open(path, os.O_RDONLY))


def _some(_ground: Ground, found: bytes) -> bool:
    return bool(found)


def _advised(advice: int) -> Act:
    """Return an act that gives the kernel advice about a page."""

    def act(_ground: Ground) -> None:
        area = mmap.mmap(-1, _AREA, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        kernel.syscall("madvise", ctypes.addressof(ctypes.c_char.from_buffer(area)), _AREA, advice)

    return act


def _attempt(slug: str, title: str, act: Act, proof: Proof = claimed, needs: frozenset[Need] = NO_NEEDS) -> Attempt:
    return Attempt(f"K3.{slug}", title, act, proof, needs)


PROTECTIONS: Final = (
    _attempt("dumpable", "Make oneself dumpable", _dumpable(kernel.PR_SET_DUMPABLE)),
    _attempt(
        "dumpable-high-bits",
        "The same with bits set where only the kernel does not look",
        _dumpable(_HIGH | kernel.PR_SET_DUMPABLE),
    ),
    _attempt("core-limit-own", "Allow oneself a core file", _core_limit, needs=BUILD),
    _attempt("limit-own", "Set a limit of one's own", _files_limit),
    _attempt("death-signal", "Outlive the supervisor", _prctl(1, 0)),
    _attempt("subreaper", "Adopt orphans", _prctl(36, 1)),
    _attempt("timer-slack", "Set the timer slack", _prctl(29, 1)),
    _attempt("keep-capabilities", "Keep capabilities when the user changes", _prctl(8, 1)),
    _attempt("secure-bits", "Set the secure bits", _prctl(28, 0), needs=ROOT),
    _attempt("ambient", "Clear the ambient capabilities", _prctl(47, 4)),
    _attempt("tracer", "Let everyone trace oneself", _prctl(0x59616D61, -1), needs=BUILD),
    _attempt("speculation", "Set what the processor may guess", _prctl(53, 0, 2), needs=BUILD),
    _attempt("dispatch", "Send system calls to oneself", _prctl(59, 0), needs=BUILD),
    _attempt("machine-checks", "Say what happens at memory errors", _prctl(33, 0)),
    _attempt("huge-pages", "Forbid huge pages", _prctl(41, 1), needs=BUILD),
    _attempt("trace-me", "Be traced by one's parent", called("ptrace", _TRACE_ME, 0, 0, 0)),
    _attempt("own-filter", "Add a system call filter of one's own", _own_filter),
    _attempt("own-rules", "Make a Landlock ruleset of one's own", _own_rules, needs=BUILD),
    _attempt("capabilities", "Regain capabilities", _regained, needs=ROOT),
    _attempt("become-nobody", "Change the user", called("setresuid", 1, 1, 1), needs=ROOT),
    _attempt("groups", "Leave every group", called("setgroups", 0, 0), needs=ROOT),
    _attempt("file-user", "Set the user for files", called("setfsuid", 65_534)),
    _attempt("umask", "Set the mask for new files", called("umask", 0)),
    _attempt("session-own", "Leave the session", called("setsid")),
    _attempt("group-own", "Leave the process group", called("setpgid", 0, 0)),
    _attempt("priority-own", "Lower one's own priority", called("setpriority", 0, 0, 19)),
    _attempt("affinity-own", "Choose one's own processor", _own_affinity),
    _attempt("scheduler-own", "Change one's own scheduling", called("sched_setscheduler", 0, os.SCHED_IDLE, bytes(4))),
    _attempt("io-priority-own", "Lower one's own priority for disks", called("ioprio_set", 1, 0, 3 << 13)),
    _attempt(
        "layout", "Turn off the random layout for what is executed next", called("personality", 0x0040000), needs=BUILD
    ),
)
OTHERWISE: Final = (
    _attempt("signal-parent", "Ask whether the parent may be signalled", _signal_parent),
    _attempt("signal-group", "Ask whether the group may be signalled", _signal_group),
    _attempt("timer", "Make a timer", _alarm_for("timer_create")),
    _attempt("interval-timer", "Set an interval timer", _alarm_for("setitimer")),
    Attempt(
        "K3.call-32",
        "Make a system call of the 32-bit kind",
        _old_call,
        needs=X86 | BUILD,
        before=_map_old_call,
    ),
    _attempt("call-x32", "Make a system call of the x32 kind", _raw(number("getpid") | X32_BIT), needs=X86 | BUILD),
    _attempt("system-name", "Ask for the kernel's version", lambda _: forgotten(os.uname())),
    _attempt("system-load", "Ask for the machine's memory and load", called("sysinfo", bytes(256))),
    _attempt("own-mem", "Change read-only memory through /proc/self/mem", _own_memory, _forced, BUILD),
    _attempt("own-maps", "Read one's own memory map", _read("/proc/self/maps"), _some),
    _attempt("own-pages", "Read which pages one has", _read("/proc/self/pagemap"), _some, BUILD),
    _attempt("own-environment", "Read one's own first environment", _read("/proc/self/environ"), _some),
    _attempt("connections", "Read everybody's connections", _read("/proc/net/tcp"), _some),
    _attempt("processes", "List the processes", lambda _: os.listdir("/proc")[-1].encode(), _some),
    _attempt("dump-pages", "Ask for secret pages to be in core files", _advised(17)),
    _attempt("fork-pages", "Ask for secret pages to be inherited", _advised(11)),
    _attempt(
        "merge-pages",
        "Ask for pages to be merged with those of others, which tells what they hold",
        _advised(12),
        needs=BUILD,
    ),
    _attempt("unlock-memory", "Let locked memory be swapped out", called("munlockall")),
)
SELF: Final = (*PROTECTIONS, *OTHERWISE)
