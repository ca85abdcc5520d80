"""The vault's file: one SQLite database, one owner, every change whole or absent. It knows rows, not what is in them.

May import: `sqlite3`, our enclave's schema and sealing, our messages. This is the only module that touches the vault's
file. Invariants: the file is a plain one, ours, with one name and mode 0600; while a `Database` is open no other
process has one on that file, and the kernel ends that claim when the process dies, however it dies (flock; there is no
lock file); no exception of `sqlite3` or of the system escapes.

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

from trollbridge.enclave import schema
from trollbridge.enclave.sealing import Row
from trollbridge.messages.errors import StorageFailed, VaultCorrupt, VaultExists, VaultInUse, VaultMissing

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

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


def typed(row: tuple[object, ...]) -> Row:
    """Return a row of the table as what it must be; raises `VaultCorrupt`."""
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
        """Open an existing vault file, claim it and bring it up to this version.

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
                schema.make(connection, header)
                connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def diagnosis(cls, path: str) -> list[str]:
        """Return what SQLite finds wrong with a file that need not be a vault; raises as `open` does."""
        database = cls._connected(path, create=False)
        try:
            return database.complaints()
        finally:
            database.close()

    @classmethod
    def _opened(cls, path: str, *, create: bool) -> Database:
        database = cls._connected(path, create=create)
        try:
            with _translated():
                database._check(create=create)  # noqa: SLF001  # as above
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def _connected(cls, path: str, *, create: bool) -> Database:
        """Claim the file and connect to it, whatever is in it."""
        descriptor = _descriptor(path, create=create)
        try:
            with _translated():
                _claim(descriptor, path)
                connection = _connected(path)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(descriptor, connection)

    def _check(self, *, create: bool) -> None:
        """Roll an interrupted write back; then raise unless the file is what it must be."""
        self._connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        empty = os.fstat(self._descriptor).st_size == 0
        if create:
            if not empty:
                raise VaultExists
            return
        if empty:
            raise VaultMissing
        version = schema.check(self._connection)
        if version != schema.VERSION:
            with self._transaction() as connection:
                schema.migrate(connection, version)

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

    def _header(self, columns: str) -> tuple[object, ...]:
        with _translated():
            match self._connection.execute(f"SELECT {columns} FROM header").fetchall():  # noqa: S608  # our own names
                case [row]:
                    return tuple(row)
                case _:
                    raise VaultCorrupt

    def header(self) -> bytes:
        """Return the header's bytes."""
        match self._header("body"):
            case (bytes() as body,):
                return body
            case _:
                raise VaultCorrupt

    def set_header(self, header: bytes) -> None:
        """Replace the header, or raise as `write` does; on return the new one is on the disk.

        A failure after the commit took effect counts as done: what the disk holds decides.
        """
        try:
            self._update("UPDATE header SET body = ?", header)
        except StorageFailed:
            if self.header() != header:
                raise

    def attempts(self) -> tuple[int, int]:
        """Return how many wrong passwords there were since the last right one, and when the last came.

        The time in milliseconds since 1970.
        """
        match self._header("failures, failed_at"):
            case (int() as failures, int() as failed_at) if failures >= 0 and failed_at >= 0:
                return failures, failed_at
            case _:
                raise VaultCorrupt

    def set_attempts(self, failures: int, failed_at: int) -> None:
        """Record both. They are not sealed: whoever writes the file can reset them."""
        self._update("UPDATE header SET failures = ?, failed_at = ?", failures, failed_at)

    def _update(self, statement: str, *values: object) -> None:
        with _translated(), self._transaction() as connection:
            _check_plain(os.fstat(self._descriptor))
            connection.execute(statement, values)

    def complaints(self, limit: int = 20) -> list[str]:
        """Return what SQLite finds wrong with the file's structure, at most so many sentences."""
        with _translated():
            found = self._connection.execute(f"PRAGMA integrity_check({limit:d})").fetchall()
        return [text.decode(errors="replace") for (text,) in found if text != b"ok"]

    def rows(self, kind: int | None = None) -> Iterator[Row]:
        """Yield every row, or those of one kind."""
        with _translated():
            found = self._connection.execute("SELECT * FROM record WHERE ? IS NULL OR kind = ?", (kind, kind))
            for row in found:
                yield typed(row)

    def loose_rows(self) -> Iterator[tuple[object, ...]]:
        """Yield every row as it lies there, whatever its columns are."""
        with _translated():
            for row in self._connection.execute("SELECT * FROM record"):
                yield tuple(row)

    def row(self, row_id: bytes) -> Row | None:
        """Return one row, or None."""
        with _translated():
            found = self._connection.execute("SELECT * FROM record WHERE id = ?", (row_id,)).fetchone()
            return None if found is None else typed(found)

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
