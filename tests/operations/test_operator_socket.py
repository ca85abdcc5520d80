"""The operator's socket by itself: a real socket, reactor and log, and clients that behave and do not; no ring."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import array
import errno
import os
import resource
import socket
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from trollbridge.actors.operations import operator as served
from trollbridge.actors.operations.log import Line, Log
from trollbridge.actors.operations.operator import MOST_WAITING, Operator
from trollbridge.actors.operations.runtime_folder import SOCKET, Seat, connect
from trollbridge.actors.processes.reactor import Alarm, Reactor
from trollbridge.messages import control, operator
from trollbridge.messages.codec import encode
from trollbridge.messages.errors import UsageError
from trollbridge.messages.measures import MemberMeasure
from trollbridge.ui_adapter.operator_client import OperatorClient, OperatorRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SNAPSHOT: Final = operator.Snapshot("notary", 1, 0.5, "sealed", 2, 0.75, "", 0, 5, 30.0, "full", 9, "00ff", ())
MEASURES: Final = control.Measures(1, (MemberMeasure("vault"),))
SOON: Final = 20.0
"""Seconds that anything here may take."""


class Counter:
    """An application's side that writes down what is asked of it."""

    def __init__(self) -> None:
        """Begin with nothing asked."""
        self.asked: list[operator.Request] = []
        self.waiting: list[Callable[[control.Measures | None], object]] = []
        self.apart: set[int] = set()

    def snapshot(self, name: str) -> operator.Snapshot:
        """Return always the same."""
        assert name == SNAPSHOT.name
        return SNAPSHOT

    def measure(self, told: Callable[[control.Measures | None], object]) -> None:
        """Keep who is to be told."""
        self.waiting.append(told)

    def epoch(self) -> int:
        """Return the epoch."""
        return SNAPSHOT.epoch

    def keeps_apart(self, pid: int) -> bool:
        """Return whether the test says so."""
        return pid in self.apart

    def check(self, request: operator.Restart | operator.Rekey | operator.Stop) -> None:
        """Refuse one member."""
        if request == operator.Restart("nobody"):
            msg = "there is no member of that name"
            raise UsageError(msg)

    def obey(self, request: operator.Restart | operator.Rekey | operator.Stop) -> None:
        """Write it down."""
        self.asked.append(request)


class Office:
    """A supervisor's operator socket, with the loop in the test's hands."""

    def __init__(self, seat: Seat) -> None:
        """Listen."""
        self.seat: Final = seat
        self.written: list[str] = []
        self.log: Final = Log(self.written.append)
        self.reactor: Final = Reactor()
        self.desk: Final = Counter()
        self.operator: Final = Operator(seat, self.reactor, self.log, self.desk)
        self._ends: list[socket.socket] = []

    def turn(self) -> None:
        """Let the loop do whatever there is to do, and return when there is nothing."""
        idle: list[bool] = []
        alarm = Alarm(lambda: idle.append(True))
        self.reactor.timers.append(alarm)
        for _ in range(3):  # what comes of one turn may make another necessary
            idle.clear()
            while not idle:
                alarm.set(0)
                self.reactor.turn()
        self.reactor.timers.remove(alarm)

    def come(self) -> socket.socket:
        """Connect, and have it noticed."""
        end, _ = connect(self.seat.name, SOON)
        self._ends.append(end)
        self.turn()
        return end

    def ask(self, end: socket.socket, request: operator.Request) -> None:
        """Send a request, and have it noticed."""
        end.send(operator.REQUEST.encode(request))
        self.turn()

    def lines(self, count: int, start: int = 0) -> None:
        """Write so many lines of the log."""
        for number in range(start, start + count):
            self.log.line("ring.forming", number)

    def close(self) -> None:
        """End it."""
        self.operator.close()
        self.reactor.__exit__()
        for each in self._ends:
            each.close()


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """Return one, in a runtime folder of its own."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with Seat("notary") as seat:
        made = Office(seat)
        yield made
        made.close()


def heard(end: socket.socket) -> list[operator.Answer]:
    """Return all that has come."""
    found: list[operator.Answer] = []
    end.settimeout(0)
    try:
        while data := end.recv(operator.LARGEST_ANSWER):
            found.append(operator.ANSWER.decode(data))
    except (BlockingIOError, ConnectionResetError):
        pass
    return found


def cut(end: socket.socket) -> bool:
    """Return whether the connection has ended; to be asked once all that came was heard."""
    end.settimeout(0)
    try:
        return end.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def epochs(answers: list[operator.Answer]) -> list[int]:
    """Return of which epochs the lines are that came."""
    lines = [each.line for each in answers if isinstance(each, operator.LogLine)]
    return [msgspec.json.decode(each, type=Line).epoch for each in lines]


def all_that_are_left() -> list[int]:
    """Take every descriptor that this process may still have."""
    taken: list[int] = []
    while True:
        try:
            taken.append(os.dup(0))
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
            return taken


def test_each_question_has_its_answer(office: Office) -> None:
    """Status, the last lines, what the broker has counted; and nothing has changed by them."""
    office.lines(3)
    end = office.come()
    questions: list[operator.Request] = [operator.Status(), operator.Recent(2), operator.Measure(), operator.Measure()]
    for request in questions:
        office.ask(end, request)
    found = heard(end)
    assert (found[0], epochs(found), found[3]) == (SNAPSHOT, [1, 2], operator.Done())
    assert isinstance(found[4], operator.Denied)  # of two questions to the broker at a time
    office.desk.waiting.pop()(MEASURES)
    office.ask(end, operator.Measure())
    office.desk.waiting.pop()(None)
    answer, denied = heard(end)
    assert answer == operator.Measures(SNAPSHOT.epoch, MEASURES.measures)
    assert isinstance(denied, operator.Denied)
    assert (office.desk.asked, len(office.written)) == ([], 3)


def test_whoever_follows_misses_no_line_and_gets_none_twice(office: Office) -> None:
    """Those from before, the word that there are no more, then each as it is written; the text is the log's own."""
    office.lines(5)
    end = office.come()
    office.ask(end, operator.Follow(3))
    office.lines(4, start=5)
    found = heard(end)
    assert epochs(found) == [2, 3, 4, 5, 6, 7, 8]
    assert found[3] == operator.Done()
    assert [each.line + "\n" for each in found if isinstance(each, operator.LogLine)] == office.written[2:]


