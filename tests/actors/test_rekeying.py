"""When the keys of an application are changed, whom that waits for, and for how long; at times that the test gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import pytest

from trollbridge.actors.supervision import rekeying
from trollbridge.actors.supervision.rekeying import DRAIN, Rekey, Rekeying
from trollbridge.messages import control
from trollbridge.messages.errors import DeclarationError, Malformed
from trollbridge.messages.ids import Role
from trollbridge.messages.measures import MemberMeasure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trollbridge.actors.operations.log import Log
    from trollbridge.actors.operations.measuring import Measuring
    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.spawn import Process
    from trollbridge.actors.trust_ring.rings import Rings


class Clock:
    """Stands for the module `time`: it goes on when a test says so."""

    def __init__(self) -> None:
        """Start somewhere."""
        self.seconds = 1000.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the clock by which keys are changed."""
    made = Clock()
    monkeypatch.setattr(rekeying, "time", made)
    return made


class Somebody:
    """Stands for a process."""

    def __init__(self, member: str, role: Role) -> None:
        """Take who it is."""
        self.member: Final = member
        self.role: Final = role


class Stage:
    """Stands for everything that a change of keys sees of its application."""

    def __init__(self, clock: Clock, plan: Rekey) -> None:
        """Seal the first ring."""
        self._clock = clock
        self.sealed, self.epoch = True, 1
        self.fell: list[str] = []
        self.told: list[tuple[str, object]] = []
        self.lines: list[tuple[str, str]] = []
        self.asked: list[Callable[[control.Measures | None], object]] = []
        self.people: Final[dict[str, Any]] = {
            name: Somebody(name, role)
            for name, role in (("vault", Role.ENCLAVE), ("files", Role.HOST), ("ui", Role.UI), ("x", Role.EXTENSION))
        }
        self.rekeying: Final = Rekeying(
            plan, cast("Rings", self), cast("Children", self), cast("Measuring", self), cast("Log", self)
        )
        self.tick()

    def __iter__(self) -> Iterator[Any]:
        """Go over the processes that live."""
        return iter(self.people.values())

    def get(self, member: str) -> Any:  # noqa: ANN401  # what stands for a process
        """Return a process, if it lives."""
        return self.people.get(member)

    def tell(self, process: Any, message: object) -> None:  # noqa: ANN401  # as above
        """Note what a process is told."""
        self.told.append((process.member, message))

    def ask(self, told: Callable[[control.Measures | None], object]) -> None:
        """Note a question to the broker."""
        self.asked.append(told)

    def line(self, event: str, _epoch: int, *, member: str, why: str) -> None:
        """Note a line of the log."""
        assert member == "supervisor"
        self.lines.append((event, why))

    def dismantle(self, reason: str) -> None:
        """Have the ring fall."""
        self.fell.append(reason)
        self.sealed = False

    def seal(self) -> None:
        """Seal the next ring."""
        self.sealed, self.epoch = True, self.epoch + 1

    def tick(self, seconds: float = 0.0) -> None:
        """Let time pass."""
        self._clock.seconds += seconds
        self.rekeying.tick(self._clock.seconds)

    def drained(self, name: str, epoch: int = 1) -> None:
        """Have a process say that it has no call in flight."""
        self.rekeying.drained(cast("Process", self.people[name]), control.Drained(epoch))


def test_the_ring_falls_when_every_caller_has_drained(clock: Clock) -> None:
    """A58: the UI and the extensions are asked, servers are not; the ring falls when the last has answered."""
    stage = Stage(clock, Rekey())
    assert stage.rekeying.begin("SIGHUP: new keys")
    assert stage.told == [("ui", control.Drain(1)), ("x", control.Drain(1))]
    stage.tick(DRAIN / 2)
    stage.drained("ui")
    stage.tick()
    assert stage.fell == []
    stage.drained("x")
    stage.tick()
    assert stage.fell == ["SIGHUP: new keys"]
    assert stage.lines == [("ring.draining", "SIGHUP: new keys"), ("ring.drained", "no call is in flight")]


