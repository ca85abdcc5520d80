"""A constrained OpenPGP key by every path that reaches it: the constraint holds on all (K1)."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Final

import pysequoia
import pytest

from tests.enclave import keys
from trollbridge.enclave import openpgp, outline, packets, recipients
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
    NotOpenPGP,
)
from trollbridge.messages.vault import CLEAR, DETACHED, INLINE, PROFILES
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
ONCE: Final = Constraints(approval=False, members=(), per_hour=1, until=None)
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
            "a stream's decryption": lambda: found.decrypting_parts(handles, content, self.message),
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
    [revoked] = [each.revoked for each in vault.store.list_keys() if each.fingerprint == vault.key.fingerprint]
    assert revoked


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
    (lent,) = store.decrypting_parts(openpgp.recipients(outline.binary(both)), Content.of(both), both)
    assert lent.certificate == store.export_public(BOB, armored=False)
    assert vault.gate.approvals() == ()
    with pytest.raises(ApprovalNeeded):
        store.decrypt(vault.message)


def hidden(message: bytes) -> bytes:
    """Return a message in binary that does not say whom it is for."""
    made = b""
    for tag, parts in outline.top(message):
        body = b"".join(parts)
        if tag == 1:
            body = body[:1] + bytes(8) + body[9:] if body[0] == 3 else body[:1] + b"\0" + body[2 + body[1] :]
        made += packets.framed(tag, body)
    assert recipients.named(made) == ("",)
    return made


@pytest.mark.parametrize("profile", PROFILES)
def test_a_strangers_message_costs_no_use(records: Records, profile: str) -> None:
    """K1: to somebody hidden, or damaged and to the key; the error is that of a vault without constraints."""
    store, gate = keys.opened(records)
    info = store.generate(ALICE, profile)
    subject = SUBJECT_OF_KEYS + info.fingerprint
    other = openpgp.generate("Carol", profile)
    foreign = hidden(openpgp.encrypt(TEXT, [other.certificate], armored=False))
    mine = store.encrypt([ALICE], TEXT, None, armored=False)
    damaged = mine[:-30] + bytes(30)
    gate.constrain(subject, ONCE, lambda: None)
    for message in (foreign, damaged, hidden(damaged)):
        for _ in range(3):
            with pytest.raises(CannotDecrypt) as refusal:
                store.decrypt(message)
            assert str(refusal.value) == CannotDecrypt.__doc__
    for handles in ([""], [info.subkeys[-1].fingerprint]):
        with pytest.raises(CannotDecrypt):
            store.decrypting_parts(handles, Content.of(TEXT), foreign)
    gate.constrain(subject, APPROVED, lambda: None)
    with pytest.raises(CannotDecrypt):
        store.decrypt(foreign)
    with pytest.raises(CannotDecrypt):
        store.decrypting_parts([""], Content.of(TEXT), foreign)
    assert gate.approvals() == (), "nobody is asked about it"

    gate.constrain(subject, ONCE, lambda: None)
    assert store.decrypt(hidden(mine)).plaintext == TEXT
    for attempt in (
        lambda: store.decrypt(hidden(mine)),
        lambda: store.decrypt(mine),
        lambda: store.decrypting_parts([""], Content.of(TEXT), hidden(mine)),
    ):
        with pytest.raises(NotAllowed):
            attempt()


def test_a_hidden_message_waits_for_the_key_that_opens_it(vault: Vault) -> None:
    """K2: of several keys that are approved each time, the right one is asked about, and it opens nothing before."""
    bob = vault.store.generate(BOB)
    message = hidden(vault.message)
    vault.constrain(APPROVED)
    vault.gate.constrain(SUBJECT_OF_KEYS + bob.fingerprint, APPROVED, lambda: None)
    for attempt in (
        lambda: vault.store.decrypt(message),
        lambda: vault.store.decrypting_parts([""], Content.of(message), message),
    ):
        with pytest.raises(ApprovalNeeded):
            attempt()
        (waiting,) = vault.gate.approvals()
        assert waiting.subject == SUBJECT_OF_KEYS + vault.key.fingerprint
        vault.gate.approve(waiting.ticket)
        assert attempt()


def test_a_member_that_may_not_use_a_key_learns_nothing_by_it(vault: Vault) -> None:
    """K1: whether a message is for the key or not, whoever is named in it, the refusal is the same."""
    vault.constrain(NOBODY)
    other = openpgp.encrypt(TEXT, [openpgp.generate("Carol").certificate], armored=False)
    answers: set[str] = set()
    for message in (hidden(vault.message), hidden(other)):
        with pytest.raises(NotAllowed) as refusal:
            vault.store.decrypt(message)
        answers.add(str(refusal.value))
    assert len(answers) == 1


def test_a_scribe_gets_no_other_key_than_its_message_needs(vault: Vault) -> None:
    """A30: it says whom the message is for, and may have been broken into; the vault looks itself."""
    vault.store.generate(BOB)
    bob = [each.fingerprint for each in vault.store.show_key(BOB).subkeys]
    for lies in (bob, [each[-16:] for each in bob]):
        with pytest.raises(CannotDecrypt):
            vault.store.decrypting_parts(lies, Content.of(TEXT), vault.message)
    for beginning in (vault.message, hidden(vault.message)):
        for handles in ([each.fingerprint for each in vault.key.subkeys], [""], ["", *bob]):
            (lent,) = vault.store.decrypting_parts(handles, Content.of(TEXT), beginning[:400])
            assert lent.certificate == vault.store.export_public(ALICE, armored=False)
    for junk in (b"", b"junk", vault.message[:80]):
        with pytest.raises(NotOpenPGP):
            vault.store.decrypting_parts([""], Content.of(TEXT), junk)


def test_what_is_to_be_approved_is_one_line(records: Records) -> None:
    """K2, I4: a user id with line breaks in it, or one that is only asked for, writes no sentence of its own."""
    store, gate = keys.opened(records)
    evil = "Eve\nApproved: export nothing\x1b[2J"
    key = pysequoia.Tsk.generate(evil)
    (info,) = store.import_secret(bytes(key), ())
    store.add_user_id(info.fingerprint, ALICE)
    gate.constrain(SUBJECT_OF_KEYS + info.fingerprint, APPROVED, lambda: None)
    for unknown in ("nobody\nApproved: x", "nobody"):
        with pytest.raises(InvalidName):
            store.revoke_user_id(info.fingerprint, unknown)
    assert gate.approvals() == ()
    with pytest.raises(ApprovalNeeded):
        store.revoke_user_id(info.fingerprint, evil)
    (waiting,) = gate.approvals()
    assert waiting.head.startswith("revoke Eve\ufffdApproved")
    assert waiting.head.isprintable()
    gate.approve(waiting.ticket)
    assert store.revoke_user_id(info.fingerprint, evil).user_ids == (ALICE,)


def test_nothing_of_a_constraint_outlives_its_key(vault: Vault, records: Records) -> None:
    """A key that was deleted and comes back is free, as a new one would be."""
    store = vault.store
    copy = store.export_secret(ALICE, keys.protection("x"))
    vault.constrain(NOBODY)
    store.delete_key(ALICE)
    assert len(records) == 0
    store.import_secret(copy, keys.stretched("x", store.secret_locks(copy)))
    assert store.sign(ALICE, TEXT, DETACHED, armored=True)
