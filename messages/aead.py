"""Every AEAD call of Trollbridge: AES-256-GCM (NIST SP 800-38D), tags of 16 bytes, nonces from counters only.

May import: `cryptography`, our errors. Invariant: no caller chooses a nonce's bytes; a nonce is 4 zero bytes and a
64-bit big-endian counter (the Noise layout), and a key is either used once (counter 0) or by one owner that only
counts up.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trollbridge.messages.errors import AuthenticationFailed, UsageError

Octets: TypeAlias = bytes | bytearray | memoryview
KEY_SIZE: Final = 32
TAG_SIZE: Final = 16
_LAST: Final = 2**64 - 1
_ZERO: Final = bytes(12)


def _nonce(counter: int) -> bytes:
    if counter >= _LAST:
        msg = "the message counter is used up; a new key is needed"
        raise UsageError(msg)
    return counter.to_bytes(12, "big")


def seal(key: bytes, nonce: int, associated: bytes, plaintext: Octets) -> bytes:
    """Return ciphertext and tag (16 bytes longer than `plaintext`) under a 32-byte key and a counter."""
    return AESGCM(key).encrypt(_nonce(nonce), plaintext, associated)


def open_sealed(key: bytes, nonce: int, associated: bytes, ciphertext: Octets) -> bytes:
    """Return the plaintext, or raise `AuthenticationFailed`."""
    try:
        return AESGCM(key).decrypt(_nonce(nonce), ciphertext, associated)
    except (InvalidTag, ValueError):
        raise AuthenticationFailed from None


def seal_once(key: bytes, associated: bytes, plaintext: Octets) -> bytes:
    """Seal under a key that is used for this one message and then dropped."""
    return AESGCM(key).encrypt(_ZERO, plaintext, associated)


def open_once(key: bytes, associated: bytes, ciphertext: Octets) -> bytes:
    """Open what `seal_once` made, or raise `AuthenticationFailed`."""
    try:
        return AESGCM(key).decrypt(_ZERO, ciphertext, associated)
    except (InvalidTag, ValueError):
        raise AuthenticationFailed from None


def open_once_into(key: bytes, associated: bytes, ciphertext: Octets, target: bytearray | memoryview) -> None:
    """Open what `seal_once` made into a buffer of just its length, without a copy elsewhere; raises as `open_once`."""
    try:
        AESGCM(key).decrypt_into(_ZERO, ciphertext, associated, target)
    except (InvalidTag, ValueError):
        target[:] = bytes(len(target))
        raise AuthenticationFailed from None


class CounterCipher:
    """One direction of a link: a key and the counter of its next message. It only moves forward."""

    __slots__ = ("_counter", "_decrypt", "_encrypt")

    def __init__(self, key: bytes) -> None:
        """Take a 32-byte key that nothing else uses."""
        cipher = AESGCM(key)
        self._encrypt = cipher.encrypt
        self._decrypt = cipher.decrypt
        self._counter = 0

    def seal(self, plaintext: Octets) -> bytes:
        """Seal the next message."""
        counter = self._counter
        self._counter = counter + 1
        return self._encrypt(_nonce(counter), plaintext, None)

    def open(self, ciphertext: Octets) -> bytes:
        """Open the next message; what fails (`AuthenticationFailed`) leaves the counter where it was."""
        try:
            plaintext = self._decrypt(_nonce(self._counter), ciphertext, None)
        except (InvalidTag, ValueError):
            raise AuthenticationFailed from None
        self._counter += 1
        return plaintext
