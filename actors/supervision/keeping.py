"""Carries out what the tree of the present ring decides: starts, stops, bounds starts, and says what was decided.

May import: our messages and actors. Invariants: there is a tree exactly while a ring is sealed; the tree hears of the
end of each process that it had started, once; a start that does not become ready ends within `START_LIMIT`.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, Protocol, assert_never

from trollbridge.actors.supervision.actions import Fall, GaveUp, Gone, PutOff, Restarting, Start, Stop
from trollbridge.actors.supervision.barring import MOST, Barring
from trollbridge.actors.supervision.declaring import ROOT, Restart
from trollbridge.actors.supervision.ends import Fate
from trollbridge.actors.supervision.lasting import Lasting
from trollbridge.actors.supervision.reasons import Reason, reason_of
from trollbridge.actors.supervision.tree import State, Tree
from trollbridge.messages.ids import SUPERVISOR, MemberId, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.actors.app import App
    from trollbridge.actors.operations.log import Log
    from trollbridge.actors.supervision.actions import Action
    from trollbridge.actors.supervision.barring import Blame
    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.spawn import Process
    from trollbridge.messages.ids import Epoch

START_LIMIT: Final = 30.0
"""Seconds within which a process that is started in a sealed ring must be ready."""
_AGAIN: Final = "it is started again"
_WITH_OTHERS: Final = "it is started again, and with it {others}"
_AWAY: Final = "it is not started again until the next ring"
_PUT_OFF: Final = "it had ended too often: its back-off goes on"
_BLAMED: Final = f"servers have died at its calls {MOST} times"
_FOR_GOOD: Final = "it is killed, and not started again until the application ends"


class Sealed(Protocol):
    """The ring, as whoever starts processes in it needs it."""

    @property
    def epoch(self) -> Epoch:
        """Its number."""
        ...

    def start_extension(self, member: MemberId) -> None:
        """Start an extension's process; raises `OSError` if the system cannot."""

    def replace(self, member: MemberId) -> None:
        """Start a host's process in the place of one that has ended; raises `OSError` if the system cannot."""

    def left(self, member: MemberId) -> None:
        """Take a place back whose process has ended, or could not be started."""

    def withdraw(self, member: MemberId) -> None:
        """Tell its clients that a host does not come back."""

    def dismantle(self, reason: str, died: str = "") -> None:
        """Have the ring fall."""


