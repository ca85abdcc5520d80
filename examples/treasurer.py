"""A UI with a vault: an OpenPGP key that signs, and an API key that works and is never shown."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING

from trollbridge.messages.errors import UseOnly
from trollbridge.messages.vault import MISSING, PASSWORD_ONLY, VOCABULARY
from trollbridge.messages.vault_secrets import HMAC, SecretOptions
from trollbridge.ui_adapter import UiActor, unlocking

if TYPE_CHECKING:
    from trollbridge.ui_adapter.bridge import Bridge


class Treasurer(UiActor):
    """Opens the vault, or makes it, and uses what is in it."""

    vocabulary = VOCABULARY

    def main(self, bridge: Bridge) -> None:
        """Ask for the password, which is hashed here and goes nowhere; then work."""
        vault = bridge.vault
        password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        if vault.status().get(timeout=5).state == MISSING:
            unlocking.create(vault, password, PASSWORD_ONLY)  # TWO_LAYERS where there is a keychain
            vault.generate("Ada <ada@example.org>").get(timeout=20)
            vault.set_secret("webhook", b"from the provider", SecretOptions(HMAC, use_only=True)).get(timeout=5)
        else:
            unlocking.unlock(vault, password, PASSWORD_ONLY)
        signature = vault.sign("Ada <ada@example.org>", b"a deed").get(timeout=5)
        [signer] = vault.verify(b"a deed", signature).get(timeout=5).signers
        print(f"signed by {signer.user_id}")
        print(f"mac {vault.hmac_secret('webhook', b'body').get(timeout=5).hex()[:16]}")
        try:
            vault.get_secret("webhook").get(timeout=5)
        except UseOnly as error:
            print(f"not shown: {error}")
