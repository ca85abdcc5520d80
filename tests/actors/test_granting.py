"""What stands between a caller and a handler: conditions, rates, the log, and who gets what at boot."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.actors.handlers import exported, handler
from trollbridge.actors.serving.approving import DESK, MOST_WAITING_OF_ONE
from trollbridge.actors.serving.gatekeeper import Gatekeeper
from trollbridge.actors.serving.granting import NOT_ALLOWED, Rate
from trollbridge.actors.serving.invocation import Caller
from trollbridge.messages.control import Granted, NoticeKind
from trollbridge.messages.errors import CallError, DeclarationError, NotAllowed
from trollbridge.messages.grants import Between, CallApproval, Grant, Longest, Matching, OneOf
from trollbridge.messages.ids import MemberId, Role

if TYPE_CHECKING:
    from trollbridge.messages.record import Item

PLUGIN: Final = MemberId("plugin")
SECOND: Final = 1_000_000


class Point(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A place."""

    x: int
    y: int = 0


class Desk:
    """What is granted here."""

    @handler
    def take(  # noqa: PLR0913, PLR0917  # one parameter of each kind
        self,
        text: str = "",
        number: int = 0,
        share: float = 0.0,
        flag: bool = False,  # noqa: FBT001, FBT002  # handlers have no keyword-only parameters
        data: bytes = b"",
        maybe: str | None = None,
        point: Point = Point(0),  # noqa: B008  # frozen
        table: dict[str, int] = {},  # noqa: B006  # never changed
        row: tuple[int, ...] = (),
    ) -> None:
        """Take anything."""

    @handler
    def other(self, text: str) -> None:
        """Do something else."""

    @handler(core=True)
    def wipe(self) -> None:
        """Be the core's."""


class Taken:
    """Has a handler of a name that is taken where anything needs approval."""

    @handler
    def approve_call(self) -> None:
        """Do nothing of the kind."""


HANDLERS: Final = exported(Desk)
NAMES: Final = tuple(each.name for each in HANDLERS["take"].parameters)
DEFAULTS: Final[tuple[Any, ...]] = ("", 0, 0.0, False, b"", None, Point(0), {}, ())


class World:
    """The outside of one server, and the server's gatekeeper."""

    def __init__(self, *grants: Grant) -> None:
        """Admit a plugin with these grants."""
        self.time = 0
        self.notices: list[tuple[NoticeKind, str, str, str]] = []
        self.keeper = Gatekeeper(MemberId("vault"), HANDLERS, self)
        self.granted = Granted(PLUGIN, "extension", tuple(grants))
        self.keeper.admit(self.granted)

    def put(self, item: Item, body: bytes = b"") -> None:
        """Send nothing."""

    def notice(self, kind: NoticeKind, about: str, why: str, detail: str = "") -> None:
        """Keep a notice."""
        self.notices.append((kind, about, why, detail))

    def now(self) -> int:
        """Return the time."""
        return self.time

    def catch_up(self) -> None:
        """Have nothing to take."""

    def call(self, name: str = "take", *, member: MemberId = PLUGIN, role: Role = Role.EXTENSION, **named: Any) -> str:  # noqa: ANN401  # any argument
        """Make a call; return what it came to."""
        whole = tuple(named.get(n, d) for n, d in zip(NAMES, DEFAULTS, strict=True))
        arguments = whole[: len(HANDLERS[name].parameters)]
        gate = self.keeper.gates(member).get(name)
        try:
            self.keeper.judge(Caller(member, role), gate, HANDLERS[name], arguments)
        except CallError as error:
            return type(error).__name__
        return "ran"

    def decide(self, name: str, ticket: bytes = b"") -> Any:  # noqa: ANN401  # the desk's results
        """Ask the desk."""
        return self.keeper.at_desk(DESK[name], (ticket,) if ticket else ())


def _ran(condition: object, argument: str, value: object) -> bool:
    arguments: dict[str, Any] = {argument: value}
    return World(Grant("take").where(**{argument: condition})).call(**arguments) == "ran"


