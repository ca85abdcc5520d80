"""What the vault and a scribe say to each other: a task, questions and answers on the way, an outcome.

May import: our messages. Invariants: a frame is read whole or not at all; each side takes the other's words only.

    frame := length (4, big-endian) | canonical MessagePack of one word

They travel over an unnamed pair of stream sockets whose ends the two processes alone hold; the document goes by two
pipes beside it, and never through here. What a scribe says is bounded, for it may have been taken over: by
`LARGEST_SAID`, `MOST_HANDLES` and `MOST_ASKS`; `Seen`, `Sighted` and the outcome come once.

    encrypt, sign, check   vault: the task                                   scribe: [Ask …] then Done or Failed
    read                   vault: Read, with the beginning of the message    scribe: [Ask …] then Done or Failed
    decrypt                vault: Look, with the beginning of the message    scribe: Seen
                           vault: Decrypt, with keys that may fit            scribe: [Sighted, Ask …] then these
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from trollbridge.messages.codec import Codec
from trollbridge.messages.errors import Malformed

if TYPE_CHECKING:
    import socket

LARGEST: Final = 64 << 20
"""Bytes of one word to a scribe at most: certificates of many recipients."""
LARGEST_SAID: Final = 256 * 1024
"""Bytes of one word of a scribe's at most: the fingerprints of many signers."""
MOST_HANDLES: Final = 64
"""Handles in one `Ask`, each once."""
MOST_ASKS: Final = 64
"""How often a scribe may ask, and only when it has its last answer."""
MOST_SIGNERS: Final = MOST_HANDLES * MOST_ASKS
"""Signers and recipients of one message that are told of."""
UNNAMED: Final = "unnamed"
"""In the place of a handle: whose signature it is, it does not say."""
BEGINNING: Final = 256 * 1024
"""Bytes of a message's beginning, in which its recipients must be named."""
_SIZE: Final = 4


class Key(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A transferable secret key, protected with a password of this one task, and its certificate as it is today."""

    secret: bytes
    password: str
    certificate: bytes

    def __repr__(self) -> str:
        """Show nothing."""
        return "Key(…)"


class Encrypt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=0):
    """Encrypt to these certificates, which may be encrypted to, and sign inside if there is a signer; in binary."""

    recipients: tuple[bytes, ...]
    signer: Key | None


class Sign(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """Sign, as `mode` says."""

    signer: Key
    mode: str
    armored: bool


class Check(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """Check the document against a detached signature."""

    signature: bytes


class Read(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """Check a signed message and give what was signed."""

    beginning: bytes


class Look(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """Say to whom a message is encrypted."""

    beginning: bytes


class Decrypt(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """Decrypt the message that was looked at with the first of the keys that fits; check signatures, or do not."""

    keys: tuple[Key, ...]
    check: bool


class Witnesses(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=6):
    """The certificates for each handle that was asked for, in that order."""

    certificates: tuple[tuple[bytes, ...], ...]


class Seen(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=0):
    """Key ids or fingerprints of whom the message is encrypted to; an empty one stands for somebody unnamed."""

    handles: tuple[str, ...]


class Ask(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """Which certificates have these keys? Fingerprints or key ids, lower-case hexadecimal."""

    handles: tuple[str, ...]


class Sighted(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """It has been seen who has signed: whatever comes of the document, it will not be done again. Needs no answer."""


class Valid(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A valid signature: the certificate's fingerprint, the signing key's, and when it was made, where that shows."""

    certificate: str
    signing_key: str
    created: int | None


class Done(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """All of the document has been written.

    `unknown`: signers without a certificate here; `key`: which of the keys decrypted; `again`: none of the signers is
    known, and the rest of the plaintext was withheld.
    """

    valid: tuple[Valid, ...]
    unknown: tuple[str, ...]
    key: int
    again: bool


class Failed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """It came to nothing: the number of one of our errors, and its text."""

    code: int
    text: str


ToScribe: TypeAlias = Encrypt | Sign | Check | Read | Look | Decrypt | Witnesses
FromScribe: TypeAlias = Seen | Ask | Sighted | Done | Failed
TO_SCRIBE: Final[Codec[ToScribe]] = Codec(ToScribe)
FROM_SCRIBE: Final[Codec[FromScribe]] = Codec(FromScribe)


def framed(word: bytes, largest: int = LARGEST) -> bytes:
    """Return an encoded word as a frame; raises `Malformed` for one that is too long."""
    if len(word) > largest:
        raise Malformed
    return len(word).to_bytes(_SIZE, "big") + word


def unframed(held: bytearray) -> bytes | None:
    """Take the first whole frame off what a scribe has said and return the word in it; None if there is none yet.

    Raises `Malformed` for one that is too long.
    """
    size = int.from_bytes(held[:_SIZE], "big")
    if size > LARGEST_SAID:
        raise Malformed
    if len(held) < _SIZE + size or len(held) < _SIZE:
        return None
    word = bytes(held[_SIZE : _SIZE + size])
    del held[: _SIZE + size]
    return word


def receive(end: socket.socket) -> ToScribe:
    """Wait for the vault's next word; raises `Malformed`, and `EOFError` at the end of the stream."""
    held = bytearray()
    while True:
        want = _SIZE - len(held) if len(held) < _SIZE else _SIZE + int.from_bytes(held[:_SIZE], "big") - len(held)
        if want > LARGEST:
            raise Malformed
        if not want:
            return TO_SCRIBE.decode(held[_SIZE:])
        piece = end.recv(min(want, 1 << 16))
        if not piece:
            raise EOFError
        held += piece
