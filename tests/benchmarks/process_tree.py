"""What the benchmark knows of its processes: who descends from it, what they weigh, and that none is left.

Imports the standard library only; Linux. It owns one invariant: after `end_descendants` no process that descends from
this one is alive, since orphans are given to this process (`PR_SET_CHILD_SUBREAPER`) and so cannot get away.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections import defaultdict
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

PR_SET_CHILD_SUBREAPER = 36
PROC = Path("/proc")


class NoWeightError(ValueError):
    """The roll-up names no proportional set size: the process has ended."""


class StillAliveError(Exception):
    """Processes that this one started could not be killed in time."""

    def __init__(self, pids: list[int]) -> None:
        """Name them."""
        super().__init__(f"still alive: {pids}")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


@contextmanager
def confined_to(cpus: set[int]) -> Generator[None]:
    """Let this thread, and so every process that it starts meanwhile, run on `cpus` only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def parent_of(stat: str) -> int:
    """Read the parent's process id out of the text of `/proc/PID/stat`, whatever the program is called."""
    return int(stat.rpartition(")")[2].split()[1])


def children_of_all() -> dict[int, list[int]]:
    """Map each process to its children."""
    children: dict[int, list[int]] = defaultdict(list)
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                children[parent_of((folder / "stat").read_text(errors="replace"))].append(int(folder.name))
    return children


def descendants(root: int) -> list[int]:
    """List every process below `root`, without `root`."""
    children = children_of_all()
    found: list[int] = []
    waiting = list(children.get(root, ()))
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting.extend(children.get(pid, ()))
    return found


def proportional_kib(rollup: str) -> int:
    """Read the proportional set size, in KiB, out of the text of `smaps_rollup`. Raises NoWeightError."""
    for line in rollup.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise NoWeightError


def weight_mib(pids: list[int]) -> float | None:
    """Sum the proportional set sizes in MiB, none for what has ended; None where one may not be read."""
    total = 0
    for pid in pids:
        try:
            total += proportional_kib((PROC / str(pid) / "smaps_rollup").read_text())
        except PermissionError:
            return None
        except (OSError, NoWeightError):  # gone, or a zombie, whose roll-up is empty
            continue
    return total / 1024


def processor_nanoseconds(pids: list[int]) -> int:
    """Sum the processor time of all threads of processes that live, as the scheduler counts it."""
    total = 0
    for path in (path for pid in pids for path in (PROC / str(pid) / "task").glob("*/schedstat")):
        with suppress(OSError):  # it has just ended
            total += int(path.read_text().split()[0])
    return total


def reap() -> None:
    """Collect every child that has ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def end_descendants(seconds: float = 10.0) -> None:
    """Kill and reap everything below this process. Raises StillAliveError if something is left after `seconds`."""
    until = monotonic() + seconds
    while True:
        reap()
        left = descendants(os.getpid())
        if not left:
            return
        if monotonic() > until:
            raise StillAliveError(left)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        sleep(0.002)