def test_what_changes_something_is_logged_with_who_asked_and_then_done(office: Office) -> None:
    """Restart, re-key and stop; one that cannot be is denied, and neither logged nor done."""
    end = office.come()
    wanted: list[operator.Request] = [operator.Restart(), operator.Restart("vault"), operator.Rekey(), operator.Stop()]
    for request in (operator.Restart("nobody"), *wanted):
        office.ask(end, request)
    assert heard(end) == [operator.Denied("there is no member of that name"), *[operator.Done()] * 4]
    assert office.desk.asked == wanted
    told = [(each.event, each.member, each.pid, each.why, each.detail) for each in office.log.recent]
    by = f"asked by PID {os.getpid()}"  # which is no PID of the supervisor's or a member's, whose line it would seem
    assert told == [
        ("operator.asked", "supervisor", 0, "restart", by),
        ("operator.asked", "supervisor", 0, "restart", f"of vault, {by}"),
        ("operator.asked", "supervisor", 0, "rekey", by),
        ("operator.asked", "supervisor", 0, "stop", by),
    ]


@pytest.mark.parametrize(
    "rubbish",
    [b"\x00", b"[]", b"{}", b"\xff" * 200, b"x" * 100_000, encode([9]), encode([1, 1]), encode([2, 1 << 40]), b""],
    ids=["zero", "text", "map", "ones", "long", "tag", "field", "limit", "empty"],
)
def test_rubbish_is_cut_and_the_others_stay(office: Office, rubbish: bytes) -> None:
    """P3, I8: whoever speaks another language is not answered; nobody else notices."""
    good, bad = office.come(), office.come()
    bad.send(rubbish)
    office.turn()
    assert (heard(bad), cut(bad)) == ([], True)
    office.ask(good, operator.Status())
    assert heard(good) == [SNAPSHOT]


