"""The key of one message, out of what is encrypted to one of our keys (RFC 9580, section 5.1). `nested` uses it.

May import: `cryptography`, `pysequoia`, our enclave's packets, protection and self_signature, our labels. Invariants: a
function of the packet, the key and its secret in clear, which stays in the caller's buffer where the key's form allows;
whatever does not fit, in whichever way, is None.

    packet, version 3    3 || key id, 8 octets || algorithm || what follows
    RSA                  number                                             PKCS#1 v1.5 (cipher || key || sum)
    ECDH (18)            number: the sender's point || size || wrapped      AES-wrapped (cipher || key || sum || rest)
    X25519 (25)          the sender's point || size || cipher || wrapped    AES-wrapped (key)

    packet, version 6    6 || size || version, fingerprint || algorithm || the same, but nowhere the cipher
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from trollbridge.enclave import packets, protection
from trollbridge.enclave.self_signature import rsa_key
from trollbridge.messages import labels

if TYPE_CHECKING:
    from pysequoia.packet import Packet

VERSION: Final = 3
KEY_SIZES: Final = {7: 16, 8: 24, 9: 32}
"""Octets of a key, by the number of the cipher: AES in its three sizes."""
_ALGORITHM_AT: Final = 9
_RSA: Final = {1, 2}
_ECDH: Final = 18
_X25519: Final = 25
_VERSION_6: Final = 6
_POINT_SIZE: Final = 32
_WRAP_SIZE: Final = 16
_NATIVE: Final = 0x40
"""Before a point of Curve25519 in a number: as RFC 7748 writes it."""
_CURVE25519: Final = bytes.fromhex("2b060104019755010501")
_NIST: Final[dict[bytes, ec.EllipticCurve]] = {
    bytes.fromhex("2a8648ce3d030107"): ec.SECP256R1(),
    bytes.fromhex("2b81040022"): ec.SECP384R1(),
    bytes.fromhex("2b81040023"): ec.SECP521R1(),
}
_HASHES: Final = {8: "sha256", 9: "sha384", 10: "sha512"}
_SENDER: Final = b"Anonymous Sender    "


class SessionKey(NamedTuple):
    """What a message is encrypted with: the number of a cipher, and the key."""

    cipher: int
    key: bytes

    def __repr__(self) -> str:
        """Show nothing."""
        return "SessionKey(…)"


def session_key(recipient: bytes, key: Packet, secret: bytearray, cipher: int = 0) -> SessionKey | None:
    """Return what the body of a packet holds for the key whose secret in clear this is; None if it does not fit.

    `cipher`: the one that the encrypted data names, where a packet of version 6 does not.
    """
    algorithm = key.body[5]
    version, named, at = recipient[:1], b"", _ALGORITHM_AT
    if version == bytes([_VERSION_6]):
        named, at = bytes([cipher]), 2 + int.from_bytes(recipient[1:2], "big")
    elif version != bytes([VERSION]):
        return None
    if recipient[at : at + 1] != bytes([algorithm]):
        return None
    sent = recipient[at + 1 :]
    public = packets.material(key)
    try:
        if algorithm in _RSA:
            return _by_rsa(sent, public, secret, named)
        if algorithm == _ECDH:
            return _by_ecdh(sent, public, secret, bytes.fromhex(key.fingerprint or ""), named)
        return _by_x25519(sent, public, secret, named) if algorithm == _X25519 else None
    except (ValueError, LookupError, InvalidUnwrap, UnsupportedAlgorithm):
        return None


def _checked(octets: bytes, room: range) -> SessionKey | None:
    """Return a cipher and its key, whose octets' sum follows; `room`: how many octets more there may be."""
    size = KEY_SIZES[octets[0]]
    key, total, rest = octets[1 : 1 + size], octets[1 + size : 3 + size], octets[3 + size :]
    fits = hmac.compare_digest(total, (sum(key) & 0xFFFF).to_bytes(2, "big")) and len(rest) in room
    # What fills ECDH's up tells its own length (RFC 9580, section 11.5).
    return SessionKey(octets[0], key) if fits and rest == bytes([len(rest)]) * len(rest) else None


def _by_rsa(sent: bytes, public: bytes, secret: bytearray, named: bytes) -> SessionKey | None:
    private = rsa_key(public, secret, checked=False)  # it was found to fit when the key became ours
    value, rest = packets.number(sent)
    if rest:
        return None
    octets = private.decrypt(bytes(value).rjust((private.key_size + 7) // 8, b"\0"), padding.PKCS1v15())
    return _checked(named + octets, range(1))


def _by_ecdh(sent: bytes, public: bytes, secret: bytearray, fingerprint: bytes, named: bytes) -> SessionKey | None:
    """As RFC 9580, section 11.5."""
    point, follows = packets.number(sent)
    wrapped = bytes(follows[1:])
    if follows[0] != len(wrapped):
        return None
    curve = public[1 : 1 + public[0]]
    _, kdf = packets.number(public[1 + len(curve) :])
    _, _, hash_number, cipher = kdf
    shared = _agreed(curve, bytes(point), secret)
    said = b"".join([bytes([len(curve)]), curve, bytes([_ECDH]), kdf, _SENDER, fingerprint])
    digest = hashlib.new(_HASHES[hash_number], b"\0\0\0\1" + shared + said).digest()
    return _checked(named + aes_key_unwrap(digest[: KEY_SIZES[cipher]], wrapped), range(1, 256))


def _agreed(curve: bytes, point: bytes, secret: bytearray) -> bytes:
    if curve != _CURVE25519:
        nist = _NIST[curve]
        (scalar,) = packets.numbers(secret)
        theirs = ec.EllipticCurvePublicKey.from_encoded_point(nist, point)
        return ec.derive_private_key(scalar, nist).exchange(ec.ECDH(), theirs)
    if point[:1] != bytes([_NATIVE]):
        raise ValueError
    mine = bytearray(_POINT_SIZE)  # a number drops its leading zeros, and has the octets the other way round
    mine[_POINT_SIZE + 2 - len(secret) :] = memoryview(secret)[2:]
    mine.reverse()
    try:
        return X25519PrivateKey.from_private_bytes(mine).exchange(X25519PublicKey.from_public_bytes(point[1:]))
    finally:
        protection.wipe(mine)


def _by_x25519(sent: bytes, public: bytes, secret: bytearray, named: bytes) -> SessionKey | None:
    """As RFC 9580, section 5.1.6."""
    point, size, wrapped = sent[:_POINT_SIZE], sent[_POINT_SIZE], sent[_POINT_SIZE + 1 :]
    if size != len(wrapped):
        return None
    theirs = X25519PublicKey.from_public_bytes(point)
    shared = X25519PrivateKey.from_private_bytes(secret).exchange(theirs)
    derived = HKDF(SHA256(), _WRAP_SIZE, salt=None, info=labels.OPENPGP_X25519).derive(point + public + shared)
    whole = named + wrapped
    key = aes_key_unwrap(derived, whole[1:])
    return SessionKey(whole[0], key) if len(key) == KEY_SIZES[whole[0]] else None
