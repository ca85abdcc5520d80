"""OTP's rules as tables: which end leads to which stops and starts, and when a group gives up. Without any process.

How to read it: three children a, b and c of one supervisor; b has the restart type at the left of the row and ends as
the column says; a and c are permanent. `-c` is a stop, `+b` a start, `.` nothing. Where b fails to start, c has been
stopped already if its strategy wants that.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final

import pytest

from tests.supervision.playing import Play, kept, permanent
from trollbridge.actors.operations.events import EVENTS
from trollbridge.actors.supervision import children, keeping
from trollbridge.actors.supervision.actions import Start
from trollbridge.actors.supervision.declaring import OF_A_GROUP, Group, Restart, Strategy
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.actors.supervision.reasons import Reason, reason_of
from trollbridge.messages.ids import MemberId, Role

MATRIX: Final = """
                         | normal         | shutdown       | error exit     | signal         | hang           | start failure
one_for_one   permanent  | +b             | +b             | +b             | +b             | +b             | +b
one_for_one   transient  | .              | .              | +b             | +b             | +b             | +b
one_for_one   temporary  | .              | .              | .              | .              | .              | .
one_for_all   permanent  | -c -a +a +b +c | -c -a +a +b +c | -c -a +a +b +c | -c -a +a +b +c | -c -a +a +b +c | -a +a +b +c
one_for_all   transient  | .              | .              | -c -a +a +b +c | -c -a +a +b +c | -c -a +a +b +c | -a +a +b +c
one_for_all   temporary  | .              | .              | .              | .              | .              | +c
rest_for_one  permanent  | -c +b +c       | -c +b +c       | -c +b +c       | -c +b +c       | -c +b +c       | +b +c
rest_for_one  transient  | .              | .              | -c +b +c       | -c +b +c       | -c +b +c       | +b +c
rest_for_one  temporary  | .              | .              | .              | .              | .              | +c
"""  # noqa: E501  # a table


def rows() -> list[tuple[Strategy, Restart, list[str]]]:
    """Read the table."""
    _, *lines = MATRIX.strip("\n").splitlines()
    found: list[tuple[Strategy, Restart, list[str]]] = []
    for line in lines:
        name, *told = line.split("|")
        strategy, restart = name.split()
        found.append((Strategy(strategy), Restart(restart), [each.strip().replace(".", "") for each in told]))
    return found


def test_the_table_is_whole() -> None:
    """A55: every restart type, every way to end, every strategy."""
    head = MATRIX.strip("\n").splitlines()[0]
    assert [each.strip() for each in head.split("|")[1:]] == list(Reason)
    assert {each[:2] for each in rows()} == set(itertools.product(Strategy, Restart))
    assert {len(told) for _, _, told in rows()} == {len(Reason)}


def end(play: Play, reason: Reason) -> str:
    """Have b end in one of the ways; return what happened."""
    return play.fail_to_start("b") if reason is Reason.START_FAILURE else play.die("b", reason)


@pytest.mark.parametrize(("strategy", "restart", "told"), rows())
def test_an_end_leads_to_these_stops_and_starts(strategy: Strategy, restart: Restart, told: list[str]) -> None:
    """A55: each cell of a row; and afterwards everybody is up but b, if nobody started it again."""
    found: list[str] = []
    for reason in Reason:
        play = Play(kept({"a": "permanent", "b": restart, "c": "permanent"}), strategy=strategy)
        found.append(end(play, reason))
        again = "+b" in found[-1]
        assert (play.up, play.gone) == (("a b c", set()) if again else ("a c", {"b"}))
    assert found == told


ESCALATION: Final = """
                         | inner permanent             | inner transient | inner temporary
