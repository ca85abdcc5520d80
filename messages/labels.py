"""Every key derivation: keyed BLAKE2b (RFC 7693) with a label of at most 16 bytes as its personalisation.

May import: the standard library. Invariant: two purposes never share a label, so no key serves two purposes.
"""

from __future__ import annotations

import hashlib
from typing import Final

CHAIN: Final = b"tb1 chain step"
SESSION: Final = b"tb1 session"
RING_FINGERPRINT: Final = b"tb1 ring print"
RING_REPLY: Final = b"tb1 ring reply"
RING_ASKED: Final = b"tb1 ring asked"
ADDRESS: Final = b"tb1 address"
PROLOGUE: Final = b"tb1 prologue"
CONTEXT: Final = b"tb1 context"
PAGE: Final = b"tb1 page name"
QUARANTINE: Final = b"tb1 quarantine"
LOG_CHAIN: Final = b"tb1 log chain"
LOG_KEY: Final = b"tb1 log key"
LOG_RUN: Final = b"tb1 log run"
LOG_HEAD: Final = b"tb1 log head"
LOG_END: Final = b"tb1 log end"


def derive(label: bytes, key: bytes | bytearray | memoryview, *context: bytes) -> bytes:
    """Return 32 bytes derived from `key` for the purpose `label`, bound to each `context`.

    `key` has at most 64 bytes and is used where it lies.
    """
    state = hashlib.blake2b(digest_size=32, key=key, person=label)
    for part in context:
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return state.digest()


def step(chain: bytes) -> tuple[bytes, bytes]:
    """Return (next chain key, message key), 32 bytes each, of a one-way chain; neither leads back to `chain`."""
    both = hashlib.blake2b(key=chain, person=CHAIN).digest()
    return both[:32], both[32:]


def ratchet(seed: bytes) -> tuple[bytes, bytes]:
    """Return (next seed of 32 bytes, address of 16 bytes) of a handler's address ratchet."""
    both = hashlib.blake2b(key=seed, person=ADDRESS).digest()
    return both[:32], both[32:48]


def digest(label: bytes, *context: bytes) -> bytes:
    """Return a public 32-byte digest of `context`, each part bound by its length."""
    return derive(label, b"", *context)


# vault
VAULT_WRAP: Final = b"tb1 vault wrap"
VAULT_STORED: Final = b"tb1 vault stored"
VAULT_RECORD: Final = b"tb1 vault record"
VAULT_NAME: Final = b"tb1 vault name"
VAULT_INDEX: Final = b"tb1 vault index"
VAULT_HEADER: Final = b"tb1 vault header"
VAULT_KEY_PASSWORD: Final = b"tb1 vault keypw"
VAULT_FILE: Final = b"tb1 vault file"
VAULT_RECOVERY: Final = b"tb1 vault recov"
VAULT_RECOVERY_FILE: Final = b"tb1 recovery fil"
KEYCHAIN: Final = b"tb1 keychain"
OPENPGP_X25519: Final = b"OpenPGP X25519"
"""For HKDF; the words of RFC 9580, section 5.1.6."""
