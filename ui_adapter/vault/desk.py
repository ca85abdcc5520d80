"""What every order needs: an open vault, the password behind it, and somebody to ask when a key must be approved.

May import: our bridge's types, our passwords and questions, `messages`. Invariants: the password stays in this process;
an approval is asked for with everything that it binds, and given for nothing else.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

from trollbridge.messages import s2k
from trollbridge.messages.errors import ApprovalNeeded, ApprovalRefused, KeyLocked, VaultMissing, WrongPassword
from trollbridge.messages.vault import KEYCHAIN_ONLY, MISSING
from trollbridge.ui_adapter import unlocking
from trollbridge.ui_adapter.vault import asking, passwords
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


class Desk:
    """One request, and the vault that it is put to."""

    def __init__(self, bridge: Bridge, request: Request) -> None:
        """Take both."""
        self.request: Final = request
        self.vault: Final[MemberProxy] = bridge.vault
        self._password: str | None = None
        self._given, self._key_password = (  # before the document, which may follow on the same input
            passwords.given(each) if each.descriptor == 0 else None for each in (request.password, request.key_password)
        )
        self._mode = ""

    def reporter(self, stream: TextIO | None = None) -> Reporter:
        """Return what writes the report in the form that was asked for."""
        return Reporter(as_json=self.request.as_json, stream=stream)

    def status(self) -> VaultStatus:
        """Return where the vault stands."""
        status: VaultStatus = self.vault.status().get(timeout=PATIENCE)
        return status

    def all_keys(self) -> tuple[KeyInfo, ...]:
        """Return every key of the open vault."""
        keys: tuple[KeyInfo, ...] = self.vault.list_keys().get(timeout=PATIENCE)
        return keys

    # Opening.

    def open(self) -> None:
        """Open the vault, in the mode that was demanded or else the one that it says.

        A person may mistype the password twice. Raises what `unlocking.unlock` raises.
        """
        status = self.status()
        if status.state == MISSING:
            msg = f"there is no vault at {self.request.vault}; make one with `trollbridge vault create`"
            raise VaultMissing(msg)
        self._mode = self.request.mode or status.mode
        if KEYCHAIN_ONLY in {self._mode, status.mode}:
            unlocking.unlock(self.vault, None, self._mode)
            return
        source = self.request.password
        for left in reversed(range(passwords.TRIES)):
            self._password = self._given or passwords.existing(source, f"Password for {self.request.vault}: ")
            try:
                unlocking.unlock(self.vault, self._password, self._mode)
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
            if not asking.confirmed("Allow it, this once?", _facts(each)):
                self.vault.refuse(each.ticket).get(timeout=PATIENCE)
                raise ApprovalRefused
            self.vault.approve(each.ticket).get(timeout=PATIENCE)

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


def _facts(approval: Approval) -> list[str]:
    """Return what a person must know of a use before approving it."""
    asked = time.strftime("%H:%M:%S", time.localtime(approval.asked))
    facts = [
        "",
        "A key of the vault is to be used:",
        f"  operation  {approval.operation}",
        f"  key        {approval.subject.removeprefix('key:').removeprefix('secret:')}",
        f"  content    {approval.size} bytes, SHA-256 {approval.digest.hex()}",
        f"  asked by   {approval.member}, at {asked}",
    ]
    lines = approval.head.splitlines()
    return facts + [f"  {'begins' if not number else '':<9}  {line}" for number, line in enumerate(lines)]
