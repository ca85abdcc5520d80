"""The password's way to the vault: it is hashed here, and what travels is a verifier, or a proof for one challenge.

May import: our bridge, `messages`. Invariants: the password leaves this process in no form that can be used again; a
password is hashed for a vault in the mode that the caller names, and for no other.

What opens a vault must know from elsewhere than its file what vault it is: whoever can write the file can put another
one in its place, with a mode that asks for less. So a caller keeps the mode and the id (`VaultStatus.vault`) from when
the vault was made or first opened, and gives them to `unlock` from then on; a mode that was read from `status` protects
against nothing.

A UI that calls these has `vocabulary = VOCABULARY` (`messages.vault`), so that challenges and proofs are known to it.
Each takes the time of as many Argon2id as passwords are given; where the OS keychain is asked, up to `LONG` seconds.
All raise `VaultMissing`, `VaultInUse`, `VaultCorrupt`, `WrongPassword`, `TooManyAttempts`, `KeychainFailed`,
`RootMissing`, `StorageFailed` and `PasswordRefused` where they apply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages import password as scram
from trollbridge.messages.errors import AuthenticationFailed, WrongMode
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


def unlock(vault: MemberProxy, password: str | None, mode: str, known: bytes | None = None) -> None:
    """Open the vault of that mode whose id is `known`, and have it prove that it is the true one.

    `mode` and `known` are what the caller has kept, not what `status` says now. Without `known` any vault of that mode
    is opened; with a password, one that this password opens, and without one, whatever lies there.

    Raises `WrongMode` for a vault in another mode, and `AuthenticationFailed` for one of another id, before anything
    is computed, and if what answered does not hold the vault's key.
    """
    if password is None:
        if known is not None:
            status: VaultStatus = vault.status().get(timeout=PATIENCE)
            _check_known(status.vault, known)
        vault.unlock(mode, None).get(timeout=PATIENCE)
        return
    challenge: Challenge = vault.challenge().get(timeout=PATIENCE)
    _check_known(challenge.vault, known)
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


def _check_known(vault: bytes, known: bytes | None) -> None:
    if known is not None and vault not in {known, b""}:  # a missing vault has none, and its own error
        msg = "another vault lies where the known one did"
        raise AuthenticationFailed(msg)


def _attempt(password: str, challenge: Challenge, purpose: str) -> Attempt:
    if challenge.mode != purpose:
        raise WrongMode
    return scram.attempt(password, challenge)


def _verifier(password: str | None) -> Verifier | None:
    return None if password is None else scram.new_verifier(password)


def _proof(vault: MemberProxy, password: str | None) -> Proof | None:
    return None if password is None else fresh_proof(vault, password).proof
