"""Heartbeats, with processes that are numbers: who is called stopped, who hung, and who is only busy."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final, cast

import pytest

from trollbridge.actors.outcomes.call_account import Running
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.actors.supervision.heartbeat import INTERVAL, LONGEST, SILENT, STOPPED, Heartbeat
from trollbridge.messages import control
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import Role
from trollbridge.messages.limits import FARTHEST

if TYPE_CHECKING:
    from trollbridge.actors.supervision.spawn import Process


class Patient:
    """Stands in for a process: it keeps what it is asked; the test moves its numbers."""

    def __init__(self, pid: int, role: Role = Role.ENCLAVE) -> None:
        """Start idle, alive, and without a word."""
        self.pid: Final = pid
        self.role: Final = role
        self.channel: Final = self
        self.asked: list[int] = []
        self.is_stopped = False
        self.ticks = 0
        self.deaf = False

    def send(self, message: control.ToChild) -> None:
        """Keep the number of a ping."""
        if self.deaf:
            raise LinkLost
        if not isinstance(message, control.Ping):
            raise TypeError
        self.asked.append(message.number)

    def stopped(self) -> bool:
        """Return what the test says."""
        return self.is_stopped

    def cpu(self) -> int:
        """Return what the test says."""
        return self.ticks


def beats(heart: Heartbeat, patients: list[Patient], count: int, start: int = 0, *, busy: bool = False) -> list[str]:
    """Let `count` beats pass; return each verdict as `beat pid why`."""
    found: list[str] = []
    for number in range(start, start + count):
        if busy:
            for each in patients:
                each.ticks += 1
        processes = cast("list[Process]", patients)
        found += [f"{number} {process.pid} {why}" for process, why in heart.beat(number * INTERVAL, processes)]
    return found


def test_who_answers_is_asked_again_and_never_given_up() -> None:
    """K6: one number for each beat."""
    heart, patient = Heartbeat(), Patient(1)
    for number in range(50):
        assert beats(heart, [patient], 1, number) == []
        heart.heard(1, number + 1)
    assert patient.asked == list(range(1, 51))


def test_a_stopped_process_is_found_after_two_beats() -> None:
    """K6: SIGSTOP; whatever processor time it has used."""
    heart, patient = Heartbeat(), Patient(1)
    patient.is_stopped = True
    verdicts = beats(heart, [patient], STOPPED + 1, busy=True)
    assert verdicts == [f"{STOPPED} 1 it is stopped by a signal"]


def test_a_process_that_neither_answers_nor_works_is_found_after_ten() -> None:
    """K6: and it is asked once only, so that its mailbox does not fill."""
    heart, patient = Heartbeat(), Patient(1)
    assert beats(heart, [patient], SILENT) == []
    assert beats(heart, [patient], 1, SILENT) == [f"{SILENT} 1 it neither answers nor works"]
    assert patient.asked == [1]


def test_a_process_that_works_on_something_long_is_left_alone() -> None:
    """K6: as long as its processor time moves, for a quarter of an hour."""
    heart, patient = Heartbeat(), Patient(1)
    assert beats(heart, [patient], LONGEST, busy=True) == []
    assert beats(heart, [patient], 1, LONGEST, busy=True) == [f"{LONGEST} 1 it has not answered for too long"]


def test_work_puts_the_verdict_off_and_no_more() -> None:
    """K6: ten beats from the last sign of work."""
    heart, patient = Heartbeat(), Patient(1)
    beats(heart, [patient], SILENT - 1)
    beats(heart, [patient], 1, SILENT - 1, busy=True)
    assert beats(heart, [patient], SILENT - 1, SILENT) == []
    assert len(beats(heart, [patient], 1, 2 * SILENT - 1)) == 1


@pytest.mark.parametrize("number", [0, 2, 99, -1])
def test_an_answer_to_another_question_is_none(number: int) -> None:
    """F8, P3: a guessed or late pong does not count, and whoever sends one is not listened to."""
    heart, patient = Heartbeat(), Patient(1)
    beats(heart, [patient], 1)
    for pid, said in ((1, number), (2, 1)):
        with pytest.raises(Malformed):
            heart.heard(pid, said)
    assert beats(heart, [patient], SILENT - 1, 1) == []
    assert len(beats(heart, [patient], 1, SILENT)) == 1


def test_an_extension_that_is_busy_and_does_not_answer_is_given_up_as_soon_as_a_silent_one() -> None:
    """P3: its own code cannot keep it from answering, unless it holds on to the interpreter."""
    heart, busy = Heartbeat(), Patient(1, Role.EXTENSION)
    assert beats(heart, [busy], SILENT, busy=True) == []
    assert beats(heart, [busy], 1, SILENT, busy=True) == [f"{SILENT} 1 it has not answered for too long"]


def test_processes_are_told_apart() -> None:
    """K6: one hangs, one answers, one is new."""
    heart, silent, lively = Heartbeat(), Patient(1), Patient(2)
    verdicts: list[str] = []
    for number in range(SILENT + 1):
        verdicts += beats(heart, [silent, lively], 1, number)
        heart.heard(2, number + 1)
    assert verdicts == [f"{SILENT} 1 it neither answers nor works"]


def running(deadline: float, begun: int = 1, since: int = 1) -> Running:
    """Return what a server says that runs a call with this deadline, in beats."""
    return Running("console", "sign", bytes(16), since, int(deadline * INTERVAL * 1e6), begun)


def test_a_handler_within_its_deadline_is_slow_and_not_hung() -> None:
    """K6: whether it works or waits; whoever called has said how long. A few beats past it, it is hung like any."""
    for busy in (False, True):
        heart, patient = Heartbeat(lambda _: running(LONGEST - 50)), Patient(1)
        assert beats(heart, [patient], LONGEST - 50, busy=busy) == []
        found = beats(heart, [patient], 50, LONGEST - 50, busy=busy)
        assert found[:1] == ([] if busy else [f"{LONGEST - 50} 1 it neither answers nor works"])


@pytest.mark.parametrize("busy", [False, True])
def test_no_deadline_and_no_word_keeps_a_silent_process_for_longer_than_the_longest(*, busy: bool) -> None:
    """K6, P3: of many years, and written into the ledger anew at each beat, as a server may that is taken over."""
    count = itertools.count()
    heart, patient = Heartbeat(lambda _: running(FARTHEST / 2, since=next(count))), Patient(1)
    assert beats(heart, [patient], LONGEST, busy=busy) == []
    assert beats(heart, [patient], 1, LONGEST, busy=busy) == [f"{LONGEST} 1 it has not answered for too long"]


def test_a_deadline_that_has_passed_ends_nobody_sooner() -> None:
    """K6, P5: else who calls decides by a short one how long a handler may wait."""
    heart, patient = Heartbeat(lambda _: running(2)), Patient(1)
    assert beats(heart, [patient], SILENT + 1) == []
    assert beats(heart, [patient], 1, SILENT + 1) == [f"{SILENT + 1} 1 it neither answers nor works"]


@pytest.mark.parametrize("deadline", [0.0, 2.0 * FARTHEST])
def test_a_deadline_that_no_client_could_set_changes_nothing(deadline: float) -> None:
    """K6, P3: none, or one in many years."""
    heart, patient = Heartbeat(lambda _: running(deadline)), Patient(1)
    assert beats(heart, [patient], SILENT + 1) == []
    assert beats(heart, [patient], 1, SILENT + 1) == [f"{SILENT + 1} 1 it neither answers nor works"]


def test_a_stream_that_gets_on_is_not_hung() -> None:
    """K6: its ledger changes from beat to beat, though it uses next to no processor time."""
    count = itertools.count()
    heart, patient = Heartbeat(lambda _: running(0, since=next(count))), Patient(1)
    assert beats(heart, [patient], 3 * SILENT) == []


def test_a_stopped_process_is_found_whatever_its_deadline() -> None:
    """K6: SIGSTOP while it runs a call."""
    heart, patient = Heartbeat(lambda _: running(1000)), Patient(1)
    patient.is_stopped = True
    assert beats(heart, [patient], STOPPED + 1) == [f"{STOPPED} 1 it is stopped by a signal"]


def test_a_forgotten_process_starts_anew() -> None:
    """A59: a PID may come again."""
    heart, patient = Heartbeat(), Patient(1)
    beats(heart, [patient], SILENT)
    heart.forget(1)
    again = Patient(1)
    assert beats(heart, [again], SILENT, SILENT) == []
    assert again.asked == [1]


def test_no_beat_comes_early() -> None:
    """K6: whatever wakes the supervisor."""
    heart, patient = Heartbeat(), Patient(1)
    processes = cast("list[Process]", [patient])
    for now in (0.0, 0.1, 0.5, 0.99):
        assert list(heart.beat(now, processes)) == []
    heart.heard(1, 1)
    with pytest.raises(Malformed):
        heart.heard(1, 1)
    assert (patient.asked, heart.due) == ([1], INTERVAL)


def test_a_process_that_cannot_be_asked_is_given_up_like_a_silent_one() -> None:
    """K6: a closed channel does not stop the heart."""
    heart, patient = Heartbeat(), Patient(1)
    patient.deaf = True
    assert len(beats(heart, [patient], SILENT + 1)) == 1


def test_an_errand_is_asked_nothing_and_given_up_only_if_it_is_stopped() -> None:
    """K6: it works for as long as its terms let it; one that goes on again in time is left alone."""
    heart, errand = Heartbeat(), Patient(1, Role.ERRAND)
    assert beats(heart, [errand], 2 * LONGEST) == []
    errand.is_stopped = True
    assert beats(heart, [errand], STOPPED - 1, 2 * LONGEST) == []
    errand.is_stopped = False
    assert beats(heart, [errand], 3, 3 * LONGEST) == []
    errand.is_stopped = True
    found = beats(heart, [errand], STOPPED, 4 * LONGEST)
    assert found == [f"{4 * LONGEST + STOPPED - 1} 1 it is stopped by a signal"]
    assert errand.asked == []
