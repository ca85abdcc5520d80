"""What the vault's tests share: a cheap password hash, an open file, keys that are made once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave.gnupg import GnuPG
from trollbridge.enclave.database import Database
from trollbridge.enclave.sealing import VaultKey
from trollbridge.enclave.storage import Records, first_index

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY: Final = bytes(range(32))
VAULT: Final = bytes(range(16))


@pytest.fixture
def key() -> VaultKey:
    """Return the key of the test's vault."""
    return VaultKey(KEY, VAULT)


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where the test's vault is to be."""
    return str(tmp_path / "test.vault")


@pytest.fixture
def database(path: str, key: VaultKey) -> Iterator[Database]:
    """Open a file without records, under `key`."""
    made = Database.create(path, b"header", [first_index(key)])
    yield made
    made.close()


@pytest.fixture
def records(database: Database, key: VaultKey) -> Records:
    """Return the records of `database`."""
    return Records(database, key)


@pytest.fixture(scope="session")
def gnupg(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GnuPG]:
    """Set up a GnuPG that the tests share; each makes its own keys."""
    made = GnuPG(tmp_path_factory.mktemp("g", numbered=True))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _private_files() -> Iterator[None]:
    """Take the umask away: files are private because the code makes them so."""
    before = os.umask(0o000)
    yield
    os.umask(before)