@pytest.mark.parametrize(
    ("argument", "condition", "fits", "misses"),
    [
        ("text", "a", ["a"], ["", "A", "a ", "a\0", "á"]),
        ("text", Matching("a+"), ["a", "aa"], ["", "ab", "a\n", "a" * 5000]),
        ("text", Longest(2), ["", "ab", "éé"], ["abc"]),
        ("text", OneOf("a", Matching("b.")), ["a", "bc"], ["b", "ab"]),
        ("number", 1, [1], [0, -1, 2]),
        ("number", Between(-1, 2.5), [-1, 0, 2], [-2, 3]),
        ("share", 1, [1.0], [1.5, math.nan, math.inf]),
        ("share", Between(0, 1), [0.0, 0.5, 1.0], [-0.1, 1.1, math.nan, math.inf, -math.inf]),
        ("flag", True, [True], [False]),
        ("data", b"a", [b"a"], [b"", b"A"]),
        ("data", Longest(1), [b"", b"a"], [b"ab"]),
        ("maybe", Matching("a"), ["a"], [None, "b"]),
        ("maybe", None, [None], ["", "None"]),
        ("point", Point(1, 2), [Point(1, 2)], [Point(2, 1), Point(1)]),
        ("table", {"a": 1, "b": 2}, [{"b": 2, "a": 1}], [{"a": 1}, {"a": 1, "b": 2, "c": 3}]),
        ("table", Longest(1), [{}, {"a": 5}], [{"a": 1, "b": 2}]),
        ("row", (1, 2), [(1, 2)], [(2, 1), (1,), (1, 2, 3)]),
        ("row", [1, 2], [(1, 2)], [()]),
        ("row", Longest(2), [(), (1, 2)], [(1, 2, 3)]),
    ],
)
def test_a_condition_lets_pass_what_it_names_and_nothing_else(
    argument: str, condition: object, fits: list[object], misses: list[object]
) -> None:
    """A18, S4: on decoded arguments, defaults included."""
    assert all(_ran(condition, argument, value) for value in fits)
    assert not any(_ran(condition, argument, value) for value in misses)


@given(st.text(max_size=10), st.text(max_size=10))
def test_a_value_is_equal_to_itself_only(one: str, two: str) -> None:
    """S4: no folding, no normalising."""
    assert _ran(one, "text", two) == (one == two)


@pytest.mark.parametrize(
    ("argument", "condition", "said"),
    [
        ("txet", "a", "grants limit the argument txet of take, whose parameters are: text, number, "),
        ("text", 1, "grants limit the argument text of take to what is no str, which is its type"),
        ("text", b"a", "to what is no str"),
        ("text", Between(1, 2), "to what is no str"),
        ("number", "1", "to what is no int"),
        ("number", True, "to what is no int"),
        ("number", 1.0, "to what is no int"),
        ("number", Longest(1), "to what is no int"),
        ("flag", Between(0, 1), "to what is no bool"),
        ("share", "x", "to what is no float"),
        ("maybe", 1, "to what is no str | None"),
        ("point", (1,), "to what is no Point"),
        ("point", Longest(1), "to what is no Point"),
        ("row", ("a",), r"to what is no tuple[int, ...]"),
        ("text", OneOf("a", 1), "to what is no str"),
        ("text", OneOf("a", OneOf(Between(1, 2))), "to what is no str"),
    ],
)
def test_a_condition_that_no_call_could_fulfil_is_told_at_boot(argument: str, condition: object, said: str) -> None:
    """S4: an unknown parameter, another type; whoever was granted it, before anything runs."""
    with pytest.raises(DeclarationError) as told:
        World(Grant("take").where(**{argument: condition}))
    assert said in str(told.value)


def test_of_several_grants_the_first_that_fits_decides() -> None:
    """A18: a later one does not open what the first has closed, and what none fits is refused."""
    world = World(
        Grant("take", rule=1).where(text="a").at_most(1, seconds=60),
        Grant("take", rule=2).where(text=OneOf("a", "b")),
    )
    assert [world.call(text=each) for each in ("a", "a", "b", "b", "c")] == [
        "ran",
        "NotAllowed",
        "ran",
        "ran",
        "NotAllowed",
    ]
    assert [(why, detail) for _, _, why, detail in world.notices] == [
        ("more calls than the grant allows in its time", "take rule 1"),
        ("argument text is not the value that the grant names, and no other grant fits", "take rule 1"),
    ]


def test_a_grant_without_conditions_has_no_gate_unless_one_stands_before_it() -> None:
    """What is granted plainly costs nothing; a plain grant behind another still counts."""
    plain = World(Grant("take"), Grant("other").where(text="a"))
    assert list(plain.keeper.gates(PLUGIN)) == ["other"]
    assert World(Grant("take"), Grant("take").where(text="a")).keeper.gates(PLUGIN) == {}
    behind = World(Grant("take").where(text="a").at_most(1, seconds=60), Grant("take"))
    assert [behind.call(text=each) for each in ("b", "a", "a", "b")] == ["ran", "ran", "NotAllowed", "ran"]
    assert plain.keeper.gates(MemberId("stranger")) == {}