one_for_one              | !inner -b +b +a             | !inner -b       | !inner -b
one_for_all              | !inner -b -z -y +y +b +a +z | !inner -b       | !inner -b
rest_for_one             | !inner -b -z +b +a +z       | !inner -b       | !inner -b
"""


def escalations() -> list[tuple[Strategy, Restart, str]]:
    """Read the second table: y, a group of a and b, and z; a ends once too often, and is put off."""
    head, *rows = ESCALATION.strip("\n").splitlines()
    restarts = [Restart(each.split()[1]) for each in head.split("|")[1:]]
    found: list[tuple[Strategy, Restart, str]] = []
    for row in rows:
        name, *told = row.split("|")
        for restart, each in zip(restarts, told, strict=True):
            found.append((Strategy(name.strip()), restart, each.strip()))
    return found


@pytest.mark.parametrize(("strategy", "restart", "told"), escalations())
def test_a_group_that_gives_up_counts_as_a_child_that_has_ended(
    strategy: Strategy, restart: Restart, told: str
) -> None:
    """A55: what is left of it is stopped, then the group above does with it as with a child that ended by shutdown."""
    inner = Group("inner", ["a", "b"], intensity=Intensity(1, 10.0), restart=restart)
    play = Play(permanent("y", "a", "b", "z"), [inner], strategy)
    assert play.die("a", Reason.SIGNAL) == "+a"
    assert play.die("a", Reason.SIGNAL) == told
    assert play.up == ("y a b z" if restart is Restart.PERMANENT else "y z")
    assert play.gone == (set() if restart is Restart.PERMANENT else {"a", "b"})


LEADS_TO_A_RESTART: Final = [
    *((Restart.PERMANENT, reason) for reason in Reason),
    *((Restart.TRANSIENT, reason) for reason in Reason if reason not in {Reason.NORMAL, Reason.SHUTDOWN}),
]


@pytest.mark.parametrize("strategy", Strategy)
def test_one_restart_too_many_ends_in_the_fall_of_the_ring(strategy: Strategy) -> None:
    """A55, K5: for each way to end that leads to a restart: so many restarts, then the root gives up, at once."""
    for restart, reason in LEADS_TO_A_RESTART:
        play = Play(kept({"a": "permanent", "b": restart}), strategy=strategy, intensity=Intensity(2, 1000.0))
        for _ in range(2):
            assert "x" not in end(play, reason)
        assert end(play, reason).endswith("!root x")
        assert play.tree.due is None
        assert play.tree.tick(play.now + 100) == []


def test_a_temporary_child_never_costs_anybody_anything() -> None:
    """A55: with an intensity of nought, under the strategy that is the hardest on others."""
    for reason in Reason:
        play = Play(kept({"a": "permanent", "b": "temporary"}), strategy="one_for_all", intensity=Intensity(0, 10.0))
        assert (play.die("b", reason), play.up) == ("", "a")


def test_the_way_up_a_tree_of_three_groups() -> None:
    """A55: leaf, inner, outer, root, the ring: each counts for itself, and counts anew once it was started again."""
    once = Intensity(1, 1000.0)
    groups = [Group("outer", ["inner", "b"], intensity=once), Group("inner", ["a"], intensity=once)]
    play = Play(kept({"a": "permanent", "b": "permanent", "c": "permanent"}), groups, intensity=once)
    assert play.die("a", Reason.ERROR) == "+a"
    assert play.die("a", Reason.ERROR) == "!inner +a"
    assert play.die("a", Reason.ERROR) == "+a"
    assert play.die("a", Reason.ERROR) == "!inner !outer -b +b +a"
    for _ in range(3):
        assert play.die("a", Reason.ERROR).endswith("+a")
    assert play.die("a", Reason.ERROR) == "!inner !outer -b !root x"


def test_what_lies_far_apart_is_no_crash_loop() -> None:
    """K5: the same ends, each after the period of the one before."""
    play = Play(kept({"a": "permanent"}), intensity=Intensity(1, 5.0))
    for _ in range(20):
        assert play.die("a", Reason.SIGNAL) == "+a"
        play.now += 5.1


def test_restarts_are_put_off_longer_and_longer() -> None:
    """K5: at once, then after a twentieth of a second, then doubling."""
    play = Play(kept({"a": "permanent"}), intensity=Intensity(9, 1000.0))
    for _ in range(6):
        play.die("a", Reason.START_FAILURE)
    assert [each.delay for each in play.restarts] == [0.0, 0.05, 0.1, 0.2, 0.4, 0.8]
    assert [each.number for each in play.restarts] == [1, 2, 3, 4, 5, 6]
    assert len(play.tree.died(MemberId("a"), Reason.SIGNAL, 10.0)) == 1
    assert (play.tree.due, play.tree.tick(11.5)) == (11.6, [])
    assert play.tree.tick(11.6) == [Start(MemberId("a"))]


def test_a_transient_child_that_has_finished_is_started_with_the_others_and_a_temporary_one_is_not() -> None:
    """A55: as in OTP, which keeps the specification of the one, and forgets the other's."""
    names = {"a": "transient", "b": "temporary", "c": "permanent"}
    play = Play(kept(names), strategy="one_for_all")
    assert play.die("a", Reason.NORMAL) == ""
    assert play.die("c", Reason.SIGNAL) == "-b +a +c"
    assert (play.up, play.gone) == ("a c", {"b"})


