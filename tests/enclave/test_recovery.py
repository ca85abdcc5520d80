"""The recovery file: it brings the root to another machine's keychain, and nothing else opens it."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave.cheap import CHEAP
from tests.enclave.keepers import FolderKeeper, random_root
from trollbridge.enclave import recovery
from trollbridge.enclave.access import Access
from trollbridge.enclave.header import has_password
from trollbridge.messages import labels
from trollbridge.messages import password as pw
from trollbridge.messages.errors import (
    KeychainFailed,
    NotARecoveryFile,
    RootMissing,
    TrollbridgeError,
    WrongMode,
    WrongPassword,
)
from trollbridge.messages.secret import Secret
from trollbridge.messages.vault import KEYCHAIN_ONLY, PASSWORD_ONLY, RECOVERY, TWO_LAYERS, Proof, Verifier

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET: Final = "secret"
SPARE: Final = "on paper in the safe"


@pytest.fixture
def keeper(tmp_path: Path) -> FolderKeeper:
    """Return a keychain that is a folder."""
    return FolderKeeper(tmp_path / "roots")


@pytest.fixture(params=[TWO_LAYERS, KEYCHAIN_ONLY])
def access(path: str, keeper: FolderKeeper, request: pytest.FixtureRequest) -> Iterator[Access]:
    """Return a locked vault of each mode that has a root."""
    made = Access(path, floor=CHEAP, keychain=keeper)
    mode: str = request.param
    made.create(mode, verifier(SECRET) if has_password(mode) else None)
    made.lock()
    yield made
    made.close()


def verifier(secret: str) -> Verifier:
    """Return what Argon2id makes of a password."""
    return pw.new_verifier(secret, CHEAP)


def proof(access: Access, secret: str = SECRET) -> Proof | None:
    """Return a fresh proof, None for a vault without a password."""
    return pw.prove(secret, access.challenge(), CHEAP) if has_password(access.status().mode) else None


def exported(access: Access) -> bytes:
    """Return the vault's recovery file, under `SPARE`."""
    return access.export_recovery(proof(access), verifier(SPARE))


def recover(access: Access, data: bytes, secret: str = SPARE) -> None:
    """Use a recovery file, as a user interface does."""
    access.recover(data, pw.prove(secret, access.recovery_challenge(data), CHEAP))


def unlock(access: Access) -> None:
    """Open the vault with all its layers."""
    access.unlock(access.status().mode, proof(access))


def test_the_root_comes_back_on_another_machine(access: Access, path: str, tmp_path: Path) -> None:
    """The file and the recovery file there: it opens again, with the vault's own password where it has one (A47)."""
    data = exported(access)
    access.close()
    there = tmp_path / "there"
    there.write_bytes(Path(path).read_bytes())
    there.chmod(0o600)
    keeper = FolderKeeper(tmp_path / "other roots")
    moved = Access(str(there), floor=CHEAP, keychain=keeper)
    with pytest.raises(RootMissing):
        unlock(moved)
    recover(moved, data)
    assert moved.status().state == "locked", "it is still to be unlocked"
    if has_password(moved.status().mode):
        with pytest.raises(WrongPassword):
            moved.unlock(TWO_LAYERS, proof(moved, SPARE))
    unlock(moved)
    recover(moved, data)
    moved.close()


def test_a_wrong_recovery_password_changes_nothing(access: Access, keeper: FolderKeeper) -> None:
    """It is told as such, counts for nothing against the vault, and the right one works after it (A25)."""
    data, roots = exported(access), keeper.roots()
    keeper.restore({})
    for _ in range(5):
        with pytest.raises(WrongPassword):
            recover(access, data, "wrong")
    assert (keeper.roots(), access.status().failed_attempts) == ({}, 0)
    recover(access, data)
    assert keeper.roots() == roots
    unlock(access)


def test_a_recovery_file_needs_all_layers_to_be_made(access: Access, keeper: FolderKeeper) -> None:
    """Nobody gets one without the password, nor without the root, nor under a cheap hash (A25)."""
    if has_password(access.status().mode):
        with pytest.raises(WrongPassword):
            access.export_recovery(None, verifier(SPARE))
        with pytest.raises(WrongPassword):
            access.export_recovery(proof(access, "wrong"), verifier(SPARE))
    with pytest.raises(pw.WeakParameters):
        access.export_recovery(proof(access), Verifier(b"", CHEAP, bytes(32), bytes(32)))
    keeper.restore({})
    with pytest.raises(RootMissing):
        exported(access)


