"""A constrained OpenPGP key: every handler that reaches its secret half asks the gate, whatever name it goes by."""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave.cheap import CHEAP
from trollbridge.actors.handlers import exported
from trollbridge.enclave.access import Access
from trollbridge.enclave.gate import Caller
from trollbridge.enclave.vault_keys import KeyHandlers
from trollbridge.enclave.vault_secrets import SecretHandlers
from trollbridge.messages import password as pw
from trollbridge.messages import s2k
from trollbridge.messages.errors import ApprovalNeeded, KeyExists, NoSuchKey, NotAllowed, WrongPassword
from trollbridge.messages.vault import CLEAR, DETACHED, INLINE, PASSWORD_ONLY, Proof
from trollbridge.messages.vault_secrets import Constraints

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PASSWORD: Final = "secret"
ALICE: Final = "Alice <alice@example.org>"
DATA: Final = b"data"
REACH_NO_SECRET: Final = {
    *("generate", "list_keys", "show_key", "export_public", "import_public", "set_trust", "verify", "encrypt"),
    *("secret_locks", "key_locks", "unlock_key"),
}
"""Handlers that make no use of a key that is here; `encrypt` does where it signs."""
END_OR_REPLACE: Final = {"delete_key", "import_secret"}
"""What takes a key away with its constraints, and what could bring another in its place."""


class Handlers(KeyHandlers, SecretHandlers):
    """The vault's handlers for keys, without its process."""

    def __init__(self, path: str) -> None:
        """Make an open vault."""
        self.asking = Caller("console", "ui")
        self._access = Access(path, floor=CHEAP, caller=lambda: self.asking)
        self._access.create(PASSWORD_ONLY, pw.new_verifier(PASSWORD, CHEAP))
        self.info = self.generate(ALICE)
        self.subject = f"key:{self.info.fingerprint}"
        self.message = self.encrypt((ALICE,), DATA)

    def proof(self) -> Proof:
        """Return the answer to a fresh challenge."""
        return pw.prove(PASSWORD, self._access.challenge(), CHEAP)

    def failed(self) -> int:
        """Return how many wrong passwords were given since the last right one."""
        return self._access.status().failed_attempts

    def reopen(self) -> None:
        """Lock the vault and open it again."""
        self._access.lock()
        self._access.unlock(PASSWORD_ONLY, self.proof())

    def close(self) -> None:
        """Close the file."""
        self._access.close()

    def paths(self, name: str) -> dict[str, Callable[[], object]]:
        """Return every way to the secret half of the key of that name."""
        protection = s2k.new_protection("another password")
        return {
            **{f"sign {mode}": partial(self.sign, name, DATA, mode) for mode in (DETACHED, INLINE, CLEAR)},
            "encrypt": lambda: self.encrypt((name,), DATA, name),
            "decrypt": lambda: self.decrypt(self.message),
            "export_secret": lambda: self.export_secret(name, self.proof(), protection),
            "set_key_password": lambda: self.set_key_password(name, self.proof(), protection),
            "add_user_id": lambda: self.add_user_id(name, "Bob"),
            "revoke_user_id": lambda: self.revoke_user_id(name, ALICE),
            "set_expiry": lambda: self.set_expiry(name, None),
            "revoke_key": lambda: self.revoke_key(name),
            "revocation_certificate": lambda: self.revocation_certificate(name),
        }


@pytest.fixture
def vault(path: str) -> Iterator[Handlers]:
    """Return an open vault with one key."""
    made = Handlers(path)
    yield made
    made.close()


def test_every_handler_is_known_to_reach_a_secret_key_or_not_to(vault: Handlers) -> None:
    """A new one has to be put on one side or the other (K1)."""
    reaching = {each.partition(" ")[0] for each in vault.paths(ALICE)}
    assert reaching & (REACH_NO_SECRET | END_OR_REPLACE) == {"encrypt"}
    assert reaching | REACH_NO_SECRET | END_OR_REPLACE == set(exported(KeyHandlers))


