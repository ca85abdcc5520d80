"""The way in: missing, locked, open, and nothing between; what counts as a wrong password, and what is kept of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from tests.enclave.cheap import CHEAP
from trollbridge.enclave.access import Access
from trollbridge.enclave.passwords import CHALLENGE_SECONDS
from trollbridge.messages import password as pw
from trollbridge.messages.errors import (
    DeclarationError,
    NoSuchKey,
    StorageFailed,
    VaultExists,
    VaultInUse,
    VaultLocked,
    VaultMissing,
    WrongPassword,
)
from trollbridge.messages.vault import LOCKED, MISSING, OPEN, PASSWORD_ONLY, Proof, VaultStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET: Final = "secret"


@pytest.fixture
def access(path: str) -> Iterator[Access]:
    """Return the way into a vault that is not there yet, with a cheap password hash."""
    made = Access(path, floor=CHEAP)
    yield made
    made.close()


def created(access: Access) -> Access:
    """Make the vault, under `SECRET`."""
    assert access.create(pw.new_verifier(SECRET, CHEAP)) == VaultStatus(OPEN, PASSWORD_ONLY, 0)
    return access


def answer(access: Access, secret: str = SECRET) -> Proof:
    """Return a proof for a fresh challenge."""
    return pw.prove(secret, access.challenge(), CHEAP)


def test_a_vault_is_missing_then_open_then_locked(access: Access, path: str) -> None:
    """Each state is reported, with the mode that was chosen, and what it does not allow says why (A47, A24)."""
    assert access.status() == VaultStatus(MISSING, PASSWORD_ONLY, 0)
    for attempt in (access.challenge, access.keys, lambda: access.unlock(Proof(b"", b"", b""))):
        with pytest.raises(VaultMissing):
            attempt()
    created(access)
    assert access.keys().list_keys() == ()
    access.lock()
    assert access.status() == VaultStatus(LOCKED, PASSWORD_ONLY, 0)
    with pytest.raises(VaultLocked):
        access.keys()
    access.close()

    again = Access(path, floor=CHEAP)
    assert again.status() == VaultStatus(LOCKED, PASSWORD_ONLY, 0)
    again.unlock(answer(again))
    assert again.status() == VaultStatus(OPEN, PASSWORD_ONLY, 0)
    again.close()


def test_a_vault_is_not_made_over_another(access: Access, path: str) -> None:
    """By the same process, or by one that comes later; the first one's password still opens it (A43)."""
    created(access)
    with pytest.raises(VaultExists):
        access.create(pw.new_verifier("other", CHEAP))
    access.close()
    later = Access(path, floor=CHEAP)
    with pytest.raises(VaultExists):
        later.create(pw.new_verifier("other", CHEAP))
    later.unlock(answer(later))
    later.close()


def test_a_second_application_is_told_at_once(access: Access, path: str) -> None:
    """For every question that it could ask; once the first is gone, it works without a restart (A57)."""
    created(access)
    second = Access(path, floor=CHEAP)
    with pytest.raises(VaultInUse):
        second.claim()
    for attempt in (second.status, second.challenge, second.keys):
        with pytest.raises(VaultInUse):
            attempt()
    with pytest.raises(VaultInUse):
        second.create(pw.new_verifier("other", CHEAP))
    access.close()
    second.claim()
    assert second.status().state == LOCKED
    second.close()


def test_a_claim_on_a_vault_that_is_missing_claims_nothing(access: Access, path: str) -> None:
    """It is no error, and whoever creates the vault has it."""
    access.claim()
    other = created(Access(path, floor=CHEAP))
    with pytest.raises(VaultInUse):
        access.status()
    other.close()


def test_wrong_passwords_are_counted_across_restarts(access: Access, path: str) -> None:
    """Until the right one comes; and the right one opens, however many came before (A25)."""
    created(access).lock()
    for _ in range(3):
        with pytest.raises(WrongPassword):
            access.unlock(answer(access, "wrong"))
    access.close()
    again = Access(path, floor=CHEAP)
    with pytest.raises(WrongPassword):
        again.unlock(answer(again, "wrong"))
    assert again.status() == VaultStatus(LOCKED, PASSWORD_ONLY, 4)
    again.unlock(answer(again))
    assert again.status() == VaultStatus(OPEN, PASSWORD_ONLY, 0)
    again.close()


def test_a_replayed_and_a_stale_proof_are_wrong_passwords(path: str) -> None:
    """In the same words; they are no guesses, so they are not counted (A25, F1, I6)."""
    now = [0.0]
    access = created(Access(path, floor=CHEAP, clock=lambda: now[0]))
    access.lock()
    proof = answer(access)
    access.unlock(proof)
    access.lock()
    stale = answer(access)
    now[0] += CHALLENGE_SECONDS + 1
    voided = answer(access)
    access.lock()
    sentences: set[str] = set()
    for each in (proof, stale, voided, msgspec.structs.replace(proof, nonce=b"")):
        with pytest.raises(WrongPassword) as refusal:
            access.unlock(each)
        sentences.add(str(refusal.value))
    assert len(sentences) == 1
    assert access.status() == VaultStatus(LOCKED, PASSWORD_ONLY, 0)
    access.close()


def test_a_wrong_password_does_not_close_an_open_vault(access: Access) -> None:
    """And a right one does not make a second set of keys."""
    keys = created(access).keys()
    with pytest.raises(WrongPassword):
        access.unlock(answer(access, "wrong"))
    assert access.keys() is keys
    attempt = pw.attempt(SECRET, access.challenge(), CHEAP)
    attempt.confirm(access.unlock(attempt.proof))
    assert access.keys() is keys


def test_locking_leaves_nothing_to_work_with(access: Access) -> None:
    """References from before find no key (A44)."""
    keys = created(access).keys()
    info = keys.generate("Alice")
    access.lock()
    with pytest.raises(NoSuchKey):
        keys.sign(info.fingerprint, b"data", "detached", armored=True)
    access.unlock(answer(access))
    assert access.keys().list_keys() == (info,)


def test_a_weak_hash_makes_no_vault(path: str) -> None:
    """The shipped floor refuses what these tests use, and leaves no file behind (A25)."""
    access = Access(path)
    with pytest.raises(pw.WeakParameters):
        access.create(pw.new_verifier("secret", CHEAP))
    assert access.status().state == MISSING


def test_a_vault_that_cannot_be_made_is_not_there(tmp_path: object) -> None:
    """A folder that does not exist: its own sentence, and still missing."""
    access = Access(f"{tmp_path}/none/v", floor=CHEAP)
    with pytest.raises(StorageFailed):
        access.create(pw.new_verifier("secret", CHEAP))
    assert access.status().state == MISSING


@pytest.mark.parametrize("path", ["", "v", "./v", "~/v", "/\0v"])
def test_a_path_is_absolute(path: str) -> None:
    """A process's working directory and home are nobody's business: nothing is started (S6)."""
    with pytest.raises(DeclarationError):
        Access(path)
