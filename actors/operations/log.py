"""The supervisor's log: one typed JSON line for each transition. Operators read it, tests assert on it.

May import: `msgspec`, the standard library, our messages, `operations`. Invariants: no field is free-form: names,
numbers and fixed sentences, so that nothing a user or a message said can slip in; the exceptions are what a sandbox has
refused (`sandbox.denied`), whose path, program or port must be told to be declared, the names of a class, a file and a
module that a process says it failed by (`process.failed`), and the words of whoever `told_by` names, which may be
hostile: they are printable and short, about a member of the application, and of a kind that its role may tell of. The
supervisor never waits for a reader of its log: what is not taken waits in a queue that is bounded, and a line gets its
number and its chain value when it is written, so that the chain is whole whatever is lost.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Final, TextIO

import msgspec

from trollbridge.actors.operations.chain import Chain
from trollbridge.actors.operations.events import EVENTS
from trollbridge.actors.operations.sinks import DescriptorSink, FunctionSink, PlaceGone, Sink
from trollbridge.messages.errors import UsageError
from trollbridge.messages.ids import SUPERVISOR

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOGGER: Final = logging.getLogger("trollbridge")
"""Every line also goes here, as the message of an INFO record."""
MOST_RECENT: Final = 1000
"""Lines that are kept in memory for whoever asks."""
MOST_WAITING: Final = 4096
"""Lines that wait for a place that cannot take them; those that come on top are lost, and counted."""
AGAIN: Final = 0.05
"""Seconds until a place that had no room is tried again."""
AFTER_AN_ERROR: Final = 1.0
"""Seconds until a place that failed, such as a full disk, is tried again."""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One transition: who, what, why, what next."""

    time: float
    """Seconds since 1970."""
    event: str
    """A stable name, such as `ring.sealed`; see `operations.events`."""
    epoch: int
    member: str = ""
    role: str = ""
    pid: int = 0
    incarnation: int = 0
    """How often a process has been started for this member."""
    why: str = ""
    expected: bool | None = None
    exit_code: int | None = None
    signal: str = ""
    next: str = ""
    detail: str = ""
    level: str = ""
    """How well the kernel keeps the process: `full`, `partial` or `process-only`."""
    told_by: str = ""
    """Whose word this is: the broker's, an enclave's or a host's; empty where the supervisor saw it itself."""
    fingerprint: str = ""
    restart: int = 0
    """Which restart this is within the period, if it is one."""
    delay: float = 0.0
    """Seconds until what comes next."""
    after: str = ""
    """In the first line of a run or of a file: the chain value of the line before it, in hex; empty: there is none."""
    run: int = 0
    """In the same lines, if the log has a key: under which of the key's runs it is written."""
    proof: str = ""
    """In the first line of a run, if the log has a key: that it has found the head before it, in hex; see `chain`."""
    seq: int = 0
    """The line's number within its run, from 1; 0: it is not written yet."""
    chain: str = ""
    """The line's chain value, in hex; see `operations.chain`."""


