"""The layers of a vault: all that its mode names open it, nothing less does; a change of them is whole or absent."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import itertools
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from tests.enclave.cheap import CHEAP
from tests.enclave.children import at_each_death
from tests.enclave.keepers import FolderKeeper, Forgetful
from trollbridge.enclave.access import Access
from trollbridge.enclave.database import Database
from trollbridge.enclave.header import (
    Header,
    decode_header,
    encode_header,
    fits,
    has_keychain,
    has_password,
    stored_key,
    unwrap,
)
from trollbridge.enclave.sealing import Kind
from trollbridge.enclave.storage import Put
from trollbridge.messages import labels
from trollbridge.messages import password as pw
from trollbridge.messages.errors import (
    DeclaredError,
    KeychainFailed,
    RootMissing,
    StorageFailed,
    TrollbridgeError,
    VaultCorrupt,
    VaultMissing,
    WrongMode,
    WrongPassword,
)
from trollbridge.messages.secret import Secret
from trollbridge.messages.vault import KEYCHAIN_ONLY, MODES, OPEN, PASSWORD_ONLY, TWO_LAYERS, Proof, Verifier

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.enclave.layers import Layers, Taken

SECRET: Final = "secret"
NEW: Final = "another secret"
STORED_SIZES: Final = {TWO_LAYERS: 48, PASSWORD_ONLY: 32, KEYCHAIN_ONLY: 0}


@pytest.fixture
def keeper(tmp_path: Path) -> FolderKeeper:
    """Return a keychain that is a folder."""
    return FolderKeeper(tmp_path / "roots")


def opened(path: str, keeper: FolderKeeper) -> Access:
    """Return the way into the vault."""
    return Access(path, floor=CHEAP, keychain=keeper)


def verifier_of(mode: str, secret: str = SECRET) -> Verifier | None:
    """Return what makes a vault of this mode."""
    return pw.new_verifier(secret, CHEAP) if has_password(mode) else None


def made(path: str, keeper: FolderKeeper, mode: str) -> Access:
    """Make a vault with one record, locked."""
    access = opened(path, keeper)
    access.create(mode, verifier_of(mode))
    access.opened().records.write(Put(Kind.TRUST, "a", b"body"))
    access.lock()
    return access


def proof(access: Access, secret: str = SECRET) -> Proof | None:
    """Return a fresh proof, None for a vault without a password."""
    if not has_password(access.status().mode):
        return None
    return pw.prove(secret, access.challenge(), CHEAP)


def reads(access: Access, mode: str, secret: str = SECRET) -> bytes | None:
    """Unlock the vault, read the record, lock it again."""
    access.unlock(mode, proof(access, secret))
    body = access.opened().records.get(Kind.TRUST, "a")
    access.lock()
    return body


def error_of(function: Callable[[], object]) -> str:
    """Return the name of the error that `function` raises; empty if it raises none."""
    try:
        function()
    except TrollbridgeError as error:
        return type(error).__name__
    return ""


def header_of(path: str) -> Header:
    """Return the header that the file holds."""
    database = Database.open(path)
    try:
        return decode_header(database.header())
    finally:
        database.close()


def put_header(path: str, stored: bytes) -> None:
    """Write a header past the vault."""
    connection = sqlite3.connect(path)
    connection.execute("UPDATE header SET body = ?", (stored,))
    connection.commit()
    connection.close()


@pytest.mark.parametrize("mode", MODES)
def test_a_vault_opens_with_the_layers_of_its_mode(path: str, keeper: FolderKeeper, mode: str) -> None:
    """It reports the mode, has a root exactly if the mode has one, and opens again after a restart (A47)."""
    made(path, keeper, mode).close()
    assert len(keeper.roots()) == has_keychain(mode)
    access = opened(path, keeper)
    assert (access.status().state, access.status().mode) == ("locked", mode)
    assert reads(access, mode) == b"body"
    if has_password(mode):
        attempt = pw.attempt(SECRET, access.challenge(), CHEAP)
        attempt.confirm(access.unlock(mode, attempt.proof))
    else:
        assert access.unlock(mode, None) == b""
        with pytest.raises(WrongMode):
            access.challenge()
    assert access.status().state == OPEN
    access.close()


def test_neither_layer_alone_opens_a_vault_of_two(path: str, keeper: FolderKeeper) -> None:
    """Not through the front door, and not for whoever has the file and one of the two (A29, A47)."""
    access = made(path, keeper, TWO_LAYERS)
    with pytest.raises(WrongPassword):
        access.unlock(TWO_LAYERS, proof(access, "wrong"))
    with pytest.raises(WrongPassword):
        access.unlock(TWO_LAYERS, None)
    roots = keeper.roots()
    [(name, root)] = roots.items()
    keeper.restore({})
    with pytest.raises(RootMissing):
        access.unlock(TWO_LAYERS, proof(access))
    keeper.restore({name: bytes(32)})
    with pytest.raises(RootMissing, match="another root"):
        access.unlock(TWO_LAYERS, proof(access))
    keeper.restore(roots)
    assert reads(access, TWO_LAYERS) == b"body"
    access.close()

    header = header_of(path)
    client_key, _ = pw.client_and_server_key(pw._salted_password(SECRET, header.salt, header.parameters))
    wrong = bytes(32)
    alone: list[tuple[bytes | None, Secret | None]] = [
        (client_key, None),
        (client_key, Secret.of(wrong)),
        (None, Secret.of(root)),
        (wrong, Secret.of(root)),
        (stored_key(header, Secret.of(root)), Secret.of(root)),
    ]
    for mode in MODES:  # a thief need not believe what the header says
        for password, keychain in alone:
            with pytest.raises(VaultCorrupt):
                unwrap(msgspec.structs.replace(header, mode=mode), password, keychain)
    unwrap(header, client_key, Secret.of(root)).drop()


@pytest.mark.parametrize(("mode", "other"), [*itertools.permutations(MODES, 2)])
def test_a_vault_opens_in_its_own_mode_only(path: str, keeper: FolderKeeper, mode: str, other: str) -> None:
    """Asked for another, it says so before anything is tried; written to another, it opens in none (A47, R9)."""
    access = made(path, keeper, mode)
    asked = len(keeper.asked)
    wrong = Proof(b"", b"", b"")
    for each in (wrong, None):
        with pytest.raises(WrongMode):
            access.unlock(other, each)
    assert (len(keeper.asked), access.status().failed_attempts) == (asked, 0)
    access.close()

    header = header_of(path)
    sizes = {
        "stored": header.stored[:32].ljust(STORED_SIZES[other], b"\0")[: STORED_SIZES[other]],
        "mark": header.mark or bytes(32) if has_keychain(other) else b"",
    }
    cost = CHEAP if has_password(other) else header.parameters
    put_header(path, encode_header(msgspec.structs.replace(header, mode=other, parameters=cost, **sizes)))
    access = opened(path, keeper)
    assert access.status().mode == other
    assert error_of(lambda: access.unlock(mode, wrong)) == "WrongMode"
    refusals = {"VaultCorrupt", "WrongPassword", "RootMissing"}
    assert error_of(lambda: access.unlock(other, proof(access))) in refusals
    access.close()
    put_header(path, encode_header(header))
    access = opened(path, keeper)
    assert reads(access, mode) == b"body"
    access.close()


@pytest.mark.parametrize("part", ["number", "mark", "fresh", "salt", "parameters", "stored"])
def test_every_part_of_the_header_is_bound(path: str, keeper: FolderKeeper, part: str) -> None:
    """Changed, with the digest made good, it opens nothing, even for whoever passes by the checks (A29)."""
    made(path, keeper, TWO_LAYERS).close()
    header = header_of(path)
    [root] = keeper.roots().values()
    client_key, _ = pw.client_and_server_key(pw._salted_password(SECRET, header.salt, header.parameters))
    old = getattr(header, part)
    new: dict[type, object] = {
        int: header.number + 1,
        bytes: bytes(len(old) if isinstance(old, bytes) else 0),
        type(header.parameters): msgspec.structs.replace(header.parameters, passes=2),
    }
    changed = msgspec.structs.replace(header, **{part: new[type(old)]})
    with pytest.raises(VaultCorrupt):
        unwrap(changed, client_key, Secret.of(root))
    with pytest.raises(VaultCorrupt):
        stored_key(changed, Secret.of(root))
    unwrap(header, client_key, Secret.of(root)).drop()
    assert stored_key(header, Secret.of(root)) == pw.stored_key(client_key)


@pytest.mark.parametrize("mode", ["", "none", "two-layers", "PASSWORD-ONLY"])
def test_what_is_no_mode_makes_no_vault(path: str, keeper: FolderKeeper, mode: str) -> None:
    """Nor does a mode with a password without one, or the reverse; no root is left (R9)."""
    access = opened(path, keeper)
    verifier = pw.new_verifier(SECRET, CHEAP)
    wrong: list[tuple[str, Verifier | None]] = [
        (mode, verifier),
        (mode, None),
        (TWO_LAYERS, None),
        (PASSWORD_ONLY, None),
        (KEYCHAIN_ONLY, verifier),
    ]
    for each, given in wrong:
        with pytest.raises(WrongMode):
            access.create(each, given)
    assert (access.status().state, keeper.asked) == ("missing", [])


@pytest.mark.parametrize("mode", [TWO_LAYERS, KEYCHAIN_ONLY])
@pytest.mark.parametrize("kept", [None, bytes(32), b"short"], ids=["nothing", "another root", "too short"])
def test_a_keychain_that_does_not_keep_makes_no_vault(path: str, tmp_path: Path, mode: str, kept: bytes | None) -> None:
    """What was stored is read back before anything relies on it (A47, R9)."""
    access = Access(path, floor=CHEAP, keychain=Forgetful(tmp_path / "f", kept))
    with pytest.raises(KeychainFailed):
        access.create(mode, verifier_of(mode))
    assert not Path(path).exists()


def test_without_a_keychain_there_is_no_weaker_vault(path: str) -> None:
    """It is refused, and the password-only one is made when it is asked for by name, and reported (A47, R9)."""
    access = Access(path, floor=CHEAP)
    for mode in (TWO_LAYERS, KEYCHAIN_ONLY):
        with pytest.raises(KeychainFailed):
            access.create(mode, verifier_of(mode))
    assert not Path(path).exists()
    assert access.create(PASSWORD_ONLY, verifier_of(PASSWORD_ONLY)).mode == PASSWORD_ONLY
    access.close()


def test_a_vault_that_cannot_be_written_leaves_no_root(tmp_path: Path, keeper: FolderKeeper) -> None:
    """The root that was made for it is removed again (A47)."""
    access = opened(str(tmp_path / "none" / "v"), keeper)
    with pytest.raises(StorageFailed):
        access.create(TWO_LAYERS, verifier_of(TWO_LAYERS))
    assert (keeper.roots(), keeper.asked) == ({}, ["store", "fetch", "remove"])


@pytest.mark.parametrize("mode", [TWO_LAYERS, PASSWORD_ONLY])
def test_another_password_takes_the_place_of_the_first(path: str, keeper: FolderKeeper, mode: str) -> None:
    """At once and after a restart, with a fresh salt; an answer from before is void (A25)."""
    access = made(path, keeper, mode)
    salt, late = header_salt(access), proof(access)
    with pytest.raises(WrongPassword):
        access.change_password(pw.prove("wrong", access.challenge(), CHEAP), pw.new_verifier(NEW, CHEAP))
    with pytest.raises(pw.WeakParameters):
        access.change_password(
            pw.prove(SECRET, access.challenge(), CHEAP),
            msgspec.structs.replace(pw.new_verifier(NEW, CHEAP), salt=b"short"),
        )
    access.change_password(pw.prove(SECRET, access.challenge(), CHEAP), pw.new_verifier(NEW, CHEAP))
    assert access.status().state == "locked"
    for each in (late, proof(access)):
        with pytest.raises(WrongPassword):
            access.unlock(mode, each)
    access.close()
    access = opened(path, keeper)
    assert reads(access, mode, NEW) == b"body"
    assert header_salt(access) != salt
    access.close()


def header_salt(access: Access) -> bytes:
    """Return the salt that the vault gives out."""
    return access.challenge().salt


def test_an_open_vault_stays_open_through_every_change(path: str, keeper: FolderKeeper) -> None:
    """What is open goes on working, and what it writes is there under the new layers (A58)."""
    access = made(path, keeper, TWO_LAYERS)
    access.unlock(TWO_LAYERS, proof(access))
    records = access.opened().records
    access.rotate_root(proof(access))
    access.change_password(pw.prove(SECRET, access.challenge(), CHEAP), pw.new_verifier(NEW, CHEAP))
    access.change_mode(proof(access, NEW), PASSWORD_ONLY, None)
    assert access.opened().records is records
    records.write(Put(Kind.TRUST, "a", b"later"))
    access.close()
    access = opened(path, keeper)
    assert reads(access, PASSWORD_ONLY, NEW) == b"later"
    access.close()


def test_a_keychain_only_vault_has_no_password_to_change(path: str, keeper: FolderKeeper) -> None:
    """It is told, and whatever is given as a proof, it is no guess."""
    access = made(path, keeper, KEYCHAIN_ONLY)
    with pytest.raises(WrongMode):
        access.change_password(Proof(b"", b"", b""), pw.new_verifier(NEW, CHEAP))
    access.prove(None)
    access.prove(Proof(b"", b"", b""))
    assert access.status().failed_attempts == 0
    access.close()


@pytest.mark.parametrize("mode", [TWO_LAYERS, KEYCHAIN_ONLY])
def test_a_root_is_rotated(path: str, keeper: FolderKeeper, mode: str) -> None:
    """The old one is gone, and opens nothing if somebody puts it back; a copy of the old file needs it (A47)."""
    access = made(path, keeper, mode)
    old, copy = keeper.roots(), Path(path).read_bytes()
    access.rotate_root(proof(access))
    new = keeper.roots()
    assert (len(new), set(new) & set(old), set(new.values()) & set(old.values())) == (1, set(), set())
    assert reads(access, mode) == b"body"
    [name] = new
    keeper.restore({name: next(iter(old.values()))})
    with pytest.raises(RootMissing):
        access.unlock(mode, proof(access))
    keeper.restore(new)
    access.close()
    Path(path).write_bytes(copy)
    access = opened(path, keeper)
    with pytest.raises(RootMissing):
        access.unlock(mode, proof(access))
    access.close()


def test_a_password_only_vault_has_no_root_to_rotate(path: str, keeper: FolderKeeper) -> None:
    """It is told, and the keychain is not asked."""
    access = made(path, keeper, PASSWORD_ONLY)
    with pytest.raises(WrongMode):
        access.rotate_root(proof(access))
    assert keeper.asked == []
    access.close()


@pytest.mark.parametrize(("mode", "other"), [*itertools.permutations(MODES, 2)])
@pytest.mark.parametrize("keep", [True, False], ids=["password kept", "password new"])
def test_a_vault_changes_its_mode(path: str, keeper: FolderKeeper, mode: str, other: str, *, keep: bool) -> None:
    """With every layer of the old mode, to every layer of the new one; there and back again (A47)."""
    keep = keep and has_password(mode) and has_password(other)
    access = made(path, keeper, mode)
    access.change_mode(proof(access), other, None if keep else verifier_of(other, NEW))
    assert access.status().mode == other
    with pytest.raises(WrongMode):
        access.unlock(mode, proof(access, SECRET if keep else NEW))
    assert reads(access, other, SECRET if keep else NEW) == b"body"
    assert len(keeper.roots()) == has_keychain(other)
    access.change_mode(proof(access, SECRET if keep else NEW), mode, verifier_of(mode))
    assert reads(access, mode) == b"body"
    assert len(keeper.roots()) == has_keychain(mode)
    access.close()


def test_a_change_of_mode_that_makes_no_sense_changes_nothing(path: str, keeper: FolderKeeper) -> None:
    """The same mode, none at all, a password for a mode without, none for one that needs it (A47)."""
    access = made(path, keeper, KEYCHAIN_ONLY)
    stored, roots = header_of_open(access), keeper.roots()
    verifier = pw.new_verifier(NEW, CHEAP)
    for mode, given in ((KEYCHAIN_ONLY, None), ("none", None), (TWO_LAYERS, None), (KEYCHAIN_ONLY, verifier)):
        with pytest.raises(WrongMode):
            access.change_mode(None, mode, given)
    assert (header_of_open(access), keeper.roots()) == (stored, roots)
    access.close()


def header_of_open(access: Access) -> Header:
    """Return the header of a vault that is claimed."""
    return access._claimed().header()


def test_the_keychain_failing_at_any_point_leaves_the_vault_as_it_was(path: str, keeper: FolderKeeper) -> None:
    """Or changed whole, where only the old root could not be removed, which the next change does (A47, A58)."""
    access = made(path, keeper, TWO_LAYERS)
    for step in ("store", "fetch"):
        before = header_of_open(access)
        keeper.fails = {step}
        for change in (
            lambda: access.rotate_root(proof(access)),
            lambda: access.change_mode(proof(access), KEYCHAIN_ONLY, None),
        ):
            assert error_of(change) == "KeychainFailed"
        keeper.fails = set()
        assert header_of_open(access) == before
        assert reads(access, TWO_LAYERS) == b"body"
    keeper.fails = {"remove"}
    access.rotate_root(proof(access))
    keeper.fails = set()
    assert len(keeper.roots()) == 2
    assert reads(access, TWO_LAYERS) == b"body"
    access.rotate_root(proof(access))
    assert len(keeper.roots()) == 1
    assert reads(access, TWO_LAYERS) == b"body"
    access.close()


def test_a_disk_that_fails_at_a_change_leaves_the_old_layers(path: str, keeper: FolderKeeper) -> None:
    """They open the vault, and the next change succeeds (A58)."""
    access = made(path, keeper, TWO_LAYERS)

    def refuse(*_: object) -> None:
        raise StorageFailed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "set_header", refuse)
        for change in (
            lambda: access.rotate_root(proof(access)),
            lambda: access.change_mode(proof(access), PASSWORD_ONLY, None),
            lambda: access.change_password(pw.prove(SECRET, access.challenge(), CHEAP), pw.new_verifier(NEW, CHEAP)),
        ):
            assert error_of(change) == "StorageFailed"
    assert reads(access, TWO_LAYERS) == b"body"
    access.rotate_root(proof(access))
    assert reads(access, TWO_LAYERS) == b"body"
    assert len(keeper.roots()) == 1
    access.close()


CHANGES: Final[dict[str, Callable[[Layers, Taken], object]]] = {
    "change_password": lambda claimed, taken: claimed.change_password(taken, pw.new_verifier(NEW, CHEAP)),
    "rotate_root": lambda claimed, taken: claimed.rotate_root(taken),
    "to password-only": lambda claimed, taken: claimed.change_mode(taken, PASSWORD_ONLY, None),
    "to keychain-only": lambda claimed, taken: claimed.change_mode(taken, KEYCHAIN_ONLY, None),
}


def opens(path: str, keeper: FolderKeeper) -> Header:
    """Return the header of a file whose layers are all there, with one of the two passwords; else fail."""
    header = header_of(path)
    root = keeper.fetch(header.vault, header.number) if has_keychain(header.mode) else None
    assert root is None or fits(header, root)
    answers: list[bytes | None] = [None]
    if has_password(header.mode):
        salted = [pw._salted_password(each, header.salt, header.parameters) for each in (SECRET, NEW)]
        stored = stored_key(header, root)
        answers = [each for each, _ in map(pw.client_and_server_key, salted) if pw.stored_key(each) == stored]
    [client_key] = answers
    unwrap(header, client_key, root).drop()
    return header


def left_in(folder: Path) -> tuple[str, FolderKeeper]:
    """Return the vault and the keychain of a folder that is a copy of a test's own."""
    return str(folder / "test.vault"), FolderKeeper(folder / "roots")


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_killed_before_any_system_call_leaves_old_or_new_layers(
    path: str, keeper: FolderKeeper, change: str
) -> None:
    """SIGKILL before each system call, of the keychain too: the vault opens, with old layers or new (A47, A58)."""
    made(path, keeper, TWO_LAYERS).close()
    before = header_of(path)

    def prepared() -> Callable[[], object]:
        claimed = opened(path, keeper)._claimed()
        taken = claimed.take(pw.prove(SECRET, claimed.challenge(), CHEAP))
        return lambda: CHANGES[change](claimed, taken)

    took_effect = at_each_death(prepared, Path(path).parent, lambda left: opens(*left_in(left)) != before)
    assert len(took_effect) > 30
    assert took_effect == sorted(took_effect), "once it has taken effect, no later death undoes it"
    assert {True, False} == set(took_effect)


