"""Heartbeats: finds a process that is stopped or hung, and tells it from one that works on something long.

May import: our messages, `spawn`'s process for its numbers. Invariants: a process that uses the processor is not
called hung before `LONGEST`, unless it is an extension's: a second thread answers for it, whatever its code does. One
whose ledger says that it runs a call within the caller's deadline is slow, up to `LONGEST` too: whatever anybody says,
or writes there, nobody may be silent for longer. No deadline has a process called hung sooner than without one.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.messages import control
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import Role
from trollbridge.messages.limits import FARTHEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from trollbridge.actors.outcomes.call_account import Running
    from trollbridge.actors.supervision.spawn import Process

INTERVAL: Final = 1.0
"""Seconds between beats."""
STOPPED: Final = 2
"""Beats without an answer after which a stopped process is given up."""
SILENT: Final = 60
"""Beats without an answer or processor time after which a process is given up."""
LONGEST: Final = 900
"""Beats without an answer after which a busy or a slow process is given up too; an extension is after `SILENT`."""

_STOPPED: Final = "it is stopped by a signal"


class _Pulse:
    __slots__ = ("busy_at", "missed", "number", "state")

    def __init__(self) -> None:
        self.number = 0
        self.missed = 0
        self.busy_at = 0
        self.state: object = (0, None)
        """Processor time, and what its ledger says: whichever changes, it gets on."""


class Heartbeat:
    """The pulses of all children."""

    def __init__(self, running: Callable[[Process], Running | None] = lambda _: None) -> None:
        """Start with none; `running`: what a server says that it runs (`Verdicts`), of whoever else nothing."""
        self._running = running
        self._pulses: dict[int, _Pulse] = {}
        self.due: float | None = 0.0
        """The monotonic time of the next beat."""

    def heard(self, pid: int, number: int) -> None:
        """Note the answer to the last question; raises `Malformed` for an answer to none."""
        pulse = self._pulses.get(pid)
        if pulse is None or number != pulse.number or not pulse.missed:
            raise Malformed
        pulse.missed = pulse.busy_at = 0

    def forget(self, pid: int) -> None:
        """Forget a process that has ended."""
        self._pulses.pop(pid, None)

    def beat(self, now: float, processes: Iterable[Process]) -> Iterator[tuple[Process, str]]:
        """Ask whoever has answered the last time; yield those that are stopped or hung, with the reason."""
        if self.due is not None and now < self.due:
            return
        self.due = now + INTERVAL
        for process in tuple(processes):
            pulse = self._pulses.setdefault(process.pid, _Pulse())
            if process.role is Role.ERRAND:  # it answers nobody while it works; how long it may is said elsewhere
                pulse.missed = pulse.missed + 1 if process.stopped() else 0
                if pulse.missed >= STOPPED:
                    yield process, _STOPPED
                continue
            if pulse.missed == 0:
                pulse.number += 1
                with contextlib.suppress(LinkLost):
                    process.channel.send(control.Ping(pulse.number))
            else:
                why = _verdict(process, pulse, self._running(process), now)
                if why:
                    yield process, why
            pulse.missed += 1


def _verdict(process: Process, pulse: _Pulse, running: Running | None, now: float) -> str:
    if pulse.missed >= STOPPED and process.stopped():
        return _STOPPED
    state = (process.cpu(), running and (running.begun, running.since))
    if state != pulse.state:
        pulse.state, pulse.busy_at = state, pulse.missed
    if pulse.missed - pulse.busy_at >= SILENT and not _slow(running, now):
        return "it neither answers nor works"
    longest = SILENT if process.role is Role.EXTENSION else LONGEST
    return "it has not answered for too long" if pulse.missed >= longest else ""


def _slow(running: Running | None, now: float) -> bool:
    """Return whether a call runs whose deadline lies ahead, and is one that a client could have set."""
    return running is not None and 0 < running.deadline / 1e6 - now <= FARTHEST
