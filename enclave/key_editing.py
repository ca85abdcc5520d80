"""Changes to an own key's certificate: user ids, expiry, revocation. Functions of values.

May import: `pysequoia`, our enclave's openpgp, certificate, packets, self_signature and self_description, our messages.
Invariants: what was revoked stays revoked; a change is made by signing again what the key says of itself, so that it
reaches whoever gets the certificate; what comes out is a certificate of the same key, read back and looked at.

Keys over Ed25519 and RSA are signed by hand, since pysequoia can neither take an expiry away nor renew a subkey. Others
(post-quantum ones, NIST curves) are left to pysequoia, with what it can do: their latest expiry is in place of none.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Final

import pysequoia
from pysequoia.packet import SignatureType, Tag

from trollbridge.enclave import packets
from trollbridge.enclave import self_signature as by_hand
from trollbridge.enclave.certificate import strict
from trollbridge.enclave.self_description import Component, components, expires, seconds, uses
from trollbridge.messages.errors import InvalidArguments, InvalidName, KeyUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pysequoia.packet import Packet

    from trollbridge.enclave.certificate import Certificate
    from trollbridge.enclave.openpgp import Signing
    from trollbridge.enclave.self_signature import Primary

LATEST: Final = 2**32 - 1
"""Seconds after its making that a key can last, at most: some 136 years."""
_USER_ID: Final = 13
_VERSION_6: Final = 6
_BACKDATED: Final = 60
"""Seconds by which a self-signature is dated back, as Sequoia does: of two of one second none is the newer."""


def _octets(number: int) -> bytes:
    return number.to_bytes(4, "big")


def _now_after(signature: Packet) -> int:
    """Return a time for a signature that is to take the place of an older one."""
    return max(int(time.time()) - _BACKDATED, seconds(signature) + 1)


def _serialised(certificate: Certificate, added: dict[int, bytes]) -> Iterator[bytes]:
    """Yield the packets of a certificate, each followed by what is added to it, by its place."""
    for at, packet in enumerate(packets.parse(certificate.binary())):
        yield bytes(packet)
        if at in added:
            yield added[at]


def _places(certificate: Certificate) -> list[tuple[int, Component]]:
    found = packets.parse(certificate.binary())
    starts = [at for at, packet in enumerate(found) if packet.tag != Tag.Signature]
    return list(zip(starts, components(found), strict=True))


# User ids


def with_user_id(key: Signing, user_id: str) -> Certificate:
    """Return the certificate with one more user id; raises `InvalidName` if it has it, or had it and revoked it."""
    places = _places(key.certificate)
    ids = [(at, each) for at, each in places if each.packet.tag == Tag.UserID]
    if any(each.packet.body == user_id.encode() for _, each in ids):
        msg = "The key has, or had, this user id; choose another."
        raise InvalidName(msg)
    primary = key.secret.primary()
    template = next((each.newest() for _, each in ids if not each.revoked and each.newest() is not None), None)
    if primary is None or template is None:
        with strict(KeyUnusable):
            cert = key.certificate.witness().add_user_id(user_id, key.certificate.certifier(key.secret))
            return key.certificate.with_parts([bytes(cert)])
    made = max(int(time.time()) - _BACKDATED, key.certificate.created)  # so that it can be changed or revoked at once
    changes = {by_hand.CREATED: _octets(made), by_hand.PRIMARY_USER_ID: None}
    body = user_id.encode()
    signature = primary.again(template, by_hand.user_id_covered(body), changes)
    last = max(at for at, _ in ids)
    starts = [at for at, _ in places if at > last]
    end = min(starts) - 1 if starts else len(packets.parse(key.certificate.binary())) - 1
    return key.certificate.with_parts(_serialised(key.certificate, {end: packets.framed(_USER_ID, body) + signature}))


def without_user_id(key: Signing, user_id: str) -> Certificate:
    """Return the certificate with a user id revoked.

    Raises `InvalidName` if it has none such, `KeyUnusable` for the last one.
    """
    cert = key.certificate.witness()
    with strict(KeyUnusable):
        living = cert.user_ids
    found = next((each for each in living if str(each) == user_id), None)
    if found is None:
        msg = "The key has no such user id."
        raise InvalidName(msg)
    if len(living) == 1:
        msg = "It is the key's only user id; add another first, or revoke the key."
        raise KeyUnusable(msg)
    certifier = key.certificate.certifier(key.secret)
    with strict(KeyUnusable):
        made = cert.revoke_user_id(found, certifier)
        return key.certificate.with_parts([bytes(cert), bytes(made)])


# Expiry


def expiring(key: Signing, end: int | None) -> Certificate:
    """Return the certificate with another end, in seconds since 1970, None for never, its subkeys renewed with it.

    Raises `InvalidArguments` for an end before the key's beginning or later than can be said, `KeyUnusable` if the key
    is revoked or cannot be renewed here. pysequoia's own call renews no subkey.
    """
    old = key.certificate
    if old.revoked:
        msg = "The key is revoked; no expiry changes that."
        raise KeyUnusable(msg)
    if end is not None and not old.created < end <= old.created + LATEST:
        msg = "The end must come after the key was made, and within 136 years of it."
        raise InvalidArguments(msg)
    primary = key.secret.primary()
    if primary is not None:
        new = old.with_parts(_serialised(old, dict(_renewals(old, primary, end))))
    else:
        end = old.created + LATEST if end is None else end
        new = _renewed_by_sequoia(key, end)
    if new.expires != end:  # Sequoia leaves it as it was, without a word, if it was changed in this very second
        msg = "The expiry of this key cannot be changed right now; try again in a second."
        raise KeyUnusable(msg)
    return new


def _renewed_by_sequoia(key: Signing, end: int) -> Certificate:
    if any(each.expires is not None and not each.revoked for each in key.certificate.subkeys):
        msg = "The key's subkeys expire by themselves, which cannot be changed here for a key of this kind."
        raise KeyUnusable(msg)
    certifier = key.certificate.certifier(key.secret)
    with strict(KeyUnusable):
        moment = dt.datetime.fromtimestamp(end, dt.UTC)
        return key.certificate.with_parts([bytes(key.certificate.witness().set_expiration(moment, certifier))])


def _renewals(old: Certificate, primary: Primary, end: int | None) -> Iterator[tuple[int, bytes]]:
    """Yield the places of what is signed again, and its new signature."""
    places = _places(old)
    subkeys = set(_to_renew([each for _, each in places if each.packet.tag == Tag.PublicSubkey]))
    for at, part in places:
        if part.packet.tag == Tag.PublicKey:
            newest = _newest_direct(part)
            covered = b""
        elif part.packet.tag == Tag.UserID:
            newest, covered = part.newest(), by_hand.user_id_covered(part.packet.body)
            if old.version == _VERSION_6 and expires(part) is None:
                continue  # version 6 need not say it here
        elif part.packet.fingerprint in subkeys:
            newest, covered = part.newest(), packets.covered(part.packet.body)
        else:
            continue
        if newest is None or part.revoked:
            continue
        begun = seconds(part.packet) if part.packet.fingerprint else old.created
        lasting = None if end is None else _octets(max(1, min(end - begun, LATEST)))
        changes = {by_hand.CREATED: _octets(_now_after(newest)), by_hand.KEY_EXPIRY: lasting}
        yield at, primary.again(newest, covered, changes)


def _newest_direct(part: Component) -> Packet | None:
    return next((each for each in part.signatures if each.signature_type == SignatureType.DirectKey), None)


def _to_renew(subkeys: Sequence[Component]) -> Iterator[str]:
    """Yield the subkeys that are renewed with the key: those that live and have an end, and the newest for each use.

    What was rotated out and has expired stays so.
    """
    now = time.time()
    serving: dict[tuple[str, ...], Component] = {}
    for each in subkeys:
        end = expires(each)
        if each.revoked or each.newest() is None:
            continue
        if end is not None and end > now:
            yield each.packet.fingerprint or ""
        what = uses(each.newest())
        if what not in serving or seconds(each.packet) > seconds(serving[what].packet):
            serving[what] = each
    for each in serving.values():
        if expires(each) is not None:
            yield each.packet.fingerprint or ""


# Revocation


def revocation(key: Signing) -> bytes:
    """Return the signature that revokes the key, as a packet; raises `KeyUnusable` without its primary secret."""
    certifier = key.certificate.certifier(key.secret)
    with strict(KeyUnusable):
        made = bytes(key.certificate.witness().revoke(certifier))
    if not revoked(key.certificate, made).revoked:
        raise KeyUnusable
    return made


def revoked(certificate: Certificate, signature: bytes) -> Certificate:
    """Return the certificate with its revocation."""
    return certificate.with_parts([certificate.binary(), signature])


def revocation_armored(certificate: Certificate, signature: bytes) -> bytes:
    """Return a revocation certificate to be kept or published; whoever imports it makes the key worthless."""
    armored = pysequoia.armor(signature, pysequoia.ArmorKind.PublicKey)
    begin, _, rest = armored.partition("\n")
    return f"{begin}\nComment: revokes the key {certificate.fingerprint}\n{rest}".encode()