def test_descriptors_that_come_are_not_taken(office: Office) -> None:
    """P3: an operator cannot fill the supervisor's table: nobody holds what was given."""
    end = office.come()
    reads, given = os.pipe()
    os.set_blocking(reads, False)
    for _ in range(4):
        rights = array.array("i", [given] * 3)
        end.sendmsg([operator.REQUEST.encode(operator.Status())], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    with pytest.raises(BlockingIOError):
        os.read(reads, 1)  # the other half: who holds it is found
    os.close(given)
    with pytest.raises(BlockingIOError):
        os.read(reads, 1)  # they are on their way
    for _ in range(4):
        office.turn()
    assert heard(end) == [SNAPSHOT] * 4
    assert os.read(reads, 1) == b""
    os.close(reads)


def test_whoever_does_not_read_is_cut_and_the_log_goes_on(office: Office) -> None:
    """P3: what waits for one client is bounded; one that reads gets every line, and the log has no gap."""
    slow, fast = office.come(), office.come()
    for each in (slow, fast):
        office.ask(each, operator.Follow())
    assert heard(fast) == [operator.Done()]
    size, number, seen = 0, 0, 0
    while size < 1.2 * MOST_WAITING:
        office.lines(250, start=number)
        number += 250
        size += sum(len(each) for each in office.written[-250:])
        while found := heard(fast):
            seen += len(found)
            office.turn()
    assert seen == number == len(office.written)
    assert len(heard(slow)) < number
    assert cut(slow)


def test_a_slow_reader_gets_what_waited_once_it_reads(office: Office) -> None:
    """The other half: below the bound nothing is lost."""
    end = office.come()
    office.ask(end, operator.Follow())
    office.lines(3000)
    found = heard(end)
    assert len(found) < 3000
    while len(found) <= 3000:
        office.turn()
        found += heard(end)
    assert epochs(found) == list(range(3000))


def test_a_ninth_is_refused_unless_one_has_been_idle(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """P3: eight at a time; one that follows is never taken for idle."""
    ends = [office.come() for _ in range(operator.MOST_CLIENTS)]
    office.ask(ends[0], operator.Follow())
    late = office.come()
    [denied] = heard(late)
    assert isinstance(denied, operator.Denied)
    assert cut(late)
    monkeypatch.setattr(served, "IDLE", 0.0)
    office.ask(ends[1], operator.Status())
    office.ask(office.come(), operator.Status())
    assert heard(ends[1]) == [SNAPSHOT]
    assert [cut(each) for each in (ends[0], ends[1], ends[2])] == [False, False, True]
    ends[3].close()
    office.turn()
    last = office.come()
    office.ask(last, operator.Status())
    assert heard(last) == [SNAPSHOT]


def test_those_who_follow_leave_places_for_who_asks(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """P3: six may stay; whoever asks again and again for long, as `top` does, makes room for who comes."""
    ends = [office.come() for _ in range(operator.MOST_FOLLOWERS + 1)]
    for each in ends:
        office.ask(each, operator.Follow())
    assert [heard(each) for each in ends] == [[operator.Done()]] * operator.MOST_FOLLOWERS + [
        [operator.Denied(operator.FOLLOWED)]
    ]
    office.ask(ends[0], operator.Follow())  # who follows already
    assert heard(ends[0]) == [operator.Done()]
    asking = office.come()
    office.ask(asking, operator.Measure())
    late = office.come()
    assert (heard(late), cut(late)) == ([operator.Denied(operator.NO_PLACE)], True)
    monkeypatch.setattr(served, "IDLE", 0.0)
    office.ask(ends[-1], operator.Measure())  # all ask, and none is idle
    last = office.come()
    office.ask(last, operator.Stop())
    assert heard(last) == [operator.Done()]
    assert (cut(ends[-1]), [cut(each) for each in (asking, *ends[:-1])]) == (True, [False] * 7)


def test_a_client_tells_why_it_has_found_no_place_and_what_to_do(office: Office) -> None:
    """P3: whether it had asked before the connection was closed or not; it is not told that the application ended."""
    for _ in range(operator.MOST_CLIENTS):
        office.come()
    for before in (True, False):
        with OperatorClient("notary", SOON) as client:
            if before:
                client._end.send(operator.REQUEST.encode(operator.Stop()))
            office.turn()
            with pytest.raises(OperatorRefused, match=f"8 others are connected; end one.*{os.getpid()} by SIGTERM"):
                client.status()
    assert office.desk.asked == []


def test_a_process_that_is_kept_apart_is_not_heard_and_told_of_once(office: Office) -> None:
    """I3, I7: however often it tries; the log is not flooded."""
    office.desk.apart.add(os.getpid())
    for _ in range(3):
        end = office.come()
        end.send(operator.REQUEST.encode(operator.Stop())) if not cut(end) else None
        office.turn()
        assert heard(end) == []
    assert office.desk.asked == []
    assert [(each.event, each.pid) for each in office.log.recent] == [("operator.refused", os.getpid())]


def test_who_has_ended_before_it_was_heard_is_not_called_one_of_the_application(office: Office) -> None:
    """I7: a command that gave up on a stopped supervisor; what is refused is the same, what is said of it is not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as end:
        child = os.fork()
        if not child:
            try:
                end.connect(str(office.seat.path / SOCKET))
                end.send(operator.REQUEST.encode(operator.Stop()))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        office.desk.apart.add(child)  # as the real desk says of whoever cannot be told apart
        office.turn()
        assert heard(end) == []
    assert office.desk.asked == []
    assert [(each.event, each.pid, each.why) for each in office.log.recent] == [
        ("operator.missed", child, "it had ended before it was heard")
    ]


def test_a_system_without_descriptors_costs_connections_and_nothing_else(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P3: the connection waits, the loop does not turn on the spot, and later it is taken."""
    monkeypatch.setattr(served, "_PAUSE", 0.0)
    first = office.come()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    monkeypatch.chdir(office.seat.path)  # an address is short
    resource.setrlimit(resource.RLIMIT_NOFILE, (1 + max(map(int, os.listdir("/proc/self/fd"))), hard))  # noqa: PTH208
    taken: list[int] = []
    try:
        taken += all_that_are_left()
        end.connect(SOCKET)
        office.turn()
        office.ask(first, operator.Status())
        assert heard(first) == [SNAPSHOT]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in taken:
            os.close(each)
    office.ask(end, operator.Status())
    office.turn()
    assert heard(end) == [SNAPSHOT]
    end.close()


def test_at_the_end_everybody_gets_the_last_line_and_is_let_go(office: Office) -> None:
    """Whoever follows sees the application stop, then the end of the connection."""
    end = office.come()
    office.ask(end, operator.Follow())
    office.log.line("application.stopped", 3, exit_code=0)
    office.operator.close()
    done, last = heard(end)
    assert done == operator.Done()
    assert isinstance(last, operator.LogLine)
    assert "application.stopped" in last.line
    assert cut(end)
    office.lines(1)  # and nobody is called any more
