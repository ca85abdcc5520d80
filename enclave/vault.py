"""The enclave that ships: `Vault`. Its handlers, each one line over the keystore; the manifest is read off this file.

May import: our actors' handler, our enclave, our messages. Invariant: no handler returns a secret key, and none but
`status`, `challenge`, `create`, `unlock` and `lock` does anything while the vault is locked.
"""

from __future__ import annotations

import contextlib
from typing import Final

from trollbridge.actors.handler import handler
from trollbridge.enclave.access import Access
from trollbridge.enclave.actor import EnclaveActor
from trollbridge.messages.errors import DeclaredError
from trollbridge.messages.sandbox import Sandbox
from trollbridge.messages.vault import DETACHED, Challenge, Decrypted, KeyInfo, Proof, VaultStatus, Verified, Verifier

DOCUMENT: Final = 64 << 20
"""The largest document, in bytes. It is held whole, and signing or armoring adds to it."""
MESSAGE: Final = DOCUMENT * 3 // 2
"""The most that a call or its result may take: a document, four thirds of it for the armor, and what is around it."""


class Vault(EnclaveActor):
    """Keeps OpenPGP keys in one file, and works with them. The file has a folder of its own, which it may write in."""

    sandbox = Sandbox(write=("{path.parent}/",))

    def __init__(self, path: str) -> None:
        """Take the absolute path of the vault's file."""
        super().__init__()
        self._access = Access(path)

    def on_start(self) -> None:
        """Claim the file. What stands in the way is told to whoever calls: it may be gone by then."""
        with contextlib.suppress(DeclaredError):
            self._access.claim()

    def on_stop(self) -> None:
        """Forget the keys and give the file up."""
        self._access.close()

    @handler(idempotent=True)
    def status(self) -> VaultStatus:
        """Return whether the vault is missing, locked or open."""
        return self._access.status()

    @handler(idempotent=True)
    def challenge(self) -> Challenge:
        """Return what the password is to be hashed with, and a nonce for one proof."""
        return self._access.challenge()

    @handler
    def create(self, verifier: Verifier) -> VaultStatus:
        """Make the vault and leave it open."""
        return self._access.create(verifier)

    @handler
    def unlock(self, proof: Proof) -> bytes:
        """Open the vault; the result shows the caller that it is the true one (`password.Attempt.confirm`)."""
        return self._access.unlock(proof)

    @handler
    def lock(self) -> None:
        """Forget every key."""
        self._access.lock()

    @handler
    def generate(self, user_id: str, compat: bool = False) -> KeyInfo:  # noqa: FBT001, FBT002  # handlers have no keyword-only parameters
        """Make a key pair; `compat`: for correspondents with GnuPG 2.2."""
        return self._access.keys().generate(user_id, compat=compat)

    @handler(max_bytes=MESSAGE)
    def list_keys(self) -> tuple[KeyInfo, ...]:
        """Return own keys and others' certificates, without any secret."""
        return self._access.keys().list_keys()

    @handler
    def export_public(self, key: str) -> bytes:
        """Return a certificate, ASCII-armored. Keys are named by their full fingerprint or an exact user id."""
        return self._access.keys().export_public(key)

    @handler
    def import_public(self, data: bytes) -> tuple[KeyInfo, ...]:
        """Keep others' certificates."""
        return self._access.keys().import_public(data)

    @handler(max_bytes=MESSAGE)
    def sign(self, key: str, data: bytes, mode: str = DETACHED, armored: bool = True) -> bytes:  # noqa: FBT001, FBT002
        """Sign: `detached`, `inline` or `clear`."""
        return self._access.keys().sign(key, data, mode, armored=armored)

    @handler(max_bytes=MESSAGE)
    def verify(self, data: bytes, signature: bytes | None = None) -> Verified:
        """Check a signed message, or data against a detached signature."""
        return self._access.keys().verify(data, signature)

    @handler(max_bytes=MESSAGE)
    def encrypt(
        self,
        recipients: tuple[str, ...],
        data: bytes,
        signer: str | None = None,
        armored: bool = True,  # noqa: FBT001, FBT002
    ) -> bytes:
        """Encrypt to every recipient, signed inside if a signer is named."""
        return self._access.keys().encrypt(recipients, data, signer, armored=armored)

    @handler(sensitive=True, max_bytes=MESSAGE)
    def decrypt(self, message: bytes) -> Decrypted:
        """Decrypt with whichever own key fits, and check the signatures inside."""
        return self._access.keys().decrypt(message)
