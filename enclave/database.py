"""The vault's file: one SQLite database, one owner, every change whole or absent. It knows rows, not what is in them.

May import: `sqlite3`, our messages. This is the only module that touches the vault's file. Invariants: the file is a
plain one, ours, with one name and mode 0600; while a `Database` is open no other process has one on that file, and
the kernel ends that claim when the process dies, however it dies (flock; there is no lock file); no exception of
`sqlite3` or of the system escapes.

`synchronous=EXTRA` is FULL and one thing more: the folder is synced after a commit has removed its rollback journal.
Without that, a power cut could bring the journal back and undo a write that was already acknowledged.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import stat
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from trollbridge.enclave.sealing import Row
from trollbridge.messages.errors import StorageFailed, VaultCorrupt, VaultExists, VaultInUse, VaultMissing

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

SCHEMA: Final = 1
"""The schema's version, in `user_version`. A migration reads an older one and writes this one in one transaction."""
APPLICATION: Final = 0x54524C42
_HEADER: Final = "CREATE TABLE header (one INTEGER PRIMARY KEY, body BLOB NOT NULL, failures INTEGER NOT NULL)"
_RECORD: Final = (
    "CREATE TABLE record (id BLOB PRIMARY KEY, kind INTEGER NOT NULL, version INTEGER NOT NULL, "
    "salt BLOB NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID"
)
_SETTINGS: Final = (
    "synchronous=EXTRA", "temp_store=MEMORY", "trusted_schema=OFF", "cell_size_check=ON", "secure_delete=ON",
    "mmap_size=0",
)  # fmt: skip
_BUSY: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DISK: Final = {
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOMEM,
}  # fmt: skip
_FLAGS: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


@contextlib.contextmanager
def _translated() -> Generator[None]:
    """Turn what SQLite and the system raise into our errors."""
    try:
        yield
    except sqlite3.Error as problem:
        extended: int = getattr(problem, "sqlite_errorcode", 0)  # absent where the sqlite3 module itself complains
        code = extended & 0xFF
        if code in _BUSY:
            raise VaultInUse from None
        if code in _DISK and extended != sqlite3.SQLITE_IOERR_SHORT_READ:
            raise StorageFailed from None
        raise VaultCorrupt from None
    except (UnicodeError, OverflowError):  # damaged text, quoted in SQLite's own message; a number out of range
        raise VaultCorrupt from None
    except OSError:
        raise StorageFailed from None


def _descriptor(path: str, *, create: bool) -> int:
    """Open the file without following a link, for writing if that can be."""
    try:
        try:
            return os.open(path, os.O_RDWR | _FLAGS | (os.O_CREAT if create else 0), 0o600)
        except OSError as problem:
            if create or problem.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
                raise
            return os.open(path, os.O_RDONLY | _FLAGS)
    except FileNotFoundError:
        if not create:
            raise VaultMissing from None
        msg = "The folder of the vault does not exist; create it first."
    except OSError as problem:
        msg = "The vault is a link; name the file itself." if problem.errno == errno.ELOOP else ""
    raise StorageFailed(msg)


def _check_plain(found: os.stat_result) -> None:
    """Raise `StorageFailed` unless it is one plain file with one name, ours, and closed to everybody else."""
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        msg = "The vault must be a plain file with no second name (hard link)."
    elif found.st_uid != os.geteuid():
        msg = "The vault belongs to another user."
    elif found.st_mode & 0o077:
        msg = "Others can reach the vault file; make it private first (chmod 600)."
    else:
        return
    raise StorageFailed(msg)


