"""The secret keys of an open vault, each under a password inside its sealed record. `keystore` uses them.

May import: our enclave's certificate, protection, sealing and storage, our messages. Invariants: a secret key in use is
protected by a password that only the open vault's records can tell; one that has a password of its own is not used
before that was given, and is forgotten again when the vault is locked.

    record SECRET_KEY  <fingerprint>    an octet that says whose password protects it, then the transferable secret key

    0    under `Records.key_password`, salted (S2K 1)
    1    under the key's own password, iterated and salted (S2K 3)

Vaults of schema 1 have the bare key, unprotected (a packet begins with an octet from 128 on); such keys are protected
when they are first used, and on disk by `migrate`.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from trollbridge.enclave.certificate import SecretKey
from trollbridge.enclave.protection import vault_protection
from trollbridge.enclave.sealing import Kind
from trollbridge.enclave.storage import Put
from trollbridge.messages.errors import KeyLocked, NoSuchKey, NotOpenPGP, VaultCorrupt, WrongPassword

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trollbridge.enclave.storage import Records
    from trollbridge.messages.vault import S2K, Protection

_UNDER_THE_VAULTS: Final = b"\0"
_UNDER_ITS_OWN: Final = b"\1"


def matched(locks: Sequence[S2K], keys: Sequence[bytes]) -> dict[S2K, bytes]:
    """Return the stretched passwords by their locks; raises `WrongPassword` if there are more or fewer of them."""
    if len(locks) != len(keys):
        msg = "The key has another number of passwords than were given."
        raise WrongPassword(msg)
    return dict(zip(locks, keys, strict=True))


class SecretKeys:
    """Own secret keys by fingerprint; each is read when it is first used."""

    __slots__ = ("_all", "_kept", "_records", "_unprotected", "_with_own_password")

    def __init__(self, records: Records) -> None:
        """Look at whose password protects each secret key; raises `VaultCorrupt`."""
        self._records: Final = records
        self._kept: Final[dict[str, SecretKey]] = {}
        self._all: Final[set[str]] = set()
        self._with_own_password: Final[set[str]] = set()
        self._unprotected: Final[set[str]] = set()
        for fingerprint, body in records.items(Kind.SECRET_KEY):
            self._all.add(fingerprint)
            if body[:1] == _UNDER_ITS_OWN:
                self._with_own_password.add(fingerprint)
            elif body[:1] != _UNDER_THE_VAULTS:
                self._unprotected.add(fingerprint)

    def __contains__(self, fingerprint: str) -> bool:
        """Return whether the secret half of this key is here."""
        return fingerprint in self._all

    def has_own_password(self, fingerprint: str) -> bool:
        """Return whether the key has a password beside the vault's."""
        return fingerprint in self._with_own_password

    def is_locked(self, fingerprint: str) -> bool:
        """Return whether the key's own password must be given before it is used."""
        return fingerprint in self._with_own_password and fingerprint not in self._kept

    def get(self, fingerprint: str) -> SecretKey:
        """Return a key to use; raises `NoSuchKey`, `KeyLocked` or `VaultCorrupt`."""
        kept = self._kept.get(fingerprint)
        if kept is None:
            found = self._read(fingerprint)
            if self.has_own_password(fingerprint):
                raise KeyLocked
            kept = self._kept[fingerprint] = self._protected_now(found)
        return kept

    def _read(self, fingerprint: str) -> SecretKey:
        body = self._records.get(Kind.SECRET_KEY, fingerprint)
        if body is None:
            raise NoSuchKey
        binary = body[1:] if body[:1] in {_UNDER_THE_VAULTS, _UNDER_ITS_OWN} else body
        return _stored(binary, functools.partial(self._records.key_password, fingerprint))

    def protected(self, key: SecretKey, keys: Mapping[S2K, bytes]) -> SecretKey:
        """Return a key under the vault's password for it; `keys` open it as it is. Raises `WrongPassword`."""
        password = functools.partial(self._records.key_password, key.fingerprint)
        return SecretKey(key.protected(vault_protection(password()), keys), password)

    def _protected_now(self, stored: SecretKey) -> SecretKey:
        if stored.fingerprint not in self._unprotected:
            return stored
        if stored.locks():  # it says nowhere by whose password
            raise VaultCorrupt
        return self.protected(stored, {})

    def locks(self, fingerprint: str) -> tuple[S2K, ...]:
        """Return what the key's own password is to be stretched with; none if it has none. Raises `NoSuchKey`."""
        found = self._read(fingerprint)
        return found.locks() if self.has_own_password(fingerprint) else ()

    def unlock(self, fingerprint: str, keys: Sequence[bytes]) -> None:
        """Take the stretched passwords of `locks`, until the vault is locked; raises `WrongPassword`, `NoSuchKey`."""
        found = self._read(fingerprint)
        if self.has_own_password(fingerprint):
            self._kept[fingerprint] = self.protected(found, matched(found.locks(), keys))

    def put(self, key: SecretKey, own: Protection | None = None) -> Put:
        """Return the record of a key, under a password of its own if one is given; raises `NotOpenPGP` for that.

        Without one the key is under the vault's, as `protected` returns it.
        """
        body = _UNDER_THE_VAULTS + key.binary() if own is None else _UNDER_ITS_OWN + key.protected(own)
        return Put(Kind.SECRET_KEY, key.fingerprint, body)

    def keep(self, key: SecretKey, *, own_password: bool = False) -> None:
        """Go by what was written."""
        self._kept[key.fingerprint] = key
        self._all.add(key.fingerprint)
        self._unprotected.discard(key.fingerprint)
        (self._with_own_password.add if own_password else self._with_own_password.discard)(key.fingerprint)

    def forget(self, fingerprint: str) -> None:
        """Drop what is kept of a key that was deleted."""
        self._kept.pop(fingerprint, None)
        self._all.discard(fingerprint)
        self._unprotected.discard(fingerprint)
        self._with_own_password.discard(fingerprint)

    def migrate(self) -> None:
        """Protect on the disk what schema 1 left unprotected, all or none; raises `StorageFailed`."""
        protected = [self.get(each) for each in self._unprotected]
        if protected:
            self._records.write(*map(self.put, protected))
            self._unprotected.clear()

    def drop(self) -> None:
        """Forget every key."""
        self._kept.clear()
        self._all.clear()


def _stored(body: bytes, password: functools.partial[str]) -> SecretKey:
    try:
        return SecretKey(body, password)
    except NotOpenPGP:
        raise VaultCorrupt from None
