"""The records of a vault: they behave like a dictionary that survives everything, or they say `VaultCorrupt`."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.enclave.conftest import KEY, VAULT
from trollbridge.enclave.database import Database
from trollbridge.enclave.sealing import Index, Kind, Row, VaultKey
from trollbridge.enclave.storage import Delete, Put, Records, first_index
from trollbridge.messages.errors import StorageFailed, UsageError, VaultCorrupt

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = st.sampled_from([Kind.SECRET_KEY, Kind.CERTIFICATE])
NAMES = st.sampled_from(["", "a", "b", "c"])
CHANGES = st.one_of(st.builds(Put, KINDS, NAMES, st.binary(max_size=40)), st.builds(Delete, KINDS, NAMES))


class RecordsAreADictionary(RuleBasedStateMachine):
    """Whatever is written, deleted and opened again in whatever order: what is read is what was last written."""

    def __init__(self) -> None:
        """Start without records."""
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[tuple[Kind, str], bytes] = {}
        self.writes = 0

    @initialize()
    def create(self) -> None:
        """Make the file."""
        self.path = str(Path(self.folder.name) / "v")
        self.database = Database.create(self.path, b"", [first_index(VaultKey(KEY, VAULT))])
        self.records = Records(self.database, VaultKey(KEY, VAULT))

    @rule(changes=st.lists(CHANGES, min_size=1, max_size=4))
    def write(self, changes: list[Put | Delete]) -> None:
        """Change several at once; the last change of one name counts."""
        self.records.write(*changes)
        self.writes += 1
        for change in changes:
            self.model.pop((change.kind, change.name), None)
            if isinstance(change, Put):
                self.model[change.kind, change.name] = change.body

    @rule()
    def reopen(self) -> None:
        """Close the file and open it again."""
        self.database.close()
        self.database = Database.open(self.path)
        self.records = Records(self.database, VaultKey(KEY, VAULT))

    @invariant()
    def reads_what_was_written(self) -> None:
        """By name, by kind, and in number."""
        if not hasattr(self, "records"):
            return
        assert (len(self.records), self.records.generation) == (len(self.model), self.writes)
        for kind in (Kind.SECRET_KEY, Kind.CERTIFICATE):
            assert dict(self.records.items(kind)) == {n: body for (k, n), body in self.model.items() if k == kind}
            for name in ("", "a", "b", "c", "never"):
                assert self.records.get(kind, name) == self.model.get((kind, name))
                assert self.records.has(kind, name) == ((kind, name) in self.model)

    def teardown(self) -> None:
        """Close the file."""
        self.database.close()
        self.folder.cleanup()


TestRecordsAreADictionary = RecordsAreADictionary.TestCase


def rows_of(path: str) -> list[Row]:
    """Return what lies in the file, by a connection of the test's own."""
    connection = sqlite3.connect(path)
    try:
        return [Row(*row) for row in connection.execute("SELECT * FROM record")]
    finally:
        connection.close()


def put_back(path: str, rows: list[Row]) -> None:
    """Make the file hold exactly these rows."""
    connection = sqlite3.connect(path)
    try:
        connection.execute("DELETE FROM record")
        connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
        connection.commit()
    finally:
        connection.close()


def _index(row: Row) -> bool:
    return row.kind == Kind.INDEX