def test_a_temporary_child_comes_again_with_its_group() -> None:
    """A55: as in OTP: a supervisor that is started again starts all of its children."""
    inner = Group("inner", ["a", "b"], intensity=Intensity(0, 1.0))
    play = Play(kept({"a": "permanent", "b": "temporary"}), [inner])
    assert play.die("b", Reason.NORMAL) == ""
    assert (play.die("a", Reason.SIGNAL), play.up, play.gone) == ("!inner +a +b", "a b", set())


def test_in_a_group_whose_order_counts_each_waits_for_the_one_before() -> None:
    """A55: ordered start: b is started once a is ready; without an order all are started at once."""
    members = permanent("a", "b")
    play = Play(members, strategy="rest_for_one")
    assert play.die("a", Reason.SIGNAL) == "-b +a +b"
    assert play.fail_to_start("a") == "+a +b"
    free = Play(members)
    assert free.fail_to_start("a") == "+a"


def test_a_host_runs_from_the_beginning_and_is_started_again_like_any_other() -> None:
    """A55: it came with the ring; the extension after it comes once the ring is sealed, and goes with it."""
    members = [*kept({"files": "permanent"}, Role.HOST), *kept({"helper": "permanent"})]
    play = Play(members, strategy="rest_for_one")
    assert play.up == "files helper"
    assert play.die("files", Reason.SIGNAL) == "-helper +files +helper"
    assert play.die("helper", Reason.SIGNAL) == "+helper"


def test_what_a_person_has_restarted_counts_nowhere() -> None:
    """A55: a request by hand stops and starts whoever goes with it, a temporary or finished one too."""
    play = Play(kept({"a": "permanent", "b": "temporary"}), strategy="rest_for_one", intensity=Intensity(0, 10.0))
    assert play.restart("a") == "-b -a +a"
    assert play.restart("b") == "+b"
    assert (play.restart("b"), play.up, play.restarts) == ("-b +b", "a b", [])


@pytest.mark.parametrize(
    ("status", "hung", "reason"),
    [
        (0, False, Reason.NORMAL),
        (-15, False, Reason.SHUTDOWN),
        (143, False, Reason.SHUTDOWN),
        (1, False, Reason.ERROR),
        (255, False, Reason.ERROR),
        (-9, False, Reason.SIGNAL),
        (-11, False, Reason.SIGNAL),
        (-9, True, Reason.HUNG),
    ],
)
def test_an_exit_status_has_one_reason(status: int, hung: bool, reason: Reason) -> None:  # noqa: FBT001  # a table
    """A55: the words of the table."""
    assert reason_of(status, hung=hung) is reason


PAGE: Final = Path(__file__).parents[2] / "actors" / "supervision" / "SUPERVISION.md"


def test_the_page_has_the_tables_that_the_code_leads_to() -> None:
    """A55: each cell of the page is played; what the page says of the defaults is what they are."""
    text = PAGE.read_text(encoding="utf-8")
    rows = [f"| restart | {' | '.join(Reason)} |", f"|{'---|' * (len(Reason) + 1)}"]
    for restart in Restart:
        told = [end(Play(kept({"b": restart})), reason) for reason in Reason]
        rows.append(f"| {restart} | {' | '.join('again' if each else '–' for each in told)} |")
    assert "\n".join(rows) in text
    for strategy in Strategy:
        told_of_others = Play(permanent("a", "b", "c"), strategy=strategy).die("b", Reason.SIGNAL)
        assert f"| {strategy} | `{told_of_others}` |" in text
    assert (OF_A_GROUP, Intensity()) == (Intensity(3, 10.0), Intensity(5, 30.0))
    assert "by default 3 times in 10." in text
    assert "by default 5 times in 30 seconds" in text
    assert (children.GRACE, children.UI_GRACE, keeping.START_LIMIT) == (2.0, 5.0, 30.0)
    assert all(f"`{event}`" in text for event in EVENTS if event.startswith(("child.", "group.", "start.")))
