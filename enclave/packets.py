"""OpenPGP at the level of packets (RFC 9580, section 4), where pysequoia's own calls are too coarse.

May import: `pysequoia`, the standard library. No policy of ours is in here; `openpgp.py` is the only one that imports
this module. Invariant: no function changes what a signature covers; a packet is taken whole, or left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pysequoia.packet import Packet, PacketPile, SignatureType, Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PUBLIC: Final = (Tag.PublicKey, Tag.PublicSubkey)
SECRET: Final = (Tag.SecretKey, Tag.SecretSubkey)
_NUMBERS: Final = ((Tag.PublicKey, 5), (Tag.PublicSubkey, 7))
"""The tag numbers of the secret packets that stand in for the public ones."""
_REVOCATIONS: Final = (
    SignatureType.KeyRevocation,
    SignatureType.SubkeyRevocation,
    SignatureType.CertificationRevocation,
)
_AES256: Final = 9
_SHA256: Final = 8
_PROTECTED: Final = 254
_SALTED_AND_ITERATED: Final = bytes([3, _SHA256]) + bytes(8) + b"\x60"
_NO_SECRET: Final = bytes(16 + 40)
"""An initialisation vector and a ciphertext of nothing: it stands where an encrypted secret would."""


def parse(data: bytes) -> list[Packet]:
    """Return the packets of binary or armored data; raises what pysequoia raises."""
    return list(PacketPile.from_bytes(data))


def framed(tag: int, body: bytes) -> bytes:
    """Return a packet: a header of the current format with a five-octet length, and the body."""
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


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
        number = next((number for tag, number in _NUMBERS if packet.tag == tag), None)
        if number is None:
            parts.append(bytes(packet))
            continue
        body = packet.body
        method = _SALTED_AND_ITERATED
        if body[0] == 6:  # noqa: PLR2004  # version 6 states the sizes of what follows
            protection = bytes([_PROTECTED, 2 + len(method) + 16, _AES256, len(method)]) + method
        else:
            protection = bytes([_PROTECTED, _AES256]) + method
        parts.append(framed(number, body + protection + _NO_SECRET))
    return b"".join(parts)


def rejoined(secret: Iterable[Packet], certificate: Iterable[Packet]) -> list[Packet]:
    """Return the certificate as it is today, with the secret keys of `secret` in the place of its public ones."""
    keys = {packet.fingerprint: packet for packet in secret if packet.tag in SECRET}
    return [keys.get(packet.fingerprint, packet) if packet.tag in PUBLIC else packet for packet in certificate]


def one_subkey_each(secret: Iterable[Packet]) -> Iterator[list[Packet]]:
    """Yield the primary key with its user ids and one subkey, for each subkey; revocations are left out.

    For opening what was encrypted before a key was rotated or revoked: pysequoia takes the first fitting subkey only.
    """
    trunk: list[Packet] = []
    branches: list[list[Packet]] = []
    for packet in secret:
        if packet.tag == Tag.Signature and packet.signature_type in _REVOCATIONS:
            continue
        if packet.tag in (Tag.SecretSubkey, Tag.PublicSubkey):
            branches.append([])
        (branches[-1] if branches else trunk).append(packet)
    for branch in branches:
        yield trunk + branch
    if not branches:
        yield trunk
