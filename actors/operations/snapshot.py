"""How the application is now, for the operator: what the log has told, what the kernel says of each process.

May import: our messages and actors. Invariant: it only reads; what cannot be read any more counts as nothing.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.actors.supervision.ends import how
from trollbridge.messages import operator
from trollbridge.messages.ids import SUPERVISOR, Role
from trollbridge.messages.posture import KEPT

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.actors.operations.log import Line, Log
    from trollbridge.actors.outcomes.verdicts import Verdicts
    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.postures import Postures
    from trollbridge.actors.supervision.spawn import Process
    from trollbridge.actors.trust_ring.rings import Rings
    from trollbridge.messages.ids import MemberId

_JOINED: Final = frozenset({"member.joined", "extension.joined"})
_ENDED: Final = frozenset({"process.ended", "errand.ended"})
_RING: Final = frozenset({"ring.forming", "ring.sealed", "ring.dismantling", "ring.dismantled"})
_STOPPED: Final = "Tt"
"""States of a process that a signal or a tracer has stopped (proc(5))."""


class Facts(NamedTuple):
    """What the kernel says of a process (proc(5), /proc/PID/stat)."""

    stopped: bool = False
    since: float = 0.0
    """Seconds since 1970."""
    rss: int = 0
    """Bytes."""
    cpu: int = 0
    """Clock ticks."""


NOTHING: Final = Facts()
"""Of a process that is gone."""


def facts(pid: int) -> Facts:
    """Look at a process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123  # for each process at each question
            fields = stat.read().rpartition(b")")[2].split()
    except OSError:
        return NOTHING
    ago = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return Facts(
        stopped=fields[0].decode() in _STOPPED,
        since=round(time.time() - ago, 2),
        rss=int(fields[21]) * os.sysconf("SC_PAGE_SIZE"),
        cpu=int(fields[11]) + int(fields[12]),
    )


class Past:
    """What the log has told so far, as far as it bears on how things are."""

    def __init__(self, period: float) -> None:
        """Take the seconds within which restarts of the ring are counted."""
        self._period = period
        self._falls: deque[float] = deque()
        self.since = time.time()
        """When the ring came into its state."""
        self.fell = ""
        """Why the last ring was dismantled."""
        self.restarts: dict[str, int] = {}
        """How often a member was started again, within the period of whoever supervises it."""
        self.ended: dict[str, str] = {}
        """How the last process of a member ended, in words."""
        self.joined: set[int] = set()
        """The PIDs of processes that have joined, and live."""
        self.stopping: set[int] = set()
        """Those of processes that have been asked to end, and live."""

    def note(self, line: Line) -> None:
        """Take a line as it is written."""
        if line.event in _RING:
            self.since = line.time
        if line.event in _JOINED:
            self.joined.add(line.pid)
        elif line.event in _ENDED:
            self.joined.discard(line.pid)
            self.stopping.discard(line.pid)
            if line.event == "process.ended":
                self.ended[line.member] = how(line.exit_code, line.signal)
        elif line.event == "child.stopping":
            self.stopping.add(line.pid)
        elif line.event == "ring.dismantling":
            self.fell = line.why
            self.joined.clear()
        elif line.event == "ring.restarting" and line.restart:
            self._falls.append(line.time)
        elif line.event == "child.restarting":
            self.restarts[line.member] = line.restart

    def falls(self, now: float) -> int:
        """Return how often the ring was formed again after a failure, within the period."""
        while self._falls and now - self._falls[0] > self._period:
            self._falls.popleft()
        return len(self._falls)


class Watched(NamedTuple):
    """What is looked at."""

    app: App
    rings: Rings
    processes: Children
    postures: Postures
    log: Log
    past: Past
    groups: dict[str, str]
    """Member → the group that it is supervised in."""
    verdicts: Verdicts


def snapshot(name: str, watched: Watched) -> operator.Snapshot:
    """Return how the application is."""
    app, rings, past = watched.app, watched.rings, watched.past
    living = {each.member: each for each in watched.processes}
    own = facts(os.getpid())
    supervisor = operator.ProcessState(
        SUPERVISOR, SUPERVISOR, "", os.getpid(), 1, "running", "", own.since, 0, own.rss, own.cpu, ""
    )
    away = [_away(child.member, role, watched) for child, role in app.children if child.member not in living]
    processes = (supervisor, *(_state(each, watched) for each in living.values()), *away)
    kept = [watched.postures.level(each.member) for each in living.values() if each.role in KEPT]
    levels = sorted((each for each in kept if each is not None), key=lambda level: level.rank)
    seq, chain = watched.log.head
    return operator.Snapshot(
        name,
        os.getpid(),
        own.since,
        rings.ring.state.value,
        rings.epoch,
        past.since,
        past.fell,
        past.falls(time.time()),
        app.intensity.restarts,
        app.intensity.period,
        levels[0].value if levels else "",
        seq,
        chain,
        processes,
        quarantine=watched.verdicts.quarantined(),
        dropped=watched.log.dropped,
        waiting=watched.log.waiting,
    )


def _state(process: Process, watched: Watched) -> operator.ProcessState:
    seen = facts(process.pid)
    level = watched.postures.level(process.member)
    if seen.stopped:
        state = "stopped"
    elif process.role is Role.ERRAND or (process.pid in watched.past.joined and watched.rings.standing):
        state = "running"
    else:
        state = "starting" if watched.rings.standing else "stopping"
    state = "stopping" if process.pid in watched.past.stopping and state != "stopped" else state
    return operator.ProcessState(
        process.member,
        process.role.value,
        watched.groups.get(process.member, ""),
        process.pid,
        process.incarnation,
        state,
        level.value if level is not None else "",
        seen.since,
        watched.past.restarts.get(process.member, 0),
        seen.rss,
        seen.cpu,
        "",
    )


def _away(member: MemberId, role: Role, watched: Watched) -> operator.ProcessState:
    group, past = watched.groups.get(member, ""), watched.past
    starts, restarts, ended = watched.processes.starts(member), past.restarts.get(member, 0), past.ended.get(member, "")
    return operator.ProcessState(member, role.value, group, 0, starts, "away", "", 0.0, restarts, 0, 0, ended)
