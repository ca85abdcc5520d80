"""The ring key: the core UI and the enclaves hold it for one epoch; `sensitive` results are sealed under it.

May import: `msgspec`, our messages. Invariants: each result has its own key, derived from 32 fresh random bytes; it
says which handler gave it and, to whoever opens it only, for which arguments; a dropped ring key seals and opens
nothing, whoever kept a reference to it.

    sealed    := MessagePack [epoch, handler name, salt (32 B), ciphertext and tag]
    plaintext := digest of the arguments (32 B) | length of the result (u32) | result | zeros, padded like a body
"""

from __future__ import annotations

import hmac
import os
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import msgspec

from trollbridge.messages import aead, labels
from trollbridge.messages.codec import Codec
from trollbridge.messages.errors import AuthenticationFailed, Malformed, UsageError
from trollbridge.messages.padding import padded
from trollbridge.messages.secret import Secret

if TYPE_CHECKING:
    from trollbridge.messages.ids import Epoch

FINGERPRINT_SIZE: Final = 8
ASKED_SIZE: Final = 32
"""Bytes of the digest of a call's arguments."""
HEAD_SIZE: Final = ASKED_SIZE + 4
"""Bytes of a plaintext in front of the result."""


class Sealed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A result that only the core UI can open; safe to hold, to carry and to show."""

    epoch: int
    handler: str
    salt: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    ciphertext: bytes

    def __repr__(self) -> str:
        """Show where it comes from."""
        return f"<Sealed result of {self.handler}, epoch {self.epoch}>"


SEALED: Final[Codec[Sealed]] = Codec(Sealed)


def asked(arguments: bytes) -> bytes:
    """Return the digest by which a sealed result tells what was asked for, from a call's encoded arguments.

    It is the same for the same arguments, so it stands in the ciphertext: who carries a `Sealed` cannot guess them.
    """
    return labels.digest(labels.RING_ASKED, arguments)


class RingKey:
    """One epoch's key. There is one object for it in a process; it is neither copied nor pickled nor shown."""

    __slots__ = ("_key", "epoch", "fingerprint")

    def __init__(self, key: Secret | bytes, epoch: Epoch) -> None:
        """Take the 32 bytes; a `Secret` lies where its maker has put it."""
        secret = Secret.of(key) if isinstance(key, bytes) else key
        if secret.size != aead.KEY_SIZE:
            msg = "a ring key has 32 bytes"
            raise UsageError(msg)
        self._key: Secret | None = secret
        self.epoch: Final = epoch
        fingerprint = labels.derive(labels.RING_FINGERPRINT, secret.view, epoch.to_bytes(8, "big"))
        self.fingerprint: Final = fingerprint[:FINGERPRINT_SIZE]

    def _one_time(self, salt: bytes, handler: str, epoch: int) -> tuple[bytes, bytes]:
        key = self._key
        if key is None:
            raise AuthenticationFailed
        associated = epoch.to_bytes(8, "big") + handler.encode()
        return labels.derive(labels.RING_REPLY, key.view, salt, associated), associated

    def seal(self, handler: str, value: bytes, what: bytes) -> Sealed:
        """Seal an encoded result of a call that `asked` for `what`; the padded length is that of a body."""
        salt = os.urandom(32)
        key, associated = self._one_time(salt, handler, self.epoch)
        size = HEAD_SIZE + len(value)
        plaintext = b"".join((what, len(value).to_bytes(4, "big"), value, bytes(padded(size) - size)))
        return Sealed(self.epoch, handler, salt, aead.seal_once(key, associated, plaintext))

    def open(self, sealed: Sealed, what: bytes | None = None) -> bytes:
        """Return the encoded result; None as `what` leaves open what was asked for.

        Raises `AuthenticationFailed` for one of another epoch, for an altered or foreign one, and for the result of a
        call that `asked` for something else.
        """
        if sealed.epoch != self.epoch:
            raise AuthenticationFailed
        key, associated = self._one_time(sealed.salt, sealed.handler, sealed.epoch)
        plaintext = aead.open_once(key, associated, sealed.ciphertext)
        size = HEAD_SIZE + int.from_bytes(plaintext[ASKED_SIZE:HEAD_SIZE], "big")
        if len(plaintext) != padded(size) or any(plaintext[size:]):
            raise Malformed
        if what is not None and not hmac.compare_digest(plaintext[:ASKED_SIZE], what):
            raise AuthenticationFailed
        return plaintext[HEAD_SIZE:size]

    def reveal(self) -> bytes:
        """Return the key, for the one message to an enclave that it travels in, sealed by that session."""
        if self._key is None:
            raise AuthenticationFailed
        return bytes(self._key.view)

    def drop(self) -> None:
        """Wipe the key."""
        key, self._key = self._key, None
        if key is not None:
            key.drop()

    def __repr__(self) -> str:
        """Show the fingerprint only."""
        return f"<RingKey of epoch {self.epoch}, {self.fingerprint.hex()}>"

    def _refuse(self, *_: object) -> NoReturn:
        msg = "the ring key cannot be copied or pickled"
        raise UsageError(msg)

    __reduce_ex__ = __copy__ = __deepcopy__ = _refuse