def test_a_refusal_tells_its_caller_nothing_and_the_log_no_value() -> None:
    """A11, I6: one text for all causes; the log names the argument, the handler and the rule."""
    secret = "hunter2"
    world = World(Grant("take", rule=3).where(text=secret).at_most(1, seconds=1))
    with pytest.raises(NotAllowed) as wrong:
        world.keeper.judge(Caller(PLUGIN, Role.EXTENSION), world.keeper.gates(PLUGIN)["take"], HANDLERS["take"], ("x",))
    assert world.call(text=secret) == "ran"
    with pytest.raises(NotAllowed) as often:
        world.keeper.judge(
            Caller(PLUGIN, Role.EXTENSION), world.keeper.gates(PLUGIN)["take"], HANDLERS["take"], (secret,)
        )
    assert str(wrong.value) == str(often.value) == NOT_ALLOWED
    assert [kind for kind, *_ in world.notices] == [NoticeKind.CALL_REFUSED] * 2
    assert secret not in repr(world.notices)


def test_many_refusals_do_not_fill_the_log() -> None:
    """I4: the first, the second, the fourth … of each kind."""
    world = World(Grant("take", rule=1).where(text="a"))
    for _ in range(1000):
        assert world.call(text="b") == "NotAllowed"
    assert [detail for _, _, _, detail in world.notices] == [
        "take rule 1",
        *(f"take rule 1, {1 << power} so far" for power in range(1, 10)),
    ]


@given(st.lists(st.integers(0, 3 * SECOND), max_size=60), st.integers(1, 5))
def test_a_rate_never_lets_more_pass_within_its_time(gaps: list[int], most: int) -> None:
    """A18: whatever the pattern of calls; and one that would fit is never refused."""
    span = 2 * SECOND
    rate, now, passed = Rate(most, span), 0, list[int]()
    for gap in gaps:
        now += gap
        inside = [each for each in passed if each > now - span]
        assert rate.full(now) == (len(inside) >= most)
        if not rate.full(now):
            rate.count(now)
            passed.append(now)
        assert len(rate._times) <= most


def test_refused_calls_use_up_no_rate() -> None:
    """A18: neither those of wrong arguments nor those that wait."""
    world = World(Grant("take").where(text="a").at_most(2, seconds=60).approved())
    assert [world.call(text=each) for each in ("b", "a", "b", "a")] == [
        "NotAllowed",
        "ApprovalNeeded",
        "NotAllowed",
        "ApprovalNeeded",
    ]
    for _ in range(2):
        assert world.call(text="a") == "ApprovalNeeded"
        assert world.decide("approve_call", world.decide("call_approvals")[0].ticket) is None
        assert world.call(text="a") == "ran"
    assert world.call(text="a") == "NotAllowed", "the rate is used up: nothing waits for an approval then"
    assert world.decide("call_approvals") == ()
    world.time += 60 * SECOND
    assert world.call(text="a") == "ApprovalNeeded"


def test_a_caller_that_starts_anew_keeps_its_rates_and_refusals() -> None:
    """K2, A49: an extension that ends itself gains nothing; what its old process asked for is gone."""
    world = World(Grant("take").at_most(1, seconds=60), Grant("other").approved())
    assert [world.call(), world.call()] == ["ran", "NotAllowed"]
    assert world.call("other", text="a") == world.call("other", text="b") == "ApprovalNeeded"
    first, second = world.decide("call_approvals")
    world.decide("refuse_call", first.ticket)
    world.decide("approve_call", second.ticket)
    assert world.call("other", text="c") == "ApprovalNeeded"
    world.keeper.admit(world.granted)
    assert world.decide("call_approvals") == ()
    assert world.call() == "NotAllowed"
    assert world.call("other", text="a") == "ApprovalRefused"
    assert world.call("other", text="b") == "ApprovalNeeded", "the approval was for the process that asked"