def test_a_constraint_holds_on_every_path_to_the_key(vault: Handlers) -> None:
    """By fingerprint in either case and by user id; after locking; after its certificate came in again (K1)."""
    vault.constrain(vault.subject, Constraints(approval=True))
    fingerprint = vault.info.fingerprint

    def refused() -> None:
        for name in (fingerprint, fingerprint.upper(), ALICE):
            for use in vault.paths(name).values():
                with pytest.raises(ApprovalNeeded):
                    use()
        assert {each.subject for each in vault.approvals()} == {vault.subject}

    refused()
    vault.reopen()
    refused()
    vault.import_public(vault.export_public(ALICE))
    refused()
    assert vault.show_key(ALICE) == vault.info
    assert vault.encrypt((ALICE,), DATA), "it may be encrypted to"


def test_an_extension_cannot_use_up_the_attempts_with_wrong_passwords(vault: Handlers) -> None:
    """It is turned away before a proof is judged; the core UI's wrong one counts, and its right one does (A41, A27)."""
    protection = s2k.new_protection("another password")
    right = vault.proof()
    wrong = Proof(right.nonce, right.client_nonce, bytes(32))
    vault.asking = Caller("plugin", "extension")
    for use in (
        lambda: vault.export_secret(ALICE, wrong, protection),
        lambda: vault.set_key_password(ALICE, wrong, None),
    ):
        with pytest.raises(NotAllowed):
            use()
    assert vault.failed() == 0
    vault.asking = Caller("console", "ui")
    with pytest.raises(WrongPassword):
        vault.export_secret(ALICE, wrong, protection)
    assert vault.failed() == 1
    assert vault.export_secret(ALICE, vault.proof(), protection)


def test_a_constrained_key_cannot_be_replaced_by_its_own_copy(vault: Handlers) -> None:
    """An export takes an approval; to import it over the key is refused, and the constraint stays (K1)."""
    protection = s2k.new_protection("another password")
    copy = vault.export_secret(ALICE, vault.proof(), protection)
    vault.constrain(vault.subject, Constraints(members=("signer",)))
    keys = tuple(s2k.stretch("another password", each) for each in vault.secret_locks(copy))
    with pytest.raises(KeyExists):
        vault.import_secret(copy, keys)
    for use in vault.paths(ALICE).values():
        with pytest.raises(NotAllowed):
            use()
    assert vault.constraints(vault.subject) == Constraints(members=("signer",))


def test_an_approved_use_happens_once_as_it_was_shown(vault: Handlers) -> None:
    """The honest path: approved, repeated, done; and the next one needs its own (K2)."""
    vault.constrain(vault.subject, Constraints(approval=True))
    for name, use in vault.paths(ALICE).items():
        if name in {"decrypt", "sign detached", "encrypt"}:
            with pytest.raises(ApprovalNeeded):
                use()
            (waiting,) = vault.approvals()
            assert name == "decrypt" or waiting.digest == hashlib.sha256(DATA).digest()
            assert (waiting.member, waiting.subject) == ("console", vault.subject)
            vault.approve(waiting.ticket)
            vault.asking = Caller("other", "ui")
            with pytest.raises(ApprovalNeeded):
                use()
            vault.refuse(vault.approvals()[0].ticket)
            vault.asking = Caller("console", "ui")
            assert use()
            with pytest.raises(ApprovalNeeded):
                use()
            vault.refuse(vault.approvals()[0].ticket)
            vault.reopen()


def test_uses_are_counted_over_all_paths(vault: Handlers) -> None:
    """Three an hour are three, of whichever kind, and a restart begins no new hour (K1)."""
    vault.constrain(vault.subject, Constraints(per_hour=3))
    uses = vault.paths(ALICE)
    for name in ("sign detached", "decrypt", "encrypt"):
        assert uses[name]()
    vault.reopen()
    for use in uses.values():
        with pytest.raises(NotAllowed):
            use()


def test_a_deleted_key_takes_its_constraints_along(vault: Handlers) -> None:
    """And with it goes every way to use it."""
    vault.constrain(vault.subject, Constraints(approval=True))
    vault.delete_key(vault.info.fingerprint)
    assert vault.constraints(vault.subject) == Constraints()
    with pytest.raises(NoSuchKey):
        vault.sign(ALICE, DATA)
