"""The vault's handlers for API keys, constraints and approvals.

May import: our actors' handler, our enclave, our messages. Invariant: no handler returns a key that is use-only, and
one that returns a key does so as a sensitive result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.actors.handlers import handler
from trollbridge.enclave.vault_part import MESSAGE, VaultPart
from trollbridge.messages.vault import Proof
from trollbridge.messages.vault_secrets import (
    Approval,
    Constraints,
    HttpRequest,
    HttpSignature,
    SecretInfo,
    SecretOptions,
    TotpCode,
)

if TYPE_CHECKING:
    from trollbridge.enclave.gate import Gate


class SecretHandlers(VaultPart):
    """API keys, and what limits the use of any key."""

    def _gate(self) -> Gate:
        return self._access.opened().gate

    # Keeping.

    @handler(core=True)
    def set_secret(self, name: str, value: bytes, options: SecretOptions) -> SecretInfo:
        """Keep an API key; for the core UI alone."""
        return self._secrets().store(name, value, options)

    @handler(sensitive=True)
    def get_secret(self, name: str) -> bytes:
        """Return an API key, unless it is use-only."""
        return self._secrets().get(name)

    @handler(core=True)
    def rename_secret(self, old: str, new: str) -> SecretInfo:
        """Give an API key another name; for the core UI alone."""
        return self._secrets().rename(old, new)

    @handler(core=True)
    def delete_secret(self, name: str) -> None:
        """Forget an API key; for the core UI alone."""
        self._secrets().delete(name)

    @handler(max_bytes=MESSAGE)
    def list_secrets(self) -> tuple[SecretInfo, ...]:
        """Return what is known of every API key, by name, without any value."""
        return self._secrets().list_all()

    # Using, without revealing.

    @handler(max_bytes=MESSAGE)
    def hmac_secret(self, name: str, data: bytes, algorithm: str = "sha256") -> bytes:
        """Return the HMAC of `data` under an API key of the kind `hmac`."""
        return self._secrets().mac(name, data, algorithm)

    @handler
    def sign_request(self, name: str, request: HttpRequest) -> HttpSignature:
        """Sign an HTTP request (RFC 9421) under an API key of the kind `hmac`, `ed25519` or `ecdsa-p256`."""
        return self._secrets().sign_request(name, request)

    @handler(sensitive=True)
    def bearer(self, name: str) -> str:
        """Return the value of an `Authorization` header, which holds the API key; never for a use-only one."""
        return self._secrets().bearer(name)

    @handler
    def totp(self, name: str, at: int | None = None) -> TotpCode:
        """Return the one-time code (RFC 6238) of now, or of a second in the past or the next period."""
        return self._secrets().totp(name, at)

    # Limiting.

    @handler
    def constraints(self, subject: str) -> Constraints:
        """Return what limits the use of `key:<fingerprint>` or `secret:<name>`."""
        return self._gate().constraints(subject)

    @handler(core=True)
    def constrain(self, subject: str, constraints: Constraints, proof: Proof | None = None) -> None:
        """Limit the use of a key anew, for the core UI alone; to loosen a limit takes a fresh proof of the password."""
        self._gate().constrain(subject, constraints, lambda: self._access.prove(proof))

    @handler(core=True)
    def approvals(self) -> tuple[Approval, ...]:
        """Return the uses of keys that wait to be approved; for the core UI alone."""
        return self._gate().approvals()

    @handler(core=True)
    def approve(self, ticket: bytes) -> None:
        """Let the use that waits under `ticket` happen once, within 120 seconds; for the core UI alone."""
        self._gate().approve(ticket)

    @handler(core=True)
    def refuse(self, ticket: bytes) -> None:
        """Refuse the use that waits under `ticket`, and its like until the vault is locked; for the core UI alone."""
        self._gate().refuse(ticket)
