"""A vault's jobs without a ring: two keys, real scribes, and whoever asks."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

from tests.enclave.scribes import PATIENCE, Scribes
from trollbridge.actors.processes.sockets import close_all
from trollbridge.enclave.gate import Caller, Gate
from trollbridge.enclave.jobs import MOST_WAITING, Jobs
from trollbridge.enclave.keystore import Keystore
from trollbridge.messages.ids import Role
from trollbridge.messages.vault import DETACHED
from trollbridge.messages.vault_documents import (
    DECRYPT,
    ENCRYPT,
    FEED,
    OPEN,
    PLAIN,
    SEAL,
    SIGN,
    VERIFY,
    Job,
    Piece,
    Report,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from trollbridge.enclave.storage import Records

ADA: Final = "Ada <ada@example.org>"
BOB: Final = "Bob <bob@example.org>"
MANY_CALLS: Final = 600
"""That one document of these tests takes at most, a slow scribe's included."""


def job(  # noqa: PLR0913  # a job has as many parts
    kind: str,
    *,
    recipients: Iterable[str] = (),
    signer: str | None = None,
    mode: str = DETACHED,
    armored: bool = False,
    signature: bytes | None = None,
    again: bool = False,
) -> Job:
    """Return a job."""
    return Job(kind, tuple(recipients), signer, mode, armored, signature, again)


def encrypting(*recipients: str, signer: str | None = None, armored: bool = False) -> Job:
    """Return the job that encrypts."""
    return job(ENCRYPT, recipients=recipients, signer=signer, armored=armored)


def signing(signer: str, mode: str = DETACHED, *, armored: bool = False) -> Job:
    """Return the job that signs."""
    return job(SIGN, signer=signer, mode=mode, armored=armored)


DECRYPTING: Final = job(DECRYPT)
READING: Final = job(VERIFY)
SEALING: Final = job(SEAL)
OPENING: Final = job(OPEN)


def checking(signature: bytes) -> Job:
    """Return the job that checks a detached signature."""
    return job(VERIFY, signature=signature)


class Desk:
    """An open vault with the keys of Ada and Bob, and its jobs."""

    def __init__(self, records: Records) -> None:
        """Make the keys."""
        self.member = "console"
        self.role = Role.UI
        self.now = 0.0
        """Seconds by the jobs' clock."""
        self.wall = time.time()
        """Seconds since 1970, as the gate takes them."""
        self.held: list[int] = []
        """Descriptors that are closed in the end."""
        self.gate: Final = Gate(records, self._caller, clock=lambda: self.wall)
        self.keys: Final = Keystore(records, self.gate)
        self.ada: Final = self.keys.generate(ADA).fingerprint
        self.bob: Final = self.keys.generate(BOB).fingerprint
        self.jobs: Final = Jobs(records, self.keys, self.gate, self._caller, lambda: self.now)
        self.scribes: Final = Scribes()

    def _caller(self) -> Caller:
        return Caller(self.member, self.role)

    def begin(self, task: Job, start: Callable[[int, int], socket.socket] | None = None) -> int:
        """Begin a job."""
        return self.jobs.begin(task, start or self.scribes.start)

    def feed(
        self, number: int, task: Job, data: bytes, size: int = FEED, seen: list[bytes] | None = None
    ) -> list[bytes]:
        """Feed a document in pieces of `size`; return the pieces that come out, which are added to `seen`."""
        made: list[bytes] = [] if seen is None else seen
        for at in range(0, len(data), size):
            piece = self.jobs.feed(number, at, data[at : at + size], plain=task.kind in PLAIN)
            made.append(piece.data)
            while piece.waiting > FEED:
                piece = self.jobs.feed(number, at + len(data[at : at + size]), b"", plain=task.kind in PLAIN)
                made.append(piece.data)
        return made

    def feed_beyond(self, number: int) -> None:
        """Feed more than may wait, to a scribe that takes nothing."""
        for at in range(MOST_WAITING, 2 * MOST_WAITING, FEED):
            self.jobs.feed(number, at, bytes(FEED), plain=False)

    def until_lent(self, number: int, at: int) -> None:
        """Call until the scribe of a message that was fed up to byte `at` has been lent a key."""
        until = time.monotonic() + PATIENCE
        work = self.jobs._running[number].work  # nobody else is told
        while not work.subjects:
            assert time.monotonic() < until
            self.jobs.feed(number, at, b"", plain=True)

    def rest(self, number: int, task: Job) -> tuple[list[bytes], Report]:
        """Finish a job; return the pieces that still come out, and the report."""
        made: list[bytes] = []
        for _ in range(MANY_CALLS):
            piece: Piece = self.jobs.finish(number, plain=task.kind in PLAIN)
            made.append(piece.data)
            if piece.report is not None:
                return made, piece.report
        raise AssertionError(task)

    def run(self, task: Job, data: bytes, size: int = FEED) -> tuple[bytes, Report]:
        """Do a whole job; return what came out, and the report."""
        number = self.begin(task)
        made = self.feed(number, task, data, size)
        more, report = self.rest(number, task)
        return b"".join([*made, *more]), report

    def out(self, task: Job, data: bytes) -> bytes:
        """Do a whole job; return what came out."""
        return self.run(task, data)[0]

    def close(self) -> None:
        """End everything."""
        self.jobs.drop()
        close_all(self.held)
        self.scribes.__exit__()


def noise(size: int) -> bytes:
    """Return a document."""
    return os.urandom(size)
