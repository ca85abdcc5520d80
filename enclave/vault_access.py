"""The vault's handlers for making, opening, closing and examining it, and for changing its layers.

May import: our actors' handler, our enclave, our messages. Invariant: none of these returns a key, but for the root in
a recovery file, sealed.
"""

from __future__ import annotations

from trollbridge.actors.handlers import handler
from trollbridge.enclave.vault_part import VaultPart
from trollbridge.messages.vault import Challenge, CheckReport, Proof, VaultStatus, Verifier


class AccessHandlers(VaultPart):
    """Where the vault stands, and the ways from there."""

    @handler(idempotent=True)
    def status(self) -> VaultStatus:
        """Return whether the vault is missing, locked or open, its mode, and when the next attempt is taken."""
        return self._access.status()

    @handler(idempotent=True, core=True)
    def challenge(self) -> Challenge:
        """Return what the password is to be hashed with, and a nonce for one proof."""
        return self._access.challenge()

    @handler(core=True)
    def create(self, mode: str, verifier: Verifier | None) -> VaultStatus:
        """Make the vault in that mode, and leave it open."""
        return self._access.create(mode, verifier)

    @handler(core=True)
    def unlock(self, mode: str, proof: Proof | None) -> bytes:
        """Open a vault of that mode; the result shows that it is the true one (`password.Attempt.confirm`)."""
        return self._access.unlock(mode, proof)

    @handler
    def lock(self) -> None:
        """Forget every key."""
        self._access.lock()

    @handler(core=True)
    def change_password(self, proof: Proof, verifier: Verifier) -> None:
        """Put another password in the place of the one that was proven."""
        self._access.change_password(proof, verifier)

    @handler(core=True)
    def rotate_root(self, proof: Proof | None) -> None:
        """Put another root into the OS keychain; recovery files from before are void."""
        self._access.rotate_root(proof)

    @handler(core=True)
    def change_mode(self, proof: Proof | None, mode: str, verifier: Verifier | None) -> None:
        """Protect the vault by other layers; `verifier`: of a new password, None to keep the one there is."""
        self._access.change_mode(proof, mode, verifier)

    @handler(core=True)
    def export_recovery(self, proof: Proof | None, verifier: Verifier) -> bytes:
        """Return the recovery file: the root, sealed under a password of its own."""
        return self._access.export_recovery(proof, verifier)

    @handler(core=True)
    def recovery_challenge(self, data: bytes) -> Challenge:
        """Return what a recovery file's password is to be hashed with, and a nonce for one proof."""
        return self._access.recovery_challenge(data)

    @handler(core=True)
    def recover(self, data: bytes, recovery: Proof) -> None:
        """Put the root of a recovery file into this machine's keychain."""
        self._access.recover(data, recovery)

    @handler(idempotent=True)
    def check(self) -> CheckReport:
        """Look for damage, and say in which record it is."""
        return self._access.check()