class Log:
    """Writes lines to one place, one after the other.

    It is also a timer: at `due`, `tick` writes what was not taken before.
    """

    def __init__(self, place: Sink | Callable[[str], object] | None = None, chain: Chain | None = None) -> None:
        """Take where lines go: a sink, a function that takes each with its end, or nothing for standard error.

        Without a `chain` there is one that has no key and goes on from what the sink holds.
        """
        self._sink: Final = (
            DescriptorSink(2) if place is None else place if isinstance(place, Sink) else FunctionSink(place)
        )
        self._chain: Final = Chain(self._sink.after) if chain is None else chain
        self._encode: Final = msgspec.json.Encoder().encode
        self._waiting: Final = collections.deque[tuple[Line, bytes]]()
        """Lines that are not written yet, and each as bytes without its number and value."""
        self._rest = b""
        """What is left of a line that was written in part."""
        self._name: Final = f"the log {self._sink.name}".rstrip()
        self._first, self._gone = True, False
        self._lost, self._loss = 0, ""
        self.dropped = 0
        """Lines that could not be written, in all."""
        self._epoch = 0
        self._stamped: tuple[Line, Line] | None = None
        """The last line that was written, before and after it got its number and value."""
        self._unshown: list[Line] = []
        """Lines that the log has written of its own accord and nobody else has been told of."""
        self._failing: tuple[float, str] | None = None
        """Since when the place fails, and how."""
        self._subscribers: tuple[Callable[[Line], object], ...] = ()
        self.recent: Final = collections.deque[Line](maxlen=MOST_RECENT)
        """The last lines, whether they could be written or not."""
        self.due: float | None = None
        """When `tick` wants to be called, by the monotonic clock."""

    @property
    def head(self) -> tuple[int, str]:
        """The number of the last line that has one, and its chain value; it is written, or the next that will be."""
        return self._chain.head.seq, self._chain.head.chain

    @property
    def waiting(self) -> int:
        """How many lines wait to be written."""
        return len(self._waiting) + bool(self._rest)

    def line(self, event: str, epoch: int, **fields: object) -> None:
        """Write one line; a place that cannot take it (full disk, closed terminal) does not stop the application.

        Raises `UsageError` for an event that has no row in `EVENTS`.
        """
        if event not in EVENTS:
            msg = f"{event} is no event; give it a row in actors/operations/events.py"
            raise UsageError(msg)
        line = _made(event, epoch, fields)
        self._queue(line, self._encode(line))
        self._flush()
        if self._stamped is not None and self._stamped[0] is line:
            line = self._stamped[1]
        self._stamped = None
        self._show(line)

    def subscribe(self, callback: Callable[[Line], object]) -> Callable[[], None]:
        """Have `callback` called with each line that comes, also one that could not be written; return how to end it.

        It must not raise and must not wait.
        """
        self._subscribers = (*self._subscribers, callback)

        def unsubscribe() -> None:
            self._subscribers = tuple(each for each in self._subscribers if each is not callback)

        return unsubscribe

    def tick(self, now: float) -> None:
        """Write what waits, if it is time."""
        if self.due is not None and now >= self.due:
            self._flush()
            self._show()

    def close(self, seconds: float = 1.0) -> None:
        """Write what waits, for so long at most, and let go of the place."""
        until = time.monotonic() + seconds
        while self.due is not None and self._failing is None and (left := until - time.monotonic()) > 0:
            self._sink.wait(left)
            self._flush()
        self._sink.close()

    # What waits.

    def _queue(self, line: Line, bare: bytes) -> None:
        self._epoch = line.epoch
        if self._gone:
            self.dropped += 1
            return
        if len(self._waiting) >= MOST_WAITING:
            self._flush()
        if len(self._waiting) >= MOST_WAITING:
            self._lose(line.epoch)
            return
        self._tell_losses()
        self._waiting.append((line, bare))

    def _lose(self, epoch: int) -> None:
        """Count a line that is lost; tell whoever asks the supervisor itself of the first, and of some after it."""
        self._loss = self._failing[1] if self._failing is not None else _NOBODY
        if self._lost % _TOLD == 0:
            fields = {"member": SUPERVISOR, "why": self._loss, "detail": f"{_lines(self._lost + 1)} so far"}
            self._unshown.append(_made("log.dropped", epoch, fields))
        self._lost += 1
        self.dropped += 1

    def _tell_losses(self) -> None:
        if self._lost:
            self._waiting.append(self._own("log.dropped", self._epoch, why=self._loss, detail=_lines(self._lost)))
            self._lost = 0

    def _flush(self) -> None:
        """Write as much as is taken; say when to go on with the rest."""
        self.due = None
        try:
            if not self._write_all():
                self.due = time.monotonic() + AGAIN
        except (OSError, ValueError) as error:
            self._failed(error)

    def _write_all(self) -> bool:
        """Write all that waits; return whether all was taken."""
        while self._write_rest():
            if not self._waiting:
                self._tell_losses()
            if not self._waiting:
                return True
            self._stamp()
        return False

    def _write_rest(self) -> bool:
        """Write the line that is stamped; return whether it is written whole."""
        if not self._rest:
            return True
        while self._rest:
            taken = self._sink.write(self._rest)
            if not taken:
                return False
            self._rest = self._rest[taken:]
        self._sink.note(self._chain.head)
        if self._failing is not None:
            since, why = self._failing
            self._failing = None
            epoch = self._waiting[0][0].epoch if self._waiting else self._epoch
            away = round(time.monotonic() - since, 3)
            self._waiting.appendleft(self._own("log.resumed", epoch, why=why, delay=away))
            if self._sink.name:  # else it may be standard error itself
                _complain(f"{self._name} can be written again, after {away:.3g} s")
        return True

    def _stamp(self) -> None:
        """Give the next line its number and its value; one before it, if a new file begins with it."""
        self._chain.begin()
        line, bare = self._waiting[0]
        name = self._sink.turn(len(bare) + _GROWS)
        if name:
            line, bare = self._own("log.rotated", line.epoch, detail=name)
        else:
            self._waiting.popleft()
        self._rest = self._chain.stamp(bare, first=self._first or bool(name)) + b"\n"
        self._first = False
        for event, why in reversed(self._sink.found()):
            self._waiting.appendleft(self._own(event, line.epoch, why=why))
            if event == "log.hindered":
                _complain(f"the log: {why}")
        self._stamped = line, msgspec.json.decode(self._rest, type=Line)
        if line.event in _OWN:
            self._unshown.append(self._stamped[1])

    def _own(self, event: str, epoch: int, **fields: object) -> tuple[Line, bytes]:
        """Return a line of the log's own."""
        line = _made(event, epoch, {"member": SUPERVISOR, **fields})
        return line, self._encode(line)

    def _failed(self, error: OSError | ValueError) -> None:
        now = time.monotonic()
        if self._failing is None:  # once is enough to read
            why = getattr(error, "strerror", None) or type(error).__name__
            self._failing = now, why
            _complain(f"{self._name} cannot be written: {why}")
        if isinstance(error, PlaceGone):
            self.dropped += self.waiting
            self._gone, self._rest = True, b""
            self._waiting.clear()
        else:
            self.due = now + AFTER_AN_ERROR

    def _show(self, *lines: Line) -> None:
        """Tell everybody else of lines, those first that the log has written of its own accord."""
        own, self._unshown = self._unshown, []
        for line in (*own, *lines):
            if LOGGER.isEnabledFor(logging.INFO):
                LOGGER.info("%s", self._encode(line).decode())
            self.recent.append(line)
            for each in self._subscribers:
                each(line)


