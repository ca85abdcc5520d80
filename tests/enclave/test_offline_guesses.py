"""Guesses at the password by whoever has the file: with two layers none can be judged without the root."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from tests.enclave.cheap import CHEAP
from tests.enclave.keepers import FolderKeeper
from trollbridge.enclave import passwords
from trollbridge.enclave.access import Access
from trollbridge.enclave.database import Database
from trollbridge.enclave.header import Header, decode_header, fits, stored_key, unwrap
from trollbridge.messages import password as pw
from trollbridge.messages.errors import DeclaredError, KeychainFailed, RootMissing, VaultCorrupt, WrongPassword
from trollbridge.messages.secret import Secret
from trollbridge.messages.vault import KEYCHAIN_ONLY, MODES, PASSWORD_ONLY, TWO_LAYERS, Proof, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET: Final = "secret"
WRONG: Final = "Secret"
RECOVERY: Final = "on paper in the safe"


@pytest.fixture
def keeper(tmp_path: Path) -> FolderKeeper:
    """Return a keychain that is a folder."""
    return FolderKeeper(tmp_path / "roots")


def verifier(secret: str = SECRET) -> Verifier:
    """Return what Argon2id makes of a password."""
    return pw.new_verifier(secret, CHEAP)


def proof(access: Access, secret: str = SECRET) -> Proof:
    """Return a fresh proof."""
    return pw.prove(secret, access.challenge(), CHEAP)


def from_password_only(access: Access) -> None:
    """Make it with a password, then add the keychain."""
    access.create(PASSWORD_ONLY, verifier())
    access.change_mode(proof(access), TWO_LAYERS, None)


def from_keychain_only(access: Access) -> None:
    """Make it with the keychain, then add a password."""
    access.create(KEYCHAIN_ONLY, None)
    access.change_mode(None, TWO_LAYERS, verifier())


def with_a_new_password(access: Access) -> None:
    """Make it with another password, then change that."""
    access.create(TWO_LAYERS, verifier("first"))
    access.change_password(proof(access, "first"), verifier())


def with_a_new_root(access: Access) -> None:
    """Make it, then rotate the root."""
    access.create(TWO_LAYERS, verifier())
    access.rotate_root(proof(access))


def recovered(access: Access) -> None:
    """Make it, then use its recovery file."""
    access.create(TWO_LAYERS, verifier())
    data = access.export_recovery(proof(access), verifier(RECOVERY))
    access.recover(data, pw.prove(RECOVERY, access.recovery_challenge(data), CHEAP))


def with_guesses_counted(access: Access) -> None:
    """Make it, and guess wrongly."""
    access.create(TWO_LAYERS, verifier())
    for _ in range(2):
        with pytest.raises(WrongPassword):
            access.unlock(TWO_LAYERS, proof(access, "no"))


WAYS: Final[dict[str, Callable[[Access], object]]] = {
    "made": lambda access: access.create(TWO_LAYERS, verifier()),
    "from password-only": from_password_only,
    "from keychain-only": from_keychain_only,
    "with a new password": with_a_new_password,
    "with a new root": with_a_new_root,
    "recovered": recovered,
    "with guesses counted": with_guesses_counted,
}


def header_of(path: str) -> Header:
    """Return the header that the file holds."""
    database = Database.open(path)
    try:
        return decode_header(database.header())
    finally:
        database.close()


def opened_by(header: Header, client_key: bytes | None, root: Secret | None) -> int:
    """Return how many of the header's sealed parts these layers open, whatever mode it is said to be of."""
    found = 0
    for mode in MODES:
        said = msgspec.structs.replace(header, mode=mode)
        with contextlib.suppress(VaultCorrupt):
            unwrap(said, client_key, root).drop()
            found += 1
        with contextlib.suppress(VaultCorrupt):
            found += root is not None and len(stored_key(said, root)) > 0
    return found


