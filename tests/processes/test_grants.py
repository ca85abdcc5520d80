"""Grants with conditions, rates and approval on a real ring: what fits runs, what does not is refused and logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.harness.puppeteer import Backstage, Hand, Puppeteer
from tests.harness.running import Running
from tests.processes import grants_app as acts
from trollbridge.actors import exits
from trollbridge.actors.serving.granting import WAS_REFUSED

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION = "tests.processes.grants_app:application"
NO = "NotAllowed: No grant allows this call."


class Stage:
    """The application while it runs."""

    def __init__(self, console: Puppeteer, extra: Hand) -> None:
        """Take both ends."""
        self.console = console
        self.extra = extra

    def ran(self) -> int:
        """Return how many handlers have run."""
        return int(self.console.result("notary.ran"))

    def refusals(self) -> list[str]:
        """Return what the log has of refused calls."""
        return [f"{each.member}: {each.why}; {each.detail}" for each in self.console.lines("call.refused")]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One ring for all: the user interface and one extension."""
    folder = tmp_path_factory.mktemp("stage")
    with Backstage(folder) as back, Puppeteer(APPLICATION, {"extension": back.path}) as console:
        console.await_epoch(1)
        yield Stage(console, back.next_hand())
        assert console.leave() == 0


def test_arguments_decide_and_a_refusal_says_nothing(stage: Stage) -> None:
    """A11, A18, S4: of several grants the first that fits; the error is one and the same; nothing runs."""
    before, told, start = stage.ran(), len(stage.refusals()), len(stage.console.log.items)
    fitting = [["sign", b"x" * 100, "release"], ["sign", b"x" * 1000, "test-12"], ["spell", "word"]]
    assert stage.extra.act(acts.every, calls=fitting) == ["'release:100'", "'test-12:1000'", "'w'"]
    wrong = [
        *(["sign", b"x" * 101, "release"], ["sign", b"x", "release "], ["sign", b"x", "test-1\n"], ["sign", b"x"]),
        *(["draw", 0, "food"], ["draw", 11, "food"], ["draw", 5, "wine"], ["draw", 5, "bookss"]),
        ["spell", "A"],
    ]
    assert stage.extra.act(acts.every, calls=wrong) == [NO] * len(wrong)
    assert stage.ran() == before + 3
    assert stage.console.act(acts.every, calls=[["sign", b"x", "any"], ["stamp", 7], ["stamp", 8]]) == [
        "'any:1'",
        "7",
        NO,
    ]
    stage.console.wait_for("call.refused", start=start, member="console")
    assert stage.refusals()[told:] == [
        "extra: argument document is longer than the grant allows, and no other grant fits; sign rule 1",
        "extra: argument key is not the value that the grant names, and no other grant fits; sign rule 1",
        "extra: argument key is not the value that the grant names, and no other grant fits; sign rule 1, 2 so far",
        "extra: argument amount lies outside the grant's range; draw rule 3",
        "extra: argument amount lies outside the grant's range; draw rule 3, 2 so far",
        "extra: argument purpose is nothing of what the grant allows; draw rule 3",
        "extra: argument purpose is nothing of what the grant allows; draw rule 3, 2 so far",
        "extra: argument word does not match the grant's pattern; spell rule 5",
        "console: argument number is not the value that the grant names; stamp rule 4",
    ]


def test_a_rate_holds_though_the_extension_sends_all_at_once(stage: Stage) -> None:
    """A18: two calls within an hour, however they come; the core has a rate of its own, or none."""
    promises = [stage.extra.call("notary.stamp", number) for number in range(6)]
    assert [each.outcome() for each in promises] == ["value"] * 2 + ["NotAllowed"] * 4
    assert stage.console.act(acts.every, calls=[["stamp", 7]] * 3) == ["7"] * 3
    why, detail = "more calls than the grant allows in its time", "stamp rule 4, 4 so far"
    stage.console.wait_for("call.refused", member="extra", why=why, detail=detail)


def test_each_approval_lets_one_call_pass_and_a_refusal_stands(stage: Stage) -> None:
    """K2: the same caller, handler and arguments, once; a second request needs its own; nobody else's call passes."""
    text = "This call must be approved first, and nobody has approved it yet; make it again once it is."
    needed = f"ApprovalNeeded: {text}"
    draw = ["draw", 5, "food"]
    before = stage.ran()
    assert stage.extra.act(acts.every, calls=[draw, draw]) == [needed] * 2
    assert stage.console.act(acts.waiting) == ["extra draw rule 3: amount=5, purpose='food'"]
    assert stage.console.act(acts.decide, approve=True) == 1
    assert stage.extra.act(acts.every, calls=[["draw", 6, "food"], draw, draw]) == [needed, "'5 for food'", needed]
    assert stage.ran() == before + 1
    assert stage.console.act(acts.decide, approve=False) == 2
    assert stage.extra.act(acts.every, calls=[draw, ["draw", 7, "book"]]) == [
        "ApprovalRefused: This call was refused.",
        needed,
    ]
    assert stage.console.act(acts.every, calls=[draw]) == ["'5 for food'"], "the core's own grant needs no approval"
    assert stage.console.act(acts.decide, approve=False) == 1
    stage.console.wait_for("call.refused", member="extra", why=WAS_REFUSED, detail="draw rule 3")


def test_deciding_and_what_is_the_cores_is_not_there_for_an_extension(stage: Stage) -> None:
    """A17, A41, A49: no name of it appears, and a call by name is no call; the core has it."""
    assert stage.extra.act(acts.seen) == ["draw", "sign", "spell", "stamp", "0"]
    assert [each.partition(":")[0] for each in stage.extra.act(acts.meddle)] == ["NoSuchHandler"] * 4
    assert stage.console.act(acts.meddle) == [
        "()",
        *["NotAllowed: No call waits under this ticket any more."] * 2,
        "'all wiped'",
    ]


def test_a_grant_of_what_is_the_cores_ends_the_boot() -> None:
    """A41: to anybody else it is a wrong declaration: one line, before any code of the extension runs."""
    with Running(APPLICATION, {"extension": "/nowhere", "wrong": "notary.wipe"}) as running:
        assert running.finish() == exits.DECLARATION
        said = "trollbridge: notary: grants let extra call notary.wipe, which is for the core UI alone"
        assert running.said() == [said]
