"""The keys of an unlocked vault and what is done with them, by name. It needs no process: `vault` gives it one.

May import: our enclave's openpgp, certificate, sealing and storage, our messages. Invariants: nothing that a method
returns holds a secret key; what a method changed is on the disk before it returns; a name that fits more than one
living key is refused, never guessed.

    record SECRET_KEY  <fingerprint>    the transferable secret key, as it was made
    record CERTIFICATE <fingerprint>    the certificate as it is today; for own keys and for others' alike
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Final

from trollbridge.enclave import openpgp
from trollbridge.enclave.certificate import Certificate, SecretKey
from trollbridge.enclave.sealing import Kind
from trollbridge.enclave.storage import Put
from trollbridge.messages.errors import InvalidName, NoSuchKey, NotOpenPGP, VaultCorrupt
from trollbridge.messages.vault import Decrypted, KeyInfo, Signer, Verified, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trollbridge.enclave.storage import Records

MAX_USER_ID: Final = 256
FINGERPRINT: Final = re.compile(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}", re.ASCII)


def check_user_id(user_id: str) -> None:
    """Raise `InvalidName` unless this can be a new key's user id: 1 to 256 printable characters.

    Spaces at its ends are refused. What reads as a fingerprint is refused too: names must not be taken for one another.
    """
    fits = 0 < len(user_id) <= MAX_USER_ID and user_id.isprintable() and user_id == user_id.strip()
    if not fits or FINGERPRINT.fullmatch(user_id):
        raise InvalidName


class Keystore:
    """Own keys and others' certificates. Certificates are read once; a secret key when it is first used."""

    __slots__ = ("_by_handle", "_certificates", "_opener", "_records", "_secrets")

    def __init__(self, records: Records) -> None:
        """Read every certificate; raises `VaultCorrupt`."""
        self._records: Final = records
        self._opener: Final = openpgp.Opener()
        self._secrets: dict[str, SecretKey] = {}
        self._certificates: dict[str, Certificate] = {}
        self._by_handle: dict[str, set[str]] = {}
        try:
            self._adopt(Certificate.stored(body) for _, body in records.items(Kind.CERTIFICATE))
        except NotOpenPGP:
            raise VaultCorrupt from None

    def _adopt(self, certificates: Iterable[Certificate]) -> None:
        for each in certificates:
            self._certificates[each.fingerprint] = each
            for handle in each.handles:
                self._by_handle.setdefault(handle, set()).add(each.fingerprint)

    def _find(self, handle: str) -> Iterator[Certificate]:
        for fingerprint in self._by_handle.get(handle, ()):
            yield self._certificates[fingerprint]

    def _is_own(self, fingerprint: str) -> bool:
        return self._records.has(Kind.SECRET_KEY, fingerprint)

    def _info(self, certificate: Certificate) -> KeyInfo:
        return KeyInfo(
            certificate.fingerprint,
            tuple(map(printable, certificate.user_ids)),
            self._is_own(certificate.fingerprint),
            certificate.created,
            certificate.expires,
            certificate.revoked,
        )

    def _named(self, name: str, *, own: bool = False) -> Certificate:
        """Return the certificate of a full fingerprint or an exact user id; living ones go before others."""
        if FINGERPRINT.fullmatch(name):
            found = [each for each in (self._certificates.get(name.lower()),) if each is not None]
        else:
            found = [each for each in self._certificates.values() if name in each.user_ids]
        found = [each for each in found if not own or self._is_own(each.fingerprint)]
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

    def _secret(self, fingerprint: str) -> SecretKey:
        kept = self._secrets.get(fingerprint)
        if kept is None:
            body = self._records.get(Kind.SECRET_KEY, fingerprint)
            if body is None:
                raise NoSuchKey
            try:
                kept = self._secrets[fingerprint] = SecretKey(body)
            except NotOpenPGP:
                raise VaultCorrupt from None
        return kept

    def _signing(self, name: str) -> openpgp.Signing:
        certificate = self._named(name, own=True)
        return openpgp.Signing(self._secret(certificate.fingerprint), certificate)

    def _signers(self, report: openpgp.Report) -> tuple[Signer, ...]:
        found: list[Signer] = []
        for each in report.valid:
            user_ids = self._certificates[each.certificate].user_ids
            found.append(Signer(each.certificate, each.signing_key, printable(user_ids[0]) if user_ids else ""))
        return tuple(found)

    def generate(self, user_id: str, *, compat: bool = False, lifetime: int | None = None) -> KeyInfo:
        """Make a key and keep it. `lifetime` in seconds; see `openpgp.generate`.

        Raises `InvalidName`, or `StorageFailed` with no key made.
        """
        check_user_id(user_id)
        made = openpgp.generate(user_id, compat=compat, lifetime=lifetime)
        fingerprint = made.certificate.fingerprint
        self._records.write(
            Put(Kind.SECRET_KEY, fingerprint, made.secret.binary()),
            Put(Kind.CERTIFICATE, fingerprint, made.certificate.binary()),
        )
        self._adopt([made.certificate])
        self._secrets[fingerprint] = made.secret
        return self._info(made.certificate)

    def list_keys(self) -> tuple[KeyInfo, ...]:
        """Return all keys, own ones first, then by user id and fingerprint."""
        infos = map(self._info, self._certificates.values())
        return tuple(sorted(infos, key=lambda each: (not each.secret, each.user_ids, each.fingerprint)))

    def export_public(self, name: str) -> bytes:
        """Return a certificate, ASCII-armored; raises `NoSuchKey`."""
        return self._named(name).armored()

    def import_public(self, data: bytes) -> tuple[KeyInfo, ...]:
        """Keep others' certificates, merged with what is known of them, and return them as they now are.

        Raises `NotOpenPGP`, for a secret key too, and `KeyUnusable` for one without a valid self-signature; then none
        is kept.
        """
        fresh: dict[str, Certificate] = {}
        for each in Certificate.read(data):
            known = fresh.get(each.fingerprint) or self._certificates.get(each.fingerprint)
            fresh[each.fingerprint] = each if known is None else known.merged(each)
        self._records.write(*(Put(Kind.CERTIFICATE, each.fingerprint, each.binary()) for each in fresh.values()))
        self._adopt(fresh.values())
        return tuple(map(self._info, fresh.values()))

    def sign(self, key: str, data: bytes, mode: str, *, armored: bool) -> bytes:
        """Sign as `openpgp.sign`; raises `NoSuchKey` also for a key whose secret half is not here."""
        return openpgp.sign(self._signing(key), data, mode, armored=armored)

    def verify(self, data: bytes, signature: bytes | None) -> Verified:
        """Check as `openpgp.verify`; raises `BadSignature` or `NotOpenPGP`."""
        report = openpgp.verify(data, signature, self._find)
        return Verified(report.content if signature is None else None, self._signers(report), report.unknown)

    def encrypt(self, recipients: Sequence[str], data: bytes, signer: str | None, *, armored: bool) -> bytes:
        """Encrypt as `openpgp.encrypt`; raises `NoSuchKey`, `KeyUnusable` or `InvalidName`."""
        signing = None if signer is None else self._signing(signer)
        return openpgp.encrypt(data, [self._named(each) for each in recipients], signing, armored=armored)

    def decrypt(self, message: bytes) -> Decrypted:
        """Open with whichever own key fits, as `openpgp.Opener.decrypt`."""
        own = ((each, self._secret(each)) for each in tuple(self._certificates) if self._is_own(each))
        recipient, report = self._opener.decrypt(message, own, self._find)
        return Decrypted(report.content, self._signers(report), report.unknown, recipient)

    def drop(self) -> None:
        """Forget every key."""
        self._secrets.clear()
        self._certificates.clear()
        self._by_handle.clear()
        self._records.drop()
