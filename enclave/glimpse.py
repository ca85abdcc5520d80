"""Who has signed inside an encrypted message, from its beginning alone: so that a scribe knows how to open it.

May import: `cryptography`, our enclave's outline, packets, protection, recipients and session_key. Part of `scribe`.
Invariants: a hint, and no more. What is seen here was not authenticated; it decides whether signatures are checked
while the message is opened, which fails if what was seen was altered; and whoever could have written it otherwise could
have left the signature out.

pysequoia asks who has signed when it has read everything, and opens an unsigned message to nobody who checks
signatures. Without this such a message is read twice; one in which nothing can be seen here (other ciphers and keys, an
odd structure) still is.

    version 1 (RFC 9580, section 5.13.1)    1 || CFB(key, 0, 16 octets || the last two of them again || packets …
    version 2 (section 5.13.2)              2 || cipher || 2 (OCB) || chunk size || salt, 32 || OCB(packets …
    OCB (RFC 7253), of chunk 0              plaintext i = offset i ⊕ AES⁻¹(ciphertext i ⊕ offset i)
"""

from __future__ import annotations

import itertools
import zlib
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from trollbridge.enclave import outline, packets, protection, recipients
from trollbridge.enclave.session_key import KEY_SIZES, SessionKey, session_key
from trollbridge.messages.errors import NotOpenPGP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.enclave.certificate import SecretKey

_SEEN: Final = 4096
"""Octets that are decrypted, and that are decompressed at most: room for some thirty signers."""
_TO_A_KEY, _SIGNATURE, _ONE_PASS, _COMPRESSED, _LITERAL, _SEIPD, _MARKER, _PADDING = 1, 2, 4, 8, 11, 18, 10, 21
_BLOCK: Final = 16
_OCB: Final = 2
_SALT_AT, _BODY_AT = 4, 36
_IV_SIZE: Final = 7
_VERSION_3, _VERSION_6 = 3, 6


class Glimpse(NamedTuple):
    """Who has signed, by their handles, and whether the signatures lie inside a compressed layer."""

    signers: tuple[str, ...]
    compressed: bool


def glimpse(beginning: bytes, key: SecretKey) -> Glimpse | None:
    """Return who has signed a message that `key` opens; None if that cannot be seen."""
    try:
        sent: list[bytes] = []
        for tag, parts in outline.top(recipients.binary(beginning)):
            if tag == _TO_A_KEY:
                sent.append(b"".join(parts))
            elif tag == _SEIPD:
                container = bytes(parts[0][: _BODY_AT + _SEEN])
                return next((_named(plain) for plain in _plains(container, sent, key)), None)
    except (NotOpenPGP, ValueError, LookupError, zlib.error):
        pass
    return None


def _plains(container: bytes, sent: list[bytes], key: SecretKey) -> Iterator[bytes]:
    """Yield the beginning of what is encrypted, for each key that may fit."""
    cipher = container[1] if container[0] == _OCB else 0
    passwords = key.keys()
    for packet in packets.decrypting(packets.parse(key.binary())):
        secret = protection.revealed(packet, passwords)
        try:
            for each in sent:
                found = session_key(each, packet, secret, cipher)
                if found is not None:
                    yield _opened(container, found)
        finally:
            protection.wipe(secret)


def _opened(container: bytes, session: SessionKey) -> bytes:
    if container[0] == 1:
        decryptor = Cipher(algorithms.AES(session.key), CFB(bytes(_BLOCK))).decryptor()
        return decryptor.update(container[1:])[_BLOCK + 2 :]
    if container[0] == _OCB and container[2] == _OCB:
        return _ocb(container, session)
    raise NotOpenPGP


def _ocb(container: bytes, session: SessionKey) -> bytes:
    said = bytes([0xC0 | _SEIPD]) + container[:_SALT_AT]
    size = KEY_SIZES[session.cipher]
    derived = HKDF(SHA256(), size + _IV_SIZE, salt=container[_SALT_AT:_BODY_AT], info=said).derive(session.key)
    ecb = modes.ECB()  # noqa: S305  # the block cipher itself, out of which OCB is made here
    encrypt = Cipher(algorithms.AES(derived[:size]), ecb).encryptor().update
    decrypt = Cipher(algorithms.AES(derived[:size]), ecb).decryptor().update
    nonce = b"\1" + derived[size:] + bytes(8)  # the tag has 16 octets; chunk 0
    bottom = nonce[-1] & 63
    top = encrypt(nonce[:-1] + bytes([nonce[-1] & 192]))
    stretch = int.from_bytes(top + bytes(a ^ b for a, b in itertools.pairwise(top[:9])), "big")
    offset = stretch >> (64 - bottom) & ((1 << 128) - 1)
    doubled = [_doubled(_doubled(int.from_bytes(encrypt(bytes(_BLOCK)), "big")))]
    made: list[bytes] = []
    for number, at in enumerate(range(_BODY_AT, len(container) - _BLOCK + 1, _BLOCK), 1):
        zeros = (number & -number).bit_length() - 1
        while len(doubled) <= zeros:
            doubled.append(_doubled(doubled[-1]))
        offset ^= doubled[zeros]
        block = int.from_bytes(container[at : at + _BLOCK], "big") ^ offset
        made.append((int.from_bytes(decrypt(block.to_bytes(_BLOCK, "big")), "big") ^ offset).to_bytes(_BLOCK, "big"))
    return b"".join(made)


def _doubled(value: int) -> int:
    """Return twice a number of the field with 2¹²⁸ elements."""
    return (value << 1) & ((1 << 128) - 1) ^ (0x87 if value >> 127 else 0)


def _named(plain: bytes, *, compressed: bool = False) -> Glimpse | None:
    """Return who is named in the packets before the document itself."""
    found: list[str] = []
    for tag, parts in outline.top(plain):
        body = b"".join(parts)
        if tag == _COMPRESSED and not found and not compressed:
            return _named(_decompressed(body), compressed=True)
        if tag == _ONE_PASS:
            found.append(_signer(body))
        elif tag == _SIGNATURE:
            return None  # an older form, in which it comes first
        elif tag == _LITERAL:
            return Glimpse(tuple(dict.fromkeys(found)), compressed)
        elif tag not in {_MARKER, _PADDING}:
            return None
    return None


def _signer(body: bytes) -> str:
    """As RFC 9580, section 5.4: version, type, hash, algorithm, then a key id, or a salt and a fingerprint."""
    if body[0] == _VERSION_6:
        at = 5 + body[4]
        return body[at : at + 32].hex()
    if body[0] != _VERSION_3:
        raise NotOpenPGP
    return body[4:12].hex()


def _decompressed(body: bytes) -> bytes:
    if body[:1] == b"\0":
        return body[1:]
    if body[:1] in {b"\1", b"\2"}:
        return zlib.decompressobj(-15 if body[:1] == b"\1" else 15).decompress(body[1:], _SEEN)
    raise NotOpenPGP