def test_a_two_layer_creation_killed_before_any_system_call_leaves_a_vault_or_none(
    path: str, keeper: FolderKeeper
) -> None:
    """A root may be left over; it stands in nobody's way (A58)."""

    def prepared() -> Callable[[], object]:
        access, verifier = opened(path, keeper), verifier_of(TWO_LAYERS)
        return lambda: access.create(TWO_LAYERS, verifier)

    def left_by(left: Path) -> tuple[str, int]:
        name, roots = left_in(left)
        found, before = error_of(lambda: opens(name, roots)), len(roots.roots())
        if found:
            reads(made(name, roots, TWO_LAYERS), TWO_LAYERS)
            assert len(roots.roots()) == before + 1
        return found, before

    found = at_each_death(prepared, Path(path).parent, left_by)
    assert set(found) == {("VaultMissing", 0), ("VaultMissing", 1), ("", 1)}
    assert [each for each, _ in found] == sorted((each for each, _ in found), reverse=True)


def test_the_layers_of_a_missing_vault_are_missing(path: str, keeper: FolderKeeper) -> None:
    """Every way in says so."""
    access = opened(path, keeper)
    verifier = pw.new_verifier(NEW, CHEAP)
    nothing = Proof(b"", b"", b"")
    ways: list[Callable[[], object]] = [
        lambda: access.unlock(TWO_LAYERS, nothing),
        lambda: access.change_password(nothing, verifier),
        lambda: access.rotate_root(None),
        lambda: access.change_mode(None, PASSWORD_ONLY, verifier),
        lambda: access.export_recovery(None, verifier),
        lambda: access.recovery_challenge(b""),
        lambda: access.recover(b"", nothing),
        lambda: access.prove(None),
        access.check,
    ]
    for way in ways:
        with pytest.raises(VaultMissing):
            way()


def test_a_header_of_another_shape_is_corrupt() -> None:
    """Whatever its digest says: modes that are none, sizes that do not fit the mode, forms to come (A29)."""
    good = Header(2, bytes(16), TWO_LAYERS, 1, bytes(32), bytes(32), bytes(16), CHEAP, bytes(48), b"wrapped")
    assert decode_header(encode_header(good)) == good
    replace = msgspec.structs.replace
    bad = [
        replace(good, form=3),
        replace(good, mode="none"),
        replace(good, mode=PASSWORD_ONLY),
        replace(good, mode=KEYCHAIN_ONLY),
        replace(good, number=-1),
        replace(good, number=2**62),
        replace(good, mark=b""),
        replace(good, salt=b""),
        replace(good, fresh=b""),
        replace(good, stored=b""),
        replace(good, stored=bytes(32)),
        replace(good, vault=b""),
        replace(good, form=1, mode=KEYCHAIN_ONLY),
    ]
    for each in bad:
        with pytest.raises(VaultCorrupt):
            decode_header(encode_header(each))
    body = b"\x90"
    with pytest.raises(VaultCorrupt):
        decode_header(labels.digest(labels.VAULT_HEADER, body) + body)
    assert issubclass(VaultCorrupt, DeclaredError)
