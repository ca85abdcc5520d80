"""The way in: missing, locked, open, and nothing between; what counts as a wrong password, and what is kept of it."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import pytest

from tests.enclave.cheap import CHEAP
from trollbridge.enclave.access import IDLE, Access, awake
from trollbridge.enclave.passwords import CHALLENGE_SECONDS
from trollbridge.enclave.sealing import Kind
from trollbridge.messages import password as pw
from trollbridge.messages.errors import (
    DeclarationError,
    NoSuchKey,
    StorageFailed,
    UsageError,
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


def created(access: Access, idle: int = IDLE) -> Access:
    """Make the vault, under `SECRET`."""
    made = access.create(PASSWORD_ONLY, pw.new_verifier(SECRET, CHEAP))
    assert made == VaultStatus(OPEN, PASSWORD_ONLY, 0, 0.0, idle, access.challenge().vault)
    assert len(made.vault) == 16
    return access


def standing(access: Access) -> tuple[str, str, int, float, int]:
    """Return all of the vault's status but its id, which is there unless the vault is missing."""
    status = access.status()
    assert status.vault == (b"" if status.state == MISSING else access._claimed().header().vault)
    return status.state, status.mode, status.failed_attempts, status.wait, status.idle


def answer(access: Access, secret: str = SECRET) -> Proof:
    """Return a proof for a fresh challenge."""
    return pw.prove(secret, access.challenge(), CHEAP)


def test_a_vault_is_missing_then_open_then_locked(access: Access, path: str) -> None:
    """Each state is reported, with the mode that was chosen, and what it does not allow says why (A47, A24)."""
    assert standing(access) == (MISSING, "", 0, 0.0, IDLE)
    for attempt in (access.challenge, access.opened, lambda: access.unlock(PASSWORD_ONLY, Proof(b"", b"", b""))):
        with pytest.raises(VaultMissing):
            attempt()
    created(access)
    assert access.opened().keys.list_keys() == ()
    access.lock()
    assert standing(access) == (LOCKED, PASSWORD_ONLY, 0, 0.0, IDLE)
    with pytest.raises(VaultLocked):
        access.opened()
    access.close()

    again = Access(path, floor=CHEAP)
    assert standing(again) == (LOCKED, PASSWORD_ONLY, 0, 0.0, IDLE)
    again.unlock(PASSWORD_ONLY, answer(again))
    assert standing(again) == (OPEN, PASSWORD_ONLY, 0, 0.0, IDLE)
    again.close()


def test_a_vault_is_not_made_over_another(access: Access, path: str) -> None:
    """By the same process, or by one that comes later; the first one's password still opens it (A43)."""
    created(access)
    with pytest.raises(VaultExists):
        access.create(PASSWORD_ONLY, pw.new_verifier("other", CHEAP))
    access.close()
    later = Access(path, floor=CHEAP)
    with pytest.raises(VaultExists):
        later.create(PASSWORD_ONLY, pw.new_verifier("other", CHEAP))
    later.unlock(PASSWORD_ONLY, answer(later))
    later.close()


def test_a_second_application_is_told_at_once(access: Access, path: str) -> None:
    """For every question that it could ask; once the first is gone, it works without a restart (A57)."""
    created(access)
    second = Access(path, floor=CHEAP)
    with pytest.raises(VaultInUse):
        second.claim()
    for attempt in (second.status, second.challenge, second.opened):
        with pytest.raises(VaultInUse):
            attempt()
    with pytest.raises(VaultInUse):
        second.create(PASSWORD_ONLY, pw.new_verifier("other", CHEAP))
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
    for _ in range(2):
        with pytest.raises(WrongPassword):
            access.unlock(PASSWORD_ONLY, answer(access, "wrong"))
    access.close()
    again = Access(path, floor=CHEAP)
    with pytest.raises(WrongPassword):
        again.unlock(PASSWORD_ONLY, answer(again, "wrong"))
    assert standing(again) == (LOCKED, PASSWORD_ONLY, 3, 0.0, IDLE)
    again.unlock(PASSWORD_ONLY, answer(again))
    assert standing(again) == (OPEN, PASSWORD_ONLY, 0, 0.0, IDLE)
    again.close()


def test_a_replayed_and_a_stale_proof_are_wrong_passwords(path: str) -> None:
    """In the same words; they are no guesses, so they are not counted (A25, F1, I6)."""
    now = [0.0]
    access = created(Access(path, floor=CHEAP, clock=lambda: now[0]))
    access.lock()
    proof = answer(access)
    access.unlock(PASSWORD_ONLY, proof)
    access.lock()
    stale = answer(access)
    now[0] += CHALLENGE_SECONDS + 1
    voided = answer(access)
    access.lock()
    sentences: set[str] = set()
    for each in (proof, stale, voided, msgspec.structs.replace(proof, nonce=b"")):
        with pytest.raises(WrongPassword) as refusal:
            access.unlock(PASSWORD_ONLY, each)
        sentences.add(str(refusal.value))
    assert len(sentences) == 1
    assert standing(access) == (LOCKED, PASSWORD_ONLY, 0, 0.0, IDLE)
    access.close()


