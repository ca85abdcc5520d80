"""OpenPGP at the level of packets (RFC 9580, section 4), where pysequoia's own calls are too coarse.

May import: `pysequoia`, our enclave's outline, our errors. No policy of ours is in here but that of `read`.
Invariant: no function changes what a signature covers; a packet is taken whole, or left out.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from pysequoia.packet import Packet, PacketPile, PublicKeyAlgorithm, SignatureType, Tag

from trollbridge.enclave import outline
from trollbridge.messages.errors import NotOpenPGP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PUBLIC: Final = (Tag.PublicKey, Tag.PublicSubkey)
SECRET: Final = (Tag.SecretKey, Tag.SecretSubkey)
PRIMARY: Final = (Tag.SecretKey, Tag.PublicKey)
_NUMBERS: Final = ((Tag.SecretKey, Tag.PublicKey, 5, 6), (Tag.SecretSubkey, Tag.PublicSubkey, 7, 14))
"""Tags of secret and public key packets, and the numbers of both."""
_CONTAINERS: Final = (8, 9, 18, 20)
_VERSION_6: Final = 6
_NUMBERS_IN: Final = {1: 2, 2: 2, 3: 2, 16: 3, 17: 4}
"""How many multiprecision integers a public key of version 4 has: RSA, ElGamal, DSA."""
_ON_CURVES: Final = {18, 19, 22}
_ECDH: Final = 18
_OCTETS_IN: Final = {25: 32, 26: 56, 27: 32, 28: 57, 35: 1216}
"""How many octets the public keys of RFC 9580 have, and ML-KEM-768 with X25519, which version 4 may have too."""
REVOCATIONS: Final = (
    SignatureType.KeyRevocation,
    SignatureType.SubkeyRevocation,
    SignatureType.CertificationRevocation,
)
RSA: Final = PublicKeyAlgorithm.RSAEncryptSign
_ENCRYPTS: Final = (
    PublicKeyAlgorithm.RSAEncrypt,
    PublicKeyAlgorithm.ElGamalEncrypt,
    PublicKeyAlgorithm.ECDH,
    PublicKeyAlgorithm.X25519,
    PublicKeyAlgorithm.X448,
    PublicKeyAlgorithm.MLKEM768_X25519,
    PublicKeyAlgorithm.MLKEM1024_X448,
)
_AES256: Final = 9
_SHA256: Final = 8
_PROTECTED: Final = 254
_SALTED_AND_ITERATED: Final = bytes([3, _SHA256]) + bytes(8) + b"\x60"
_NO_SECRET: Final = bytes(16 + 40)
"""An initialisation vector and a ciphertext of nothing: it stands where an encrypted secret would."""


def parse(data: bytes) -> list[Packet]:
    """Return the packets of what was read once before, in binary or in armor; raises what pysequoia raises."""
    return list(PacketPile.from_bytes(data))


def read(data: bytes) -> list[Packet]:
    """Return the packets of keys or signatures that come from outside; raises `NotOpenPGP`, and what pysequoia raises.

    Nothing that is compressed or encrypted is among them.
    """
    found = outline.binary(data)
    if any(tag in _CONTAINERS for tag, _ in outline.top(found)):
        raise NotOpenPGP
    return parse(found)


def framed(tag: int, body: bytes) -> bytes:
    """Return a packet: a header of the current format with a five-octet length, and the body."""
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def number_of(tag: Tag, *, public: bool = False) -> int:
    """Return the number of a key packet's tag, secret or public."""
    return next(theirs if public else mine for own, other, mine, theirs in _NUMBERS if tag in (own, other))


def public_size(packet: Packet) -> int:
    """Return how many octets of a key packet's body are public: those over which its fingerprint is taken.

    Raises `NotOpenPGP` for keys of other versions than 4 and 6, and where the fingerprint says otherwise.
    """
    body = packet.body
    try:
        size = (
            10 + int.from_bytes(body[6:10], "big") if body[0] == _VERSION_6 else 6 + _material_size(body[5], body[6:])
        )
    except (IndexError, KeyError):
        raise NotOpenPGP from None
    if size > len(body) or fingerprint(body[:size]) != packet.fingerprint:
        raise NotOpenPGP
    return size


