"""Any tree, any events in any order: what is decided can always be carried out, and settles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from hypothesis import given
from hypothesis import strategies as st

from tests.supervision.playing import kept
from trollbridge.actors.supervision.actions import Fall, Start, Stop
from trollbridge.actors.supervision.declaring import Branch, Group, Restart, Strategy, grow
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.actors.supervision.reasons import Reason
from trollbridge.actors.supervision.tree import Tree
from trollbridge.messages.ids import MemberId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.actors.supervision.actions import Action

NAMES: Final = ("a", "b", "c", "d", "e")
INTENSITIES: Final = st.builds(Intensity, st.integers(0, 3), st.just(5.0))


@st.composite
def trees(draw: st.DrawFn) -> Branch:
    """Return two groups, one perhaps inside the other, over five members of any restart types."""
    groups = [
        Group(name, children, strategy=draw(STRATEGIES), intensity=draw(INTENSITIES), restart=draw(RESTARTS))
        for name, children in draw(st.sampled_from(SHAPES))
    ]
    members = kept({name: draw(RESTARTS) for name in NAMES})
    return grow(members, groups, draw(STRATEGIES), draw(INTENSITIES))


STRATEGIES: Final = st.sampled_from(Strategy)
RESTARTS: Final = st.sampled_from(Restart)
SHAPES: Final = [
    [],
    [("g", ["a", "b", "c"])],
    [("g", ["b", "c"]), ("h", ["d", "e"])],
    [("g", ["b", "h", "c"]), ("h", ["d", "e"])],
]
EVENTS: Final = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([*Reason, "ready", "restart", "wait", "bar"])), max_size=40
)


class World:
    """The processes, as whoever carries decisions out has them."""

    def __init__(self, branch: Branch) -> None:
        """Launch the tree."""
        self.tree: Final = Tree(branch, lambda: 0.5)
        self.now = 0.0
        self.alive: Final[dict[str, str]] = {}
        """Who lives, and is `starting`, `up` or `stopping`."""
        self.fallen = False
        self.barred: Final[set[str]] = set()
        self.carry_out(self.tree.launch(0.0))

    def carry_out(self, actions: Sequence[Action]) -> None:
        """Do it; nothing impossible may be asked."""
        for action in actions:
            assert not self.fallen
            match action:
                case Start(member):
                    assert member not in self.alive
                    assert member not in self.barred
                    self.alive[member] = "starting"
                case Stop(member, _):
                    assert self.alive[member] != "stopping"
                    self.alive[member] = "stopping"
                case Fall():
                    self.fallen = True
                case _:
                    pass

    def happen(self, name: str, event: Reason | str) -> None:
        """Have one thing happen, if it can."""
        self.now += 0.25
        member = MemberId(name)
        if event == "ready" and self.alive.get(name) == "starting":
            self.alive[name] = "up"
            self.carry_out(self.tree.ready(member, self.now))
        elif event == "restart":
            self.carry_out(self.tree.restart(member, self.now))
        elif event == "bar" and not self.fallen:
            self.barred.add(name)
            if name in self.alive:  # it is killed
                self.alive[name] = "stopping"
            self.carry_out(self.tree.bar(member, self.now))
        elif event == "wait":
            self.carry_out(self.tree.tick(self.now))
        elif isinstance(event, Reason) and name in self.alive:
            del self.alive[name]
            self.carry_out(self.tree.died(member, event, self.now))

    def settle(self) -> None:
        """Have every request come true, until nothing is asked any more."""
        for _ in range(1000):
            if self.fallen:
                return
            pending = [name for name, state in self.alive.items() if state != "up"]
            for name in pending:
                self.happen(name, Reason.SHUTDOWN if self.alive.get(name) == "stopping" else "ready")
            if not pending:
                due = self.tree.due
                if due is None:
                    return
                self.now = max(self.now, due)
                self.carry_out(self.tree.tick(self.now))
        raise AssertionError


@given(trees(), EVENTS)
def test_whatever_happens_nothing_impossible_is_decided_and_it_settles(
    branch: Branch, events: list[tuple[str, Reason | str]]
) -> None:
    """A55: no start of who lives, no stop of who is gone, nothing after the fall; then all is up that should be.

    What is down in the end is what may stay down: whoever is temporary or transient, or in a group that is; and what
    must, whoever is barred.
    """
    world = World(branch)
    for name, event in events:
        world.happen(name, event)
    world.settle()
    if world.fallen:
        return
    assert set(world.alive.values()) <= {"up"}
    assert must_be_up(branch) - world.barred <= set(world.alive)
    assert not world.barred & set(world.alive)


def must_be_up(branch: Branch) -> set[str]:
    """Return who is permanent, and everything above it."""
    found: set[str] = set()
    for each in branch.children:
        if each.restart is Restart.PERMANENT:
            found |= must_be_up(each) if isinstance(each, Branch) else {each.name}
    return found
