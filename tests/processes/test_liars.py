"""A compromised host on a real ring: what it can make the core UI believe, the log say, and whom it can hide."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.harness.puppeteer import Backstage, Hand, Puppeteer, perform
from tests.processes import liars as acts
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.grants import LONGEST_SHOWN, MOST_SHOWN, MOST_WAITING

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Puppeteer, Hand]]:
    """One ring for all but the last test, which costs the host its process."""
    folder = tmp_path_factory.mktemp("stage")
    settings = {"extension": f"{folder}/backstage"}
    with Backstage(folder) as back, Puppeteer("tests.processes.liars:ring", settings) as console:
        console.await_epoch(1)
        yield console, back.next_hand()
        assert console.leave() == 0


def test_a_client_learns_what_it_may_call_and_no_rule(stage: tuple[Puppeteer, Hand]) -> None:
    """A18, S4: its tickets name methods; what the server has of them it learns from nobody."""
    plain = "conditions=(), most=0, seconds=0, approval=False, rule=0"
    assert stage[1].act(acts.tickets) == [
        f"('keeper', (Grant(handler='pay', {plain}),))",
        f"('liar', (Grant(handler='go', {plain}),))",
    ]
    assert [stage[1].act(acts.pay, amount=each, keys="") for each in (8, 9)] == ["NotAllowed", "ApprovalNeeded"]


def test_a_refused_call_stays_refused_however_its_arguments_are_written(stage: tuple[Puppeteer, Hand]) -> None:
    """K2: the order of a dict's keys is nothing that could make another call of it."""
    console, _ = stage
    assert console.act(acts.pay, amount=5, keys="ab") == "ApprovalNeeded"
    console.act(acts.refuse_all)
    assert [console.act(acts.pay, amount=5, keys=each) for each in ("ab", "ba", "abc")] == [
        "ApprovalRefused",
        "ApprovalRefused",
        "ApprovalNeeded",
    ]


def test_a_host_speaks_for_itself_and_hides_nobody(stage: tuple[Puppeteer, Hand]) -> None:
    """K2, I6, F3: its calls bear its own name, in words that steer no terminal; if it fails, the others' stay."""
    console, _ = stage
    console.act(acts.refuse_all)
    assert console.act(acts.pay, amount=6, keys="") == "ApprovalNeeded"
    console.result("liar.lie", "forge")
    found = console.act(acts.listed)
    assert sorted(each["server"] for each in found) == ["keeper", *["liar"] * MOST_WAITING]
    assert {each["asked"] <= time.time() for each in found} == {True}
    texts = [text for each in found for text in each["texts"]]
    assert (max(map(len, texts)), all(map(str.isprintable, texts))) == (LONGEST_SHOWN, True)
    assert max(len(each["texts"]) for each in found) == 2 + 2 * (MOST_SHOWN + 1)
    console.result("liar.lie", "fail")
    assert [each["server"] for each in console.act(acts.listed)] == ["keeper"]


def test_a_host_writes_in_the_log_what_a_host_may_and_in_its_own_name(stage: tuple[Puppeteer, Hand]) -> None:
    """I2, I6: who said it, about a member, printable and short."""
    console, _ = stage
    console.result("liar.notice", "call.refused", "keeper", acts.ESCAPES + "x" * 5000)
    told = console.wait_for("call.refused", told_by="liar")
    assert (told.member, told.why[:5], len(told.why), len(told.detail)) == ("keeper", "pay�[", 200, 1000)
    assert (told.why + told.detail).isprintable()
    console.result("liar.notice", "join.refused", "no such\nmember", "y")
    assert console.wait_for("join.refused", told_by="liar").member == "?"


def test_a_host_cannot_say_what_the_broker_alone_notices() -> None:
    """I2, P2: it costs the host its own process, and nobody else theirs; nobody is accused, no such line is written."""
    with perform("tests.processes.liars:ring") as console:
        console.call("liar.notice", NoticeKind.MEMBER_REMOVED.value, "keeper", "a forged reason")
        console.wait_for("process.refused", member="liar")
        console.wait_for("member.joined", member="liar", incarnation=2)
        assert console.lines("member.removed") == []
        assert "a forged reason" not in console.report()
        assert console.lines("process.ended", member="keeper") == [], "it was not accused"
        assert console.leave() == 0
        assert [line.epoch for line in console.lines("ring.sealed")] == [1]
