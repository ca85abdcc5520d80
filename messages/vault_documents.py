"""The typed vocabulary of documents that pass through the vault in pieces: jobs, pieces, reports. No behaviour.

May import: `msgspec`. Invariant: what a piece carries is not shown, for it may be a plaintext.
"""

from __future__ import annotations

from typing import Final

import msgspec

ENCRYPT: Final = "encrypt"
DECRYPT: Final = "decrypt"
SIGN: Final = "sign"
VERIFY: Final = "verify"
SEAL: Final = "seal"
OPEN: Final = "open"
JOBS: Final = (ENCRYPT, DECRYPT, SIGN, VERIFY, SEAL, OPEN)
"""What a job does. What comes out of `decrypt`, `verify` and `open` is the document itself."""
PLAIN: Final = frozenset({DECRYPT, VERIFY, OPEN})
"""The jobs whose pieces are fed and finished by `feed_plain` and `finish_plain`."""

FEED: Final = 1 << 20
"""Bytes that one feed takes at most."""
PIECE: Final = 4 << 20
"""Bytes of one piece at most."""


class Job(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is to be done with a document that will come in pieces.

    `kind`: one of `JOBS`. `recipients` and `signer` name keys; `mode` as for `sign`; `armored`: ASCII instead of
    binary. `signature`: the detached one that `verify` is to check; without it the document is a signed message.
    `again`: the message to decrypt is one whose report said so. Nothing here says what the document will be: the vault
    measures what it is fed.
    """

    kind: str
    recipients: tuple[str, ...]
    signer: str | None
    mode: str
    armored: bool
    signature: bytes | None
    again: bool


class Signer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Whose signature is valid: the certificate's fingerprint, that of the signing (sub)key, the first user id.

    `trust` as in `KeyInfo`. `created`: when it was signed, by the signer's clock; None where that lies inside an
    encrypted layer. `standing` of the key now: `valid`, `expired` or `revoked`.
    """

    fingerprint: str
    signing_key: str
    user_id: str
    trust: str
    created: int | None
    standing: str


class Report(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is known of a document once all of it has passed.

    `signers`, `unknown` and `recipient` as in `Decrypted`; empty where nothing was signed or decrypted. `again`: nobody
    whom the vault knows has signed, and the end of the plaintext was withheld; it comes if the very same message is
    decrypted once more, by a job that says `again`.
    """

    signers: tuple[Signer, ...]
    unknown: tuple[str, ...]
    recipient: str
    again: bool


class Piece(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What has come out of a job since the last piece. Nothing of a plaintext is to be trusted before the report.

    `waiting`: bytes that were fed and not taken yet; more than `FEED` of them are not accepted. `report` comes with
    the last piece, and with no other.
    """

    data: bytes
    waiting: int
    report: Report | None

    @property
    def done(self) -> bool:
        """Whether this was the last piece."""
        return self.report is not None

    def __repr__(self) -> str:
        """Show how much it is."""
        return f"Piece(<{len(self.data)} bytes>, {self.waiting} waiting, {self.report!r})"


DOCUMENTS_VOCABULARY: Final[tuple[type[msgspec.Struct], ...]] = (Job, Signer, Report, Piece)
