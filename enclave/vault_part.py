"""What the parts of the vault's enclave share: the way to what is open. `vault` puts the parts together.

May import: our enclave's access. Invariant: a part reaches keys through `access` only, which refuses while locked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trollbridge.enclave.access import Access
    from trollbridge.enclave.keystore import Keystore
    from trollbridge.enclave.secrets import Secrets

DOCUMENT = 64 << 20
"""The largest document that one call takes, in bytes. It is held whole, and signing or armoring adds to it."""
MESSAGE = DOCUMENT * 3 // 2
"""The most that a call or its result may take: a document, four thirds of it for the armor, and what is around it."""


class VaultPart:
    """A part of the vault's handlers."""

    _access: Access

    def _keys(self) -> Keystore:
        """Return the OpenPGP keys; raises `VaultLocked`, or `VaultMissing` if there is no vault."""
        return self._access.opened().keys

    def _secrets(self) -> Secrets:
        """Return the API keys; raises as `_keys` does."""
        return self._access.opened().secrets
