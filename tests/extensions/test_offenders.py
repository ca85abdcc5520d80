"""Extensions that break the rules: each is bounded, or removed, counted and named in the log; nobody else notices."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final

import pytest

from tests.attacks import hostile_acts
from tests.extensions import offender_acts
from tests.harness.gate import Gate
from tests.harness.puppeteer import Backstage, Hand, Puppeteer
from trollbridge.actors.broker.routing import MOST_STRIKES
from trollbridge.actors.isolation.limits import NICE
from trollbridge.messages.control import FROM_CHILD, Failed, FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES: Final = ("grabber", "liar", "pinger", "crier", "honest")
GRANTS: Final = ("probe.echo", "probe.mark")
GRACE: Final = 0.5
"""Seconds that an end may take, for the supervisor of this test."""
STEERING: Final = "\x1b[2J\u202eraed\n" * 2000


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Puppeteer, dict[str, Hand]]]:
    """Start one application with an extension for each offence, and an honest one."""
    with contextlib.ExitStack() as stack:
        backs: dict[str, Backstage] = {}
        for name in NAMES:
            backs[name] = stack.enter_context(Backstage(tmp_path_factory.mktemp(name)))
        settings = {
            "extensions": {name: back.path for name, back in backs.items()},
            "extension_grants": GRANTS,
            "grace": GRACE,
        }
        puppet = stack.enter_context(Puppeteer("tests.harness.stage:puppet_app", settings))
        puppet.await_epoch(1)
        yield puppet, {name: back.next_hand() for name, back in backs.items()}


def everybody_else_works(puppet: Puppeteer, hands: dict[str, Hand]) -> bool:
    """Return whether the core and an honest extension are answered in the first epoch's ring."""
    answers = [each.result("probe.echo", b"still here") for each in (puppet, hands["honest"])]
    return (answers, puppet.epoch) == ([b"still here"] * 2, 1)


def test_what_it_grabs_is_bounded_and_not_the_machine_s(cast: tuple[Puppeteer, dict[str, Hand]]) -> None:
    """A49, P3: memory, descriptors, threads; no fork, no priority, no processor, no signal to anybody."""
    puppet, hands = cast
    found = hands["grabber"].act(offender_acts.grab)
    assert found.pop("threads") in {"RuntimeError", "MemoryError"}
    assert found == {
        "memory": "MemoryError",
        "pipes": "OSError",
        "fork": "PermissionError",
        "priority": "PermissionError",
        "processors": "PermissionError",
        "parent": "PermissionError",
    }
    pid = puppet.pid("grabber")
    others_first = min(19, os.getpriority(os.PRIO_PROCESS, 0) + NICE), os.SCHED_BATCH
    assert (os.getpriority(os.PRIO_PROCESS, pid), os.sched_getscheduler(pid)) == others_first
    assert hands["grabber"].result("probe.echo", b"goes on") == b"goes on"
    assert everybody_else_works(puppet, hands)


def test_objects_of_its_own_are_never_asked_to_speak(cast: tuple[Puppeteer, dict[str, Hand]]) -> None:
    """A10, A56, P1: a callable, a class, a module, an object with a repr: refused where they are, and nothing runs."""
    puppet, hands = cast
    assert hands["grabber"].act(offender_acts.speak, handler="probe.echo") == ["InvalidArguments"] * 6
    assert everybody_else_works(puppet, hands)


def test_lengths_that_are_lies_cost_the_liar_its_place(cast: tuple[Puppeteer, dict[str, Hand]]) -> None:
    """P2, P3: bodies of 4 GiB and more that are not there: each record is refused and counted, then it is removed."""
    puppet, hands = cast
    fields = {
        "kind": 3, "sender": "liar", "receiver": "probe", "uid": bytes(16), "sequence": 0, "deadline": 0,
        "route": b"", "tag": bytes(16),
    }  # fmt: skip
    for number in range(MOST_STRIKES + 1):
        hands["liar"].tell(hostile_acts.say, fields=fields | {"length": (1 << 32) + number}, body=bytes(64))
    puppet.wait_for("member.removed", member="liar", why="too many refusals")
    assert puppet.wait_for("process.ended", member="liar").signal == "SIGKILL"
    assert len(puppet.lines("record.refused", member="liar")) == MOST_STRIKES + 1
    assert everybody_else_works(puppet, hands)


def test_an_answer_to_nothing_costs_it_its_process(cast: tuple[Puppeteer, dict[str, Hand]]) -> None:
    """P3, P6: heartbeats that nobody asked for would keep the supervisor busy: the first is the last."""
    puppet, hands = cast
    hands["pinger"].tell(offender_acts.answer_unasked)
    puppet.wait_for("process.refused", member="pinger")
    assert puppet.wait_for("process.ended", member="pinger").signal == "SIGKILL"
    assert everybody_else_works(puppet, hands)


def test_its_last_words_are_one_line_and_its_last(cast: tuple[Puppeteer, dict[str, Hand]]) -> None:
    """P3, P6: nothing in them steers a terminal; whoever goes on is killed, and the log is not flooded."""
    puppet, hands = cast
    packet = FROM_CHILD.encode(Failed(FailureKind.WORK_FAILED, STEERING))
    hands["crier"].tell(offender_acts.say_again, packet=packet)
    puppet.wait_for("process.refused", member="crier")
    puppet.wait_for("process.ended", member="crier")
    [line] = [each for each in puppet.said() if "crier" in each]
    assert (line.startswith("trollbridge: crier: "), line.isprintable(), len(line) < 5000) == (True, True, True)
    assert len(puppet.lines("process.failed", member="crier")) == 1
    assert everybody_else_works(puppet, hands)


def test_one_that_hangs_does_not_hold_up_the_fall_of_a_ring(tmp_path: Path) -> None:
    """A44, K6: it hears no signal and takes no turn: the next ring stands as soon as its time to end is over."""
    with Gate(tmp_path) as gate, Backstage(tmp_path) as back:
        settings = {"extensions": {"hanger": back.path}, "extension_grants": GRANTS, "grace": GRACE}
        with Puppeteer("tests.harness.stage:puppet_app", settings) as puppet:
            puppet.await_epoch(1)
            back.next_hand().tell(offender_acts.hang, gate=gate.path)
            gate.await_one()
            assert puppet.result("probe.echo", b"no matter") == b"no matter"
            puppet.kill("probe")  # no call is waited for then
            puppet.await_epoch(2)
            told = puppet.lines(epoch=1)
            fall = told[[each.event for each in told].index("ring.dismantling") :]
            [killed] = [each for each in fall if each.event == "process.killed"]
            assert (killed.member, killed.why) == ("hanger", "it did not end in time")
            assert killed.time - fall[0].time >= GRACE
            over = [each.event for each in fall].index("ring.dismantled")
            assert sorted(each.member for each in fall[:over] if each.event == "process.ended") == ["broker", "hanger"]
            assert fall[over - 1].event == "process.ended", "it is over with the last of them"
            assert puppet.leave() == 0
