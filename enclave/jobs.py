"""Documents that pass through the vault in pieces: which are under way, whose they are, and how far.

May import: our enclave's scribe_job and sealed_file, our messages. Invariants: a job is found by the
member that began it and by nobody else; a job that failed is gone; when the vault is locked, all are. What differs from
what was said to come is never finished.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Protocol

from trollbridge.enclave.scribe_job import ScribeJob
from trollbridge.enclave.sealed_file import Opening, Sealing
from trollbridge.messages.errors import InvalidArguments, NoSuchJob, NotAllowed, Overloaded, TooLarge
from trollbridge.messages.vault_documents import FEED, HEAD, JOBS, OPEN, PLAIN, SEAL, Digest, Piece, Report

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from trollbridge.enclave.gate import Caller
    from trollbridge.enclave.keystore import Keystore
    from trollbridge.enclave.storage import Records
    from trollbridge.messages.vault_documents import Job

    Start = Callable[[int, int], socket.socket]

MOST: Final = 4
"""Jobs of one member at a time."""
MOST_WAITING: Final = 8 << 20
"""Bytes that may wait in one job: what is under way when its feeder learns that it is to stop."""
MOST_STRANGERS: Final = 64
"""Messages of unknown signers that are remembered, the latest: each may be decrypted again, unchecked."""


class Work(Protocol):
    """What becomes of the document."""

    @property
    def waiting(self) -> int:
        """How many bytes were fed and not taken yet."""
        ...

    @property
    def to_be_known(self) -> bool:
        """Whether the digest of what is fed is needed, though nobody has said one."""
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
    to_be_known = False

    def __init__(self, stream: Sealing | Opening) -> None:
        self._stream = stream

    def feed(self, data: bytes) -> bytes:
        return self._stream.feed(data)

    def finish(self) -> tuple[bytes, Report | None]:
        return self._stream.finish(), Report((), (), "", None, again=False)

    def close(self) -> None:
        """Hold nothing: the key goes with the object."""


class Fed:
    """What has gone in so far."""

    __slots__ = ("_head", "_sha256", "_size")

    def __init__(self) -> None:
        """Begin with nothing."""
        self._sha256 = hashlib.sha256()
        self._head = b""
        self._size = 0

    def add(self, data: bytes) -> None:
        """Take note of more."""
        self._sha256.update(data)
        self._head += data[: HEAD - len(self._head)]
        self._size += len(data)

    def digest(self) -> Digest:
        """Return what all of it comes to."""
        return Digest(self._sha256.digest(), self._size, self._head)


class _Running:
    """One job, and what it has been fed."""

    __slots__ = ("claimed", "fed", "kind", "member", "size", "work")

    def __init__(self, member: str, task: Job, work: Work, fed: Fed | None) -> None:
        self.member: Final = member
        self.kind: Final = task.kind
        self.claimed: Final = task.content
        self.work: Final = work
        self.fed = fed
        self.size = 0

    def check(self) -> None:
        """Raise `NotAllowed` unless what was fed is what was said to come."""
        if self.claimed is not None and self.fed is not None and self.fed.digest() != self.claimed:
            msg = "The document is not the one that was said to come; nothing of it is finished."
            raise NotAllowed(msg)


class Jobs:
    """All jobs of an open vault."""

    __slots__ = ("_caller", "_keys", "_last", "_records", "_running", "_strangers")

    def __init__(self, records: Records, keys: Keystore, caller: Callable[[], Caller]) -> None:
        """Take what the vault holds, and what says who asks right now."""
        self._records: Final = records
        self._keys: Final = keys
        self._caller: Final = caller
        self._running: dict[int, _Running] = {}
        self._last = 0
        self._strangers: dict[tuple[str, Digest], tuple[str, ...]] = {}
        """Of each message, by who fed it, that nobody known has signed: its signers."""

    def begin(self, task: Job, start: Start) -> int:
        """Begin a job and return its number; `start` starts a scribe.

        Raises `InvalidArguments`, `Overloaded`, and for the keys it names what using them raises.
        """
        if task.kind not in JOBS:
            msg = f"There is no such job; choose one of: {', '.join(JOBS)}."
            raise InvalidArguments(msg)
        member = self._caller().member
        if sum(each.member == member for each in self._running.values()) >= MOST:
            msg = f"{MOST} documents are under way already; finish or cancel one first."
            raise Overloaded(msg)
        work, fed = self._work(member, task, start)
        self._last += 1
        self._running[self._last] = _Running(member, task, work, fed)
        return self._last

    def _work(self, member: str, task: Job, start: Start) -> tuple[Work, Fed | None]:
        fed = None if task.content is None else Fed()
        if task.kind == SEAL:
            return _Whole(Sealing(self._records.vault, self._records.file_key)), fed
        if task.kind == OPEN:
            return _Whole(Opening(self._records.vault, self._records.file_key)), fed
        strangers = None if task.content is None else self._strangers.get((member, task.content))
        job = ScribeJob(task, self._keys, start, strangers)
        return job, Fed() if job.to_be_known else fed

    def _find(self, number: int, *, plain: bool) -> _Running:
        found = self._running.get(number)
        if found is None or found.member != self._caller().member:
            raise NoSuchJob
        if (found.kind in PLAIN) is not plain:
            msg = "What decrypts, verifies or opens is fed and finished as plain; what encrypts, signs or seals is not."
            raise InvalidArguments(msg)
        return found

    def feed(self, number: int, at: int, data: bytes, *, plain: bool) -> Piece:
        """Take more of the document, at most `FEED` bytes from byte `at` on, and return what has come out of it.

        `at` must be where the last piece ended: of calls that are under way together, a short one may overtake.
        Raises `NoSuchJob`, `TooLarge`, `Overloaded`, and what is wrong with the document; the job has ended then.
        """
        job = self._find(number, plain=plain)
        try:
            if len(data) > FEED:
                raise TooLarge
            if at != job.size:
                msg = f"The document goes on at byte {job.size}, not {at}."
                raise InvalidArguments(msg)
            if job.work.waiting + len(data) > MOST_WAITING:
                msg = "More of the document waits already than may wait; feed nothing until it is taken."
                raise Overloaded(msg)
            job.size += len(data)
            if job.fed is not None:
                job.fed.add(data)
            made = job.work.feed(data)
            if job.claimed is None and not job.work.to_be_known:
                job.fed = None
            return Piece(made, job.work.waiting, None)
        except BaseException:
            self._end(number)
            raise

    def finish(self, number: int, *, plain: bool) -> Piece:
        """Return more of what comes out now that all is in; to be called until there is a report.

        Raises `NoSuchJob`, `NotAllowed` for a document that was not the one that was said to come, and what is wrong
        with the document.
        """
        job = self._find(number, plain=plain)
        try:
            job.check()
            data, report = job.work.finish()
        except BaseException:
            self._end(number)
            raise
        if report is None:
            return Piece(data, job.work.waiting, None)
        self._end(number)
        fed = None if job.fed is None else job.fed.digest()
        if report.again and fed is not None:
            self._remember(job.member, fed, report.unknown)
        return Piece(data, 0, Report(report.signers, report.unknown, report.recipient, fed, report.again))

    def _remember(self, member: str, fed: Digest, strangers: tuple[str, ...]) -> None:
        self._strangers.pop((member, fed), None)
        self._strangers[member, fed] = strangers
        while len(self._strangers) > MOST_STRANGERS:
            del self._strangers[next(iter(self._strangers))]

    def cancel(self, number: int) -> None:
        """End a job; raises `NoSuchJob`."""
        found = self._running.get(number)
        if found is None or found.member != self._caller().member:
            raise NoSuchJob
        self._end(number)

    def _end(self, number: int) -> None:
        self._running.pop(number).work.close()

    def drop(self) -> None:
        """End all of them and forget what was remembered."""
        for number in tuple(self._running):
            self._end(number)
        self._strangers.clear()
