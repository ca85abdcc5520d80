"""Passwords of OpenPGP keys, stretched where they are typed: string-to-key (RFC 9580, section 3.7.1).

May import: `cryptography`, our messages. Invariant: the password leaves its process in no other form than the key that
one specifier makes of it, and that key opens one OpenPGP key and nothing else.

    simple    H(password)
    salted    H(salt || password)
    iterated  H of salt || password, over and over, cut at `count` octets; at least once whole
    Argon2    Argon2id(password, salt, passes, lanes, memory)

With H shorter than the key, a second state that starts with one zero octet gives the rest, and so on.
"""

from __future__ import annotations

import hashlib
import os
from typing import Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from trollbridge.messages.errors import NotOpenPGP
from trollbridge.messages.password import MAX_CHARACTERS, PasswordRefused
from trollbridge.messages.vault import S2K, Protection

SIMPLE: Final = 0
SALTED: Final = 1
ITERATED: Final = 3
ARGON2: Final = 4
HASHES: Final = {
    2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224", 12: "sha3_256", 14: "sha3_512",
}  # fmt: skip
"""Of the registry in RFC 9580, section 9.5; MD5 and RIPE-MD protect keys of the nineties, which nobody should use."""
SHA256: Final = 8
SALT_SIZE: Final = 8
ARGON2_SALT_SIZE: Final = 16
KEY_SIZE: Final = 32
KEY_SIZES: Final = (16, 24, 32)
MOST_OCTETS: Final = 31 << 21
"""The most that an iterated specifier can say: about 0.1 s for a guess in software, less in hardware."""
MOST_MEMORY_KIB: Final = 2 << 20
MOST_PASSES: Final = 16
"""The most of Argon2 that is computed: RFC 9106's first recommendation. A hostile key must not cost minutes."""
_BLOCK: Final = 1 << 16


def check(s2k: S2K) -> None:
    """Raise `NotOpenPGP` for a specifier that is none, or that costs more than is reasonable."""
    if s2k.method == ARGON2:
        fits = (
            len(s2k.salt) == ARGON2_SALT_SIZE
            and 1 <= s2k.passes <= MOST_PASSES
            and 1 <= s2k.lanes <= MOST_PASSES
            and 8 * s2k.lanes <= s2k.memory_kib <= MOST_MEMORY_KIB
        )
    else:
        fits = (
            s2k.method in {SIMPLE, SALTED, ITERATED}
            and s2k.hash in HASHES
            and len(s2k.salt) == (0 if s2k.method == SIMPLE else SALT_SIZE)
            and 0 <= s2k.count <= MOST_OCTETS
        )
    if not fits or s2k.size not in KEY_SIZES:
        msg = "The key is protected in a way that is not read here."
        raise NotOpenPGP(msg)


def _encoded(password: str) -> bytes:
    if not 0 < len(password) <= MAX_CHARACTERS:
        raise PasswordRefused
    try:
        return password.encode()
    except UnicodeEncodeError:
        raise PasswordRefused from None


def _hashed(data: bytes, octets: int, name: str, size: int) -> bytes:
    """Return `size` bytes of hashes over `data`, repeated until `octets` were taken."""
    repeated = data * (1 + _BLOCK // len(data))
    block = repeated[: len(repeated) // len(data) * len(data)]
    whole, rest = divmod(octets, len(block))
    made = b""
    while len(made) < size:
        state = hashlib.new(name, bytes(len(made) // hashlib.new(name).digest_size), usedforsecurity=False)
        for _ in range(whole):
            state.update(block)
        state.update(block[:rest])
        made += state.digest()
    return made[:size]


def stretch(password: str, s2k: S2K) -> bytes:
    """Return the key that the specifier makes of a password, in UTF-8 as it was typed.

    Takes up to seconds with what other programs have chosen. Raises `PasswordRefused`, or `NotOpenPGP` as `check` does.
    """
    check(s2k)
    encoded = _encoded(password)
    if s2k.method == ARGON2:
        kdf = Argon2id(
            salt=s2k.salt, length=s2k.size, iterations=s2k.passes, lanes=s2k.lanes, memory_cost=s2k.memory_kib
        )
        return kdf.derive(encoded)
    data = s2k.salt + encoded
    octets = max(s2k.count, len(data)) if s2k.method == ITERATED else len(data)
    return _hashed(data, octets, HASHES[s2k.hash], s2k.size)


def new_protection(password: str) -> Protection:
    """Return a fresh protection under a password: iterated and salted SHA-256, as often as can be said, for AES-256.

    It is what GnuPG 2.2 and Sequoia both read; Argon2 is read by none but the newest. Raises `PasswordRefused`.
    """
    s2k = S2K(ITERATED, SHA256, os.urandom(SALT_SIZE), MOST_OCTETS, 0, 0, 0, KEY_SIZE)
    return Protection(s2k, stretch(password, s2k))
