"""The keys of an unlocked vault by name: which there are, what is known of them, and their public halves.

May import: our enclave's openpgp and what it is made of, secret_keys, sealing and storage, our messages. Invariants:
what a method changed is on the disk before it returns; a name that fits more than one living key is refused, never
guessed.

    record CERTIFICATE <fingerprint>    the certificate as it is today; for own keys and for others' alike
    record TRUST       <fingerprint>    empty; the owner vouches for whose certificate it is
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
from trollbridge.messages.errors import InvalidName, NoSuchKey, NotOpenPGP, StorageFailed, VaultCorrupt
from trollbridge.messages.vault import OWN, TRUSTED, UNKNOWN, KeyInfo, Signer, printable, standing
from trollbridge.messages.vault_secrets import SUBJECT_OF_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trollbridge.enclave.gate import Content, Gate
    from trollbridge.enclave.storage import Records

MAX_USER_ID: Final = 256
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

    __slots__ = ("_by_handle", "_certificates", "_gate", "_opener", "_records", "_secrets", "_trusted")

    def __init__(self, records: Records, gate: Gate) -> None:
        """Read every certificate, and protect what an older vault left unprotected; raises `VaultCorrupt`."""
        self._records: Final = records
        self._gate: Final = gate
        self._opener: Final = openpgp.Opener()
        self._secrets: Final = SecretKeys(records)
        self._certificates: dict[str, Certificate] = {}
        self._by_handle: dict[str, set[str]] = {}
        self._trusted: set[str] = {name for name, _ in records.items(Kind.TRUST)}
        try:
            self._adopt(Certificate.stored(body) for _, body in records.items(Kind.CERTIFICATE))
        except NotOpenPGP:
            raise VaultCorrupt from None
        with contextlib.suppress(StorageFailed):  # on a read-only disk an old vault can still be used
            self._secrets.migrate()

    def _adopt(self, certificates: Iterable[Certificate]) -> None:
        for each in certificates:
            self._certificates[each.fingerprint] = each
            for handle in each.handles:
                self._by_handle.setdefault(handle, set()).add(each.fingerprint)

    def _find(self, handle: str) -> Iterator[Certificate]:
        for fingerprint in self._by_handle.get(handle, ()):
            yield self._certificates[fingerprint]

    def _named(self, name: str, *, own: bool = False) -> Certificate:
        """Return the certificate of a full fingerprint or an exact user id; living ones go before others."""
        if FINGERPRINT.fullmatch(name):
            found = [each for each in (self._certificates.get(name.lower()),) if each is not None]
        else:
            found = [each for each in self._certificates.values() if name in each.user_ids]
        found = [each for each in found if not own or each.fingerprint in self._secrets]
        now = time.time()
        living = [each for each in found if not each.revoked and (each.expires is None or each.expires > now)]
        match living or found:
            case []:
                raise NoSuchKey
            case [one]:
                return one
            case _:
                msg = "Several keys have this user id; name the key by its fingerprint."
                raise InvalidName(msg)

    def _own(self, name: str) -> openpgp.Signing:
        """Return an own key to use; raises `NoSuchKey` also if its secret half is not here, `KeyLocked`."""
        certificate = self._named(name, own=True)
        return openpgp.Signing(self._secrets.get(certificate.fingerprint), certificate)

    def _admit(self, fingerprint: str, operation: str, content: Content) -> None:
        self._gate.admit(SUBJECT_OF_KEYS + fingerprint, operation, content)

    # What is known of a key

    def _trust(self, fingerprint: str) -> str:
        if fingerprint in self._secrets:
            return OWN
        return TRUSTED if fingerprint in self._trusted else UNKNOWN

    def _info(self, certificate: Certificate) -> KeyInfo:
        return KeyInfo(
            certificate.fingerprint,
            tuple(map(printable, certificate.user_ids)),
            certificate.fingerprint in self._secrets,
            certificate.created,
            certificate.expires,
            certificate.revoked,
            certificate.version,
            certificate.algorithm,
            self._trust(certificate.fingerprint),
            certificate.subkeys,
            self._secrets.has_own_password(certificate.fingerprint),
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
        return self._info(self._named(name))

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
        """Vouch for whose certificate this is, or no more; raises `NoSuchKey`, `InvalidName`, `NotAllowed`."""
        self._gate.check_core()
        found = self._named(name)
        fingerprint = found.fingerprint
        self._records.write(Put(Kind.TRUST, fingerprint, b"") if trusted else Delete(Kind.TRUST, fingerprint))
        (self._trusted.add if trusted else self._trusted.discard)(fingerprint)
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
        self._trusted.discard(found.fingerprint)
        del self._certificates[found.fingerprint]
        for handle in found.handles:
            self._by_handle[handle].discard(found.fingerprint)

    def drop(self) -> None:
        """Forget every key."""
        self._secrets.drop()
        self._certificates.clear()
        self._by_handle.clear()
        self._trusted.clear()
        self._records.drop()


def put(certificate: Certificate) -> Put:
    """Return the record of a certificate."""
    return Put(Kind.CERTIFICATE, certificate.fingerprint, certificate.binary())
