"""Plays what a tree of supervisors decides, without any process: a stop is followed by an end, a start by being ready.

What happened reads as text: `-c` for a stop, `+a` for a start, `!g` for a group that gave up, `x` for the ring's fall.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.actors.supervision.actions import Fall, GaveUp, Gone, PutOff, Restarting, Start, Stop
from trollbridge.actors.supervision.declaring import Group, Kept, Leaf, Restart, grow
from trollbridge.actors.supervision.reasons import Reason
from trollbridge.actors.supervision.tree import State, Tree
from trollbridge.messages.ids import MemberId, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trollbridge.actors.supervision.actions import Action
    from trollbridge.actors.supervision.intensity import Intensity


def kept(restarts: Mapping[str, str], role: Role = Role.EXTENSION) -> list[Kept]:
    """Return members, by name, with a restart type each."""
    return [Kept(Leaf(MemberId(name), role, Restart(word)), MemberId(name)) for name, word in restarts.items()]


def permanent(*names: str) -> list[Kept]:
    """Return extensions that are all permanent."""
    return kept(dict.fromkeys(names, "permanent"))


class Play:
    """One tree, its clock, and whoever runs."""

    def __init__(
        self,
        members: Sequence[Kept],
        groups: Sequence[Group] = (),
        strategy: str = "one_for_one",
        intensity: Intensity | None = None,
    ) -> None:
        """Grow the tree, and launch it: everybody is up."""
        self.tree: Final = Tree(grow(members, groups, strategy, intensity), lambda: 0.0)
        self.members: Final = [leaf.name for leaf, _ in members]
        self.now = 0.0
        self.gone: set[str] = set()
        self.restarts: Final[list[Restarting]] = []
        self._follow(self.tree.launch(self.now))

    def _follow(self, actions: Iterable[Action], *, failing: str = "") -> str:
        """Carry out; `failing` is not ready when it is started, and dies. Return what happened."""
        told: list[str] = []
        waiting = list(actions)
        while waiting:
            action = waiting.pop(0)
            match action:
                case Start(member):
                    told.append(f"+{member}")
                    self.gone.discard(member)
                    if member != failing:
                        waiting += self.tree.ready(member, self.now)
                case Stop(member, _):
                    told.append(f"-{member}")
                    waiting += self.tree.died(member, Reason.SHUTDOWN, self.now)
                case Restarting():
                    self.restarts.append(action)
                case PutOff():
                    pass  # who waits comes up later, which `wait` tells
                case GaveUp(group, _, _):
                    told.append(f"!{group}")
                case Gone(member):
                    self.gone.add(member)
                case Fall():
                    told.append("x")
        return " ".join(told)

    def die(self, name: str, reason: Reason) -> str:
        """Have a process end, and play on until nothing is left to do; return what happened."""
        told = [self._follow(self.tree.died(MemberId(name), reason, self.now))]
        return " ".join(filter(None, [*told, self.wait()]))

    def fail_to_start(self, name: str) -> str:
        """Have a process stopped and started by hand and not be ready; return what happened after that."""
        self._follow(self.tree.restart(MemberId(name), self.now), failing=name)
        return self.die(name, Reason.NORMAL)

    def restart(self, name: str) -> str:
        """Have a process stopped and started by hand; return what happened."""
        return self._follow(self.tree.restart(MemberId(name), self.now))

    def wait(self) -> str:
        """Let time pass until nothing is due; return what happened."""
        told: list[str] = []
        while (due := self.tree.due) is not None:
            self.now = due
            told.append(self._follow(self.tree.tick(self.now)))
        return " ".join(filter(None, told))

    @property
    def up(self) -> str:
        """Who is up, as text."""
        return " ".join(name for name in self.members if self.tree.state(name) is State.UP)
