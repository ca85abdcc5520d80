"""Attacks on the life of another process of the same user: signals, core files, limits, scheduling.

May import: our actors' isolation, `attempt`. Invariant: the only process aimed at is the ground's victim.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import kernel
from trollbridge.ui_adapter.attack.attempt import (
    ROOT,
    forgotten,
    on_victim,
)
from trollbridge.ui_adapter.attack.needs import Need

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.attack.ground import Ground

_QUEUED: Final = -1  # SI_QUEUE: the only kind of code that a process may give a signal for another one
_IDLE_CLASS: Final = 3 << 13
_LOW: Final = (64, 64)
_F_SETSIG: Final = 10
_SOON: Final = 5.0
_MOMENT: Final = 0.01
ONE_PROCESSOR: Final = (1 << min(os.sched_getaffinity(0))).to_bytes(128, "little")
"""A mask with the first processor that this process may use; it was asked for before any lock."""


def dead(ground: Ground, _found: bytes) -> bool:
    """Tell whether the victim has ended."""
    return ground.victim.dead(_SOON)


def _state(ground: Ground) -> str:
    return Path(f"/proc/{ground.victim.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]


def _stopped(ground: Ground, _found: bytes) -> bool:
    """Tell whether the victim is stopped, which takes a moment to come about."""
    deadline = time.monotonic() + _SOON
    while _state(ground) not in "Tt":
        if time.monotonic() > deadline or ground.victim.dead(_MOMENT):
            return False
    return True


def _lower_limit(ground: Ground, _found: bytes) -> bool:
    return resource.prlimit(ground.victim.pid, resource.RLIMIT_NOFILE) == _LOW


def _pinned(ground: Ground, _found: bytes) -> bool:
    return len(os.sched_getaffinity(ground.victim.pid)) == 1


def _dumped(ground: Ground, _found: bytes) -> bool:
    """Tell whether the victim's core file lies in its folder."""
    return ground.victim.dead(_SOON) and any(each.name.startswith("core") for each in ground.home.iterdir())


def _information(number: int) -> bytes:
    """Return a siginfo_t for a queued signal."""
    return struct.pack("=iii", number, 0, _QUEUED).ljust(128, b"\0")


def _by_pidfd(ground: Ground) -> None:
    descriptor = kernel.syscall("pidfd_open", ground.victim.pid, 0)
    kernel.syscall("pidfd_send_signal", descriptor, signal.SIGKILL, 0, 0)


def _by_input(ground: Ground) -> None:
    """Have the kernel send a signal to the victim when a pipe of ours has something to read."""
    reading, writing = ground.kept
    fcntl.fcntl(reading, fcntl.F_SETOWN, ground.victim.pid)
    fcntl.fcntl(reading, _F_SETSIG, signal.SIGTERM)
    fcntl.fcntl(reading, fcntl.F_SETFL, os.O_ASYNC)
    os.write(writing, b"!")


def _keep_pipe(ground: Ground) -> None:
    ground.kept += os.pipe()


def _limit(ground: Ground) -> None:
    resource.prlimit(ground.victim.pid, resource.RLIMIT_NOFILE, _LOW)


def _core(ground: Ground) -> None:
    resource.prlimit(ground.victim.pid, resource.RLIMIT_CORE, (1 << 20, 1 << 20))
    os.kill(ground.victim.pid, signal.SIGABRT)


def _abort(ground: Ground) -> None:
    os.kill(ground.victim.pid, signal.SIGABRT)


def _pin(ground: Ground) -> None:
    kernel.syscall("sched_setaffinity", ground.victim.pid, len(ONE_PROCESSOR), ONE_PROCESSOR)


def _affinity(ground: Ground) -> None:
    kernel.syscall("sched_getaffinity", ground.victim.pid, 128, ctypes.create_string_buffer(128))


def _schedule(ground: Ground) -> None:
    kernel.syscall("sched_setscheduler", ground.victim.pid, os.SCHED_IDLE, (0).to_bytes(4, "little"))


def _scheduled(ground: Ground, _found: bytes) -> bool:
    return os.sched_getscheduler(ground.victim.pid) == os.SCHED_IDLE


