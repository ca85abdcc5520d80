"""The password's way to the vault: it is hashed here, and what travels is a verifier, or a proof for one challenge.

May import: our bridge, `messages`. Invariant: the password leaves this process in no form that can be used again.

A UI that calls these has `vocabulary = VOCABULARY` (`messages.vault`), so that challenges and proofs are known to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages import password as scram

if TYPE_CHECKING:
    from trollbridge.messages.vault import Challenge, VaultStatus
    from trollbridge.ui_adapter.bridge import MemberProxy

PATIENCE: Final = 30.0
"""Seconds that the vault may take to answer."""


def create(vault: MemberProxy, password: str) -> VaultStatus:
    """Make a vault under `password` and leave it open.

    Takes the time of one Argon2id. Raises `VaultExists`, `StorageFailed`, `VaultInUse`, `PasswordRefused`.
    """
    status: VaultStatus = vault.create(scram.new_verifier(password)).get(timeout=PATIENCE)
    return status


def unlock(vault: MemberProxy, password: str) -> None:
    """Open the vault, and have it prove that it is the true one.

    Takes the time of one Argon2id. Raises `WrongPassword`, `VaultMissing`, `VaultCorrupt`, `VaultInUse`,
    `AuthenticationFailed` if what answered does not hold the vault's key.
    """
    challenge: Challenge = vault.challenge().get(timeout=PATIENCE)
    attempt = scram.attempt(password, challenge)
    attempt.confirm(vault.unlock(attempt.proof).get(timeout=PATIENCE))
