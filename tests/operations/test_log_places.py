"""Where the log goes: nothing there makes the supervisor wait, what is lost is counted, and the chain is whole."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import threading
import time
import tty
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from trollbridge.actors.operations import log as log_module
from trollbridge.actors.operations import sinks
from trollbridge.actors.operations.log import AFTER_AN_ERROR, MOST_RECENT, MOST_WAITING, Line, Log, tell
from trollbridge.actors.operations.sinks import DescriptorSink
from trollbridge.actors.operations.verifying import Verifier

if TYPE_CHECKING:
    from collections.abc import Generator

PATIENCE: Final = 20.0
ROOM: Final = 1 << 16
"""Bytes that a pipe or a socket holds."""


@contextlib.contextmanager
def ends(kind: str) -> Generator[tuple[int, int]]:
    """Return (the end that is read, the end that is written) of a pipe, a socket or a terminal."""
    if kind == "pipe":
        reads, writes = os.pipe()
        fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, ROOM)
    elif kind == "terminal":
        reads, writes = os.openpty()
        tty.setraw(writes)
    else:
        ours, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, ROOM)  # else it is the machine's to say
        reads, writes = ours.detach(), theirs.detach()
    try:
        yield reads, writes
    finally:
        for each in (reads, writes):
            with contextlib.suppress(OSError):
                os.close(each)


def verified(raw: bytes) -> list[Line]:
    """Return the lines that were written, having verified their chain."""
    verifier = Verifier()
    lines = raw.splitlines()
    for number, each in enumerate(lines):
        verifier.take(each, str(number))
    assert verifier.end("end").flaws == ()
    return [msgspec.json.decode(each, type=Line) for each in lines]


def read_all(log: Log, reads: int) -> bytes:
    """Read until the log has nothing more to write, as a reader does that comes late; the supervisor's loop ticks."""
    os.set_blocking(reads, False)
    taken = b""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            piece = os.read(reads, 1 << 20)
        except BlockingIOError:
            piece = b""
        taken += piece
        if not piece and log.due is None:
            return taken
        assert time.monotonic() < until
        if log.due is not None:
            log.tick(log.due)