_NOBODY: Final = "nobody took them in time"
_TOLD: Final = MOST_RECENT // 2
"""Lines that are lost from one such word to the next: one of them is always among the last lines."""
_OWN: Final = frozenset(each for each in EVENTS if each.startswith("log."))
"""Events of the log itself."""
_GROWS: Final = 300
"""Bytes that a line gains at most as it is stamped."""


def _lines(count: int) -> str:
    return f"{count} line{'s' if count > 1 else ''}"


def _made(event: str, epoch: int, fields: Mapping[str, object]) -> Line:
    return msgspec.convert({"time": round(time.time(), 6), "event": event, "epoch": epoch, **fields}, Line)


def _complain(text: str) -> None:
    if LOGGER.hasHandlers():
        LOGGER.warning("%s", text)
    else:  # what logging itself would do then waits for a reader of standard error
        tell(f"trollbridge: {text}\n")


def tell(text: str, seconds: float = 0.0) -> None:
    """Write a sentence for people to standard error; wait for room no longer than this, and lose it then."""
    sink = DescriptorSink(2)
    left = text.encode()
    with contextlib.suppress(OSError):
        while left:
            taken = sink.write(left)
            if not taken and not sink.wait(seconds):
                break
            left = left[taken:]
    sink.close()


def to_stderr(text: str) -> None:
    """Write to standard error, if there is one that takes it."""
    if sys.stderr is not None:  # it is None where the application was started with it closed
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
        flushed(sys.stderr)


def flushed(stream: TextIO) -> bool:
    """Write out what a standard stream holds; return whether it arrived. One that cannot leads nowhere from then on."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):  # the interpreter would try again at exit, and exit with 120
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return False
    return True
