"""The vault's handlers for OpenPGP keys, and for documents that fit into one call.

May import: our actors' handler, our enclave, our messages. Invariant: no handler returns an unprotected secret key.
Keys are named by their full fingerprint or an exact user id.
"""

from __future__ import annotations

from trollbridge.actors.handlers import handler
from trollbridge.enclave.vault_part import MESSAGE, VaultPart
from trollbridge.messages.vault import (
    DEFAULT,
    DETACHED,
    S2K,
    Decrypted,
    KeyInfo,
    Proof,
    Protection,
    Verified,
)


class KeyHandlers(VaultPart):
    """OpenPGP."""

    # Which keys there are

    @handler(core=True)
    def generate(self, user_id: str, profile: str = DEFAULT, lifetime: int | None = None) -> KeyInfo:
        """Make a key pair: `default`, `compat` for GnuPG 2.2, `v6` or `pq`; `lifetime` in seconds, None for ever."""
        return self._keys().generate(user_id, profile, lifetime)

    @handler(max_bytes=MESSAGE)
    def list_keys(self) -> tuple[KeyInfo, ...]:
        """Return own keys and others' certificates, without any secret."""
        return self._keys().list_keys()

    @handler
    def show_key(self, key: str) -> KeyInfo:
        """Return what is known of one key."""
        return self._keys().show_key(key)

    @handler
    def export_public(self, key: str, armored: bool = True) -> bytes:  # noqa: FBT001, FBT002  # handlers have no keyword-only parameters
        """Return a certificate."""
        return self._keys().export_public(key, armored=armored)

    @handler(core=True)
    def import_public(self, data: bytes) -> tuple[KeyInfo, ...]:
        """Keep others' certificates, and revocations of keys that are here."""
        return self._keys().import_public(data)

    @handler(core=True)
    def set_trust(self, key: str, trusted: bool) -> KeyInfo:  # noqa: FBT001
        """Vouch for whose certificate this is, or no more."""
        return self._keys().set_trust(key, trusted=trusted)

    @handler(core=True)
    def delete_key(self, key: str) -> None:
        """Forget a key and everything about it, its secret half too."""
        self._keys().delete_key(key)

    # Secret keys in and out, and their own passwords. What protects a key is stretched by the caller (`messages.s2k`).

    @handler
    def secret_locks(self, data: bytes) -> tuple[S2K, ...]:
        """Return what the passwords of foreign secret keys are to be stretched with; none for unprotected ones."""
        return self._keys().secret_locks(data)

    @handler(core=True)
    def import_secret(self, data: bytes, keys: tuple[bytes, ...]) -> tuple[KeyInfo, ...]:
        """Take secret keys, with a stretched password for each of `secret_locks`."""
        return self._keys().import_secret(data, keys)

    @handler(core=True)
    def export_secret(self, key: str, proof: Proof | None, protection: Protection) -> bytes:
        """Return an own key, armored, under a password; `proof` of the vault's own is None where it has none."""
        keys = self._keys()
        keys.check_core()
        self._access.prove(proof)
        return keys.export_secret(key, protection)

    @handler(core=True)
    def set_key_password(self, key: str, proof: Proof | None, protection: Protection | None) -> KeyInfo:
        """Give a key a password of its own beside the vault's, or with None take it away."""
        keys = self._keys()
        keys.check_core()
        self._access.prove(proof)
        return keys.set_key_password(key, protection)

    @handler
    def key_locks(self, key: str) -> tuple[S2K, ...]:
        """Return what a key's own password is to be stretched with; none if it has none."""
        return self._keys().key_locks(key)

    @handler(core=True)
    def unlock_key(self, key: str, keys: tuple[bytes, ...]) -> None:
        """Take a key's own password, stretched for each of `key_locks`, until the vault is locked."""
        self._keys().unlock_key(key, keys)

    # Changes

    @handler(core=True)
    def add_user_id(self, key: str, user_id: str) -> KeyInfo:
        """Add a user id to an own key."""
        return self._keys().add_user_id(key, user_id)

    @handler(core=True)
    def revoke_user_id(self, key: str, user_id: str) -> KeyInfo:
        """Revoke a user id of an own key, but the last."""
        return self._keys().revoke_user_id(key, user_id)

    @handler(core=True)
    def set_expiry(self, key: str, expires: int | None) -> KeyInfo:
        """Set when an own key ends, in seconds since 1970, None for never; its subkeys are renewed with it."""
        return self._keys().set_expiry(key, expires)

    @handler(core=True)
    def revoke_key(self, key: str) -> KeyInfo:
        """Revoke an own key, for good."""
        return self._keys().revoke_key(key)

    @handler(core=True)
    def revocation_certificate(self, key: str) -> bytes:
        """Return what revokes an own key once somebody imports it, armored."""
        return self._keys().revocation_certificate(key)

    # Use

    @handler(max_bytes=MESSAGE)
    def sign(self, key: str, data: bytes, mode: str = DETACHED, armored: bool = True) -> bytes:  # noqa: FBT001, FBT002
        """Sign: `detached`, `inline` or `clear`."""
        return self._keys().sign(key, data, mode, armored=armored)

    @handler(max_bytes=MESSAGE)
    def verify(self, data: bytes, signature: bytes | None = None) -> Verified:
        """Check a signed message, or data against a detached signature."""
        return self._keys().verify(data, signature)

    @handler(max_bytes=MESSAGE)
    def encrypt(
        self,
        recipients: tuple[str, ...],
        data: bytes,
        signer: str | None = None,
        armored: bool = True,  # noqa: FBT001, FBT002
    ) -> bytes:
        """Encrypt to every recipient, signed inside if a signer is named."""
        return self._keys().encrypt(recipients, data, signer, armored=armored)

    @handler(sensitive=True, max_bytes=MESSAGE)
    def decrypt(self, message: bytes) -> Decrypted:
        """Decrypt with whichever own key fits, and check the signatures inside."""
        return self._keys().decrypt(message)