def not_anew(descriptor: int) -> int | None:
    """Stand for a system that lets nobody open it."""
    del descriptor
    return None


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal", "pipe of another user"])
def test_a_place_that_nobody_reads_costs_lines_and_nothing_else(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A55, A59: more than the queue holds; what came through is chained without a gap, and the rest is counted."""
    if kind == "pipe of another user":  # it cannot be opened anew, but asked before each write
        monkeypatch.setattr(sinks, "_opened_anew", not_anew)
    with ends(kind.partition(" ")[0]) as (reads, writes):
        flags = fcntl.fcntl(writes, fcntl.F_GETFL)
        log = Log(DescriptorSink(writes))
        count = MOST_WAITING + 2000
        for number in range(count):
            log.line("process.ended", number, member="vault")
        assert (len(log.recent), log.recent[-1].epoch, log.recent[-1].seq) == (MOST_RECENT, count - 1, 0)
        *_, losing = [each for each in log.recent if each.event == "log.dropped"]  # told while nobody reads
        assert (losing.why, losing.seq) == ("nobody took them in time", 0)
        dropping = log.dropped
        assert MOST_WAITING <= log.waiting <= MOST_WAITING + 1
        assert fcntl.fcntl(writes, fcntl.F_GETFL) == flags  # who shares it notices nothing
        lines = verified(read_all(log, reads))
        [dropped] = [each for each in lines if each.event == "log.dropped"]
        assert dropped.detail == f"{count - len(lines) + 1} lines" == f"{dropping} lines" == f"{log.dropped} lines"
        assert log.waiting == 0
        assert lines[-1] == dropped
        assert [each.epoch for each in lines[:-1]] == [*range(len(lines) - 1)]
        log.line("ring.sealed", count)
        assert (verified_more := read_all(log, reads)).count(b"\n") == 1
        assert log.head == (len(lines) + 1, msgspec.json.decode(verified_more, type=Line).chain)
        log.close()


def test_lines_that_come_while_some_are_lost_stand_behind_the_line_that_says_so() -> None:
    """A55: so a reader knows where the gap is."""
    with ends("pipe") as (reads, writes):
        log = Log(DescriptorSink(writes))
        for number in range(2 * MOST_WAITING):
            log.line("process.ended", number, member="vault")
        first = os.read(reads, 1 << 16)
        log.line("ring.sealed", 2 * MOST_WAITING)
        lines = verified(first + read_all(log, reads))
        events = [each.event for each in lines]
        at = events.index("log.dropped")
        assert events[at:] == ["log.dropped", "ring.sealed"]
        assert lines[at].detail == f"{2 * MOST_WAITING - at} lines"
        log.close()


def test_a_reader_that_goes_away_is_not_tried_again() -> None:
    """A59: nothing waits for nobody; the lines are still there for whoever asks the supervisor itself."""
    for kind in ("pipe", "socket", "terminal"):
        with ends(kind) as (reads, writes):
            log = Log(DescriptorSink(writes))
            os.close(reads)
            for number in range(3):
                log.line("process.ended", number, member="vault")
            assert (log.due, [each.epoch for each in log.recent], log.dropped) == (None, [0, 1, 2], 3)
            log.close()


def test_what_waits_at_the_end_is_written_if_somebody_reads_within_a_second() -> None:
    """A55: the last lines are those that tell why; a supervisor that ends gives them some time, and no more."""
    with ends("pipe") as (reads, writes):
        log = Log(DescriptorSink(writes))
        for number in range(1000):
            log.line("process.ended", number, member="vault")
        assert log.due is not None
        taken: list[bytes] = []

        def read() -> None:
            while piece := os.read(reads, 1 << 16):
                taken.append(piece)

        reader = threading.Thread(target=read)
        reader.start()
        log.close(PATIENCE)
        os.close(writes)
        reader.join(PATIENCE)
        assert [each.epoch for each in verified(b"".join(taken))] == [*range(1000)]
    with ends("pipe") as (_, writes):
        log = Log(DescriptorSink(writes))
        for number in range(1000):
            log.line("process.ended", number, member="vault")
        log.close(0.0)
        log.line("process.ended", 1001, member="vault")


def test_a_sentence_for_people_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A59: what the supervisor says besides the log."""
    with ends("pipe") as (reads, writes):
        sink = DescriptorSink(writes)
        monkeypatch.setattr(log_module, "DescriptorSink", [sink, sink, sink].__getitem__)  # number 2
        tell("trollbridge: it is so\n")
        assert os.read(reads, 100) == b"trollbridge: it is so\n"
        tell("x" * (1 << 20))
        tell("lost\n")
        assert len(os.read(reads, 1 << 21)) <= ROOM


def test_a_file_that_standard_error_is_directed_to_is_appended_to(tmp_path: object) -> None:
    """A55: it is shared with whoever started us, and where they are in it is theirs to say."""
    path = f"{tmp_path}/log"
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"before\n")
        file.flush()
        log = Log(DescriptorSink(file.fileno()))
        log.line("ring.sealed", 1)
        file.write(b"after\n")
    with open(path, "rb") as file:  # noqa: PTH123
        before, line, after = file.read().splitlines()
    assert (before, after, len(verified(line))) == (b"before", b"after", 1)


def test_who_subscribes_is_told_each_line_until_it_unsubscribes() -> None:
    """A55: for the operator's socket: with number and value if the line could be written."""
    heard: list[Line] = []
    log = Log(lambda _: None)
    end = log.subscribe(heard.append)
    other = log.subscribe(heard.append)
    log.line("ring.sealed", 1)
    other()
    log.line("ring.sealed", 2)
    end()
    end()
    log.line("ring.sealed", 3)
    assert [(each.epoch, each.seq) for each in heard] == [(1, 1), (1, 1), (2, 2)]
    assert [(each.epoch, each.seq, each.chain) for each in log.recent][-1] == (3, *log.head)


def test_a_disk_that_is_full_for_a_time_loses_nothing_and_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """A55: half a line is written when the disk is full; it is completed, and what waited comes behind it."""
    room = [150]
    taken = bytearray()

    class Full(DescriptorSink):
        def write(self, data: bytes) -> int:
            if not room[0]:
                raise OSError(28, "No space left on device")
            taken.extend(data[: room[0]])
            fits, room[0] = min(len(data), room[0]), max(0, room[0] - len(data))
            return fits

    log = Log(Full(2))
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            log.line("process.ended", number, member="vault")
    assert taken.count(b"\n") < 3
    assert [each.getMessage() for each in caplog.records] == ["the log cannot be written: No space left on device"]
    room[0] = 10_000
    log.tick(time.monotonic() + AFTER_AN_ERROR)
    assert log.due is None
    lines = verified(bytes(taken))
    assert [each.event for each in lines].count("process.ended") == 3
    [resumed] = [each for each in lines if each.event == "log.resumed"]
    assert (resumed.why, resumed.delay >= 0) == ("No space left on device", True)