def test_nobody_is_waited_for_longer_than_declared_or_after_its_end(clock: Clock) -> None:
    """A58, P3: neither one that never answers nor one that has ended."""
    stage = Stage(clock, Rekey(drain=3.0))
    stage.rekeying.begin("new keys")
    del stage.people["x"]
    stage.tick(2.9)
    assert stage.fell == []
    stage.tick(0.2)
    assert stage.fell == ["new keys"]
    assert stage.lines[-1] == ("ring.drained", "the time is over; these had calls in flight: ui")
    other = Stage(clock, Rekey())
    other.rekeying.begin("new keys")
    other.people.clear()
    other.tick()
    assert other.fell == ["new keys"]


def test_a_change_under_way_is_not_begun_again_and_without_a_ring_there_is_none(clock: Clock) -> None:
    """R5: however often somebody asks."""
    stage = Stage(clock, Rekey())
    assert [stage.rekeying.begin("one"), stage.rekeying.begin("two")] == [True, False]
    stage.sealed = False  # it falls for another reason
    assert not stage.rekeying.begin("three")
    stage.tick()
    stage.seal()
    stage.tick(2 * DRAIN)
    assert (stage.fell, stage.rekeying.under_way) == ([], False)
    assert stage.rekeying.begin("four")


def test_an_answer_that_nobody_asked_for_is_malformed(clock: Clock) -> None:
    """I8: from a process that was not asked, of another epoch, twice, or without a change; late, it is nothing."""
    stage = Stage(clock, Rekey())
    with pytest.raises(Malformed):
        stage.drained("ui")
    stage.rekeying.begin("new keys")
    for name, epoch in (("vault", 1), ("ui", 2), ("ui", 0)):
        with pytest.raises(Malformed):
            stage.drained(name, epoch)
    stage.drained("ui")
    with pytest.raises(Malformed):
        stage.drained("ui")
    stage.sealed = False
    stage.drained("x")


def test_keys_are_due_by_their_age(clock: Clock) -> None:
    """A45: counted from the seal of each ring."""
    stage = Stage(clock, Rekey(seconds=60.0))
    stage.tick(59.0)
    assert stage.lines == []
    stage.tick(1.0)
    assert stage.lines[0] == ("rekey.due", "these keys are 60 seconds old")
    stage.people.clear()
    stage.tick()
    stage.seal()
    stage.tick(30.0)
    assert stage.fell == ["these keys are 60 seconds old: new keys"]
    assert stage.rekeying.due == clock.seconds + 60.0


def test_keys_are_due_by_the_calls_that_they_have_carried(clock: Clock) -> None:
    """A45, P2: by the UI's; no extension chooses when, by itself or by a server that calls another for it.

    The broker is asked once a second; an answer that comes late, or not, does nothing.
    """
    stage = Stage(clock, Rekey(calls=100))
    stage.tick(0.5)
    assert stage.asked == []
    stage.tick(0.5)
    stage.tick(0.5)
    [told] = stage.asked
    told(None)
    told(control.Measures(1, (MemberMeasure("ui", 99), MemberMeasure("x", 1 << 40), MemberMeasure("files", 1 << 40))))
    assert stage.lines == []
    told(control.Measures(1, (MemberMeasure("ui", 100), MemberMeasure("x", 10))))
    assert stage.lines[0] == ("rekey.due", "these keys have carried 100 calls")
    told(control.Measures(1, (MemberMeasure("ui", 900),)))
    assert len(stage.lines) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        *({"seconds": 0.5}, {"seconds": -1}, {"seconds": float("nan")}, {"seconds": float("inf")}, {"seconds": True}),
        *({"seconds": "60"}, {"calls": 0}, {"calls": 1.5}, {"calls": True}, {"drain": -0.1}, {"drain": float("inf")}),
    ],
    ids=str,
)
def test_a_declaration_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    """A12: before anything starts."""
    with pytest.raises(DeclarationError, match="Rekey: "):
        Rekey(**wrong)


def test_the_default_changes_no_keys_by_itself(clock: Clock) -> None:
    """A12: and gives calls ten seconds when somebody asks."""
    stage = Stage(clock, Rekey())
    stage.tick(1e9)
    assert (stage.lines, stage.rekeying.due, Rekey().drain) == ([], None, 10.0)