def test_what_waits_is_shown_to_the_core_and_decided_once() -> None:
    """K2: by ticket; a second decision finds nothing."""
    world = World(Grant("take", rule=4).approved())
    assert world.call(text="a", data=b"x" * 9, number=7) == "ApprovalNeeded"
    [waiting] = world.decide("call_approvals")
    assert isinstance(waiting, CallApproval)
    assert (waiting.server, waiting.handler, waiting.caller, waiting.rule) == ("vault", "take", "plugin", 4)
    shown = {each.name: each.text for each in waiting.arguments}
    assert (shown["text"], shown["number"], shown["point"]) == ("'a'", "7", "Point(x=0, y=0)")
    assert shown["data"].startswith("9 bytes, SHA-256 ")
    for verdict in ("approve_call", "refuse_call"):
        assert isinstance(world.decide(verdict, bytes(16)), NotAllowed)
    assert world.decide("approve_call", waiting.ticket) is None
    assert isinstance(world.decide("refuse_call", waiting.ticket), NotAllowed)
    assert world.call(text="a", data=b"x" * 9, number=8) == "ApprovalNeeded", "other arguments"
    assert world.call(text="a", data=b"x" * 9, number=7) == "ran"
    assert world.call(text="a", data=b"x" * 9, number=7) == "ApprovalNeeded"


def test_a_refused_call_is_known_by_its_values_not_by_their_order() -> None:
    """K2: the keys of a dict in another order make no other call; another value does. So it is with an approval."""
    world = World(Grant("take").approved())
    first, second = {"a": 1, "b": 2}, {"b": 2, "a": 1}
    assert world.call(table=first) == "ApprovalNeeded"
    world.decide("refuse_call", world.decide("call_approvals")[0].ticket)
    assert [world.call(table=each) for each in (first, second, {"a": 2, "b": 1})] == [
        "ApprovalRefused",
        "ApprovalRefused",
        "ApprovalNeeded",
    ]
    world.decide("approve_call", world.decide("call_approvals")[0].ticket)
    assert [world.call(table={"b": 1, "a": 2}) for _ in range(2)] == ["ran", "ApprovalNeeded"]


def test_one_caller_displaces_nobody_elses_request() -> None:
    """K2, F3: its own oldest goes first."""
    world = World(Grant("take").approved())
    other = MemberId("other")
    world.keeper.admit(Granted(other, "extension", (Grant("take").approved(),)))
    assert world.call(member=other, text="mine") == "ApprovalNeeded"
    for number in range(100):
        assert world.call(number=number) == "ApprovalNeeded"
    waiting = world.decide("call_approvals")
    assert [each.caller for each in waiting] == ["other"] + ["plugin"] * MOST_WAITING_OF_ONE


def test_nobody_but_the_core_is_granted_what_is_the_cores() -> None:
    """A41: at boot, by every way; and it is refused where it would be run, too."""
    for role in ("extension", "enclave", "host"):
        with pytest.raises(
            DeclarationError, match=r"^grants let plugin call vault\.wipe, which is for the core UI alone$"
        ):
            World().keeper.check((Granted(PLUGIN, role, (Grant("wipe"),)),))
        with pytest.raises(DeclarationError):
            World().keeper.admit(Granted(PLUGIN, role, (Grant("wipe"),)))
    world = World()
    world.keeper.check((Granted("console", "ui", (Grant("wipe"),)),))
    for role in (Role.EXTENSION, Role.ENCLAVE, Role.HOST):
        assert world.call("wipe", role=role) == "NotAllowed"
    assert world.call("wipe", role=Role.UI) == "ran"


def test_the_desk_is_there_only_where_something_needs_approval() -> None:
    """A17: its handlers appear with the declaration, or never; none of the server's own can have such a name."""
    plain, needing = World(Grant("take")), World(Grant("take").approved())
    assert set(plain.keeper.handlers) == set(HANDLERS)
    assert set(needing.keeper.handlers) == {*HANDLERS, *DESK}
    assert [needing.keeper.is_desk(each) for each in needing.keeper.handlers.values()] == [False] * 3 + [True] * 3
    for name in DESK:
        with pytest.raises(DeclarationError, match="for the core UI alone"):
            needing.keeper.check((Granted(PLUGIN, "extension", (Grant(name),)),))
        with pytest.raises(DeclarationError, match=f"grants name vault.{name}, but vault exports other, take, wipe"):
            plain.keeper.check((Granted("console", "ui", (Grant(name),)),))
    keeper = Gatekeeper(MemberId("vault"), exported(Taken), plain)
    with pytest.raises(DeclarationError, match="vault has a handler approve_call"):
        keeper.check((Granted(PLUGIN, "extension", (Grant("approve_call").approved(),)),))
