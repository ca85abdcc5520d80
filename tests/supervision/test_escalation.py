"""What ends again and again, over hours: it costs few starts, and goes all the way up. Without any process."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pytest

from tests.supervision.playing import kept, permanent
from trollbridge.actors.supervision.actions import Fall, GaveUp, PutOff, Restarting, Start, Stop
from trollbridge.actors.supervision.declaring import Branch, Group, grow
from trollbridge.actors.supervision.intensity import Intensity, delay
from trollbridge.actors.supervision.lasting import LONGEST_IN_A_GROUP, Lasting
from trollbridge.actors.supervision.reasons import Reason
from trollbridge.actors.supervision.tree import State, Tree
from trollbridge.messages.ids import MemberId, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.actors.supervision.actions import Action
    from trollbridge.actors.supervision.declaring import Kept

HOUR: Final = 3600.0
FORMING: Final = 1.5
"""Seconds that a ring takes."""


@dataclass
class Course:
    """An application whose member `bad` ends `life` seconds after each start; what comes of it, with its times."""

    life: float
    kept: Sequence[Kept]
    groups: Sequence[Group] = ()
    reason: Reason = Reason.ERROR
    chance: float = 0.0
    starts: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    falls: list[float] = field(default_factory=list)
    gave_up: list[tuple[float, str]] = field(default_factory=list)
    ended: float | None = None
    """When the application gave up, with 69."""

    def __post_init__(self) -> None:
        """Form the first ring."""
        self._branch: Branch = grow(self.kept, self.groups, "one_for_one", None)
        self._lasting = Lasting(Intensity())
        self._ends: list[float] = []
        self._form(0.0)

    def _form(self, now: float) -> None:
        self._tree = Tree(self._branch, lambda: self.chance, (), self._lasting)
        for leaf in self._branch.leaves():
            if leaf.role is Role.HOST and leaf.name == "bad":
                self._start(now)
        self._follow(self._tree.launch(now), now)

    def _start(self, now: float) -> None:
        self.starts.append(now)
        heapq.heappush(self._ends, now + self.life)

    def _follow(self, actions: Sequence[Action], now: float) -> None:
        waiting = list(actions)
        while waiting:
            match waiting.pop(0):
                case Start("bad"):
                    self._start(now)
                    if self.reason is not Reason.START_FAILURE:
                        waiting += self._tree.ready(MemberId("bad"), now)
                case Start(member):
                    waiting += self._tree.ready(member, now)
                case Stop(member, _):
                    waiting += self._tree.died(member, Reason.SHUTDOWN, now)
                case Restarting("bad", _, _, wait, _, _) | PutOff("bad", _, wait):
                    self.waits.append(wait)
                case GaveUp(group, _, _):
                    self.gave_up.append((now, group))
                case Fall():
                    self.fall(now)
                case _:
                    pass

    def fall(self, now: float) -> None:
        """Have the ring fall, and the next be formed if there may be one."""
        self.falls.append(now)
        number = self._lasting.rings.allow(now)
        if number is None:
            self.ended = now
        else:
            self._form(now + delay(number, 0.0) + FORMING)

    def run(self, seconds: float) -> Course:
        """Let so much time pass; return it."""
        while self.ended is None:
            due = self._tree.due
            end = self._ends[0] if self._ends else None
            now = min(each for each in (due, end) if each is not None)
            if now > seconds:
                break
            if now == end:
                heapq.heappop(self._ends)
                if self._tree.state(MemberId("bad")) in {State.UP, State.STARTING}:
                    self._follow(self._tree.died(MemberId("bad"), self.reason, now), now)
            else:
                self._follow(self._tree.tick(now), now)
        return self

    def busiest(self, after: float) -> int:
        """Return how many starts the busiest minute has that begins at such a time or later."""
        late = [each for each in self.starts if each >= after]
        return max((sum(each <= other < each + 60 for other in late) for each in late), default=0)


GROUPED: Final = [Group("g", ["bad", "b"])]


@pytest.mark.parametrize("life", [0.0, 0.4, 2.0, 3.2])
@pytest.mark.parametrize("chance", [0.0, 1.0])
def test_what_ends_at_once_in_a_group_costs_a_start_a_minute_and_goes_all_the_way_up(
    life: float, chance: float
) -> None:
    """A55, K5: the group, the root, the ring, 69; the back-off goes on over them, and hinders none of them."""
    course = Course(life, permanent("bad", "b"), GROUPED, chance=chance).run(HOUR)
    assert course.busiest(after=600.0) == 1
    assert len(course.starts) < 75
    assert [group for _, group in course.gave_up[:5]] == ["g", "g", "g", "g", "root"]
    assert course.falls[0] < 600.0
    assert len(course.falls) > 1
    assert max(course.waits) == LONGEST_IN_A_GROUP * (1 + chance / 2)
    end = course.run(4 * HOUR)
    assert end.ended is not None
    assert len(end.falls) == 6
    assert len(end.starts) == 4 * 4 * 6


@pytest.mark.parametrize("role", [Role.HOST, Role.EXTENSION])
@pytest.mark.parametrize("life", [0.0, 0.4, 2.0, 3.2])
def test_what_ends_at_once_under_the_root_ends_the_application_within_minutes(role: Role, life: float) -> None:
    """A55, K5: a permanent host, and an extension that the author made permanent: four ends a ring, six rings."""
    course = Course(life, kept({"bad": "permanent"}, role)).run(HOUR)
    assert course.ended is not None
    assert course.ended < 300.0
    assert (len(course.falls), len(course.starts)) == (6, 24)
    assert max(course.waits) == 5.0


def test_a_host_in_a_group_goes_all_the_way_up_too() -> None:
    """A55, K5: it comes with each ring, whatever its back-off, and so costs one start more a ring."""
    course = Course(1.0, kept({"bad": "permanent", "b": "permanent"}, Role.HOST), GROUPED).run(4 * HOUR)
    assert course.ended is not None
    assert course.busiest(after=600.0) <= 2


def test_a_start_that_never_becomes_ready_goes_up_as_well() -> None:
    """A55: it takes half a minute to fail, longer than any period, and is still one of too many."""
    course = Course(30.0, permanent("bad", "b"), GROUPED, Reason.START_FAILURE).run(6 * HOUR)
    assert course.ended is not None
    assert course.busiest(after=600.0) == 1


def test_what_lasts_a_little_costs_a_start_a_minute_and_nobody_else_anything() -> None:
    """K5: five seconds are too long for the intensity, and no quiet time."""
    course = Course(5.0, permanent("bad", "b"), GROUPED).run(10 * HOUR)
    assert (course.gave_up, course.ended) == ([], None)
    assert course.busiest(after=600.0) == 1


def test_a_quiet_time_has_a_child_begin_anew() -> None:
    """K5: longer than the period, and than ten times what it was put off last."""
    course = Course(0.0, permanent("bad", "b"), GROUPED).run(300.0)
    assert max(course.waits) == LONGEST_IN_A_GROUP
    course.life = 601.0
    course.run(3 * HOUR)
    assert course.waits[-5:] == [0.0] * 5
    course.life = 0.0
    assert LONGEST_IN_A_GROUP in course.run(5 * HOUR).waits[-5:]


def test_rings_that_fall_for_another_reason_count_as_ever() -> None:
    """K5: a child that costs a start a minute does not have each fall of the ring count for ever."""
    course = Course(5.0, permanent("bad", "b"), GROUPED)
    for number in range(1, 20):
        course.run(number * 600.0)
        course.fall(number * 600.0)  # as if the broker had ended
    assert course.ended is None


def test_a_person_who_asks_for_a_restart_gets_it_at_once() -> None:
    """A55: and the child begins anew."""
    lasting = Lasting(Intensity())
    name = MemberId("bad")
    for _ in range(20):
        lasting.of(name).ended(100.0, (0.0, 60.0), 10.0, failed=True)
    tree = Tree(grow(permanent("bad"), (), "one_for_one", None), lambda: 0.0, (), lasting)
    assert tree.launch(101.0) == [PutOff(name, "root", 59.0)]
    assert tree.restart(name, 102.0) == [Start(name)]
    tree.ready(name, 103.0)
    assert Restarting(name, "root", 1, 0.0, Reason.ERROR, ()) in tree.died(name, Reason.ERROR, 104.0)
