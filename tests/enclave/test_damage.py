"""Every byte of a small vault, damaged one at a time: a clear error, or nothing at all; never other data."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.enclave.cheap import CHEAP
from tests.enclave.children import at_each_death
from trollbridge.enclave.access import Access
from trollbridge.enclave.database import Database
from trollbridge.enclave.header import Header, decode_header
from trollbridge.enclave.sealing import Kind, VaultKey
from trollbridge.enclave.storage import Put, Records
from trollbridge.messages import password as pw
from trollbridge.messages.errors import TrollbridgeError, VaultCorrupt
from trollbridge.messages.vault import PASSWORD_ONLY, KeyInfo

if TYPE_CHECKING:
    from collections.abc import Callable


def kept_key(access: Access) -> VaultKey:
    """Return a copy of what the vault's password unwraps, and close the vault."""
    key = access.opened().records._key
    assert key._key is not None
    kept = VaultKey(bytes(key._key.view), key.vault)
    access.close()
    return kept


@pytest.fixture
def vault_key(path: str) -> VaultKey:
    """Make a vault with one key through the front door, and return what its password unwraps."""
    access = Access(path, floor=CHEAP)
    access.create(PASSWORD_ONLY, pw.new_verifier("secret", CHEAP))
    access.opened().keys.generate("Alice <alice@example.org>")
    return kept_key(access)


@pytest.fixture
def small_vault_key(path: str) -> VaultKey:
    """Make a vault with a few small records, and return what its password unwraps."""
    access = Access(path, floor=CHEAP)
    access.create(PASSWORD_ONLY, pw.new_verifier("secret", CHEAP))
    records = access.opened().records
    records.write(
        Put(Kind.API_KEY, "a", b"x" * 200), Put(Kind.API_KEY_INFO, "a", b"y" * 100), Put(Kind.TRUST, "b", b"")
    )
    return kept_key(access)


class Content(NamedTuple):
    """Everything that a vault's file says."""

    header: Header
    records: list[tuple[Kind, str, bytes]]


def read(path: str, key: VaultKey) -> Content | str:
    """Return everything that the file says, or the name of the error that it is opened with."""
    database: Database | None = None
    try:
        database = Database.open(path)
        header = decode_header(database.header())
        records = Records(database, key)
        kinds = [kind for kind in Kind if kind is not Kind.INDEX]
        return Content(header, sorted((kind, *each) for kind in kinds for each in records.items(kind)))
    except TrollbridgeError as error:
        return type(error).__name__
    finally:
        if database is not None:
            database.close()


def test_no_damaged_byte_yields_other_data(path: str, small_vault_key: VaultKey) -> None:
    """Each byte of the file, one bit flipped or several: `VaultCorrupt`, or everything as it was (A29, A48-door)."""
    sound = read(path, small_vault_key)
    assert isinstance(sound, Content)
    noticed = 0
    descriptor = os.open(path, os.O_RDWR)
    try:
        for place in range(Path(path).stat().st_size):
            byte = os.pread(descriptor, 1, place)
            os.pwrite(descriptor, bytes([byte[0] ^ (1 << place % 8 if place % 3 else 0xA5)]), place)
            found = read(path, small_vault_key)
            os.pwrite(descriptor, byte, place)
            assert found in (sound, "VaultCorrupt"), place
            noticed += found != sound
    finally:
        os.close(descriptor)
    sealed = sum(len(body) for _, _, body in sound.records)
    assert noticed > sealed > 0, "every byte of every sealed body is noticed, and more"
    assert read(path, small_vault_key) == sound


@pytest.mark.parametrize("size", [0, 1, 100, 512, 4096, 4097, 8192, 12288])
def test_a_shortened_file_is_corrupt(path: str, vault_key: VaultKey, size: int) -> None:
    """Cut off at any page or inside one; only an empty file is no vault at all (A29)."""
    whole = Path(path).read_bytes()
    assert len(whole) > size
    Path(path).write_bytes(whole[:size])
    assert read(path, vault_key) == ("VaultCorrupt" if size else "VaultMissing")


def test_damage_is_told_at_the_door(path: str, vault_key: VaultKey) -> None:
    """Through `Access` too: a damaged header is no wrong password, and damaged records open nothing (A29)."""
    whole = Path(path).read_bytes()
    assert vault_key.vault in whole
    for canary in (vault_key.vault, _sealed(path)):
        place = whole.index(canary)
        Path(path).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        access = Access(path, floor=CHEAP)
        with pytest.raises(VaultCorrupt):
            _unlocked(access)
        access.close()
    Path(path).write_bytes(whole)
    access = Access(path, floor=CHEAP)
    assert [type(each) for each in _unlocked(access)] == [KeyInfo]
    access.close()


def _sealed(path: str) -> bytes:
    database = Database.open(path)
    salts = [row.salt for row in database.rows()]
    database.close()
    return salts[0]


def _unlocked(access: Access) -> tuple[KeyInfo, ...]:
    access.unlock(PASSWORD_ONLY, pw.prove("secret", access.challenge(), CHEAP))
    return access.opened().keys.list_keys()


def test_no_damaged_byte_of_a_journal_yields_other_data(path: str, vault_key: VaultKey) -> None:
    """A write that was killed half-way left one; damaged, it brings the old content back, or `VaultCorrupt` (A29)."""
    before = read(path, vault_key)
    pristine = Path(path).read_bytes()
    journal = Path(f"{path}-journal")
    name = Path(path).name

    def opened() -> Callable[[], None]:
        records = Records(Database.open(path), vault_key)
        return lambda: records.write(Put(Kind.API_KEY, "name", b"x" * 3000))

    def left_by(left: Path) -> tuple[bytes, bytes] | None:
        changed, hot = (left / name).read_bytes(), left / f"{name}-journal"
        return (hot.read_bytes(), changed) if hot.exists() and changed != pristine else None

    hot, changed = next(each for each in at_each_death(opened, Path(path).parent, left_by) if each)
    assert hot[:8] == bytes.fromhex("d9d505f920a163d7"), "a journal that is to be rolled back"
    found: set[str] = set()
    for place in [*range(64), *range(64, len(hot), 61)]:
        Path(path).write_bytes(changed)
        journal.write_bytes(hot[:place] + bytes([hot[place] ^ 0xA5]) + hot[place + 1 :])
        journal.chmod(0o600)
        content = read(path, vault_key)
        assert content in (before, "VaultCorrupt"), place
        found.add(content if isinstance(content, str) else "old")
    assert found == {"old", "VaultCorrupt"}, "some damage is harmless; where it is not, it is told"
    Path(path).write_bytes(changed)
    journal.write_bytes(hot)
    journal.chmod(0o600)
    assert read(path, vault_key) == before, "undamaged, it brings the old content back"
