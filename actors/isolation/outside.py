"""A look at a process from outside, by whoever started it: the kernel's word against the process's own.

May import: `messages`. Invariant: what /proc shows decides; a process's own evidence counts only for what /proc does
not show (Landlock, its memory).
"""

from __future__ import annotations

import contextlib
import os
import resource
from typing import TYPE_CHECKING, Final

from trollbridge.messages.posture import Evidence, Mechanism, Posture, State, level_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_FIELDS: Final = {
    Mechanism.SECCOMP: ("Seccomp", "2"),
    Mechanism.NO_NEW_PRIVILEGES: ("NoNewPrivs", "1"),
    Mechanism.NO_CAPABILITIES: ("CapEff", "0" * 16),
}
"""What must stand in /proc/PID/status of each thread (proc(5))."""
_MISMATCH: Final = "the process says otherwise; stop trusting it"


def _status(path: str) -> dict[str, str]:
    with open(path, encoding="ascii", errors="replace") as file:  # noqa: PTH123  # as elsewhere where a child is watched
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def statuses(pid: int) -> list[dict[str, str]]:
    """Return /proc/PID/task/*/status, field by field, of each thread; empty if the process has ended."""
    found: list[dict[str, str]] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208  # names only
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
                found.append(_status(f"/proc/{pid}/task/{task}/status"))
    return found


def look(pid: int, start: Evidence, reported: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """Return the evidence that counts: what is seen of a process, and what it reports where nothing can be seen.

    `start`: how it was seen to start; whatever it says of that itself is dropped.
    """
    threads = statuses(pid)
    found = {each.mechanism: each for each in reported} | {start.mechanism: start}
    for evidence in (*_seen(threads, found), *_closed(pid), *_traced(threads)):
        found[evidence.mechanism] = evidence
    return tuple(found[each] for each in Mechanism if each in found)


def _seen(threads: list[dict[str, str]], reported: Mapping[Mechanism, Evidence]) -> Iterator[Evidence]:
    for mechanism, (field, wanted) in _FIELDS.items():
        values = {each.get(field, "?") for each in threads} or {"?"}
        seen = f"{field}: {', '.join(sorted(values))} in /proc/PID/task/*/status"
        said = reported.get(mechanism, Evidence(mechanism, State.MISSING, "not reported"))
        if said.state is State.MISSING and (values != {wanted} or mechanism is Mechanism.SECCOMP):
            continue  # a filter that somebody else has laid around all of us is not this process's own
        if values == {wanted}:
            state = State.IN_FORCE if said.state is State.MISSING else said.state
            yield Evidence(mechanism, state, f"{said.evidence}; {seen}", said.remedy if said.state is state else "")
        else:
            yield Evidence(mechanism, State.MISSING, seen, _MISMATCH)


def _closed(pid: int) -> Iterator[Evidence]:
    """Yield what is not as it must be: whether it can be looked into, and whether it could leave a core file."""
    with contextlib.suppress(OSError):
        owner = os.stat(f"/proc/{pid}/environ").st_uid  # noqa: PTH116
        if os.geteuid() and owner == os.geteuid():
            text = f"/proc/PID/environ belongs to user {owner}"
            yield Evidence(Mechanism.NON_DUMPABLE, State.MISSING, text, _MISMATCH)
    with contextlib.suppress(OSError):
        limits = resource.prlimit(pid, resource.RLIMIT_CORE)
        if limits != (0, 0):
            text = f"RLIMIT_CORE: {limits[0]}, {limits[1]}, seen from outside"
            yield Evidence(Mechanism.NO_CORE, State.MISSING, text, _MISMATCH)


def _traced(threads: list[dict[str, str]]) -> Iterator[Evidence]:
    tracers = {each.get("TracerPid", "?") for each in threads} or {"?"}
    if tracers != {"0"}:
        text = f"TracerPid: {', '.join(sorted(tracers))} in /proc/PID/task/*/status"
        yield Evidence(Mechanism.NON_DUMPABLE, State.MISSING, text, "somebody traces it; end the tracer")


def posture(member: str, role: str, pid: int, evidence: tuple[Evidence, ...]) -> Posture:
    """Return how a process is kept."""
    return Posture(member, role, pid, level_of(evidence), evidence)
