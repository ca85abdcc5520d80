"""Documents that pass through the vault in pieces: which are under way, whose they are, and how far.

May import: our enclave's gate, keystore, scribe_job and sealed_file, our messages. Invariants: a job is found by the
member that began it and by nobody else; a job that failed is gone; one whose key was changed, limited anew or deleted
is gone; when the vault is locked, all are. After its document has ended a job takes no more of it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from trollbridge.actors.isolation.heap import give_back
from trollbridge.enclave.scribe_job import ScribeJob
from trollbridge.enclave.sealed_file import Opening, Sealing
from trollbridge.messages.errors import ApprovalNeeded, InvalidArguments, NoSuchJob, NotAllowed, Overloaded, TooLarge
from trollbridge.messages.ids import Role
from trollbridge.messages.vault_documents import DECRYPT, FEED, JOBS, OPEN, PLAIN, SEAL, Piece, Report

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from trollbridge.enclave.gate import Caller, Content, Gate
    from trollbridge.enclave.keystore import Keystore
    from trollbridge.enclave.storage import Records
    from trollbridge.messages.vault_documents import Job

    Start = Callable[[int, int], socket.socket]

MOST: Final = 3
"""Jobs of one member at a time; and processes that work for all members together that are not the core UI."""
MOST_WAITING: Final = 8 << 20
"""Bytes that may wait in one job: what is under way when its feeder learns that it is to stop."""
MOST_STRANGERS: Final = 64
"""Messages of unknown signers that are remembered, the latest: each may be decrypted again, unchecked."""
GIVE_BACK: Final = 128 << 20
"""Bytes of documents after which the heap's free pages are given back: else it grows with what passes."""
IDLE: Final = 60.0
"""Seconds after which a job goes that nobody feeds, as soon as anybody asks anything of any."""
KEPT: Final = 600.0
"""The same for a signature that is made and waits to be approved."""


class Work(Protocol):
    """What becomes of the document."""

    @property
    def waiting(self) -> int:
        """How many bytes were fed and not taken yet."""
        ...

    @property
    def subjects(self) -> tuple[str, ...]:
        """The keys that were lent for it, as the gate calls them."""
        ...

    @property
    def busy(self) -> bool:
        """Whether a process works on it."""
        ...

    @property
    def content(self) -> Content | None:
        """What was fed, if that is known."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Take more of the document; return what has come out of it."""
        ...

    def finish(self) -> tuple[bytes, Report | None]:
        """Return more of what comes out, now that all is in, and the report if that was all."""
        ...

    def close(self) -> None:
        """Let go of everything."""


class _Whole:
    """What is done at once, in this process: sealing and opening."""

    waiting = 0
    subjects = ()
    busy = False
    content = None

    def __init__(self, stream: Sealing | Opening) -> None:
        self._stream = stream

    def feed(self, data: bytes) -> bytes:
        return self._stream.feed(data)

    def finish(self) -> tuple[bytes, Report | None]:
        return self._stream.finish(), Report((), (), "", again=False)

    def close(self) -> None:
        """Hold nothing: the key goes with the object."""


class _Running:
    """One job, and what it has been fed."""

    __slots__ = ("caller", "ended", "size", "task", "touched", "work")

    def __init__(self, caller: Caller, task: Job, work: Work, now: float) -> None:
        self.caller: Final = caller
        self.task: Final = task
        self.work: Final = work
        self.size = 0
        self.ended = False
        self.touched = now

    @property
    def kept(self) -> bool:
        """Whether it is complete and waits for nothing but an approval."""
        return self.ended and not self.work.busy


