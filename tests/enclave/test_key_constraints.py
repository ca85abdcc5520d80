"""A constrained OpenPGP key by every path that reaches it: the constraint holds on all (K1)."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave import keys
from trollbridge.enclave import openpgp, outline
from trollbridge.enclave.gate import Content
from trollbridge.messages.errors import (
    ApprovalNeeded,
    ApprovalRefused,
    CallError,
    CannotDecrypt,
    InvalidName,
    KeyExists,
    KeyUnusable,
    NotAllowed,
)
from trollbridge.messages.vault import CLEAR, DETACHED, INLINE
from trollbridge.messages.vault_secrets import SUBJECT_OF_KEYS, Constraints

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.enclave.keystore import Keystore
    from trollbridge.enclave.storage import Records

ALICE: Final = "Alice <alice@example.org>"
BOB: Final = "Bob <bob@example.org>"
TEXT: Final = b"text"
NOBODY: Final = Constraints(approval=False, members=("nobody",), per_hour=0, until=None)
APPROVED: Final = Constraints(approval=True, members=(), per_hour=0, until=None)
TWICE: Final = Constraints(approval=False, members=(), per_hour=2, until=None)


class Vault:
    """An open vault with a key of Alice, and the gate before it."""

    def __init__(self, records: Records) -> None:
        """Make the key."""
        self.asking = keys.Asking()
        self.store, self.gate = keys.opened(records, self.asking)
        self.key = self.store.generate(ALICE)
        self.message = self.store.encrypt([ALICE], TEXT, None, armored=False)

    def constrain(self, constraints: Constraints) -> None:
        """Limit the key."""
        self.gate.constrain(SUBJECT_OF_KEYS + self.key.fingerprint, constraints, lambda: None)

    def paths(self, store: Keystore | None = None) -> dict[str, Callable[[], object]]:
        """Return every way to the secret key."""
        found = store or self.store
        content = Content.of(TEXT)
        handles = openpgp.recipients(self.message)
        return {
            "sign": lambda: found.sign(ALICE, TEXT, DETACHED, armored=True),
            "sign inline": lambda: found.sign(ALICE, TEXT, INLINE, armored=False),
            "sign clear": lambda: found.sign(ALICE, TEXT, CLEAR, armored=True),
            "by fingerprint": lambda: found.sign(self.key.fingerprint.upper(), TEXT, DETACHED, armored=True),
            "encrypt and sign": lambda: found.encrypt([ALICE], TEXT, ALICE, armored=True),
            "decrypt": lambda: found.decrypt(self.message),
            "a stream's signature": lambda: found.signing_parts(ALICE, "sign", content),
            "a stream's decryption": lambda: found.decrypting_parts(handles, content),
            "export": lambda: found.export_secret(ALICE, keys.protection("x")),
            "add a user id": lambda: found.add_user_id(ALICE, "Alice at work"),
            "expire": lambda: found.set_expiry(ALICE, None),
            "its password": lambda: found.set_key_password(ALICE, keys.protection("own")),
            "the revocation": lambda: found.revocation_certificate(ALICE),
            "revoke": lambda: found.revoke_key(ALICE),
        }


@pytest.fixture
def vault(records: Records) -> Vault:
    """Return a vault with one key."""
    return Vault(records)


def test_a_constrained_key_is_reached_by_no_path(vault: Vault, records: Records) -> None:
    """K1: nor by any after the vault was opened again, nor by importing the key over itself."""
    before = vault.store.export_public(ALICE)
    copy = vault.store.export_secret(ALICE, keys.protection("x"))
    vault.constrain(NOBODY)
    again, _ = keys.opened(records, vault.asking)
    for store in (vault.store, again):
        for name, attempt in vault.paths(store).items():
            with pytest.raises(NotAllowed):
                attempt()
            assert name
        assert store.export_public(ALICE) == before
    again.import_public(before)
    with pytest.raises(KeyExists):
        again.import_secret(copy, keys.stretched("x", again.secret_locks(copy)))
    with pytest.raises(NotAllowed):
        again.sign(ALICE, TEXT, DETACHED, armored=True)


def test_without_constraints_every_path_is_open(vault: Vault) -> None:
    """The other half; the last of them revokes the key."""
    for attempt in vault.paths().values():
        attempt()


def test_each_use_needs_an_approval_of_its_own(vault: Vault) -> None:
    """K2: an approval is spent by one use of just that content, and shows what is signed."""
    vault.constrain(APPROVED)
    for name, attempt in vault.paths().items():
        if name == "revoke":
            break
        with pytest.raises(ApprovalNeeded):
            attempt()
        (waiting,) = vault.gate.approvals()
        assert waiting.subject == SUBJECT_OF_KEYS + vault.key.fingerprint
        vault.gate.approve(waiting.ticket)
        if name == "sign":
            assert (waiting.digest, waiting.size, waiting.head) == (hashlib.sha256(TEXT).digest(), 4, "text")
            with pytest.raises(ApprovalNeeded):
                vault.store.sign(ALICE, TEXT + b"!", DETACHED, armored=True)
            vault.gate.refuse(next(each.ticket for each in vault.gate.approvals() if each.size == 5))
            with pytest.raises(ApprovalRefused):
                vault.store.sign(ALICE, TEXT + b"!", DETACHED, armored=True)
        attempt()
        with pytest.raises(ApprovalNeeded):
            attempt()
        (waiting,) = vault.gate.approvals()
        vault.gate.approve(waiting.ticket)
        with contextlib.suppress(InvalidName):  # it has that user id by now
            attempt()


def test_what_fails_anyway_costs_no_approval(vault: Vault) -> None:
    """A key that is expired, a recipient who is, text that is none: refused before anybody is asked."""
    expired = openpgp.generate(BOB, lifetime=-10)
    vault.store.import_public(expired.certificate.binary())
    vault.constrain(APPROVED)
    for attempt in (
        lambda: vault.store.sign(ALICE, b"\xff", CLEAR, armored=True),
        lambda: vault.store.sign(ALICE, TEXT, "mode", armored=True),
        lambda: vault.store.encrypt([BOB], TEXT, ALICE, armored=True),
        lambda: vault.store.encrypt([], TEXT, ALICE, armored=True),
        lambda: vault.store.add_user_id(ALICE, "\n"),
    ):
        with pytest.raises(CallError):
            attempt()
    assert vault.gate.approvals() == ()
    vault.constrain(TWICE)
    with pytest.raises(KeyUnusable):
        vault.store.encrypt([BOB], TEXT, ALICE, armored=True)
    for _ in range(2):
        vault.store.sign(ALICE, TEXT, DETACHED, armored=True)
    with pytest.raises(NotAllowed):
        vault.store.sign(ALICE, TEXT, DETACHED, armored=True)


def test_a_free_key_is_not_held_up_by_a_constrained_one(vault: Vault) -> None:
    """A message to both opens with the free one, and nobody is asked; one to neither asks nobody (K1, A30)."""
    store = vault.store
    store.generate(BOB)
    both = store.encrypt([ALICE, BOB], TEXT, None, armored=True)
    to_others = openpgp.encrypt(TEXT, [openpgp.generate("Carol").certificate])
    vault.constrain(APPROVED)
    for _ in range(20):
        store.decrypt(store.encrypt([BOB], TEXT, BOB, armored=True))
    with pytest.raises(CannotDecrypt):
        store.decrypt(to_others)
    assert store.decrypt(both).recipient == store.show_key(BOB).fingerprint
    (lent,) = store.decrypting_parts(openpgp.recipients(outline.binary(both)), Content.of(both))
    assert lent.certificate == store.export_public(BOB, armored=False)
    assert vault.gate.approvals() == ()
    with pytest.raises(ApprovalNeeded):
        store.decrypt(vault.message)


def test_nothing_of_a_constraint_outlives_its_key(vault: Vault, records: Records) -> None:
    """A key that was deleted and comes back is free, as a new one would be."""
    store = vault.store
    copy = store.export_secret(ALICE, keys.protection("x"))
    vault.constrain(NOBODY)
    store.delete_key(ALICE)
    assert len(records) == 0
    store.import_secret(copy, keys.stretched("x", store.secret_locks(copy)))
    assert store.sign(ALICE, TEXT, DETACHED, armored=True)