def _claim(descriptor: int, path: str) -> None:
    """Take the file for this process, until the descriptor is closed; check that it is still what the path names."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise VaultInUse from None
    found = os.fstat(descriptor)
    _check_plain(found)
    if not os.path.samestat(found, os.lstat(path)):
        msg = "The vault file was replaced while it was opened."
        raise StorageFailed(msg)
    with contextlib.suppress(FileNotFoundError):
        _check_plain(os.lstat(f"{path}-journal"))


def _connected(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(path)}?mode=rw", uri=True, timeout=0, isolation_level=None)
    try:
        connection.text_factory = bytes
        for setting in _SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        if connection.execute("PRAGMA journal_mode=DELETE").fetchone() != (b"delete",):
            raise VaultCorrupt
    except BaseException:
        connection.close()
        raise
    return connection


def _check_schema(connection: sqlite3.Connection) -> None:
    """Raise `VaultCorrupt` unless the file is structurally sound and holds our two tables and nothing else."""
    (application,), (schema,) = (
        connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
    )
    if application != APPLICATION:
        raise VaultCorrupt
    if schema > SCHEMA:
        msg = f"The vault was written by a newer Trollbridge (schema {schema}); update to open it."
        raise VaultCorrupt(msg)
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall()
    expected = [(b"table", name, name, sql.encode()) for name, sql in ((b"header", _HEADER), (b"record", _RECORD))]
    if schema != SCHEMA or found != expected or connection.execute("PRAGMA quick_check(1)").fetchall() != [(b"ok",)]:
        raise VaultCorrupt


def _typed(row: tuple[object, ...]) -> Row:
    match row:
        case (bytes() as row_id, int() as kind, int() as version, bytes() as salt, bytes() as sealed) if version >= 0:
            return Row(row_id, kind, version, salt, sealed)
        case _:
            raise VaultCorrupt


class Database:
    """The open file. Made by `open` or `create`, which leave nothing open when they raise."""

    __slots__ = ("_connection", "_descriptor")

    def __init__(self, descriptor: int, connection: sqlite3.Connection) -> None:
        """Take both, already checked."""
        self._descriptor = descriptor
        self._connection = connection

    @classmethod
    def open(cls, path: str) -> Database:
        """Open an existing vault file and claim it.

        Raises `VaultMissing`, `VaultInUse` (at once), `VaultCorrupt`, or `StorageFailed` for a file that is not plain,
        private and ours.
        """
        return cls._opened(path, create=False)

    @classmethod
    def create(cls, path: str, header: bytes, rows: Iterable[Row]) -> Database:
        """Make the vault file with its first content, in one transaction; raises `VaultExists` if one is there.

        What a creation that was killed leaves behind is an empty file, or one that its journal empties: still no vault.
        """
        database = cls._opened(path, create=True)
        try:
            with _translated(), database._transaction() as connection:  # noqa: SLF001  # our own, through the class method
                connection.execute(f"PRAGMA application_id={APPLICATION}")
                connection.execute(f"PRAGMA user_version={SCHEMA}")
                connection.execute(_HEADER)
                connection.execute(_RECORD)
                connection.execute("INSERT INTO header VALUES (1, ?, 0)", (header,))
                connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def _opened(cls, path: str, *, create: bool) -> Database:
        descriptor = _descriptor(path, create=create)
        try:
            with _translated():
                _claim(descriptor, path)
                connection = _connected(path)
        except BaseException:
            os.close(descriptor)
            raise
        database = cls(descriptor, connection)
        try:
            with _translated():
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # rolls an interrupted write back
                empty = os.fstat(descriptor).st_size == 0
                if create and not empty:
                    raise VaultExists
                if not create:
                    if empty:
                        raise VaultMissing
                    _check_schema(connection)
        except BaseException:
            database.close()
            raise
        return database

    @contextlib.contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def header(self) -> tuple[bytes, int]:
        """Return the header's bytes and the number of wrong passwords since the last right one."""
        with _translated():
            match self._connection.execute("SELECT body, failures FROM header").fetchall():
                case [(bytes() as body, int() as failures)] if failures >= 0:
                    return body, failures
                case _:
                    raise VaultCorrupt

    def set_failures(self, failures: int) -> None:
        """Record how many wrong passwords there were. It is not sealed: whoever writes the file can reset it."""
        with _translated(), self._transaction() as connection:
            connection.execute("UPDATE header SET failures = ?", (failures,))

    def rows(self, kind: int | None = None) -> Iterator[Row]:
        """Yield every row, or those of one kind."""
        with _translated():
            found = self._connection.execute("SELECT * FROM record WHERE ? IS NULL OR kind = ?", (kind, kind))
            for row in found:
                yield _typed(row)

    def row(self, row_id: bytes) -> Row | None:
        """Return one row, or None."""
        with _translated():
            found = self._connection.execute("SELECT * FROM record WHERE id = ?", (row_id,)).fetchone()
            return None if found is None else _typed(found)

    def write(self, rows: Iterable[Row], removed: Iterable[bytes] = ()) -> None:
        """Replace or add `rows` and remove others, all or nothing; on return the change is on the disk.

        Raises `StorageFailed` with nothing changed when the disk is full or read-only, or the file was removed
        meanwhile.
        """
        with _translated(), self._transaction() as connection:
            _check_plain(os.fstat(self._descriptor))
            connection.executemany("DELETE FROM record WHERE id = ?", ((row_id,) for row_id in removed))
            connection.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Close the file and give up the claim. SQLite's own locks go with its descriptor, so that goes first."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