def verdict(path: str, guess: str, root: Secret | None = None) -> int:
    """Return in how many places the file shows that a password is right: to a thief without the root, or with it.

    All that the password makes is looked for at every place, plain and hashed; each 32 bytes of the file are taken for
    the root; what is sealed is tried with everything.
    """
    data, header = Path(path).read_bytes(), header_of(path)
    salted = pw._salted_password(guess, header.salt, header.parameters)
    client_key, server_key = pw.client_and_server_key(salted)
    made = [salted, client_key, server_key]
    made += [hashlib.sha256(each).digest() for each in made]
    made += [pw.exclusive_or(left, right) for left in made for right in made if left < right]
    found = sum(data.count(each) for each in made)
    for key in (client_key, None):
        found += opened_by(header, key, None)
    places = [Secret.of(data[place : place + 32]) for place in range(len(data) - 31)]
    roots = [each for each in [*places, *map(Secret.of, made), *([root] if root else [])] if fits(header, each)]
    return found + sum(opened_by(header, client_key, each) for each in roots)


@pytest.mark.parametrize("way", WAYS)
def test_a_thief_of_the_file_cannot_judge_a_guess_at_a_two_layer_vault(
    path: str, keeper: FolderKeeper, way: str
) -> None:
    """However it came to be, the right password and a wrong one look alike without the root; with it, not (A29, K1)."""
    access = Access(path, floor=CHEAP, keychain=keeper)
    WAYS[way](access)
    access.close()
    [root] = keeper.roots().values()
    assert [verdict(path, each) for each in (SECRET, WRONG)] == [0, 0]
    assert verdict(path, SECRET, Secret.of(root)) > verdict(path, WRONG, Secret.of(root))
    access = Access(path, floor=CHEAP, keychain=keeper)
    attempt = pw.attempt(SECRET, access.challenge(), CHEAP)
    attempt.confirm(access.unlock(TWO_LAYERS, attempt.proof))
    access.close()


def test_a_thief_of_the_file_can_judge_a_guess_at_a_password_only_vault(path: str) -> None:
    """At Argon2id's price, as is told: it is StoredKey that shows, and the same thief finds it (A25)."""
    access = Access(path, floor=CHEAP)
    access.create(PASSWORD_ONLY, verifier())
    access.close()
    assert verdict(path, SECRET) > verdict(path, WRONG) == 0


@pytest.mark.parametrize(
    ("kept", "expected"), [(None, KeychainFailed), (b"", RootMissing), (bytes(32), RootMissing)], ids=repr
)
def test_without_the_root_no_password_is_judged_or_counted(
    path: str, keeper: FolderKeeper, kept: bytes | None, expected: type[DeclaredError]
) -> None:
    """A keychain that fails, holds none, holds another: the same error for right and wrong, and none is a guess (K1).

    So whoever has the machine without the keychain learns nothing from the vault either; and once the root is back, no
    attempt has to wait.
    """
    access = Access(path, floor=CHEAP, keychain=keeper)
    access.create(TWO_LAYERS, verifier())
    access.lock()
    roots = keeper.roots()
    keeper.fails = {"fetch"} if kept is None else set()
    keeper.restore(roots if kept is None else dict.fromkeys(roots, kept) if kept else {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "judged", None)
        for guess in (SECRET, *[WRONG] * 5):
            for act in (access.prove, functools.partial(access.unlock, TWO_LAYERS)):
                with pytest.raises(expected):
                    act(proof(access, guess))
    assert (access.status().failed_attempts, access.status().wait) == (0, 0)
    keeper.fails = set()
    keeper.restore(roots)
    with pytest.raises(WrongPassword):
        access.prove(proof(access, WRONG))
    assert access.status().failed_attempts == 1
    access.prove(proof(access))
    access.unlock(TWO_LAYERS, proof(access))
    access.close()


def test_every_write_of_the_header_has_keys_of_its_own(path: str, keeper: FolderKeeper) -> None:
    """Even for the same password with the same salt, and the same root: nothing is sealed twice under one key (A29)."""
    access = Access(path, floor=CHEAP, keychain=keeper)
    same = verifier()
    access.create(TWO_LAYERS, same)
    seen = [access._claimed().header()]
    for _ in range(2):
        access.change_password(proof(access), same)
        seen.append(access._claimed().header())
    access.close()
    assert len({each.salt for each in seen}) == 1
    for part in ("fresh", "stored", "wrapped"):
        assert len({getattr(each, part) for each in seen}) == 3
