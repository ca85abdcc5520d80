"""The password's way to the vault: it is hashed here, and what travels is a verifier, or a proof for one challenge.

May import: our bridge, `messages`. Invariants: the password leaves this process in no form that can be used again; a
password is hashed for a vault in the mode that the caller names, and for no other.

A UI that calls these has `vocabulary = VOCABULARY` (`messages.vault`), so that challenges and proofs are known to it.
Each takes the time of as many Argon2id as passwords are given; where the OS keychain is asked, up to `LONG` seconds.
All raise `VaultMissing`, `VaultInUse`, `VaultCorrupt`, `WrongPassword`, `TooManyAttempts`, `KeychainFailed`,
`RootMissing`, `StorageFailed` and `PasswordRefused` where they apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages import password as scram
from trollbridge.messages.errors import WrongMode
from trollbridge.messages.vault import RECOVERY

if TYPE_CHECKING:
    from trollbridge.messages.password import Attempt
    from trollbridge.messages.vault import Challenge, Proof, VaultStatus, Verifier
    from trollbridge.ui_adapter.bridge import MemberProxy

PATIENCE: Final = 30.0
"""Seconds that the vault may take to answer."""
LONG: Final = 90.0
"""Seconds that a change of the root may take: the keychain is asked up to four times."""


def create(vault: MemberProxy, password: str | None, mode: str) -> VaultStatus:
    """Make a vault in that mode and leave it open; `password` is None exactly for a keychain-only vault.

    Raises `VaultExists`, `WrongMode`.
    """
    status: VaultStatus = vault.create(mode, _verifier(password)).get(timeout=LONG)
    return status


def unlock(vault: MemberProxy, password: str | None, mode: str) -> None:
    """Open a vault of that mode, and have it prove that it is the true one.

    Raises `WrongMode` for a vault in another mode, and `AuthenticationFailed` if what answered does not hold the
    vault's key.
    """
    if password is None:
        vault.unlock(mode, None).get(timeout=PATIENCE)
        return
    challenge: Challenge = vault.challenge().get(timeout=PATIENCE)
    attempt = _attempt(password, challenge, mode)
    attempt.confirm(vault.unlock(mode, attempt.proof).get(timeout=PATIENCE))


def fresh_proof(vault: MemberProxy, password: str) -> Attempt:
    """Return an attempt whose `proof` shows once more, to one handler, that somebody knows the password."""
    challenge: Challenge = vault.challenge().get(timeout=PATIENCE)
    return _attempt(password, challenge, challenge.mode if challenge.mode != RECOVERY else "")


def change_password(vault: MemberProxy, password: str, new: str) -> None:
    """Put `new` in the place of `password`. Copies of the file from before still open with the old one."""
    verifier = scram.new_verifier(new)
    vault.change_password(fresh_proof(vault, password).proof, verifier).get(timeout=PATIENCE)


def rotate_root(vault: MemberProxy, password: str | None) -> None:
    """Put another root into the OS keychain; recovery files from before are void."""
    vault.rotate_root(_proof(vault, password)).get(timeout=LONG)


def change_mode(vault: MemberProxy, password: str | None, mode: str, new: str | None = None) -> None:
    """Protect the vault in that mode from now on.

    `password` is the one that it has, None without one; `new` is the one that it gets, None to keep it, or to have
    none. Raises `WrongMode`.
    """
    verifier = _verifier(new)
    vault.change_mode(_proof(vault, password), mode, verifier).get(timeout=LONG)


def export_recovery(vault: MemberProxy, password: str | None, recovery_password: str) -> bytes:
    """Return the recovery file, which `recovery_password` opens."""
    verifier = scram.new_verifier(recovery_password)
    data: bytes = vault.export_recovery(_proof(vault, password), verifier).get(timeout=PATIENCE)
    return data


def recover(vault: MemberProxy, data: bytes, recovery_password: str) -> None:
    """Put the root of a recovery file into this machine's keychain; a two-layer vault's password is still needed.

    Raises `NotARecoveryFile`, and `WrongPassword` for a wrong recovery password.
    """
    challenge: Challenge = vault.recovery_challenge(data).get(timeout=PATIENCE)
    vault.recover(data, _attempt(recovery_password, challenge, RECOVERY).proof).get(timeout=LONG)


def _attempt(password: str, challenge: Challenge, purpose: str) -> Attempt:
    if challenge.mode != purpose:
        raise WrongMode
    return scram.attempt(password, challenge)


def _verifier(password: str | None) -> Verifier | None:
    return None if password is None else scram.new_verifier(password)


def _proof(vault: MemberProxy, password: str | None) -> Proof | None:
    return None if password is None else fresh_proof(vault, password).proof
