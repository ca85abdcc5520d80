"""A vault's jobs without a ring: two keys, real scribes, and whoever asks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tests.enclave.scribes import Scribes
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
    Digest,
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
    content: Digest | None = None,
) -> Job:
    """Return a job."""
    return Job(kind, tuple(recipients), signer, mode, armored, signature, content)


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
        self.gate: Final = Gate(records, self._caller)
        self.keys: Final = Keystore(records, self.gate)
        self.ada: Final = self.keys.generate(ADA).fingerprint
        self.bob: Final = self.keys.generate(BOB).fingerprint
        self.jobs: Final = Jobs(records, self.keys, self._caller)
        self.scribes: Final = Scribes()

    def _caller(self) -> Caller:
        return Caller(self.member, Role.UI)

    def begin(self, task: Job, start: Callable[[int, int], socket.socket] | None = None) -> int:
        """Begin a job."""
        return self.jobs.begin(task, start or self.scribes.start)

    def feed(self, number: int, task: Job, data: bytes, size: int = FEED) -> list[bytes]:
        """Feed a document in pieces of `size`; return the pieces that come out."""
        made: list[bytes] = []
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
        self.scribes.__exit__()


def noise(size: int) -> bytes:
    """Return a document."""
    return os.urandom(size)