ATTACKS: dict[str, Callable[[list[Row], list[Row]], list[Row]]] = {
    "an older copy of one row": lambda old, new: [
        next((o for o in old if o.id == n.id and not _index(o)), n) for n in new
    ],
    "the older index": lambda old, new: [*filter(_index, old), *(n for n in new if not _index(n))],
    "a row taken away": lambda _, new: new[:1] + new[2:],
    "no index": lambda _, new: [n for n in new if not _index(n)],
    "a deleted row put back": lambda old, new: [*new, *(o for o in old if o.id not in {n.id for n in new})],
    "two contents exchanged": lambda _, new: [
        n._replace(**{f: getattr(o, f) for f in ("version", "salt", "sealed")})
        for n, o in zip(new, [*new[1:], new[0]], strict=True)
    ],
    "another kind": lambda _, new: [n if _index(n) else n._replace(kind=3 - n.kind) for n in new],
    "a kind that is none": lambda _, new: [n if _index(n) else n._replace(kind=9) for n in new],
    "a version moved on": lambda _, new: [n if _index(n) else n._replace(version=n.version + 1) for n in new],
    "no rows at all": lambda _, __: [],
    "a column of another type": lambda _, new: [n._replace(sealed="text") for n in new],  # type: ignore[arg-type]
    "a negative version": lambda _, new: [n._replace(version=-1) for n in new],
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_file_whose_rows_were_tampered_with_is_corrupt(attack: str, path: str, key: VaultKey) -> None:
    """Rolled back one by one, removed, swapped, resurrected, relabelled: all noticed at opening (A29)."""
    database = Database.create(path, b"", [first_index(key)])
    records = Records(database, key)
    records.write(*(Put(Kind.SECRET_KEY, name, b"old") for name in "abcd"))
    database.close()
    old = rows_of(path)
    database = Database.open(path)
    records = Records(database, key)
    records.write(*(Put(Kind.SECRET_KEY, name, b"new") for name in "bcd"), Delete(Kind.SECRET_KEY, "a"))
    database.close()
    new = rows_of(path)
    put_back(path, ATTACKS[attack](old, new))
    database = Database.open(path)
    with pytest.raises(VaultCorrupt):
        Records(database, key)
    database.close()

    put_back(path, new)  # the positive half: the same way there, and nothing changed
    database = Database.open(path)
    assert dict(Records(database, key).items(Kind.SECRET_KEY)) == dict.fromkeys("bcd", b"new")
    database.close()


def test_a_row_that_changes_under_an_open_vault_is_noticed(path: str, database: Database, records: Records) -> None:
    """Who writes past the claim changes nothing unnoticed: each row is checked again when it is read (A29)."""
    records.write(Put(Kind.SECRET_KEY, "a", b"old"))
    old = rows_of(path)
    records.write(Put(Kind.SECRET_KEY, "a", b"new"))
    put_back(path, old)
    with pytest.raises(VaultCorrupt):
        records.get(Kind.SECRET_KEY, "a")
    with pytest.raises(VaultCorrupt):
        list(records.items(Kind.SECRET_KEY))
    put_back(path, [row for row in old if _index(row)])
    with pytest.raises(VaultCorrupt):
        records.get(Kind.SECRET_KEY, "a")
    assert database.row(bytes(32)) is None


def test_the_wrong_key_opens_nothing(database: Database, records: Records) -> None:
    """Nor does the right key of another vault (A29)."""
    records.write(Put(Kind.SECRET_KEY, "a", b"body"))
    for key in (VaultKey(bytes(32), VAULT), VaultKey(KEY, bytes(16))):
        with pytest.raises(VaultCorrupt):
            Records(database, key)


def test_a_write_that_fails_leaves_records_and_index_as_they_were(
    records: Records, database: Database, key: VaultKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In memory as on the disk; the next write is sound (A58)."""
    records.write(Put(Kind.SECRET_KEY, "a", b"kept"))
    before = records.generation

    def refuse(*_: object) -> None:
        raise StorageFailed

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", refuse)
        with pytest.raises(StorageFailed):
            records.write(Put(Kind.SECRET_KEY, "a", b"lost"), Put(Kind.SECRET_KEY, "b", b"lost"))
    assert (records.generation, dict(records.items(Kind.SECRET_KEY))) == (before, {"a": b"kept"})
    records.write(Put(Kind.SECRET_KEY, "b", b"next"))
    assert dict(Records(database, key).items(Kind.SECRET_KEY)) == {"a": b"kept", "b": b"next"}


def test_a_commit_that_fails_after_it_took_effect_counts_as_done(
    records: Records, database: Database, key: VaultKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which side of the commit a failure lies on is read off the disk, not guessed (A58)."""
    write = Database.write

    def write_and_fail(self: Database, rows: list[Row], removed: set[bytes]) -> None:
        write(self, rows, removed)
        raise StorageFailed

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", write_and_fail)
        records.write(Put(Kind.SECRET_KEY, "a", b"there"))
    records.write(Put(Kind.SECRET_KEY, "b", b"too"))
    assert dict(Records(database, key).items(Kind.SECRET_KEY)) == {"a": b"there", "b": b"too"}


def test_after_a_failure_that_cannot_be_judged_the_disk_is_read_before_the_next_write(
    records: Records, database: Database, key: VaultKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even an index that is out of date gets written (A58)."""
    write, rows = Database.write, Database.rows

    def write_and_fail(self: Database, changed: list[Row], removed: set[bytes]) -> None:
        write(self, changed, removed)
        raise StorageFailed

    def unreadable(*_: object) -> list[Row]:
        raise StorageFailed

    with monkeypatch.context() as patch:
        patch.setattr(Database, "write", write_and_fail)
        patch.setattr(Database, "rows", unreadable)
        with pytest.raises(StorageFailed):
            records.write(Put(Kind.SECRET_KEY, "a", b"there after all"))
    assert rows is Database.rows
    records.write(Put(Kind.SECRET_KEY, "b", b"next"))
    assert dict(Records(database, key).items(Kind.SECRET_KEY)) == {"a": b"there after all", "b": b"next"}


def test_generations_end_before_they_repeat(
    records: Records, database: Database, key: VaultKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version is never used twice, so an old row never fits again (A29)."""
    monkeypatch.setattr(records, "_index", Index(2**62 - 1, 0, bytes(32)))
    with pytest.raises(StorageFailed):
        records.write(Put(Kind.SECRET_KEY, "a", b""))
    assert len(Records(database, key)) == 0


def test_dropped_records_are_inert(records: Records) -> None:
    """Who kept a reference opens and writes nothing (A44)."""
    records.write(Put(Kind.SECRET_KEY, "a", b"body"))
    records.drop()
    with pytest.raises(UsageError):
        records.get(Kind.SECRET_KEY, "a")
    with pytest.raises(UsageError):
        records.write(Put(Kind.SECRET_KEY, "b", b"body"))
