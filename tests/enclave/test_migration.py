"""A vault that an older version wrote: it opens with the same password, and is brought up to date, whole or not."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.enclave import first_schema
from tests.enclave.cheap import CHEAP
from tests.enclave.children import at_each_death
from tests.enclave.first_schema import Record
from tests.enclave.keepers import FolderKeeper
from trollbridge.enclave import header as headers
from trollbridge.enclave import openpgp
from trollbridge.enclave.access import Access
from trollbridge.enclave.database import Database
from trollbridge.messages import password as pw
from trollbridge.messages.errors import TooManyAttempts, VaultCorrupt, WrongMode, WrongPassword
from trollbridge.messages.vault import DETACHED, MODES, PASSWORD_ONLY, TWO_LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable

SECRET: Final = "secret"
ALICE: Final = "Alice <alice@example.org>"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    """Return what schema 1 kept of a key: its secret half as it was made, and its certificate."""
    made = openpgp.generate(ALICE)
    fingerprint = made.certificate.fingerprint
    return [Record(1, fingerprint, made.secret.binary()), Record(2, fingerprint, made.certificate.binary())]


@pytest.fixture
def old(path: str, records: list[Record]) -> str:
    """Write a vault of schema 1; return its path."""
    first_schema.write(path, SECRET, records)
    return path


def version(path: str) -> tuple[int, int]:
    """Return the schema's version and the header's form."""
    connection = sqlite3.connect(path)
    [(number,)] = connection.execute("PRAGMA user_version").fetchall()
    [(body,)] = connection.execute("SELECT body FROM header").fetchall()
    connection.close()
    return int(number), headers.decode_header(bytes(body)).form


def unlock(access: Access, secret: str = SECRET) -> None:
    """Open a vault."""
    access.unlock(PASSWORD_ONLY, pw.prove(secret, access.challenge(), CHEAP))


def signs(access: Access) -> None:
    """Show that the key of an open vault is there and works."""
    keys = access.opened().keys
    assert [(each.user_ids, each.secret) for each in keys.list_keys()] == [((ALICE,), True)]
    signature = keys.sign(ALICE, b"data", DETACHED, armored=True)
    assert [each.user_id for each in keys.verify(b"data", signature).signers] == [ALICE]


def test_a_vault_of_schema_1_opens_and_is_brought_up_to_date(old: str) -> None:
    """The tables when it is claimed, the header when the password is there; it opens again afterwards (A58)."""
    assert version(old) == (1, 1)
    access = Access(old, floor=CHEAP)
    access.claim()
    assert version(old) == (2, 1)
    with pytest.raises(WrongPassword):
        unlock(access, "wrong")
    assert version(old) == (2, 1)
    attempt = pw.attempt(SECRET, access.challenge(), CHEAP)
    attempt.confirm(access.unlock(PASSWORD_ONLY, attempt.proof))
    assert version(old) == (2, 2)
    access.close()
    access = Access(old, floor=CHEAP)
    unlock(access)
    signs(access)
    access.close()


def test_its_mode_is_what_it_was(old: str, tmp_path: Path) -> None:
    """Password-only: opened as nothing else, and it can be given a second layer (A47)."""
    access = Access(old, floor=CHEAP, keychain=FolderKeeper(tmp_path / "roots"))
    for mode in set(MODES) - {PASSWORD_ONLY}:
        with pytest.raises(WrongMode):
            access.unlock(mode, None)
    access.change_mode(pw.prove(SECRET, access.challenge(), CHEAP), TWO_LAYERS, None)
    assert version(old) == (2, 2)
    access.unlock(TWO_LAYERS, pw.prove(SECRET, access.challenge(), CHEAP))
    signs(access)
    access.close()


def test_wrong_passwords_that_it_had_counted_still_count(path: str, records: list[Record]) -> None:
    """When they came is not known: from now on the clock runs, which stands still here (A25)."""
    first_schema.write(path, SECRET, records, failures=2)
    access = Access(path, floor=CHEAP, clock=lambda: 1000.0, now=lambda: 1_800_000_000.0)
    assert (access.status().failed_attempts, access.status().wait) == (2, 0)
    for _ in range(2):
        with pytest.raises(WrongPassword):
            unlock(access, "wrong")
    with pytest.raises(TooManyAttempts):
        unlock(access)
    access.close()


@pytest.mark.parametrize("statement", ["CREATE TABLE other (a)", "DROP TABLE record", "PRAGMA user_version = 0"])
def test_a_damaged_old_vault_is_not_migrated(old: str, statement: str) -> None:
    """What is no vault of schema 1 stays as it is (A29)."""
    connection = sqlite3.connect(old)
    connection.execute(statement)
    connection.commit()
    connection.close()
    before = Path(old).read_bytes()
    with pytest.raises(VaultCorrupt):
        Database.open(old)
    assert Path(old).read_bytes() == before


def test_a_migration_killed_before_any_system_call_leaves_the_old_or_the_new(old: str) -> None:
    """And what it leaves opens with the same password (A58)."""

    def prepared() -> Callable[[], object]:
        return lambda: Database.open(old)

    def left_by(left: Path) -> int:
        name = str(left / Path(old).name)
        with contextlib.closing(sqlite3.connect(name)) as connection:  # which rolls back, if need be
            [(number,)] = connection.execute("PRAGMA user_version").fetchall()
        access = Access(name, floor=CHEAP)
        access.claim()
        assert version(name) == (2, 1)
        unlock(access)
        signs(access)
        access.close()
        return int(number)

    found = at_each_death(prepared, Path(old).parent, left_by)
    assert len(found) > 30
    assert found == sorted(found)
    assert set(found) == {1, 2}
    access = Access(old, floor=CHEAP)
    unlock(access)
    signs(access)
    access.close()
