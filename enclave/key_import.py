"""Secret keys that were made elsewhere: read, unlocked, and tried before they are kept.

May import: `pysequoia`, our enclave's openpgp, certificate, key_fit, packets and protection, our messages. Invariant:
no secret is kept whose public half does not fit it, be it expired, revoked or never used: `key_fit` says why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pysequoia

from trollbridge.enclave import key_editing, key_fit, openpgp, packets, protection
from trollbridge.enclave.certificate import Certificate, SecretKey, strict
from trollbridge.messages.errors import BadSignature, CannotDecrypt, KeyUnusable, NotOpenPGP
from trollbridge.messages.vault import DETACHED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pysequoia.packet import Packet

    from trollbridge.enclave.openpgp import Signing
    from trollbridge.messages.vault import S2K

_PROBE = b"a probe"


class Foreign(NamedTuple):
    """A transferable secret key as somebody else protected it, and its public half."""

    secret: SecretKey
    certificate: Certificate


def locks(data: bytes) -> tuple[S2K, ...]:
    """Return what the passwords of secret keys are to be stretched with; none for unprotected ones.

    Raises `NotOpenPGP` also for what has no secret key in it, and for a protection that is not read here.
    """
    with strict(NotOpenPGP):
        return protection.locks(_secret_packets(data))


def _secret_packets(data: bytes) -> list[Packet]:
    found = packets.read(data)
    if not packets.has_secret(found):
        msg = "There is no secret key in this."
        raise NotOpenPGP(msg)
    return found


def read(data: bytes) -> tuple[Foreign, ...]:
    """Return the secret keys in binary or armored data; raises `NotOpenPGP` or `KeyUnusable`, then none is taken."""
    with strict(NotOpenPGP):
        found = _secret_packets(data)
        starts = [at for at, packet in enumerate(found) if packet.tag in packets.PRIMARY]
        if not starts or starts[0]:
            raise NotOpenPGP
        keys = [found[start:end] for start, end in zip(starts, [*starts[1:], len(found)], strict=True)]
    return tuple(_foreign(each) for each in keys)


def _foreign(found: Sequence[Packet]) -> Foreign:
    if not packets.has_secret(found):
        msg = "There is a key without its secret half in this; import it as a certificate."
        raise NotOpenPGP(msg)
    with strict(NotOpenPGP):
        public = [_public(each) for each in found]
        certificate = Certificate(pysequoia.Cert.from_bytes(b"".join(public)))
    return Foreign(SecretKey(b"".join(map(bytes, found))), certificate)


def _public(packet: Packet) -> bytes:
    if packet.tag not in packets.SECRET:
        return bytes(packet)
    return packets.framed(packets.number_of(packet.tag, public=True), packet.body[: packets.public_size(packet)])


def check_fits(key: Signing) -> None:
    """Raise `KeyUnusable` unless each secret of a key fits its public half; the key is under the vault's password.

    What it can be used for today is tried besides.
    """
    passwords = key.secret.keys()
    for packet in packets.parse(key.secret.binary()):
        if packet.tag not in packets.SECRET or protection.is_stub(packet):
            continue
        secret = protection.revealed(packet, passwords)
        try:
            if not key_fit.fits(packet, secret):
                raise KeyUnusable(_MISFIT)
        finally:
            protection.wipe(secret)
    _try(key)


def _try(key: Signing) -> None:
    checks: list[tuple[Callable[[], object], Callable[[], None]]] = [
        (key.certificate.check_signs, lambda: _signs(key)),
        (key.certificate.recipient, lambda: _decrypts(key)),
    ]
    for applies, check in checks:
        try:
            applies()
        except KeyUnusable:  # expired, revoked or without such a subkey: it will not be used for that either
            continue
        check()


_MISFIT = "A secret in this key does not fit its public half, or is not here."


def _signs(key: Signing) -> None:
    try:
        made = openpgp.sign(key, _PROBE, DETACHED)
    except KeyUnusable:  # the secret of that subkey is elsewhere
        return
    try:
        openpgp.verify(_PROBE, made, lambda _: [key.certificate])
    except BadSignature:
        raise KeyUnusable(_MISFIT) from None


def revocation(key: Signing) -> bytes | None:
    """Return the revocation of a new key, None if it is revoked or expired, or if its primary secret is elsewhere.

    Raises `KeyUnusable` if none can be made for another reason: something is wrong with such a key.
    """
    try:
        return key_editing.revocation(key)
    except KeyUnusable:
        if key.secret.has_primary() and not key.certificate.is_over():
            raise
        return None


def _decrypts(key: Signing) -> None:
    message = openpgp.encrypt(_PROBE, [key.certificate])
    if not any(True for _ in key.secret.decryptors()):
        return  # the secrets of those subkeys are elsewhere
    try:
        openpgp.Opener().decrypt(message, [("", key.secret, None)], lambda _: [])
    except CannotDecrypt:
        raise KeyUnusable(_MISFIT) from None
