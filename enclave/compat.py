"""Keys for correspondents with GnuPG 2.2: the same keys, whose self-signatures do not promise what 2.2 cannot read.

May import: our enclave's packets, protection and self_signature. Invariant: only the self-signatures over the primary
key and its user id are made anew, over the same subpackets but the features; key material, fingerprints and subkey
bindings stay as they were.

pysequoia's keys advertise version 2 of the encrypted packet (SEIPDv2, RFC 9580, section 5.13.2). Whoever encrypts to
such a key may use it, and GnuPG 2.2, should it ever hold the secret key, then reads nothing.
"""

from __future__ import annotations

from typing import Final

from pysequoia.packet import SignatureType, Tag

from trollbridge.enclave import protection
from trollbridge.enclave.packets import parse
from trollbridge.enclave.self_signature import FEATURES, Primary, user_id_covered

SEIPD_1: Final = b"\x01"


def without_seipd2(unprotected: bytes) -> bytes:
    """Return a transferable secret key as `unprotected`, but advertising SEIPDv1 only."""
    first, *rest = parse(unprotected)
    secret = protection.revealed(first, {})
    primary = Primary(first, secret)
    protection.wipe(secret)
    made, covered = [bytes(first)], b""
    for packet in rest:
        if packet.tag == Tag.UserID:
            covered = user_id_covered(packet.body)
        if packet.signature_type == SignatureType.DirectKey:
            made.append(primary.again(packet, b"", {FEATURES: SEIPD_1}))
        elif packet.signature_type == SignatureType.PositiveCertification:
            made.append(primary.again(packet, covered, {FEATURES: SEIPD_1}))
        else:
            made.append(bytes(packet))
    return b"".join(made)
