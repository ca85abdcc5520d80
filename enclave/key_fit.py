"""Whether the public half of a key is the one that its secret makes. Part of `key_import`.

May import: `cryptography`, our enclave's packets and self_signature, our messages. Invariant: the public half is
computed from the secret; nothing that the key says of itself counts, neither its signatures nor its dates.

What protects a secret in a file leaves the public half open (RFC 9580, section 3.7.2.1): whoever can write there puts
another one in its place, and the first use of such a pair can give the secret away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA87PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM1024PrivateKey
from cryptography.hazmat.primitives.asymmetric.x448 import X448PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from trollbridge.enclave import packets
from trollbridge.enclave.self_signature import rsa_key
from trollbridge.messages.errors import KeyUnusable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pysequoia.packet import Packet

    _Part = tuple[int, Callable[[memoryview], bytes]]

MOST_BITS: Final = 8192
"""Of the numbers of RSA, DSA and ElGamal: to try larger ones takes minutes."""
_RSA: Final = {1, 2, 3}
_ELGAMAL, _DSA, _ECDH, _ECDSA, _EDDSA = 16, 17, 18, 19, 22
_ED25519: Final = bytes.fromhex("2b06010401da470f01")
_CURVE25519: Final = bytes.fromhex("2b060104019755010501")
_CURVES: Final[dict[bytes, ec.EllipticCurve]] = {
    bytes.fromhex("2a8648ce3d030107"): ec.SECP256R1(),
    bytes.fromhex("2b81040022"): ec.SECP384R1(),
    bytes.fromhex("2b81040023"): ec.SECP521R1(),
    bytes.fromhex("2b2403030208010107"): ec.BrainpoolP256R1(),
    bytes.fromhex("2b240303020801010b"): ec.BrainpoolP384R1(),
    bytes.fromhex("2b240303020801010d"): ec.BrainpoolP512R1(),
}
_NATIVE: Final = b"\x40"
"""Before a point of Curve25519 in a number: as RFC 7748 writes it."""
_SEED: Final = 32


def _ed25519(seed: bytes | bytearray | memoryview) -> bytes:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _x25519(seed: bytes | bytearray | memoryview) -> bytes:
    return X25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _ed448(seed: memoryview) -> bytes:
    return Ed448PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _x448(seed: memoryview) -> bytes:
    return X448PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _mldsa65(seed: memoryview) -> bytes:
    return MLDSA65PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


def _mldsa87(seed: memoryview) -> bytes:
    return MLDSA87PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


def _mlkem768(seed: memoryview) -> bytes:
    return MLKEM768PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


def _mlkem1024(seed: memoryview) -> bytes:
    return MLKEM1024PrivateKey.from_seed_bytes(seed).public_key().public_bytes_raw()


_PARTS: Final[dict[int, Sequence[_Part]]] = {
    25: ((32, _x25519),),
    26: ((56, _x448),),
    27: ((32, _ed25519),),
    28: ((57, _ed448),),
    30: ((32, _ed25519), (32, _mldsa65)),
    31: ((57, _ed448), (32, _mldsa87)),
    35: ((32, _x25519), (64, _mlkem768)),
    36: ((56, _x448), (64, _mlkem1024)),
}
"""Kinds whose secret is one seed, or two, and whose public half is what these make (RFC 9580; the draft on PQC)."""


def fits(packet: Packet, secret: bytearray) -> bool:
    """Return whether the public half of a secret key packet is that of its secret, given in clear.

    Raises `KeyUnusable` for a kind of key of which that cannot be told here.
    """
    algorithm, public = packet.body[5], packets.material(packet)
    try:
        if algorithm in _PARTS:
            return _made(_PARTS[algorithm], secret) == public
        if algorithm in _RSA:
            return _rsa(public, secret)
        if algorithm in {_ELGAMAL, _DSA}:
            return _discrete(public, secret)
        return _on_a_curve(algorithm, public, secret)
    except ValueError:  # numbers that are none of such a key
        return False
    except (KeyError, UnsupportedAlgorithm):
        msg = "Whether the secrets of a key of this kind fit its public half cannot be told here."
        raise KeyUnusable(msg) from None


def _made(parts: Sequence[_Part], secret: bytearray) -> bytes | None:
    if len(secret) != sum(size for size, _ in parts):
        return None
    made, rest = b"", memoryview(secret)
    for size, make in parts:
        made += make(rest[:size])
        rest = rest[size:]
    return made


def _small(*numbers: int) -> bool:
    return all(each > 2 and each.bit_length() <= MOST_BITS for each in numbers)  # noqa: PLR2004  # no prime of use


def _rsa(public: bytes, secret: bytearray) -> bool:
    n, e = packets.numbers(public)
    d, p, q, u = packets.numbers(secret)
    if not _small(n, d, p, q) or p * q != n or u * p % q != 1:
        return False
    rsa_key(public, secret)
    return e * d % (p - 1) == 1 == e * d % (q - 1)


def _discrete(public: bytes, secret: bytearray) -> bool:
    """DSA: p, q, g, y and ElGamal: p, g, y, with y = g^x mod p."""
    p, *_, g, y = packets.numbers(public)
    (x,) = packets.numbers(secret)
    return _small(p) and x < p and pow(g, x, p) == y


def _on_a_curve(algorithm: int, public: bytes, secret: bytearray) -> bool:
    curve = public[1 : 1 + public[0]]
    point = bytes(packets.number(public[1 + len(curve) :])[0])
    (scalar,) = packets.numbers(secret)
    if (algorithm, curve) == (_EDDSA, _ED25519):
        return point == _NATIVE + _ed25519(scalar.to_bytes(_SEED, "big"))
    if (algorithm, curve) == (_ECDH, _CURVE25519):
        return point == _NATIVE + _x25519(scalar.to_bytes(_SEED, "little"))
    if algorithm not in {_ECDH, _ECDSA}:
        raise KeyError
    made = ec.derive_private_key(scalar, _CURVES[curve]).public_key()
    return point == made.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
