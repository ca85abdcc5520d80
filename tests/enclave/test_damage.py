"""Every byte of a small vault, damaged one at a time: a clear error, or nothing at all; never other data."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.enclave.cheap import CHEAP
from trollbridge.enclave.access import Access
from trollbridge.enclave.database import Database
from trollbridge.enclave.passwords import Header, decode_header
from trollbridge.enclave.sealing import Kind, VaultKey
from trollbridge.enclave.storage import Records
from trollbridge.messages import password as pw
from trollbridge.messages.errors import TrollbridgeError, VaultCorrupt
from trollbridge.messages.vault import KeyInfo


@pytest.fixture
def vault_key(path: str) -> VaultKey:
    """Make a vault with one key through the front door, and return what its password unwraps."""
    access = Access(path, floor=CHEAP)
    access.create(pw.new_verifier("secret", CHEAP))
    access.keys().generate("Alice <alice@example.org>")
    key = access.keys()._records._key
    assert key._key is not None
    kept = VaultKey(bytes(key._key.view), key.vault)
    access.close()
    return kept


class Content(NamedTuple):
    """Everything that a vault's file says."""

    header: Header
    secret_keys: list[tuple[str, bytes]]
    certificates: list[tuple[str, bytes]]


def read(path: str, key: VaultKey) -> Content | str:
    """Return everything that the file says, or the name of the error that it is opened with."""
    database: Database | None = None
    try:
        database = Database.open(path)
        header = decode_header(database.header()[0])
        records = Records(database, key)
        return Content(header, sorted(records.items(Kind.SECRET_KEY)), sorted(records.items(Kind.CERTIFICATE)))
    except TrollbridgeError as error:
        return type(error).__name__
    finally:
        if database is not None:
            database.close()


def test_no_damaged_byte_yields_other_data(path: str, vault_key: VaultKey) -> None:
    """Each byte of the file with one bit flipped: `VaultCorrupt`, or everything as it was (A29, A48-door)."""
    sound = read(path, vault_key)
    assert isinstance(sound, Content)
    noticed = 0
    descriptor = os.open(path, os.O_RDWR)
    try:
        for place in range(Path(path).stat().st_size):
            byte = os.pread(descriptor, 1, place)
            os.pwrite(descriptor, bytes([byte[0] ^ 1 << place % 8]), place)
            found = read(path, vault_key)
            os.pwrite(descriptor, byte, place)
            assert found in (sound, "VaultCorrupt"), place
            noticed += found != sound
    finally:
        os.close(descriptor)
    sealed = sum(len(body) for _, body in (*sound.secret_keys, *sound.certificates))
    assert noticed > sealed > 0, "every byte of every sealed body is noticed, and more"
    assert read(path, vault_key) == sound


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
    access.unlock(pw.prove("secret", access.challenge(), CHEAP))
    return access.keys().list_keys()