def _is_nice(ground: Ground, _found: bytes) -> bool:
    return os.getpriority(os.PRIO_PROCESS, ground.victim.pid) == 19  # noqa: PLR2004  # the lowest


def _last_for_disks(ground: Ground, _found: bytes) -> bool:
    return kernel.syscall("ioprio_get", 1, ground.victim.pid) == _IDLE_CLASS


def _clock_of_it(ground: Ground) -> None:
    """Read how long it has run: a clock's number may be a process's (clock_getcpuclockid(3))."""
    kernel.syscall("clock_gettime", (~ground.victim.pid << 3) | 2, ctypes.create_string_buffer(16))


def _enter_by_pidfd(ground: Ground) -> None:
    kernel.syscall("setns", kernel.syscall("pidfd_open", ground.victim.pid, 0), 0x04000000)  # CLONE_NEWUTS


def _kill(number: int) -> Callable[[Ground], None]:
    return lambda ground: os.kill(ground.victim.pid, number)


def _signalled(name: str, *, twice: bool = False, queued: bool = False) -> Callable[[Ground], None]:
    """Return an act that kills the victim by a call that takes a pid, perhaps twice (group and thread), and more."""

    def act(ground: Ground) -> None:
        pids = (ground.victim.pid,) * (2 if twice else 1)
        kernel.syscall(name, *pids, signal.SIGKILL, *((_information(signal.SIGKILL),) if queued else ()))

    return act


SIGNALS: Final = (
    on_victim("kill-nothing", "Ask whether a process may be signalled", _kill(0)),
    on_victim("kill-stop", "Stop a process", _kill(signal.SIGSTOP), _stopped),
    on_victim("kill", "Kill a process", _kill(signal.SIGKILL), dead),
    on_victim("kill-group", "Kill its group", lambda g: os.kill(-g.victim.pid, signal.SIGKILL), dead),
    on_victim("tkill", "Kill its thread", _signalled("tkill"), dead),
    on_victim("tgkill", "Kill its thread by group", _signalled("tgkill", twice=True), dead),
    on_victim("sigqueue", "Queue a signal", _signalled("rt_sigqueueinfo", queued=True), dead),
    on_victim(
        "tgsigqueue", "Queue a signal to its thread", _signalled("rt_tgsigqueueinfo", twice=True, queued=True), dead
    ),
    on_victim("pidfd-signal", "Signal it by a pidfd", _by_pidfd, dead),
    on_victim("input-signal", "Have the kernel signal it when input comes", _by_input, dead, before=_keep_pipe),
    on_victim("core", "Make it leave a core file", _abort, _dumped, needs=frozenset({Need.CORE})),
    on_victim(
        "core-limit", "Raise its limit, then make it leave a core file", _core, _dumped, needs=frozenset({Need.CORE})
    ),
)
SCHEDULING: Final = (
    on_victim("pidfd-open", "Open a pidfd of it", lambda g: forgotten(kernel.syscall("pidfd_open", g.victim.pid, 0))),
    on_victim("limit", "Lower its limits", _limit, _lower_limit),
    on_victim(
        "limit-read", "Read its limits", lambda g: forgotten(resource.prlimit(g.victim.pid, resource.RLIMIT_NOFILE))
    ),
    on_victim("affinity", "Pin it to one processor", _pin, _pinned, needs=frozenset({Need.TWO_CPUS})),
    on_victim("affinity-read", "Ask which processors it may use", _affinity),
    on_victim("scheduler", "Let it run only when nobody else does", _schedule, _scheduled),
    on_victim("priority", "Lower its priority", lambda g: os.setpriority(os.PRIO_PROCESS, g.victim.pid, 19), _is_nice),
    on_victim(
        "io-priority",
        "Lower its priority for disks",
        lambda g: forgotten(kernel.syscall("ioprio_set", 1, g.victim.pid, _IDLE_CLASS)),
        _last_for_disks,
    ),
    on_victim("session", "Ask for its session", lambda g: forgotten(os.getsid(g.victim.pid))),
    on_victim("clock", "Read its processor time by its clock", _clock_of_it),
    on_victim("setns-pidfd", "Enter its namespaces by a pidfd", _enter_by_pidfd, needs=ROOT),
)