class Keeping:
    """The hosts and extensions of one application."""

    def __init__(self, app: App, ring: Sealed, processes: Children, log: Log) -> None:
        """Take the declaration, the ring, the processes and the log."""
        self._declared: Final = app.tree
        self._ring: Final = ring
        self._processes: Final = processes
        self._log: Final = log
        self._roles: Final = {leaf.name: leaf.role for leaf in app.tree.leaves()}
        self._restarts: Final = {leaf.name: leaf.restart for leaf in app.tree.leaves()}
        self._tree: Tree | None = None
        self._limits: dict[MemberId, float] = {}
        """By when whoever was started must be ready."""
        self.barring: Final = Barring()
        """Which extensions are not started again."""
        self.lasting: Final = Lasting(app.intensity)
        """What is put off, and how often the ring has fallen."""
        self._hung: set[Process] = set()
        self._decided: list[Action] = []
        """What is still to be carried out."""

    # The ring comes and goes.

    def launch(self) -> None:
        """Start the extensions, as far as their order allows: the ring is sealed."""
        self._tree = Tree(self._declared, lambda: os.urandom(1)[0] / 255, self.barring.barred, self.lasting)
        self._carry_out(self._tree.launch(time.monotonic()))

    def forget(self) -> None:
        """Decide nothing more: the ring falls, and everybody with it."""
        self._tree = None
        self._decided = []
        self._limits.clear()

    # What happens to processes.

    def ready(self, process: Process) -> None:
        """Note that a process that was started in the sealed ring has joined it."""
        self._limits.pop(process.member, None)
        if self._tree is not None:
            self._carry_out(self._tree.ready(process.member, time.monotonic()))

    def hung(self, process: Process) -> None:
        """Note that a process is killed because it is hung."""
        self._hung.add(process)

    def hangs(self, process: Process) -> bool:
        """Return whether a process has been killed because it is hung."""
        return process in self._hung

    def blame(self, blame: Blame, server: MemberId) -> None:
        """Note that a server has died at a call of an extension; after `MOST` deaths of any it is ended for good."""
        extension = blame.extension
        if not self.barring.blame(blame, time.monotonic()):
            return
        process = self._processes.get(extension)
        who = {"member": extension, "role": Role.EXTENSION.value} if process is None else process.identity
        self._log.line("extension.barred", self._ring.epoch, **who, told_by=server, why=_BLAMED, next=_FOR_GOOD)
        if process is not None:
            process.kill()
        if self._tree is not None:
            self._carry_out(self._tree.bar(extension, time.monotonic()))

    def ended(self, process: Process, status: int) -> Fate | None:
        """Note the end of a process; return what was decided, for `carry_out`, or None if this does not keep it."""
        hung = process in self._hung
        self._hung.discard(process)
        member = process.member
        self._limits.pop(member, None)
        if self._tree is None or member not in self._roles:
            return None
        asked = self._tree.state(member) is State.STOPPING
        self._decided += self._tree.died(member, reason_of(status, hung=hung), time.monotonic())
        return Fate(asked, "" if asked else follows(member, self._decided))

    def restart(self, member: str) -> bool:
        """Stop a process, and whoever is bound to it, and start them again; return whether this can be done now."""
        if self._tree is None or member not in self._roles:
            return False
        self._carry_out(self._tree.restart(MemberId(member), time.monotonic()))
        return True

    # Times.

    @property
    def due(self) -> float | None:
        """The monotonic time of the next start, or of the next limit of one."""
        known = [*self._limits.values()]
        if self._tree is not None and self._tree.due is not None:
            known.append(self._tree.due)
        return min(known, default=None)

    def tick(self, now: float) -> None:
        """Start whoever's time has come; kill whoever was not ready in time."""
        for member in [member for member, limit in self._limits.items() if now >= limit]:
            del self._limits[member]
            process = self._processes.get(member)
            if process is not None:
                self._log.line("start.timeout", self._ring.epoch, **process.identity, next="it is killed")
                process.kill()
        if self._tree is not None and self._tree.due is not None and now >= self._tree.due:
            self._carry_out(self._tree.tick(now))

    # Decisions.

    def carry_out(self) -> None:
        """Do what was decided on an end that has been written down."""
        decided, self._decided = self._decided, []
        self._carry_out(decided)

    def _carry_out(self, actions: Sequence[Action]) -> None:
        waiting = list(actions)
        while waiting and self._tree is not None:
            waiting[:1] = self._do(waiting[0])

    def _do(self, action: Action) -> Sequence[Action]:
        """Do one thing; return what follows from it."""
        match action:
            case Start(member):
                return self._start(member)
            case Stop(member, group):
                return self._stop(member, group)
            case Restarting():
                self._say_restarting(action)
            case PutOff(member, group, delay):
                who = {"member": member, "role": self._roles[member].value}
                wait = round(delay, 3)
                self._log.line("child.restarting", self._ring.epoch, **who, detail=group, why=_PUT_OFF, delay=wait)
            case GaveUp(group, name, reason):
                why = f"{name} ended too often, last by {reason}"
                follows = "the ring is dismantled" if group == ROOT else "its children are stopped, and it has ended"
                self._log.line(
                    "group.gave_up", self._ring.epoch, member=SUPERVISOR, detail=group, why=why, next=follows
                )
            case Gone(member):
                if self._roles[member] is Role.HOST:
                    self._ring.withdraw(member)
                expected = self._restarts[member] is Restart.TEMPORARY or member in self.barring.barred
                if not expected:  # of the others nobody expects anything else
                    self._log.line("child.gone", self._ring.epoch, member=member, role=self._roles[member].value)
            case Fall(name, reason):
                self._ring.dismantle(f"{name} ended too often, last by {reason}", name)
            case _:
                assert_never(action)
        return ()

    def _start(self, member: MemberId) -> Sequence[Action]:
        role = self._roles[member]
        self._limits[member] = time.monotonic() + START_LIMIT
        try:
            if role is Role.HOST:
                self._ring.replace(member)
            else:
                self._ring.start_extension(member)
        except OSError as error:
            return self._not_started(member, f"it could not be started: {error.strerror or type(error).__name__}")
        return ()

    def _not_started(self, member: MemberId, why: str) -> Sequence[Action]:
        del self._limits[member]
        self._ring.left(member)
        self._log.line("child.not_started", self._ring.epoch, member=member, role=self._roles[member].value, why=why)
        return () if self._tree is None else self._tree.died(member, Reason.START_FAILURE, time.monotonic())

    def _stop(self, member: MemberId, group: str) -> Sequence[Action]:
        process = self._processes.get(member)
        if process is None:  # it has ended, and nobody has said so
            return () if self._tree is None else self._tree.died(member, Reason.SHUTDOWN, time.monotonic())
        self._limits.pop(member, None)
        self._log.line("child.stopping", self._ring.epoch, **process.identity, detail=group)
        self._processes.request_end(process)
        return ()

    def _say_restarting(self, action: Restarting) -> None:
        """Write down that a child is to be started again; of a process its end has been written down before."""
        event = "child.restarting" if action.name in self._roles else "group.restarting"
        self._log.line(
            event,
            self._ring.epoch,
            member=action.name if action.name in self._roles else SUPERVISOR,
            detail=action.group if action.name in self._roles else action.name,
            why=action.reason.value,
            next=f"with it {', '.join(action.others)}" if action.others else "",
            restart=action.number,
            delay=round(action.delay, 3),
        )


def follows(member: MemberId, actions: Sequence[Action]) -> str:
    """Return in words what becomes of a process that has ended unasked."""
    for each in actions:
        match each:
            case Restarting(name, _, _, _, _, others) if name == member:
                return _WITH_OTHERS.format(others=", ".join(others)) if others else _AGAIN
            case GaveUp(group) if group != ROOT:
                return f"the group {group} gives up"
            case Fall():
                return "the ring is dismantled"
            case _:
                pass
    return _AWAY