class Jobs:
    """All jobs of an open vault."""

    __slots__ = ("_caller", "_clock", "_gate", "_keys", "_last", "_passed", "_records", "_running", "_strangers")

    def __init__(
        self,
        records: Records,
        keys: Keystore,
        gate: Gate,
        caller: Callable[[], Caller],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what the vault holds, what says who asks right now, and a clock that stands still with the machine."""
        self._records: Final = records
        self._keys: Final = keys
        self._gate: Final = gate
        self._caller: Final = caller
        self._clock: Final = clock
        self._running: dict[int, _Running] = {}
        self._last = 0
        self._passed = 0
        """Bytes that were fed since the heap's free pages were given back."""
        self._strangers: dict[tuple[str, bytes], tuple[str, ...]] = {}
        """Of each message, by who fed it and its SHA-256, that nobody known has signed: its signers."""
        gate.watch(self.forget)

    def begin(self, task: Job, start: Start) -> int:
        """Begin a job and return its number; `start` starts a scribe.

        Raises `InvalidArguments`, `Overloaded`, and for the keys it names what using them raises: `ApprovalNeeded` for
        one whose every use is approved, but for a detached signature, of which `finish` raises it.
        """
        self._expire()
        if task.kind not in JOBS:
            msg = f"There is no such job; choose one of: {', '.join(JOBS)}."
            raise InvalidArguments(msg)
        if task.again and task.kind != DECRYPT:
            msg = "Only a message that is decrypted can have to come again."
            raise InvalidArguments(msg)
        caller = self._caller()
        self._check_room(caller, task)
        work = self._work(task, start)
        self._last += 1
        self._running[self._last] = _Running(caller, task, work, self._clock())
        return self._last

    def _check_room(self, caller: Caller, task: Job) -> None:
        """Raise `Overloaded` if there are too many: what others do never keeps the core UI from its own."""
        if sum(each.caller.member == caller.member for each in self._running.values()) >= MOST:
            msg = f"{MOST} documents are under way already; finish or cancel one first."
            raise Overloaded(msg)
        others = sum(each.work.busy and each.caller.role != Role.UI for each in self._running.values())
        if caller.role != Role.UI and others >= MOST and task.kind not in {SEAL, OPEN}:
            msg = f"{MOST} documents of extensions are under way already; try again later."
            raise Overloaded(msg)

    def _work(self, task: Job, start: Start) -> Work:
        if task.kind == SEAL:
            return _Whole(Sealing(self._records.vault, self._records.file_key))
        if task.kind == OPEN:
            return _Whole(Opening(self._records.vault, self._records.file_key))
        return ScribeJob(task, self._keys, self._gate, start)

    def _find(self, number: int) -> _Running:
        found = self._running.get(number)
        if found is not None and found.caller.member == self._caller().member:
            found.touched = self._clock()
        self._expire()
        if found is None or found.caller.member != self._caller().member:
            raise NoSuchJob
        return found

    def _check(self, job: _Running, *, plain: bool) -> None:
        """Raise `InvalidArguments` for the wrong way to feed, and `NotAllowed` if its keys may be used no more."""
        if (job.task.kind in PLAIN) is not plain:
            msg = "What decrypts, verifies or opens is fed and finished as plain; what encrypts, signs or seals is not."
            raise InvalidArguments(msg)
        for each in job.work.subjects:
            self._gate.check(each, counted=True)

    def feed(self, number: int, at: int, data: bytes, *, plain: bool) -> Piece:
        """Take more of the document, at most `FEED` bytes from byte `at` on, and return what has come out of it.

        `at` must be where the last piece ended: of calls that are under way together, a short one may overtake.
        Raises `NoSuchJob`, `TooLarge`, `Overloaded`, `NotAllowed`, and what is wrong with the document; the job has
        ended then.
        """
        job = self._find(number)
        try:
            self._check(job, plain=plain)
            if job.ended:
                msg = "The document has ended already; what follows is no part of it."
                raise InvalidArguments(msg)
            if len(data) > FEED:
                raise TooLarge
            if at != job.size:
                msg = f"The document goes on at byte {job.size}, not {at}."
                raise InvalidArguments(msg)
            if job.work.waiting + len(data) > MOST_WAITING:
                msg = "More of the document waits already than may wait; feed nothing until it is taken."
                raise Overloaded(msg)
            job.size += len(data)
            made = job.work.feed(data)
        except BaseException:
            self._end(number)
            raise
        job.touched = self._clock()
        self._passed += len(data)
        if self._passed >= GIVE_BACK:
            self._passed = 0
            give_back()
        return Piece(made, job.work.waiting, None)

    def finish(self, number: int, *, plain: bool) -> Piece:
        """Return more of what comes out now that all is in; to be called until there is a report.

        Raises `NoSuchJob`, `NotAllowed`, and what is wrong with the document; the job has ended then. It has not after
        `ApprovalNeeded` for a detached signature: once that is approved, this is to be called again.
        """
        job = self._find(number)
        try:
            self._check(job, plain=plain)
            job.ended = True
            data, report = job.work.finish()
            if report is not None:
                report = self._with_strangers(job, report)
        except ApprovalNeeded:
            if not job.kept:
                self._end(number)
            raise
        except BaseException:
            self._end(number)
            raise
        job.touched = self._clock()
        if report is not None:
            self._end(number)
        return Piece(data, job.work.waiting, report)

    def _with_strangers(self, job: _Running, report: Report) -> Report:
        """Remember who has signed a message that must come again; return that of one which has.

        Raises `NotAllowed` for another message than one that must.
        """
        content = job.work.content
        message = (job.caller.member, b"" if content is None else content.digest)
        if report.again:
            self._strangers.pop(message, None)
            self._strangers[message] = report.unknown
            while len(self._strangers) > MOST_STRANGERS:
                del self._strangers[next(iter(self._strangers))]
        if not job.task.again:
            return report
        strangers = self._strangers.get(message)
        if strangers is None:
            msg = "The message is not one that had to come again; its signatures were not checked."
            raise NotAllowed(msg)
        return msgspec.structs.replace(report, unknown=strangers)

    def cancel(self, number: int) -> None:
        """End a job; raises `NoSuchJob`."""
        self._find(number)
        self._end(number)

    def forget(self, subject: str) -> None:
        """End every job that a key was lent for."""
        for number, each in tuple(self._running.items()):
            if subject in each.work.subjects:
                self._end(number)

    def _expire(self) -> None:
        now = self._clock()
        for number, each in tuple(self._running.items()):
            if now - each.touched > (KEPT if each.kept else IDLE):
                self._end(number)

    def _end(self, number: int) -> None:
        ended = self._running.pop(number, None)
        if ended is not None:
            ended.work.close()

    def drop(self) -> None:
        """End all of them and forget what was remembered."""
        for number in tuple(self._running):
            self._end(number)
        self._strangers.clear()
