"""API keys through a real, locked ring: an extension uses them; the core stores, deletes, limits and approves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.enclave import secrets_acts as acts
from tests.harness.puppeteer import Backstage, Puppeteer, Told
from trollbridge.messages.vault_secrets import HMAC

if TYPE_CHECKING:
    from pathlib import Path

USED = {
    "totp": "TotpCode",
    "ed25519": "HttpSignature",
    "ecdsa-p256": "HttpSignature",
    "list": "tuple",
    "hmac": "ApprovalNeeded",
}


def test_an_extension_uses_keys_and_the_core_keeps_them(tmp_path: Path) -> None:
    """What shows a key is sealed, what changes one is not there, an approval is the core's (R8, A41, A48, K2)."""
    (tmp_path / "home").mkdir()
    with Backstage(tmp_path) as back:
        settings = {"path": str(tmp_path / "home" / "a.vault"), "extension": back.path}
        with Puppeteer("tests.enclave.secrets_acts:application", settings) as puppet:
            puppet.await_epoch(1)
            extra = back.next_hand()
            puppet.act(acts.keep)
            assert puppet.act(acts.use) == {**USED, "get": "bytes", "bearer": "str"}
            assert extra.act(acts.use) == {**USED, "get": "Sealed", "bearer": "Sealed"}
            assert extra.act(acts.meddle) == ["NoSuchHandler"]
            assert puppet.act(acts.decide, verdict="approve") == [
                f"console hmac-sha256 secret:{HMAC} data",
                f"extra hmac-sha256 secret:{HMAC} data",
            ]
            assert len(extra.result("vault.hmac_secret", HMAC, b"data")) == 32
            with pytest.raises(Told, match="ApprovalNeeded"):
                extra.result("vault.hmac_secret", HMAC, b"data")
            assert puppet.act(acts.decide, verdict="refuse") == [f"extra hmac-sha256 secret:{HMAC} data"]
            with pytest.raises(Told, match="ApprovalRefused"):
                extra.result("vault.hmac_secret", HMAC, b"data")
            assert puppet.result("vault.get_secret", "token") == acts.VALUE
            puppet.result("vault.lock")
            assert set(puppet.act(acts.use).values()) == {"VaultLocked"}
            assert puppet.leave() == 0