def _material_size(algorithm: int, material: bytes) -> int:
    if algorithm in _OCTETS_IN:
        return _OCTETS_IN[algorithm]
    at = 1 + material[0] if algorithm in _ON_CURVES else 0
    for _ in range(1 if algorithm in _ON_CURVES else _NUMBERS_IN[algorithm]):
        at += 2 + (int.from_bytes(material[at : at + 2], "big") + 7) // 8
    return at + 1 + material[at] if algorithm == _ECDH else at


def material(packet: Packet) -> bytes:
    """Return a key packet's public numbers, behind its version, time and algorithm; raises as `public_size`."""
    return packet.body[10 if packet.body[0] == _VERSION_6 else 6 : public_size(packet)]


def number(octets: bytes | bytearray | memoryview) -> tuple[memoryview, memoryview]:
    """Return the value of a multiprecision integer (RFC 9580, section 3.2), and what follows it."""
    view = memoryview(octets)
    end = 2 + (int.from_bytes(view[:2], "big") + 7) // 8
    return view[2:end], view[end:]


def numbers(octets: bytes | bytearray | memoryview) -> Iterator[int]:
    """Yield multiprecision integers, to the end of the octets."""
    while octets:
        value, octets = number(octets)
        yield int.from_bytes(value, "big")


def covered(public: bytes) -> bytes:
    """Return how a key's public part goes into fingerprints and signatures (RFC 9580, sections 5.2.4 and 5.5.4)."""
    return (
        b"\x9b" + len(public).to_bytes(4, "big")
        if public[0] == _VERSION_6
        else b"\x99" + len(public).to_bytes(2, "big")
    ) + public


def fingerprint(public: bytes) -> str:
    """Return the fingerprint of a key's public part, in lower-case hexadecimal."""
    made = hashlib.sha256 if public[0] == _VERSION_6 else hashlib.sha1
    return made(covered(public), usedforsecurity=False).hexdigest()


def handles(found: Iterable[Packet]) -> Iterator[str]:
    """Yield the fingerprint and the key id, in lower-case hexadecimal, of each key among the packets."""
    for packet in found:
        for handle in (packet.fingerprint, packet.key_id):
            if handle is not None:
                yield handle


def has_secret(found: Iterable[Packet]) -> bool:
    """Return whether there is a secret key among the packets."""
    return any(packet.tag in SECRET for packet in found)


def hollow(certificate: Iterable[Packet]) -> bytes:
    """Return the certificate as a secret key in which every secret is missing, as if a password protected it.

    pysequoia answers "is there a living, unrevoked key for this use?" for secret keys only. Asked about a hollow one,
    it applies Sequoia's own policy to the public parts and then stops at the password, which is how a yes looks.
    """
    parts: list[bytes] = []
    for packet in certificate:
        if packet.tag not in PUBLIC:
            parts.append(bytes(packet))
            continue
        body = packet.body
        method = _SALTED_AND_ITERATED
        if body[0] == _VERSION_6:  # it states the sizes of what follows
            protection = bytes([_PROTECTED, 2 + len(method) + 16, _AES256, len(method)]) + method
        else:
            protection = bytes([_PROTECTED, _AES256]) + method
        parts.append(framed(number_of(packet.tag), body + protection + _NO_SECRET))
    return b"".join(parts)


def rejoined(secret: Iterable[Packet], certificate: Iterable[Packet]) -> list[Packet]:
    """Return the certificate as it is today, with the secret keys of `secret` in the place of its public ones."""
    keys = {packet.fingerprint: packet for packet in secret if packet.tag in SECRET}
    return [keys.get(packet.fingerprint, packet) if packet.tag in PUBLIC else packet for packet in certificate]


def decrypting(secret: Iterable[Packet]) -> Iterator[Packet]:
    """Yield the secret key packets that may decrypt: by their algorithm, and where that signs too, by a binding.

    An RSA key that was never said to be for encryption does not decrypt: what it opens could be a signature.
    """
    found = list(secret)
    for at, packet in enumerate(found):
        if packet.tag not in SECRET:
            continue
        if packet.key_algorithm in _ENCRYPTS or (packet.key_algorithm == RSA and _said_to_encrypt(found[at + 1 :])):
            yield packet


def _said_to_encrypt(following: Iterable[Packet]) -> bool:
    for packet in following:
        if packet.tag in SECRET or packet.tag in PUBLIC:
            return False
        flags = packet.key_flags
        if flags is not None and (flags.transport_encryption or flags.storage_encryption):
            return True
    return False