def test_a_wrong_password_does_not_close_an_open_vault(access: Access) -> None:
    """And a right one does not make a second set of keys."""
    keys = created(access).opened().keys
    with pytest.raises(WrongPassword):
        access.unlock(PASSWORD_ONLY, answer(access, "wrong"))
    assert access.opened().keys is keys
    attempt = pw.attempt(SECRET, access.challenge(), CHEAP)
    attempt.confirm(access.unlock(PASSWORD_ONLY, attempt.proof))
    assert access.opened().keys is keys


def test_locking_leaves_nothing_to_work_with(access: Access) -> None:
    """References from before find no key (A44)."""
    keys = created(access).opened().keys
    info = keys.generate("Alice")
    access.lock()
    with pytest.raises(NoSuchKey):
        keys.sign(info.fingerprint, b"data", "detached", armored=True)
    access.unlock(PASSWORD_ONLY, answer(access))
    assert access.opened().keys.list_keys() == (info,)


def test_a_weak_hash_makes_no_vault(path: str) -> None:
    """The shipped floor refuses what these tests use, and leaves no file behind (A25)."""
    access = Access(path)
    with pytest.raises(pw.WeakParameters):
        access.create(PASSWORD_ONLY, pw.new_verifier("secret", CHEAP))
    assert access.status().state == MISSING


def test_a_vault_that_cannot_be_made_is_not_there(tmp_path: object) -> None:
    """A folder that does not exist: its own sentence, and still missing."""
    access = Access(f"{tmp_path}/none/v", floor=CHEAP)
    with pytest.raises(StorageFailed):
        access.create(PASSWORD_ONLY, pw.new_verifier("secret", CHEAP))
    assert access.status().state == MISSING


@pytest.mark.parametrize("path", ["", "v", "./v", "~/v", "/\0v"])
def test_a_path_is_absolute(path: str) -> None:
    """A process's working directory and home are nobody's business: nothing is started (S6)."""
    with pytest.raises(DeclarationError):
        Access(path)


class Idle(NamedTuple):
    """A vault that locks itself, and the clock that it goes by."""

    access: Access
    now: list[float]


@pytest.fixture
def idle(path: str) -> Iterator[Idle]:
    """Return an open vault that locks itself after a minute."""
    now = [1000.0]
    made = created(Access(path, floor=CHEAP, clock=lambda: now[0], idle=60), 60)
    yield Idle(made, now)
    made.close()


def test_a_vault_that_nobody_uses_locks_itself(idle: Idle) -> None:
    """By whoever wakes up in time, or at the next call: nothing that was open is left (A44)."""
    keys = idle.access.opened().keys
    idle.now[0] += 59
    assert (idle.access.expire(), idle.access.idle_left()) == (False, 1)
    assert idle.access.status().state == OPEN
    idle.now[0] += 1
    with pytest.raises(VaultLocked):
        idle.access.opened()
    assert (idle.access.status().state, idle.access.idle_left(), idle.access.expire()) == (LOCKED, None, False)
    with pytest.raises(UsageError):
        keys._records.get(Kind.SECRET_KEY, "")


def test_whoever_wakes_up_at_the_deadline_locks_it(idle: Idle) -> None:
    """The deadline is one of the monotonic clock; before it, nothing happens (A44)."""
    before = time.monotonic()
    deadline = idle.access.idle_deadline()
    assert deadline is not None
    assert before + 60 <= deadline <= time.monotonic() + 60
    idle.now[0] += 60
    assert idle.access.expire()
    assert idle.access.idle_deadline() is None


def test_use_keeps_it_open_and_questions_do_not(idle: Idle) -> None:
    """Work with what is open counts; status, challenges and wrong passwords do not (A44)."""
    for _ in range(3):
        idle.now[0] += 40
        idle.access.opened()
    idle.now[0] += 40
    idle.access.status()
    idle.access.challenge()
    with pytest.raises(WrongPassword):
        idle.access.unlock(PASSWORD_ONLY, answer(idle.access, "wrong"))
    assert idle.access.idle_left() == 20
    idle.now[0] += 20
    assert idle.access.status().state == LOCKED


def test_an_idle_time_of_zero_means_never(path: str) -> None:
    """And it is reported as such."""
    now = [0.0]
    access = created(Access(path, floor=CHEAP, clock=lambda: now[0], idle=0), 0)
    now[0] += 1e9
    assert (access.status().state, access.status().idle, access.idle_deadline()) == (OPEN, 0, None)
    access.close()


def test_the_idle_clock_goes_on_while_the_machine_sleeps() -> None:
    """And nobody sets it."""
    before = time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)
    assert awake() >= max(before)
    assert awake() <= time.clock_gettime(time.CLOCK_BOOTTIME)
