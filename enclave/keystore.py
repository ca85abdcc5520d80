"""The keys of an unlocked vault: made, imported, exported, changed. It needs no process: `vault` gives it one.

May import: our enclave's openpgp and what it is made of, key_use, key_editing, key_import, sealing and storage, our
messages. Invariants: nothing that a method returns holds a secret key that is not under a password; what a method
changed is on the disk before it returns, whole or not at all; who changes a key was admitted by the gate.

    record SECRET_KEY  <fingerprint>    see secret_keys
    record CERTIFICATE <fingerprint>    see key_list
    record REVOCATION  <fingerprint>    the signature that revokes an own key, made with it and kept for that day
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.enclave import key_editing, key_import, openpgp, protection
from trollbridge.enclave.gate import Content
from trollbridge.enclave.key_list import check_user_id, put
from trollbridge.enclave.key_use import KeyUse
from trollbridge.enclave.sealing import Kind
from trollbridge.enclave.secret_keys import matched
from trollbridge.enclave.storage import Put
from trollbridge.messages.errors import InvalidName, KeyExists
from trollbridge.messages.vault import DEFAULT, printable
from trollbridge.messages.vault_secrets import SUBJECT_OF_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trollbridge.enclave.certificate import Certificate
    from trollbridge.messages.vault import S2K, KeyInfo, Protection

EDIT = "edit"
EXPORT = "export"
REVOKE = "revoke"
"""Operations, as constraints and approvals know them; what is approved is a sentence."""


class Keystore(KeyUse):
    """Own keys and others' certificates. Certificates are read once; a secret key when it is first used."""

    __slots__ = ()

    # New keys

    def generate(self, user_id: str, profile: str = DEFAULT, lifetime: int | None = None) -> KeyInfo:
        """Make a key and keep it with its revocation; see `openpgp.generate`. `lifetime` in seconds.

        Raises `InvalidName`, `InvalidArguments`, or `StorageFailed` with no key made.
        """
        check_user_id(user_id)
        made = openpgp.generate(user_id, profile, lifetime)
        (info,) = self._keep([openpgp.Signing(self._secrets.protected(made.secret, {}), made.certificate)])
        return info

    def _keep(self, keys: Sequence[openpgp.Signing]) -> tuple[KeyInfo, ...]:
        """Write new own keys, all or none."""
        changes: list[Put] = []
        for secret, certificate in keys:
            changes += [self._secrets.put(secret), put(certificate)]
            revocation = key_import.revocation(openpgp.Signing(secret, certificate))
            if revocation is not None:
                changes.append(Put(Kind.REVOCATION, certificate.fingerprint, revocation))
        self._records.write(*changes)
        for secret, certificate in keys:
            self._secrets.keep(secret)
            self._adopt([certificate])
        return tuple(self._info(certificate) for _, certificate in keys)

    def secret_locks(self, data: bytes) -> tuple[S2K, ...]:
        """Return what the passwords of foreign secret keys are to be stretched with; see `key_import.locks`."""
        return key_import.locks(data)

    def import_secret(self, data: bytes, keys: Sequence[bytes]) -> tuple[KeyInfo, ...]:
        """Take secret keys, all or none; `keys` are stretched passwords in the order of `secret_locks`.

        Raises `NotOpenPGP`, `WrongPassword`, `KeyExists` if one of them is here, `KeyUnusable` for a secret that does
        not fit its public half or a certificate without a valid self-signature, `NotAllowed` unless the core UI asks.
        """
        self._gate.check_core()
        stretched = matched(key_import.locks(data), keys)
        found: list[openpgp.Signing] = []
        for secret, certificate in key_import.read(data):
            if certificate.fingerprint in self._secrets:
                raise KeyExists
            known = self._certificates.get(certificate.fingerprint)
            merged = certificate if known is None else known.merged(certificate)
            found.append(openpgp.Signing(self._secrets.protected(secret, stretched), merged))
            key_import.check_fits(found[-1])
        return self._keep(found)

    # Ways out

    def check_core(self) -> None:
        """Raise `NotAllowed` unless the core UI asks; to be called before a password is judged for what needs both."""
        self._gate.check_core()

    def export_secret(self, name: str, under: Protection) -> bytes:
        """Return an own key, armored, under a password; who calls this has asked for the vault's own password.

        Raises `NoSuchKey`, `InvalidName`, `KeyLocked`, `NotOpenPGP` for an unfit protection, and as the gate.
        """
        self._gate.check_core()
        protection.check_given(under)
        secret, certificate = self._own(name)
        binary = openpgp.joined(secret, certificate).protected(under)
        self._admit(certificate.fingerprint, EXPORT, _sentence("export the secret key", certificate))
        return openpgp.armored_secret(binary)

    def revocation_certificate(self, name: str) -> bytes:
        """Return what revokes an own key once it is imported anywhere, armored; raises as `revoke_key`."""
        certificate = self._named(name, own=True)
        signature = self._revocation(certificate)
        self._admit(certificate.fingerprint, REVOKE, _sentence("show the revocation of", certificate))
        return key_editing.revocation_armored(certificate, signature)

    # A key's own password

    def key_locks(self, name: str) -> tuple[S2K, ...]:
        """Return what the key's own password is to be stretched with; none if it has none. Raises `NoSuchKey`."""
        return self._secrets.locks(self._named(name, own=True).fingerprint)

    def unlock_key(self, name: str, keys: Sequence[bytes]) -> None:
        """Take a key's own password, stretched for each of `key_locks`; raises `WrongPassword`, `NoSuchKey`."""
        self._secrets.unlock(self._named(name, own=True).fingerprint, keys)

    def set_key_password(self, name: str, own: Protection | None) -> KeyInfo:
        """Give a key a password of its own, beside the vault's, or take it away; raises as `export_secret`."""
        self._gate.check_core()
        if own is not None:
            protection.check_given(own)
        secret, certificate = self._own(name)
        record = self._secrets.put(secret, own)
        self._admit(certificate.fingerprint, EDIT, _sentence("change the password of", certificate))
        self._records.write(record)
        self._secrets.keep(secret, own_password=own is not None)
        self._gate.changed(SUBJECT_OF_KEYS + certificate.fingerprint)
        return self._info(certificate)

    # Changes

    def add_user_id(self, name: str, user_id: str) -> KeyInfo:
        """Add a user id; raises `InvalidName`, `NoSuchKey`, `KeyLocked`, `KeyUnusable`, and as the gate."""
        check_user_id(user_id)
        return self._edit(name, f"add {user_id} to", lambda key: key_editing.with_user_id(key, user_id))

    def revoke_user_id(self, name: str, user_id: str) -> KeyInfo:
        """Revoke a user id, but the last; raises as `add_user_id`, and `InvalidName` if the key has none such."""
        if user_id not in self._named(name, own=True).user_ids:
            msg = "The key has no such user id."
            raise InvalidName(msg)
        return self._edit(name, f"revoke {user_id} of", lambda key: key_editing.without_user_id(key, user_id))

    def set_expiry(self, name: str, expires: int | None) -> KeyInfo:
        """Set when the key ends, in seconds since 1970, with its subkeys; raises as `key_editing.expiring`."""
        return self._edit(name, f"set the expiry to {expires} of", lambda key: key_editing.expiring(key, expires))

    def _edit(self, name: str, what: str, change: Callable[[openpgp.Signing], Certificate]) -> KeyInfo:
        key = self._own(name)
        self._admit(key.certificate.fingerprint, EDIT, _sentence(what, key.certificate))
        return self._replace(change(key))

    def _replace(self, certificate: Certificate) -> KeyInfo:
        self._records.write(put(certificate))
        self._adopt([certificate])
        return self._info(certificate)

    def revoke_key(self, name: str) -> KeyInfo:
        """Revoke an own key with the signature that was made for it at its generation, even while it is locked.

        No reason is given in it, so whatever the key has ever signed is invalid from then on, for everybody.

        Raises `NoSuchKey`, `InvalidName`, `KeyUnusable` if there is none and none can be made, and as the gate.
        """
        certificate = self._named(name, own=True)
        revoked = key_editing.revoked(certificate, self._revocation(certificate))
        self._admit(certificate.fingerprint, REVOKE, _sentence("revoke", certificate))
        return self._replace(revoked)

    def _revocation(self, certificate: Certificate) -> bytes:
        kept = self._records.get(Kind.REVOCATION, certificate.fingerprint)
        if kept is not None:
            return kept
        return key_editing.revocation(openpgp.Signing(self._secrets.get(certificate.fingerprint), certificate))


def _sentence(what: str, certificate: Certificate) -> Content:
    """Return what is to be approved where there is no document: one line, whatever the user ids in it."""
    user_id = certificate.user_ids[0] if certificate.user_ids else ""
    return Content.of(printable(f"{what} {certificate.fingerprint} {user_id}").encode())
