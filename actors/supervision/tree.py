"""The tree of supervisors of one ring, as OTP has it: who is started, stopped, started again, who gives up. Pure.

May import: our messages and actors. Invariants: time and chance come in as arguments; a child is started only once it
is down, and in a group whose order counts only once those before it are up and those that must go down are; a group's
children are stopped one by one, the last one first; nothing more is decided once the ring must fall.

OTP's rules, where they are easily overlooked: a temporary child is not started again with the others of its group, but
with its group; a transient child that has finished is started with the others again; a group that gives up has ended
by `shutdown`, so that only a permanent one is started again; then it counts anew. Not OTP's: a child that is barred is
down for good, whatever its restart type, and the others of its group go on without it; and starts are put off, which
outlives groups and rings (`Lasting`); a period is longer by what was put off in it, and by the time that groups beneath
needed to give up.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, Final

from trollbridge.actors.supervision.actions import Action, Fall, GaveUp, Gone, PutOff, Restarting, Start, Stop
from trollbridge.actors.supervision.declaring import Branch, Leaf, Restart, Strategy
from trollbridge.actors.supervision.intensity import LONGEST_DELAY, Intensity, Restarts
from trollbridge.actors.supervision.lasting import LONGEST_IN_A_GROUP, Lasting
from trollbridge.actors.supervision.reasons import ORDERLY, Reason
from trollbridge.messages.ids import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from trollbridge.messages.ids import MemberId


class State(enum.StrEnum):
    """Where a child is in its life."""

    DOWN = "down"
    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"


class _Child:
    """One place under a supervisor."""

    def __init__(self, node: Leaf | Branch, above: _Team | None) -> None:
        self.name: Final = str(node.name)
        self.restart: Final = node.restart
        self.above: Final = above
        self.state = State.DOWN
        self._wanted = True
        self.barred = False
        """Whether it is never to be up again."""
        self.marked = False
        """Whether it must go down first."""
        self.due: float | None = None
        """When it may be started, if not yet."""
        self.started = math.inf
        """When it was last, if it is a process."""

    @property
    def wanted(self) -> bool:
        """Whether its supervisor means it to be up."""
        return self._wanted and not self.barred

    @wanted.setter
    def wanted(self, value: bool) -> None:
        self._wanted = value


class _Process(_Child):
    def __init__(self, leaf: Leaf, above: _Team) -> None:
        super().__init__(leaf, above)
        self.member: Final = leaf.name
        self.team: Final = above
        if leaf.role is Role.HOST:  # it is part of the ring from the beginning
            self.state = State.UP


class _Team(_Child):
    """A supervisor and its children."""

    def __init__(self, branch: Branch, above: _Team | None) -> None:
        super().__init__(branch, above)
        self.strategy: Final = branch.strategy
        self._intensity: Final = branch.intensity
        self.period: Final = branch.intensity.period
        self.restarts = Restarts(branch.intensity)
        self.closing = False
        """Whether all of its children are on their way down, and then it is."""
        self.children: Final[tuple[_Child, ...]] = tuple(
            _Process(each, self) if isinstance(each, Leaf) else _Team(each, self) for each in branch.children
        )
        self.state = State.STARTING

    def renew(self) -> None:
        """Be started: all children are wanted, and nothing is counted yet."""
        self.restarts = Restarts(self._intensity)
        self.state = State.STARTING
        for each in self.children:
            each.wanted, each.due = True, None

    def others(self, child: _Child) -> tuple[_Child, ...]:
        """Return who is started again with a child, in their order."""
        at = self.children.index(child)
        match self.strategy:
            case Strategy.ONE_FOR_ONE:
                return ()
            case Strategy.ONE_FOR_ALL:
                return self.children[:at] + self.children[at + 1 :]
            case Strategy.REST_FOR_ONE:
                return self.children[at + 1 :]

    def processes(self) -> Iterator[_Process]:
        """Go over all processes beneath."""
        for each in self.children:
            if isinstance(each, _Team):
                yield from each.processes()
            elif isinstance(each, _Process):
                yield each

    def gone(self) -> Iterator[MemberId]:
        """Go over the processes that nobody is about to start."""
        if self.closing or self.state is State.DOWN:
            return  # what becomes of it is not decided here
        for each in self.children:
            lost = each.state is State.DOWN and not each.wanted
            if isinstance(each, _Team):
                yield from (process.member for process in each.processes()) if lost else each.gone()
            elif isinstance(each, _Process) and lost:
                yield each.member


class Tree:
    """Decides; what it returns is to be carried out in order, and what comes of it to be told."""

    def __init__(
        self,
        root: Branch,
        jitter: Callable[[], float],
        barred: Collection[MemberId] = (),
        lasting: Lasting | None = None,
    ) -> None:
        """Take the declared tree, whose hosts run already, and a source of chance from 0 to 1 for the back-off.

        `barred`: extensions that are not started. `lasting`: what is left of the rings before.
        """
        self._root: Final = _Team(root, None)
        self._jitter: Final = jitter
        self._lasting: Final = Lasting(Intensity()) if lasting is None else lasting
        self._of: Final[dict[str, _Process]] = {each.name: each for each in self._root.processes()}
        self._now = 0.0
        self._found: list[Action] = []
        self._gone: frozenset[MemberId] = frozenset()
        self._fallen = False
        for member in barred:
            self._of[member].barred = True

    # What happens.

    def launch(self, now: float) -> list[Action]:
        """Start whatever does not run yet: the ring is sealed."""
        self._now = now
        for process in self._of.values():
            if process.state is State.DOWN:
                self._hold(process, process.team)
        return self._decided()

    def ready(self, member: MemberId, now: float) -> list[Action]:
        """Note that a process that was started is ready."""
        self._now = now
        process = self._of[member]
        if process.state is State.STARTING:
            process.state = State.UP
        return self._decided()

    def died(self, member: MemberId, reason: Reason, now: float) -> list[Action]:
        """Note the end of a process, or that it could not be started; one that was not ready has failed to start."""
        self._now = now
        process = self._of[member]
        self._ended(process, Reason.START_FAILURE if process.state is State.STARTING else reason)
        return self._decided()

    def restart(self, member: MemberId, now: float) -> list[Action]:
        """Stop a process and whoever goes with it, and start them again, because a person asks: it counts nowhere."""
        self._now = now
        process = self._of[member]
        if not process.team.closing:
            process.marked = process.state is not State.DOWN
            for each in (process, *process.team.others(process)):
                self._lasting.forget(each.name)
            self._again(process, None)
        return self._decided()

    def bar(self, member: MemberId, now: float) -> list[Action]:
        """Note that an extension is not started again, and that its process, if it has one, is being killed."""
        self._now = now
        process = self._of[member]
        process.barred, process.due = True, None
        if process.state is not State.DOWN:
            process.state, process.marked = State.STOPPING, True
        return self._decided()

    def tick(self, now: float) -> list[Action]:
        """Start whoever's time has come."""
        self._now = now
        return self._decided()

    @property
    def due(self) -> float | None:
        """When `tick` is to be called next."""
        return min((each.due for each in self._all(self._root) if each.due is not None), default=None)

    def state(self, member: MemberId) -> State:
        """Return where a process is in its life."""
        return self._of[member].state

    # Decisions.

    def _decided(self) -> list[Action]:
        if not self._fallen:
            for each in self._all(self._root):
                if each.due is not None and each.due <= self._now:
                    each.due = None
            self._settle(self._root)
            gone = frozenset(self._root.gone())
            self._found += [Gone(each.member) for each in self._of.values() if each.member in gone - self._gone]
            self._gone = gone
        found, self._found = self._found, []
        return found

    def _all(self, team: _Team) -> Iterator[_Child]:
        for each in team.children:
            yield each
            if isinstance(each, _Team):
                yield from self._all(each)

    def _settle(self, team: _Team) -> None:
        """Go on with a group: first whoever must go down, then whoever is to come up."""
        for each in team.children:
            if isinstance(each, _Team) and each.state is not State.DOWN:
                self._settle(each)
        while left := [each for each in team.children if each.marked and each.state is not State.DOWN]:
            if left[-1].state is State.STOPPING or self._fallen:
                return
            self._stop(left[-1], team)
        if self._fallen:
            return
        for each in team.children:
            each.marked = False
        if team.closing:
            self._closed(team)
        else:
            self._rise(team)

    def _rise(self, team: _Team) -> None:
        for each in team.children:
            if each.wanted and each.state is State.DOWN and each.due is None:
                self._start(each)
            if team.strategy is not Strategy.ONE_FOR_ONE and each.wanted and each.state is not State.UP:
                return  # those after it need it
        if all(each.state is State.UP for each in team.children if each.wanted):
            team.state = State.UP

    def _start(self, child: _Child) -> None:
        if isinstance(child, _Team):
            child.renew()
            for each in child.children:
                self._hold(each, child)
            self._settle(child)
        elif isinstance(child, _Process):
            child.state, child.started = State.STARTING, self._now
            self._found.append(Start(child.member))

    def _stop(self, child: _Child, team: _Team) -> None:
        if isinstance(child, _Team):
            self._close(child)
            self._settle(child)
        elif isinstance(child, _Process):
            child.state = State.STOPPING
            self._found.append(Stop(child.member, team.name))

    def _close(self, team: _Team) -> None:
        team.state, team.closing = State.STOPPING, True
        for each in team.children:
            each.marked, each.due = True, None

    def _closed(self, team: _Team) -> None:
        team.closing = False
        if team.marked:  # the group above wanted it so
            team.state = State.DOWN
        else:
            self._ended(team, Reason.SHUTDOWN)

    def _ended(self, child: _Child, reason: Reason) -> None:
        child.state = State.DOWN
        team = child.above
        if self._fallen or team is None or child.marked:  # it was asked to; of a group that is closing all are
            return
        if child.restart is Restart.TEMPORARY or (child.restart is Restart.TRANSIENT and reason in ORDERLY):
            child.wanted = False
            return
        failed, back_off = reason is Reason.START_FAILURE, self._lasting.of(child.name)
        longest = LONGEST_DELAY if team.above is None else LONGEST_IN_A_GROUP
        wait = back_off.ended(self._now, (self._jitter(), longest), team.period, failed=failed)
        since = child.restarts.since if isinstance(child, _Team) else back_off.since
        if isinstance(child, _Team) or failed:
            team.restarts.stand_still(since if isinstance(child, _Team) else child.started, self._now)
        number = team.restarts.allow(self._now, since)
        team.restarts.stand_still(self._now, self._now + wait)
        if number is None:
            self._give_up(team, child, reason)
            return
        others = self._again(child, self._now + wait if wait else None)
        self._found.append(Restarting(child.name, team.name, number, wait, reason, others))

    def _again(self, child: _Child, due: float | None) -> tuple[str, ...]:
        """Want a child up, once it is down, and whoever goes with it; return who that is."""
        child.wanted, child.due = True, due
        team = child.above
        others = () if team is None else team.others(child)
        for each in others:
            if each.state is not State.DOWN:
                each.marked = True
            if each.restart is not Restart.TEMPORARY:
                each.wanted, each.due = True, self._later(each, due)
            elif each.marked:
                each.wanted = False
        return tuple(each.name for each in others if each.wanted)

    def _later(self, child: _Child, due: float | None) -> float | None:
        """Return when a child is due that others have started with them: its own back-off goes on."""
        until = self._lasting.of(child.name).until
        return until if until > self._now and (due is None or until > due) else due

    def _hold(self, child: _Child, team: _Team) -> None:
        """Put a child off that is to be started with others, as long as its own back-off lasts."""
        child.due = self._later(child, None)
        if child.due is not None and child.wanted and isinstance(child, _Process):
            self._found.append(PutOff(child.member, team.name, child.due - self._now))

    def _give_up(self, team: _Team, child: _Child, reason: Reason) -> None:
        self._found.append(GaveUp(team.name, child.name, reason))
        if team.above is None:
            self._fallen = True
            self._lasting.rings.stand_still(team.restarts.since, self._now)
            self._found.append(Fall(child.name, reason))
        else:
            self._close(team)