def test_every_damaged_byte_is_noticed(access: Access, keeper: FolderKeeper) -> None:
    """Each byte changed, each length but the whole: a clear error before the password is hashed (A29)."""
    data = exported(access)
    keeper.restore({})
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :]
        for each in (changed, data[:place], data + data[: place + 1]):
            with pytest.raises(NotARecoveryFile):
                access.recovery_challenge(each)
    assert keeper.roots() == {}
    recover(access, data)


def test_a_forged_recovery_file_stores_no_root(access: Access, keeper: FolderKeeper) -> None:
    """With the digest made good and a password of the forger's own, it still is not this vault's root (A29)."""
    data = exported(access)
    keeper.restore({})
    body = data[len(recovery.MAGIC) + 32 :]
    for place in range(len(body)):
        changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        forged = recovery.MAGIC + labels.digest(labels.VAULT_RECOVERY_FILE, changed) + changed
        with pytest.raises((NotARecoveryFile, WrongPassword, pw.WeakParameters)):
            recover(access, forged)
    mine = recovery.seal(access._claimed().header(), Secret.of(random_root()), pw.new_verifier("mine", CHEAP))
    with pytest.raises(NotARecoveryFile):
        recover(access, mine, "mine")
    assert keeper.roots() == {}


@pytest.mark.parametrize("junk", [b"", b"x", b"trollbridge recovery 1\n", bytes(1000), b"\xff" * 300], ids=len)
def test_what_is_no_recovery_file_is_told(access: Access, junk: bytes) -> None:
    """Binary junk, the magic alone, a file of something else."""
    with pytest.raises(NotARecoveryFile):
        access.recovery_challenge(junk)
    with pytest.raises(NotARecoveryFile):
        access.recover(junk, Proof(b"", b"", b""))


def test_a_recovery_file_of_another_vault_says_so(access: Access, keeper: FolderKeeper, tmp_path: Path) -> None:
    """And one from before the root was rotated says that (A47)."""
    other = Access(str(tmp_path / "other"), floor=CHEAP, keychain=keeper)
    other.create(KEYCHAIN_ONLY, None)
    theirs = other.export_recovery(None, verifier(SPARE))
    other.close()
    mine = exported(access)
    with pytest.raises(NotARecoveryFile, match="another vault"):
        recover(access, theirs)
    access.rotate_root(proof(access))
    with pytest.raises(NotARecoveryFile, match="older root"):
        recover(access, mine)
    recover(access, exported(access))
    unlock(access)


def test_a_keychain_that_keeps_nothing_is_told(access: Access, keeper: FolderKeeper) -> None:
    """Recovery is not done before the root was read back (A47)."""
    data = exported(access)
    keeper.fails = {"fetch"}
    with pytest.raises(KeychainFailed):
        recover(access, data)


def test_a_vault_without_a_root_has_no_recovery_file(path: str, keeper: FolderKeeper) -> None:
    """There is nothing to recover."""
    access = Access(path, floor=CHEAP, keychain=keeper)
    access.create(PASSWORD_ONLY, verifier(SECRET))
    with pytest.raises(WrongMode):
        exported(access)
    with pytest.raises(WrongMode):
        access.recovery_challenge(b"")
    assert keeper.asked == []
    access.close()


def test_an_answer_is_for_one_purpose(access: Access) -> None:
    """A proof for a recovery file unlocks nothing, and one for the vault recovers nothing (A25, F1)."""
    data = access.export_recovery(proof(access), verifier(SECRET))
    challenge = access.recovery_challenge(data)
    assert challenge.mode == RECOVERY
    answer = pw.prove(SECRET, challenge, CHEAP)
    if has_password(access.status().mode):
        with pytest.raises(WrongPassword):
            access.unlock(TWO_LAYERS, answer)
        theirs = proof(access)
        assert theirs is not None
        with pytest.raises(WrongPassword):
            access.recover(data, theirs)
    else:
        access.recover(data, answer)
    with pytest.raises(TrollbridgeError):
        access.recover(data, answer)
    recover(access, data, SECRET)


def test_a_recovery_file_shows_nothing(access: Access, keeper: FolderKeeper) -> None:
    """The root is in it in no form that a search would find."""
    data = exported(access)
    [root] = keeper.roots().values()
    for canary in (root, root.hex().encode(), SPARE.encode()):
        assert canary not in data
    assert data.startswith(b"trollbridge recovery 1\n")
    assert len(data) < 300
