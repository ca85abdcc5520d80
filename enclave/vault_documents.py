"""The vault's handlers for documents of any length, which pass through in pieces.

May import: our actors' handler, our enclave, our messages. Invariant: a plaintext leaves as a sensitive result only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.actors.handlers import handler
from trollbridge.enclave.vault_part import VaultPart
from trollbridge.messages.control import ErrandKind
from trollbridge.messages.vault_documents import PIECE, Job, Piece

if TYPE_CHECKING:
    import socket

    from trollbridge.enclave.jobs import Jobs

_AROUND: Final = 64 * 1024
"""Bytes around a piece: its report, with the signers that a message may have."""


class DocumentHandlers(VaultPart):
    """Streams."""

    if TYPE_CHECKING:

        def errand(self, kind: ErrandKind, *descriptors: int) -> socket.socket:
            """Have a one-shot process started: `ProcessActor.errand`."""
            ...

    def _jobs(self) -> Jobs:
        return self._access.opened().jobs

    def _scribe(self, source: int, target: int) -> socket.socket:
        return self.errand(ErrandKind.SCRIBE, source, target)

    @handler
    def begin(self, job: Job) -> int:
        """Begin a job for a document that will come in pieces; return its number."""
        return self._jobs().begin(job, self._scribe)

    @handler(max_bytes=PIECE + _AROUND)
    def feed(self, job: int, at: int, data: bytes) -> Piece:
        """Take more of what is to be encrypted, signed or sealed, from byte `at` on; return what has come out."""
        return self._jobs().feed(job, at, data, plain=False)

    @handler(sensitive=True, max_bytes=PIECE + _AROUND)
    def feed_plain(self, job: int, at: int, data: bytes) -> Piece:
        """Take more of what is to be decrypted, verified or opened; what comes out is not to be trusted yet."""
        return self._jobs().feed(job, at, data, plain=True)

    @handler(max_bytes=PIECE + _AROUND)
    def finish(self, job: int) -> Piece:
        """Return more of what comes out now that all is in; to be called until the piece has a report.

        A detached signature by a key whose every use is approved is made then, and comes out once what was fed is
        approved: after `ApprovalNeeded` this may be called again, for ten minutes.
        """
        return self._jobs().finish(job, plain=False)

    @handler(sensitive=True, max_bytes=PIECE + _AROUND)
    def finish_plain(self, job: int) -> Piece:
        """Return more of a plaintext now that all is in; only the piece with the report makes it trustworthy."""
        return self._jobs().finish(job, plain=True)

    @handler
    def cancel(self, job: int) -> None:
        """End a job before its time."""
        self._jobs().cancel(job)
