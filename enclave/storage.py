"""Sealed records in the vault's file. What comes out is what was last written under that name, or `VaultCorrupt`.

May import: our enclave's checking, sealing and database, our messages. Invariant: the set of rows in the file is the
one that the sealed index counts; it is compared whole when the records are opened, and each row again whenever it is
read. So no record can be altered, swapped, renamed, removed, or rolled back on its own. What a file cannot show is that
*all* of it is an older copy (`THREATS.md`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.enclave import checking
from trollbridge.enclave.sealing import EMPTY, LAST_VERSION, Index, Kind, Row, VaultKey, combine
from trollbridge.messages.errors import StorageFailed, VaultCorrupt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.enclave.database import Database
    from trollbridge.messages.vault import CheckReport


class Put(NamedTuple):
    """Add a record, or replace the one of that kind and name."""

    kind: Kind
    name: str
    body: bytes


class Delete(NamedTuple):
    """Remove a record, if it is there."""

    kind: Kind
    name: str


def first_index(key: VaultKey) -> Row:
    """Return the index row of a vault without records."""
    return key.seal_index(EMPTY)


class Records:
    """The records of an unlocked vault."""

    __slots__ = ("_database", "_index", "_key", "_marks", "_stale")

    def __init__(self, database: Database, key: VaultKey) -> None:
        """Check the whole file against its index; raises `VaultCorrupt`."""
        self._database: Final = database
        self._key: Final = key
        self._load()

    def _load(self) -> None:
        index: Index | None = None
        marks: dict[bytes, bytes] = {}
        tally = 0
        for row in self._database.rows():
            if row.kind == Kind.INDEX:
                index = self._key.open_index(row)
                continue
            mark = self._key.mark(row)
            marks[row.id] = mark
            tally ^= int.from_bytes(mark, "big")  # as `combine`, twenty thousand times
        if index is None or (index.size, index.tally) != (len(marks), tally.to_bytes(len(EMPTY.tally), "big")):
            raise VaultCorrupt
        self._index = index
        self._marks = marks
        self._stale = False

    @property
    def generation(self) -> int:
        """How many times this vault has been written."""
        return self._index.generation

    def __len__(self) -> int:
        """Return the number of records."""
        return self._index.size

    def _read(self, row: Row) -> tuple[str, bytes]:
        if self._marks.get(row.id) != self._key.mark(row):
            raise VaultCorrupt
        return self._key.open(row)

    def get(self, kind: Kind, name: str) -> bytes | None:
        """Return a record's body, or None if there is no such record; raises `VaultCorrupt`."""
        row_id = self._key.row_id(kind, name)
        row = self._database.row(row_id)
        if row is not None:
            return self._read(row)[1]
        if row_id in self._marks:
            raise VaultCorrupt
        return None

    def has(self, kind: Kind, name: str) -> bool:
        """Return whether there is such a record, without opening it."""
        return self._key.row_id(kind, name) in self._marks

    def items(self, kind: Kind) -> Iterator[tuple[str, bytes]]:
        """Yield (name, body) of every record of a kind, in no order that means anything; raises `VaultCorrupt`."""
        for row in self._database.rows(kind):
            yield self._read(row)

    def write(self, *changes: Put | Delete) -> None:
        """Carry out all changes or none; on return they are on the disk.

        Raises `StorageFailed` with nothing changed. The index is written in the same transaction.
        """
        if self._stale:
            self._load()
        generation = self._index.generation + 1
        if generation >= LAST_VERSION:
            raise StorageFailed
        marks = dict(self._marks)
        rows: dict[bytes, Row] = {}
        removed: set[bytes] = set()
        for change in changes:
            row_id = self._key.row_id(change.kind, change.name)
            marks.pop(row_id, None)
            rows.pop(row_id, None)
            removed.add(row_id)
            if isinstance(change, Put):
                row = self._key.seal(change.kind, change.name, change.body, generation)
                rows[row_id], marks[row_id] = row, self._key.mark(row)
                removed.discard(row_id)
        tally = self._index.tally
        for row_id in {*rows, *removed}:
            for mark in (self._marks.get(row_id), marks.get(row_id)):
                tally = tally if mark is None else combine(tally, mark)
        index = Index(generation, len(marks), tally)
        self._commit([*rows.values(), self._key.seal_index(index)], removed, index, marks)

    def _commit(self, rows: list[Row], removed: set[bytes], index: Index, marks: dict[bytes, bytes]) -> None:
        try:
            self._database.write(rows, removed)
        except StorageFailed:
            self._stale = True
            self._load()  # whichever side of the commit it failed on, go by what the disk now holds
            if self._index != index:
                raise
        self._index, self._marks = index, marks

    def check(self, judge: checking.Judge) -> CheckReport:
        """Look at everything that the file holds; see `checking`."""
        return checking.examine(self._database, self._key, judge)

    def key_password(self, fingerprint: str) -> str:
        """Return what protects a secret key inside its record; see `VaultKey.key_password`."""
        return self._key.key_password(fingerprint)

    def file_key(self, salt: bytes) -> bytes:
        """Return the key of a sealed file, 32 bytes; see `VaultKey.file_key`."""
        return self._key.file_key(salt)

    @property
    def vault(self) -> bytes:
        """The vault's id, 16 bytes; no secret."""
        return self._key.vault

    def drop(self) -> None:
        """Forget the key and the index; the file stays open."""
        self._key.drop()
        self._marks = {}
