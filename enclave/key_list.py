"""The keys of an unlocked vault by name: which there are, what is known of them, and their public halves.

May import: our enclave's openpgp and what it is made of, secret_keys, sealing and storage, our messages. Invariants:
what a method changed is on the disk before it returns; a name that several keys have stands for one only if that one is
trusted more than all others for it, alive or not: nobody takes another's place by living longer.

    record CERTIFICATE <fingerprint>    the certificate as it is today; for own keys and for others' alike
    record TRUST       <fingerprint>    MessagePack [user id, …]: the owner vouches that it is theirs, and no other's
"""

from __future__ import annotations

import contextlib
import re
import time
from typing import TYPE_CHECKING, Final

from trollbridge.enclave import openpgp
from trollbridge.enclave.certificate import Certificate
from trollbridge.enclave.sealing import Kind
from trollbridge.enclave.secret_keys import SecretKeys
from trollbridge.enclave.storage import Delete, Put
from trollbridge.messages.codec import Codec
from trollbridge.messages.errors import (
    InvalidName,
    KeyUnusable,
    Malformed,
    NoSuchKey,
    NotOpenPGP,
    StorageFailed,
    VaultCorrupt,
)
from trollbridge.messages.vault import OWN, TRUSTED, UNKNOWN, KeyInfo, Signer, printable, standing
from trollbridge.messages.vault_secrets import SUBJECT_OF_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trollbridge.enclave.gate import Content, Gate
    from trollbridge.enclave.storage import Records

MAX_USER_ID: Final = 256
_USER_IDS: Final[Codec[tuple[str, ...]]] = Codec(tuple[str, ...])
_RANKS: Final = {OWN: 2, TRUSTED: 1, UNKNOWN: 0}
FINGERPRINT: Final = re.compile(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}", re.ASCII)


def check_user_id(user_id: str) -> None:
    """Raise `InvalidName` unless this can be a new user id: 1 to 256 printable characters.

    Spaces at its ends are refused. What reads as a fingerprint is refused too: names must not be taken for one another.
    """
    fits = 0 < len(user_id) <= MAX_USER_ID and user_id.isprintable() and user_id == user_id.strip()
    if not fits or FINGERPRINT.fullmatch(user_id):
        raise InvalidName


