"""Keys for correspondents with GnuPG 2.2: the same keys, whose self-signatures do not promise what 2.2 cannot read.

May import: `cryptography`, our enclave's packets. Invariant: only the two self-signatures over the primary key and
its user id are made anew, over the same subpackets but the features; key material, fingerprints and subkey bindings
stay as they were.

pysequoia's keys advertise version 2 of the encrypted packet (SEIPDv2, RFC 9580, section 5.13.2). Whoever encrypts to
such a key may use it, and GnuPG 2.2, should it ever hold the secret key, then reads nothing. pysequoia has no call to
leave the promise out, so this module signs again: EdDSA over SHA-512 as RFC 9580, sections 5.2.4 and 13.7, has it for
version 4 keys.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pysequoia.packet import SignatureType, Tag

from trollbridge.enclave.packets import framed, parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pysequoia.packet import Packet

FEATURES: Final = 30
SEIPD_1: Final = b"\x01"
_SIGNATURE: Final = 2
_EDDSA_SHA512: Final = bytes([22, 10])
_TWO_OCTETS: Final = 192
_FIVE_OCTETS: Final = 255


def _subpackets(area: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (type, the subpacket with its length) of an area (RFC 9580, section 5.2.3.7)."""
    at = 0
    while at < len(area):
        first = area[at]
        if first < _TWO_OCTETS:
            size, start = first, at + 1
        elif first < _FIVE_OCTETS:
            size, start = ((first - _TWO_OCTETS) << 8) + area[at + 1] + _TWO_OCTETS, at + 2
        else:
            size, start = int.from_bytes(area[at + 1 : at + 5], "big"), at + 5
        yield area[start] & 0x7F, area[at : start + size]
        at = start + size


def _number(value: bytes) -> bytes:
    """Return a multiprecision integer (RFC 9580, section 3.2)."""
    stripped = value.lstrip(b"\0")
    return (int.from_bytes(stripped, "big").bit_length()).to_bytes(2, "big") + stripped


def _signing_key(primary: Packet, public_size: int) -> Ed25519PrivateKey:
    """Return the primary key's secret: after the public part an octet 0 (no password), then the number."""
    seed = primary.body[public_size + 3 : -2]
    return Ed25519PrivateKey.from_private_bytes(seed.rjust(32, b"\0"))


def _signed_again(signature: bytes, covered: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return the packet of `signature` (a body, version 4) with SEIPDv1 as its only encryption feature."""
    size = int.from_bytes(signature[4:6], "big")
    kept = [whole for kind, whole in _subpackets(signature[6 : 6 + size]) if kind != FEATURES]
    area = b"".join([*kept, bytes([2, FEATURES]) + SEIPD_1])
    head = signature[:2] + _EDDSA_SHA512 + len(area).to_bytes(2, "big") + area
    trailer = b"\x04\xff" + len(head).to_bytes(4, "big")
    digest = hashlib.sha512(covered + head + trailer).digest()
    made = key.sign(digest)
    return framed(_SIGNATURE, head + bytes(2) + digest[:2] + _number(made[:32]) + _number(made[32:]))


def without_seipd2(secret: bytes, certificate: bytes) -> bytes:
    """Return a transferable secret key, version 4 over Curve25519, as `secret`, but advertising SEIPDv1 only.

    `certificate` is its public half; both as pysequoia serialised them, in binary.
    """
    public = parse(certificate)[0].body
    primary, *rest = parse(secret)
    key = _signing_key(primary, len(public))
    over_key = b"\x99" + len(public).to_bytes(2, "big") + public
    made, user_id = [bytes(primary)], b""
    for packet in rest:
        if packet.tag == Tag.UserID:
            user_id = b"\xb4" + len(packet.body).to_bytes(4, "big") + packet.body
        if packet.tag == Tag.Signature and packet.signature_type == SignatureType.DirectKey:
            made.append(_signed_again(packet.body, over_key, key))
        elif packet.tag == Tag.Signature and packet.signature_type == SignatureType.PositiveCertification:
            made.append(_signed_again(packet.body, over_key + user_id, key))
        else:
            made.append(bytes(packet))
    return b"".join(made)
