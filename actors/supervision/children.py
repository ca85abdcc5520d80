"""The table of living processes: who runs, which descriptor is whose, who has to end by when.

May import: our messages, `spawn`. Invariant: a process is in the table from its spawn until it is reaped, with the
descriptors that the loop watches for it.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation.interpreter import Interpreters
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.actors.supervision.remnants import Remnants
from trollbridge.actors.supervision.spawn import NOTHING_BESIDES, Besides, Process
from trollbridge.messages import control
from trollbridge.messages.control import MemberRecord
from trollbridge.messages.ids import SUPERVISOR, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from trollbridge.actors.processes.reactor import Reactor
    from trollbridge.messages.ids import MemberId

GRACE: Final = 2.0
"""Seconds that a process has to end by itself once it is told to."""
UI_GRACE: Final = 5.0
"""The same of a UI, whose code may have something to tidy up; where all are to end, of everybody."""
RELEASE: Final = 2.0
"""Seconds that a UI that goes on has to let go of a fallen ring."""


class Children:
    """Every process of one application."""

    def __init__(
        self,
        reactor: Reactor,
        heard: Callable[[Process], object],
        ended: Callable[[Process], object],
        shutdowns: Mapping[MemberId, float],
    ) -> None:
        """Take the loop, what is called when a process has said something, and what when it has ended.

        `shutdowns`: the seconds that a member has to end once it is asked to, where its declaration says so.
        """
        self._shutdowns = shutdowns
        self._reactor = reactor
        self._heard = heard
        self._ended = ended
        self._interpreters: Interpreters | None = None
        """What the children run; made for the first of them, when this process can no longer be looked into."""
        self._by_member: dict[MemberId, Process] = {}
        self._incarnations: dict[MemberId, int] = {}
        self._limits: dict[Process, float] = {}
        self.remnants: Final = Remnants()
        reactor.timers.append(self.remnants)
        self._silent: set[Process] = set()
        """Those that have closed their control channel."""

    def __iter__(self) -> Iterator[Process]:
        """Go over the processes that live, in the order in which they were started."""
        return iter(tuple(self._by_member.values()))

    def __len__(self) -> int:
        """Return how many live."""
        return len(self._by_member)

    def records(self) -> tuple[MemberRecord, ...]:
        """Return which members live, the supervisor first."""
        members = (MemberRecord(each.member, each.role, each.pid) for each in self if each.role is not Role.ERRAND)
        return (MemberRecord(SUPERVISOR, "supervisor", os.getpid()), *members)

    def get(self, member: str) -> Process | None:
        """Return the process of a member, if it lives."""
        return self._by_member.get(member)  # type: ignore[call-overload,no-any-return]  # any name may be asked for

    def starts(self, member: MemberId) -> int:
        """Return how often a process has been started for a member."""
        return self._incarnations.get(member, 0)

    def start(self, member: MemberId, role: Role, besides: Besides = NOTHING_BESIDES) -> Process:
        """Spawn a process for a member that has none, or an errand; raises `OSError` if the system cannot."""
        if self._interpreters is None:
            self._interpreters = Interpreters.prepare()
        number = self._incarnations[member] = self._incarnations.get(member, 0) + 1
        process = Process(member, role, number, self._interpreters.of(role), besides)
        self._by_member[member] = process
        self._reactor.watch(process.pidfd, lambda _: self._ended(process))
        self._reactor.watch(process.channel.fileno(), lambda _: self._heard(process))
        return process

    def tell(self, to: Process | MemberId, message: control.ToChild, *descriptors: int) -> None:
        """Send a control message; kill a process that is gone or takes nothing, so that its pidfd tells."""
        process = to if isinstance(to, Process) else self.get(to)
        if process is None:
            return
        try:
            process.channel.send(message, *descriptors)
        except LinkLost:
            process.kill()

    def hear(self, process: Process) -> control.FromChild | None:
        """Take the next message of a process; None if there is none. Raises as `ParentChannel.take`, but `LinkLost`.

        One that has closed its control channel is listened to no more, and has `GRACE` seconds to end.
        """
        if process in self._silent:
            return None
        try:
            return process.channel.take(process.pid)
        except BlockingIOError:
            return None
        except LinkLost:
            self._silent.add(process)
            self._reactor.ignore(process.channel.fileno())
            self.expect_end(process)
            return None

    def refuse(self, process: Process) -> None:
        """Kill a process that has said what it may not, and listen to it no more, whatever it has said since."""
        if process not in self._silent:
            self._silent.add(process)
            self._reactor.ignore(process.channel.fileno())
        process.kill()

    def reap(self, process: Process) -> int | None:
        """Take a process that has ended out of the table; return its exit status, None if it lives."""
        watched = (process.pidfd, process.channel.fileno())
        status = process.reap(self.remnants)
        if status is not None:
            for descriptor in watched:
                self._reactor.ignore(descriptor)
            self._silent.discard(process)
            del self._by_member[process.member]
            self._limits.pop(process, None)
        return status

    # Ends by a time.

    def stop_all(self, seconds: float | None = None) -> None:
        """Tell everybody to end, within so many seconds, or `UI_GRACE`."""
        for process in self:
            self.tell(process, control.Stop())
            self.expect_end(process, UI_GRACE if seconds is None else seconds)

    def let_fall(self, reason: str, died: str, *, stopping: bool) -> None:
        """Tell everybody that the ring falls, and those that must not outlive it to end."""
        for process in self:
            if process.role is Role.EXTENSION:
                process.terminate()
            elif process.role is Role.ERRAND:
                process.kill()
            ends = stopping or process.foreign
            self.tell(process, control.Stop() if ends else control.Dismantle(reason, died))
            self.expect_end(process, GRACE if process.role is not Role.UI else UI_GRACE if ends else RELEASE)

    def request_end(self, process: Process) -> None:
        """Tell one process to end, within the seconds of its declaration; kill it at once where these are none."""
        seconds = self._shutdowns.get(process.member, UI_GRACE if process.role is Role.UI else GRACE)
        if not seconds:
            process.kill()
            return
        if process.role is Role.EXTENSION:
            process.terminate()  # and no word of the ring's: no call of its fails before its code is told to end
        else:
            self.tell(process, control.Stop())
        self.expect_end(process, seconds)

    def expect_end(self, process: Process, seconds: float | None = None) -> None:
        """Give a process this long, or `GRACE`, to end, or to let go of the fallen ring; an earlier limit stays."""
        limit = time.monotonic() + (GRACE if seconds is None else seconds)
        self._limits[process] = min(limit, self._limits.get(process, limit))

    def excuse(self, process: Process) -> None:
        """Take the limit back."""
        self._limits.pop(process, None)

    @property
    def next_limit(self) -> float | None:
        """The monotonic time at which the first limit passes."""
        return min(self._limits.values(), default=None)

    def overdue(self, now: float) -> list[Process]:
        """Take and return the processes whose limit has passed."""
        late = [process for process, limit in self._limits.items() if now >= limit]
        for process in late:
            del self._limits[process]
        return late

    def end_all(self) -> None:
        """Kill and reap whoever is left, the last started first, and what anybody has left; let go of what they ran."""
        left = tuple(reversed(tuple(self)))
        for process in left:
            process.kill()
        for process in left:
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PIDFD, process.pidfd, os.WEXITED | os.WNOWAIT)
            self.reap(process)
        self.remnants.close()
        if self._interpreters is not None:
            self._interpreters.close()
            self._interpreters = None
