"""The signed message inside a compressed packet inside an encrypted one: what gpg and sq write by default.

May import: `cryptography`, our enclave's certificate, outline, packets, protection and session_key. Part of `openpgp`.
Invariants: only what Sequoia has opened with the same key comes here; of what is decrypted nothing is parsed before
its digest is found right; what comes out is a signed message for Sequoia to verify, and no judgement about it.

pysequoia decrypts such a message and cannot check the signature in it, as it expects signatures right inside the
encryption. It gives neither the session key nor the packets, so both are fetched here (RFC 9580, section 5.13.1):

    message      what is encrypted to each recipient ..., integrity-protected data
    protected    1 || CFB(session key, prefix || compressed packet || D3 14 || SHA-1 of all before)
    compressed   one-pass signature ..., literal data, signature ...
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from trollbridge.enclave import outline, packets, protection
from trollbridge.enclave.session_key import VERSION, SessionKey, session_key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pysequoia.packet import Packet

    from trollbridge.enclave.certificate import SecretKey

_TO_A_KEY, _SIGNATURE, _WITH_A_PASSWORD, _ONE_PASS, _COMPRESSED, _LITERAL, _PROTECTED = 1, 2, 3, 4, 8, 11, 18
"""Tags of packets."""
_BEFORE: Final = {_TO_A_KEY, _WITH_A_PASSWORD}
_BLOCK: Final = 16
_PREFIX: Final = _BLOCK + 2
"""Octets before the first packet: random ones, and the last two of them again, which are left unlooked at."""
_DIGEST_HEADER: Final = b"\xd3\x14"
_DIGEST_SIZE: Final = 22
_SEIPD_1: Final = b"\x01"


def signed_inside(message: bytes, key: SecretKey) -> bytes | None:
    """Return the signed message inside a message in binary that `key` opens; None if it is built in another way.

    Raises `NotOpenPGP` if more is compressed than may come out.
    """
    *before, (last, body) = outline.top(message)
    container = b"".join(body)
    if last != _PROTECTED or container[:1] != _SEIPD_1 or any(tag not in _BEFORE for tag, _ in before):
        return None
    sent = [b"".join(parts) for tag, parts in before if tag == _TO_A_KEY]
    plain = _opened(container, sent, key)
    return None if plain is None else _signed(plain)


def _opened(container: bytes, sent: Sequence[bytes], key: SecretKey) -> bytes | None:
    passwords = key.keys()
    for packet in packets.decrypting(packets.parse(key.binary())):
        mine = [each for each in sent if _is_for(each, packet)]
        if not mine or protection.is_stub(packet):
            continue
        secret = protection.revealed(packet, passwords)
        try:
            for each in mine:
                found = session_key(each, packet, secret)
                plain = None if found is None else _decrypted(container, found)
                if plain is not None:
                    return plain
        finally:
            protection.wipe(secret)
    return None


def _is_for(sent: bytes, packet: Packet) -> bool:
    """Return whether this may be for the key: it has its id, or hides whom it is for."""
    return sent[:1] == bytes([VERSION]) and sent[1:9] in {bytes(8), bytes.fromhex(packet.key_id or "")}


def _decrypted(container: bytes, session: SessionKey) -> bytes | None:
    """Return the packets in protected data, None if they are not what was encrypted."""
    cipher = Cipher(algorithms.AES(session.key), CFB(bytes(_BLOCK))).decryptor()
    plain = memoryview(cipher.update(memoryview(container)[1:]))
    end = len(plain) - _DIGEST_SIZE
    if end < _PREFIX:
        return None
    covered = plain[: end + len(_DIGEST_HEADER)]
    digest = hashlib.sha1(covered, usedforsecurity=False).digest()
    return bytes(plain[_PREFIX:end]) if hmac.compare_digest(plain[end:], _DIGEST_HEADER + digest) else None


def _signed(plain: bytes) -> bytes | None:
    """Return the packets in the one that is compressed, if they are one signed message."""
    (tag, body), *others = outline.top(plain)
    if tag != _COMPRESSED or others:
        return None
    inside = outline.decompressed(b"".join(body))
    tags = [each for each, _ in outline.top(inside)]
    signers = tags.count(_ONE_PASS)
    expected = [_ONE_PASS] * signers + [_LITERAL] + [_SIGNATURE] * signers
    return bytes(inside) if signers and tags == expected else None
