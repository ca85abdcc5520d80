"""Keys that sign HTTP requests, as functions of values: read, checked and used once for each signature.

May import: `cryptography`, our messages. Invariant: a key signs by the one algorithm of its kind (RFC 9421, section
3.3), whatever a request says.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from trollbridge.messages.errors import InvalidArguments
from trollbridge.messages.vault_secrets import ECDSA_P256, ED25519, HMAC

if TYPE_CHECKING:
    from collections.abc import Callable

RAW_SIZE: Final = 32
"""Bytes of a private key of either curve."""


def _from_pem(value: bytes) -> object:
    try:
        return load_pem_private_key(value, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        msg = "This is no private key: neither 32 bytes nor PEM without a password."
        raise InvalidArguments(msg) from None


def _ed25519(value: bytes) -> ed25519.Ed25519PrivateKey:
    key = ed25519.Ed25519PrivateKey.from_private_bytes(value) if len(value) == RAW_SIZE else _from_pem(value)
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        msg = "This is a private key of another kind than Ed25519."
        raise InvalidArguments(msg)
    return key


def _p256(value: bytes) -> ec.EllipticCurvePrivateKey:
    if len(value) == RAW_SIZE:
        try:
            return ec.derive_private_key(int.from_bytes(value, "big"), ec.SECP256R1())
        except ValueError:
            msg = "This number is no private key of the curve P-256."
            raise InvalidArguments(msg) from None
    key = _from_pem(value)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        msg = "This is a private key of another kind than P-256."
        raise InvalidArguments(msg)
    return key


def _hmac_key(value: bytes) -> bytes:
    if not value:
        msg = "A key for HMAC has at least one byte: without any, everybody could make the same."
        raise InvalidArguments(msg)
    return value


def _sign_hmac(value: bytes, base: bytes) -> bytes:
    return hmac.digest(_hmac_key(value), base, "sha256")


def _sign_ed25519(value: bytes, base: bytes) -> bytes:
    return _ed25519(value).sign(base)


def _sign_p256(value: bytes, base: bytes) -> bytes:
    r, s = utils.decode_dss_signature(_p256(value).sign(base, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(RAW_SIZE, "big") + s.to_bytes(RAW_SIZE, "big")


CHECKS: Final[dict[str, Callable[[bytes], object]]] = {HMAC: _hmac_key, ED25519: _ed25519, ECDSA_P256: _p256}
"""By kind of API key: what raises `InvalidArguments` for a value that is no such key."""
SIGNERS: Final[dict[str, Callable[[bytes, bytes], bytes]]] = {
    HMAC: _sign_hmac,
    ED25519: _sign_ed25519,
    ECDSA_P256: _sign_p256,
}
"""By kind: (value, signature base) → the signature's octets."""
