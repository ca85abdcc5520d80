"""Whether a key opens a message, before anything is made of it. Part of `openpgp`.

May import: `pysequoia`, our enclave's certificate, outline, packets and recipients, our messages. Invariant: the answer
is yes or no, and nothing of the message; who asks has not been admitted to it yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pysequoia

from trollbridge.enclave import outline, packets, recipients
from trollbridge.enclave.certificate import strict
from trollbridge.messages.errors import CannotDecrypt, NotOpenPGP

if TYPE_CHECKING:
    from trollbridge.enclave.certificate import SecretKey

_ANOTHERS: Final = "No key to decrypt message"
"""How pysequoia words that a key does not fit. With the beginning of a message, one that fits fails otherwise."""
_TO_A_KEY, _ENCRYPTED = 1, {9, 18, 20}
"""Tags of packets."""
_TRIED: Final = 64
"""Octets of what is encrypted. With fewer than 40 Sequoia cannot tell whether a key fits, or panics."""


def opens(message: bytes, decryptor: pysequoia.PyDecryptor) -> bool:
    """Return whether a message opens, whole and undamaged; what is in it is dropped."""
    try:
        with strict(CannotDecrypt):
            pysequoia.decrypt(message, decryptor=decryptor)
    except CannotDecrypt:
        return False
    return True


def is_for(beginning: bytes, key: SecretKey) -> bool:
    """Return whether a message that begins so is encrypted to this key, be it named there or not.

    Of what is encrypted too little is looked at for much to come out. Raises `NotOpenPGP` for no message,
    `CannotDecrypt` for one on which Sequoia panics.
    """
    head = _head(beginning)
    return any(_fits(head, decryptor) for decryptor in key.decryptors())


def _fits(head: bytes, decryptor: pysequoia.PyDecryptor) -> bool:
    with strict(CannotDecrypt):
        try:
            pysequoia.decrypt(head, decryptor=decryptor)
        except (RuntimeError, OSError) as problem:
            return _ANOTHERS not in str(problem)
    return True


def _head(beginning: bytes) -> bytes:
    """Return whom a message is encrypted to, and as much of what is encrypted as Sequoia wants to try a key."""
    found = b""
    for tag, parts in outline.top(recipients.binary(beginning)):
        if tag == _TO_A_KEY:
            found += packets.framed(tag, b"".join(parts))
        elif tag in _ENCRYPTED:
            return found + packets.framed(tag, b"".join(parts)[:_TRIED])
    raise NotOpenPGP