class KeyList:
    """Own keys and others' certificates, and whom their owner trusts. The first part of `Keystore`."""

    __slots__ = ("_by_handle", "_certificates", "_gate", "_opener", "_records", "_secrets", "_vouched")

    def __init__(self, records: Records, gate: Gate) -> None:
        """Read every certificate, and protect what an older vault left unprotected; raises `VaultCorrupt`."""
        self._records: Final = records
        self._gate: Final = gate
        self._opener: Final = openpgp.Opener()
        self._secrets: Final = SecretKeys(records)
        self._certificates: dict[str, Certificate] = {}
        self._by_handle: dict[str, set[str]] = {}
        self._vouched: dict[str, tuple[str, ...]] = {name: _vouched(body) for name, body in records.items(Kind.TRUST)}
        try:
            self._adopt(Certificate.stored(body) for _, body in records.items(Kind.CERTIFICATE))
        except NotOpenPGP:
            raise VaultCorrupt from None
        with contextlib.suppress(StorageFailed):  # on a read-only disk an old vault can still be used
            self._secrets.migrate()

    def _adopt(self, certificates: Iterable[Certificate]) -> None:
        for each in certificates:
            before = self._certificates.get(each.fingerprint)
            self._certificates[each.fingerprint] = each
            if before is not None and before.binary() != each.binary():
                self._gate.changed(SUBJECT_OF_KEYS + each.fingerprint)
            for handle in each.handles:
                self._by_handle.setdefault(handle, set()).add(each.fingerprint)

    def _find(self, handle: str) -> Iterator[Certificate]:
        for fingerprint in self._by_handle.get(handle, ()):
            yield self._certificates[fingerprint]

    def _named(self, name: str, *, own: bool = False) -> Certificate:
        """Return the certificate of a full fingerprint or an exact user id; raises `NoSuchKey`, `InvalidName`.

        Of several with one user id the most trusted for it; of several own ones the only one that is alive.
        """
        if FINGERPRINT.fullmatch(name):
            found = [each for each in (self._certificates.get(name.lower()),) if each is not None]
        else:
            found = [each for each in self._certificates.values() if name in each.user_ids]
        found = [each for each in found if not own or each.fingerprint in self._secrets]
        if not found:
            raise NoSuchKey
        ranks = [_RANKS[self._trust(each, name)] for each in found]
        first = [each for each, rank in zip(found, ranks, strict=True) if rank == max(ranks)]
        if len(first) > 1 and max(ranks) == _RANKS[OWN]:
            first = [each for each in first if not each.is_over()] or first
        if len(first) > 1:
            msg = "Several keys have this user id; name the key by its fingerprint."
            raise InvalidName(msg)
        return first[0]

    def _own(self, name: str) -> openpgp.Signing:
        """Return an own key to use; raises `NoSuchKey` also if its secret half is not here, `KeyLocked`."""
        certificate = self._named(name, own=True)
        return openpgp.Signing(self._secrets.get(certificate.fingerprint), certificate)

    def _admit(self, fingerprint: str, operation: str, content: Content) -> None:
        self._gate.admit(SUBJECT_OF_KEYS + fingerprint, operation, content)

    # What is known of a key

    def _trust(self, certificate: Certificate, name: str = "") -> str:
        """Return how far a certificate is trusted: for that user id of it, or for any that it has today."""
        if certificate.fingerprint in self._secrets:
            return OWN
        vouched = set(self._vouched.get(certificate.fingerprint, ())) & set(certificate.user_ids)
        named = name in certificate.user_ids
        return TRUSTED if (name in vouched if named else vouched) else UNKNOWN

    def _info(self, certificate: Certificate, name: str = "") -> KeyInfo:
        """Return what is known of a key; for a user id that was not vouched for, it is an unknown one."""
        trust = self._trust(certificate, name)
        vouched = set(self._vouched.get(certificate.fingerprint, ())) if trust == TRUSTED else set(certificate.user_ids)
        return KeyInfo(
            certificate.fingerprint,
            tuple(printable(each) for each in certificate.user_ids if each in vouched),
            certificate.fingerprint in self._secrets,
            certificate.created,
            certificate.expires,
            certificate.revoked,
            certificate.version,
            certificate.algorithm,
            trust,
            certificate.subkeys,
            self._secrets.has_own_password(certificate.fingerprint),
            tuple(printable(each) for each in certificate.user_ids if each not in vouched),
        )

    def _signer(self, certificate: str, signing_key: str, created: int | None) -> Signer:
        """Return who made a valid signature, by the fingerprints of a certificate that is here and of its subkey."""
        info = self._info(self._certificates[certificate])
        user_id = info.user_ids[0] if info.user_ids else ""
        return Signer(certificate, signing_key, user_id, info.trust, created, standing(info, int(time.time())))

    def list_keys(self) -> tuple[KeyInfo, ...]:
        """Return all keys, own ones first, then by user id and fingerprint."""
        infos = map(self._info, self._certificates.values())
        return tuple(sorted(infos, key=lambda each: (not each.secret, each.user_ids, each.fingerprint)))

    def show_key(self, name: str) -> KeyInfo:
        """Return what is known of one key; raises `NoSuchKey` or `InvalidName`."""
        return self._info(self._named(name), name)

    # Public halves

    def export_public(self, name: str, *, armored: bool = True) -> bytes:
        """Return a certificate; raises `NoSuchKey` or `InvalidName`."""
        found = self._named(name)
        return found.armored() if armored else found.binary()

    def import_public(self, data: bytes) -> tuple[KeyInfo, ...]:
        """Keep others' certificates, merged with what is known of them, and return them as they now are.

        Raises `NotOpenPGP`, for a secret key too, and `KeyUnusable` for one without a valid self-signature; then none
        is kept. A revocation of a key that is here is taken too.
        """
        fresh: dict[str, Certificate] = {}
        for each in Certificate.read(data):
            known = fresh.get(each.fingerprint) or self._certificates.get(each.fingerprint)
            fresh[each.fingerprint] = each if known is None else known.merged(each)
        self._records.write(*map(put, fresh.values()))
        self._adopt(fresh.values())
        return tuple(map(self._info, fresh.values()))

    def set_trust(self, name: str, *, trusted: bool) -> KeyInfo:
        """Vouch for whose certificate this is, or no more: for the user ids that it has now, and none that it gets.

        Raises `NoSuchKey`, `InvalidName`, `KeyUnusable` if it has none, `NotAllowed` unless the core UI asks.
        """
        self._gate.check_core()
        found = self._named(name)
        if trusted and not found.user_ids:
            msg = "The certificate has no user id to vouch for; it goes by its fingerprint."
            raise KeyUnusable(msg)
        if trusted:
            self._records.write(Put(Kind.TRUST, found.fingerprint, _USER_IDS.encode(found.user_ids)))
            self._vouched[found.fingerprint] = found.user_ids
        else:
            self._records.write(Delete(Kind.TRUST, found.fingerprint))
            self._vouched.pop(found.fingerprint, None)
        return self._info(found)

    def delete_key(self, name: str) -> None:
        """Forget a key and everything about it, its secret half too.

        Raises `NoSuchKey`, `InvalidName`, `NotAllowed` unless the core UI asks.
        """
        self._gate.check_core()
        found = self._named(name)
        subject = SUBJECT_OF_KEYS + found.fingerprint
        kinds = (Kind.SECRET_KEY, Kind.CERTIFICATE, Kind.REVOCATION, Kind.TRUST)
        changes = [Delete(kind, found.fingerprint) for kind in kinds]
        self._records.write(*changes, *self._gate.forgetting(subject))
        self._gate.forgotten(subject)
        self._secrets.forget(found.fingerprint)
        self._vouched.pop(found.fingerprint, None)
        del self._certificates[found.fingerprint]
        for handle in found.handles:
            self._by_handle[handle].discard(found.fingerprint)

    def drop(self) -> None:
        """Forget every key."""
        self._secrets.drop()
        self._certificates.clear()
        self._by_handle.clear()
        self._vouched.clear()
        self._records.drop()


def _vouched(body: bytes) -> tuple[str, ...]:
    """Return the user ids in a record; one that says nothing that is understood vouches for nothing."""
    try:
        return _USER_IDS.decode(body)
    except Malformed:
        return ()


def put(certificate: Certificate) -> Put:
    """Return the record of a certificate."""
    return Put(Kind.CERTIFICATE, certificate.fingerprint, certificate.binary())
