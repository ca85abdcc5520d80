"""What every order needs: an open vault, the password behind it, and somebody to ask when a key must be approved.

May import: our bridge's types, our passwords and questions, `messages`. Invariants: the password stays in this process;
an approval is asked for with everything that it binds, and given for nothing else.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

from trollbridge.messages import s2k
from trollbridge.messages.errors import (
    ApprovalNeeded,
    ApprovalRefused,
    KeyLocked,
    VaultInUse,
    VaultMissing,
    WrongPassword,
)
from trollbridge.messages.vault import KEYCHAIN_ONLY, MISSING
from trollbridge.messages.vault_secrets import SUBJECT_OF_KEYS, SUBJECT_OF_SECRETS
from trollbridge.ui_adapter import unlocking
from trollbridge.ui_adapter.vault import asking, passwords
from trollbridge.ui_adapter.vault.known_vaults import KnownVaults
from trollbridge.ui_adapter.vault.reports import Reporter

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

    from trollbridge.messages.vault import S2K, KeyInfo, Proof, VaultStatus
    from trollbridge.messages.vault_secrets import Approval
    from trollbridge.ui_adapter.bridge import Bridge, MemberProxy
    from trollbridge.ui_adapter.vault.request import Request

    T = TypeVar("T")

PATIENCE: Final = 300.0
"""Seconds that the vault may take to answer."""
_STEP: Final = 0.1
"""Seconds between two looks at a vault that is in use."""


class Desk:
    """One request, and the vault that it is put to."""

    def __init__(self, bridge: Bridge, request: Request) -> None:
        """Take both."""
        self.request: Final = request
        self.vault: Final[MemberProxy] = bridge.vault
        self.known: Final = KnownVaults(request.known, request.vault)
        self.before: VaultStatus | None = None
        """Where the vault stood before it was opened."""
        self._password: str | None = None
        self._given, self._key_password = (  # before the document, which may follow on the same input
            passwords.given(each) if each.descriptor == 0 else None for each in (request.password, request.key_password)
        )

    def reporter(self, stream: TextIO | None = None) -> Reporter:
        """Return what writes the report in the form that was asked for."""
        return Reporter(as_json=self.request.as_json, stream=stream)

    def status(self) -> VaultStatus:
        """Return where the vault stands; waits for one that is in use, and raises `VaultInUse` if that is too long."""
        until = time.monotonic() + self.request.wait
        while True:
            try:
                status: VaultStatus = self.vault.status().get(timeout=PATIENCE)
            except VaultInUse:
                left = until - time.monotonic()
                if left <= 0:
                    raise
                time.sleep(min(_STEP, left))  # the kernel wakes nobody when the file is given up
            else:
                return status

    def all_keys(self) -> tuple[KeyInfo, ...]:
        """Return every key of the open vault."""
        keys: tuple[KeyInfo, ...] = self.vault.list_keys().get(timeout=PATIENCE)
        return keys

    # Opening.

    def open(self, *, adopting: bool = False) -> None:
        """Open the vault: the one that is known at this path, in the mode that is known, and note it if none is.

        `adopting`: whatever vault is there is noted. A person may mistype the password twice. Raises `OtherVault`,
        `WrongMode`, and what `unlocking.unlock` raises.
        """
        status = self.before = self.status()
        if status.state == MISSING:
            msg = f"there is no vault at {self.request.vault}; make one with `trollbridge vault create`"
            raise VaultMissing(msg)
        demanded = self.request.mode
        mode = (demanded or status.mode) if adopting else self.known.demanded(status, demanded)
        if KEYCHAIN_ONLY in {mode, status.mode}:
            unlocking.unlock(self.vault, None, mode, status.vault)
        else:
            self._unlock_with_password(mode, status.vault)
        self.known.remember(status)

    def _unlock_with_password(self, mode: str, vault: bytes) -> None:
        source = self.request.password
        for left in reversed(range(passwords.TRIES)):
            self._password = self._given or passwords.existing(source, f"Password for {self.request.vault}: ")
            try:
                unlocking.unlock(self.vault, self._password, mode, vault)
            except WrongPassword:
                if source.given or not left:
                    raise
                passwords.say("The password is wrong; try again.")
            else:
                return

    def proof(self) -> Proof | None:
        """Return a fresh proof of the password that opened the vault; None where it has none."""
        if self._password is None:
            return None
        return unlocking.fresh_proof(self.vault, self._password).proof

    def new_password(self) -> str:
        """Return the password of a vault that is to be made; raises as `passwords.chosen`."""
        return self._given or passwords.chosen(self.request.password, "New password for the vault")

    @property
    def password(self) -> str | None:
        """The password that opened the vault; None where it has none."""
        return self._password

    # Using keys.

    def using(self, use: Callable[[], T], key: str = "") -> T:
        """Return what `use` returns; where it lacks an approval or a key's own password, ask, and repeat it.

        `key`: the fingerprint of the key that is used, if it is known. Raises `ApprovalNeeded`, `ApprovalRefused` and
        `KeyLocked`.
        """
        unlocked = False
        while True:
            try:
                return use()
            except ApprovalNeeded:
                self.decide()
            except KeyLocked:
                if unlocked:
                    raise
                self.unlock_keys(key)
                unlocked = True

    def decide(self) -> None:
        """Have a person decide on what waits; raises `ApprovalNeeded` without one, `ApprovalRefused` after a no."""
        if not passwords.terminal():
            msg = "the use of this key must be approved, and there is no terminal to ask on"
            raise ApprovalNeeded(msg)
        waiting: tuple[Approval, ...] = self.vault.approvals().get(timeout=PATIENCE)
        if not waiting:
            msg = "the use of this key must be approved, but nothing waits for it"
            raise ApprovalNeeded(msg)
        for each in waiting:
            if not asking.confirmed("Allow it, this once?", _facts(each, self._owner(each.subject))):
                self.vault.refuse(each.ticket).get(timeout=PATIENCE)
                raise ApprovalRefused
            self.vault.approve(each.ticket).get(timeout=PATIENCE)

    def _owner(self, subject: str) -> str:
        """Return the user id of the key that a use is about; nothing for an API key."""
        if not subject.startswith(SUBJECT_OF_KEYS) or "list_keys" not in self.request.order.calls:
            return ""
        fingerprint = subject.removeprefix(SUBJECT_OF_KEYS)
        found = [each.user_ids[0] for each in self.all_keys() if each.fingerprint == fingerprint and each.user_ids]
        return found[0] if found else ""

    def unlock_keys(self, key: str) -> None:
        """Unlock the key, or whichever own key a password was given for; raises `WrongPassword`, `KeyLocked`."""
        locked = [each for each in self.all_keys() if each.own_password and key in {"", each.fingerprint}]
        if not locked:
            raise KeyLocked
        last: WrongPassword | None = None
        for each in locked:
            name = each.user_ids[0] if each.user_ids else each.fingerprint
            password = self.key_password(f"Password of the key {name}: ")
            locks: tuple[S2K, ...] = self.vault.key_locks(each.fingerprint).get(timeout=PATIENCE)
            try:
                stretched = tuple(s2k.stretch(password, lock) for lock in locks)
                self.vault.unlock_key(each.fingerprint, stretched).get(timeout=PATIENCE)
            except WrongPassword as wrong:
                last = wrong
            else:
                last = None
                break
        if last is not None:
            raise last

    def key_password(self, prompt: str) -> str:
        """Return a key's own password: what was given, or what a person types at each call."""
        if not self.request.key_password.given:
            return passwords.ask(prompt, "--key-password")
        if self._key_password is None:
            self._key_password = passwords.given(self.request.key_password)
        return self._key_password


def _facts(approval: Approval, owner: str) -> list[str]:
    """Return what a person must know of a use before approving it."""
    asked = time.strftime("%H:%M:%S", time.localtime(approval.asked))
    facts = [
        "",
        "A key of the vault is to be used:",
        f"  operation  {approval.operation}",
        f"  key        {approval.subject.removeprefix(SUBJECT_OF_KEYS).removeprefix(SUBJECT_OF_SECRETS)}",
        *([f"  of         {owner}"] if owner else []),
        f"  content    {approval.size} bytes, SHA-256 {approval.digest.hex()}",
        f"  asked by   {approval.member}, at {asked}",
    ]
    lines = approval.head.splitlines()
    return facts + [f"  {'begins' if not number else '':<9}  {line}" for number, line in enumerate(lines)]
