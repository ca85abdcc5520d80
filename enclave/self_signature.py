"""Self-signatures made by hand, where pysequoia has no call: the same subpackets but some (RFC 9580, section 5.2).

May import: `cryptography`, our enclave's packets, our messages. Invariants: what a signature covers is built here from
the key's own packets and never taken from outside; key material and fingerprints stay as they are; what is signed
again, this key has signed before: anybody can publish a certificate with other signatures that name it as their issuer.

    hashed     version || type || key algorithm || hash algorithm || size || subpackets      sizes of 2 octets, 4 in v6
    digest     SHA-512([salt] || what is covered || hashed || version || 255 || size of hashed)        salt in v6 only
    body       hashed || size || unhashed subpackets || first 2 octets of digest || [32 || salt] || signature
    covered    the primary key's public part, then a user id's or a subkey's
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from trollbridge.enclave import packets
from trollbridge.messages.errors import KeyUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pysequoia.packet import Packet

CREATED: Final = 2
KEY_EXPIRY: Final = 9
PRIMARY_USER_ID: Final = 25
KEY_FLAGS: Final = 27
FEATURES: Final = 30
ISSUER_FINGERPRINT: Final = 33

_SIGNATURE: Final = 2
_SHA512: Final = 10
_SALT_SIZE: Final = 32
_VERSION_6: Final = 6
_HASHES: Final[dict[int, hashes.HashAlgorithm]] = {
    2: hashes.SHA1(),  # noqa: S303  # nothing is made with it
    8: hashes.SHA256(), 9: hashes.SHA384(), 10: hashes.SHA512(), 11: hashes.SHA224(),
    12: hashes.SHA3_256(), 14: hashes.SHA3_512(),
}  # fmt: skip
"""With which a self-signature may have been made: SHA-1 as well, as old keys have them."""
_TWO_OCTETS: Final = 192
_FIVE_OCTETS: Final = 255
_RSA: Final = (1, 3)
_EDDSA: Final = 22
_ED25519: Final = 27
_SEED: Final = 32


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


def _areas(body: bytes) -> tuple[int, int, int]:
    """Return where the hashed subpackets of a signature end, and where the others begin and end."""
    sizes = 4 if body[0] == _VERSION_6 else 2
    end = 4 + sizes + int.from_bytes(body[4 : 4 + sizes], "big")
    rest = end + sizes
    return end, rest, rest + int.from_bytes(body[end:rest], "big")


def subpacket(kind: int, value: bytes) -> bytes:
    """Return a subpacket of less than 191 octets."""
    return bytes([1 + len(value), kind]) + value


def _number(value: bytes) -> bytes:
    """Return a multiprecision integer (RFC 9580, section 3.2)."""
    stripped = value.lstrip(b"\0")
    return (int.from_bytes(stripped, "big").bit_length()).to_bytes(2, "big") + stripped


def rsa_key(public: bytes, secret: bytearray, *, checked: bool = True) -> rsa.RSAPrivateKey:
    """Return a key of the numbers n, e and d, p, q, u; raises `ValueError` if they do not fit together.

    Unless it is `checked`: to test them for primes takes 0.1 to 0.4 s.
    """
    n, e = packets.numbers(public)
    d, p, q, _ = packets.numbers(secret)
    crt = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, *crt, rsa.RSAPublicNumbers(e, n))
    return numbers.private_key(unsafe_skip_rsa_key_validation=not checked)


def user_id_covered(user_id: bytes) -> bytes:
    """Return how a user id goes into a signature."""
    return b"\xb4" + len(user_id).to_bytes(4, "big") + user_id


def signs_by_hand(primary: Packet) -> bool:
    """Return whether this primary key is of a kind that can sign here: Ed25519 in both its forms, and RSA."""
    return primary.body[5] in {*_RSA, _EDDSA, _ED25519}


class Issuer:
    """A primary key's public half, which tells what the key has signed."""

    __slots__ = ("_algorithm", "_public", "covered", "public")

    def __init__(self, packet: Packet) -> None:
        """Take the key packet, public or secret; raises `KeyUnusable` for kinds that cannot sign here."""
        self.public: Final = packet.body[: packets.public_size(packet)]
        self.covered: Final = packets.covered(self.public)
        self._algorithm: Final = self.public[5]
        try:
            self._public: Final = self._loaded_public(packets.material(packet))
        except ValueError:
            raise KeyUnusable from None

    def _loaded_public(self, public: bytes) -> Ed25519PublicKey | rsa.RSAPublicKey:
        if self._algorithm == _ED25519:
            return Ed25519PublicKey.from_public_bytes(public)
        if self._algorithm == _EDDSA:  # the curve, then a number of 0x40 and the point
            return Ed25519PublicKey.from_public_bytes(public[-_SEED:])
        if self._algorithm not in _RSA:
            raise KeyUnusable
        n, e = packets.numbers(public)
        return rsa.RSAPublicNumbers(e, n).public_key()

    def made(self, signature: Packet, covered: bytes) -> bool:
        """Return whether this key made a signature over itself and `covered`."""
        try:
            self._check(signature.body, covered)
        except (InvalidSignature, ValueError, LookupError):  # cut off, or of another kind
            return False
        return True

    def _check(self, body: bytes, covered: bytes) -> None:
        if (body[0], body[2]) != (self.public[0], self._algorithm):
            raise InvalidSignature
        end, _, digest_at = _areas(body)
        head, at, salt = body[:end], digest_at + 2, b""
        if body[0] == _VERSION_6:
            salt = body[at + 1 : at + 1 + body[at]]
            at += 1 + len(salt)
        kind = _HASHES[body[3]]
        trailer = bytes([body[0], 0xFF]) + len(head).to_bytes(4, "big")
        made = hashlib.new(kind.name.replace("-", "_"), usedforsecurity=False)
        made.update(b"".join([salt, self.covered, covered, head, trailer]))
        if isinstance(self._public, rsa.RSAPublicKey):
            value = bytes(packets.number(body[at:])[0]).rjust((self._public.key_size + 7) // 8, b"\0")
            self._public.verify(value, made.digest(), padding.PKCS1v15(), Prehashed(kind))
            return
        value = body[at:]
        if self._algorithm != _ED25519:
            r, s = packets.numbers(value)
            value = r.to_bytes(_SEED, "big") + s.to_bytes(_SEED, "big")
        self._public.verify(value, made.digest())


class Primary(Issuer):
    """A primary key that signs for itself. It holds the secret; it is made for one change and dropped."""

    __slots__ = ("_key",)

    def __init__(self, packet: Packet, secret: bytearray) -> None:
        """Take the key packet, public or secret, and its secret in clear; raises `KeyUnusable` for other kinds."""
        super().__init__(packet)
        try:
            self._key: Final = self._loaded(packets.material(packet), secret)
        except ValueError:
            raise KeyUnusable from None

    def _loaded(self, public: bytes, secret: bytearray) -> Ed25519PrivateKey | rsa.RSAPrivateKey:
        if self._algorithm == _ED25519:
            return Ed25519PrivateKey.from_private_bytes(secret)
        if self._algorithm == _EDDSA:
            number = memoryview(secret)[2:]  # without the zeros that it began with, if it did
            return Ed25519PrivateKey.from_private_bytes(
                number if len(number) == _SEED else bytes(number).rjust(_SEED, b"\0")
            )
        if self._algorithm not in _RSA:
            raise KeyUnusable
        return rsa_key(public, secret)

    def signature(self, kind: int, covered: bytes, hashed: bytes, unhashed: bytes = b"") -> bytes:
        """Return a signature packet of this type over the primary key and `covered`, with these subpackets."""
        version = self.public[0]
        sizes, salt = (4, os.urandom(_SALT_SIZE)) if version == _VERSION_6 else (2, b"")
        head = bytes([version, kind, self._algorithm, _SHA512]) + len(hashed).to_bytes(sizes, "big") + hashed
        trailer = bytes([version, 0xFF]) + len(head).to_bytes(4, "big")
        digest = hashlib.sha512(b"".join([salt, self.covered, covered, head, trailer])).digest()
        salted = bytes([_SALT_SIZE]) + salt if salt else b""
        area = len(unhashed).to_bytes(sizes, "big") + unhashed
        return packets.framed(_SIGNATURE, b"".join([head, area, digest[:2], salted, self._made(digest)]))

    def _made(self, digest: bytes) -> bytes:
        if isinstance(self._key, rsa.RSAPrivateKey):
            return _number(self._key.sign(digest, padding.PKCS1v15(), Prehashed(hashes.SHA512())))
        made = self._key.sign(digest)
        return made if self._algorithm == _ED25519 else _number(made[:32]) + _number(made[32:])

    def again(self, signature: Packet, covered: bytes, changes: Mapping[int, bytes | None]) -> bytes:
        """Return a signature of the same type with the same subpackets, but those that `changes` replaces or drops.

        This key must have `made` it; it would speak for whoever did, otherwise.
        """
        body = signature.body
        sizes = 4 if body[0] == _VERSION_6 else 2
        end, rest, behind = _areas(body)
        kept = [whole for kind, whole in _subpackets(body[4 + sizes : end]) if kind not in changes]
        new = [subpacket(kind, value) for kind, value in changes.items() if value is not None]
        return self.signature(body[1], covered, b"".join([*kept, *new]), body[rest:behind])
