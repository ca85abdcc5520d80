"""The shape of the vault's file: its tables, version by version, and the way from an older one to this one.

May import: `sqlite3`, our errors. Invariants: a file that has more than our tables, or less, or another text behind one
of them, is no vault; nothing of a file is used before that is known; a migration reads and writes in one transaction.

Schema 2 added to schema 1 when the last wrong password came. The header's body has a form of its own (`header`), which
an unlocking brings up to date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import VaultCorrupt

if TYPE_CHECKING:
    import sqlite3

VERSION: Final = 2
"""In `user_version`."""
_FIRST: Final = 1
_APPLICATION: Final = 0x54524C42
_HEADER: Final = {
    1: "CREATE TABLE header (one INTEGER PRIMARY KEY, body BLOB NOT NULL, failures INTEGER NOT NULL)",
    2: (
        "CREATE TABLE header (one INTEGER PRIMARY KEY, body BLOB NOT NULL, failures INTEGER NOT NULL, "
        "failed_at INTEGER NOT NULL)"
    ),
}
_RECORD: Final = (
    "CREATE TABLE record (id BLOB PRIMARY KEY, kind INTEGER NOT NULL, version INTEGER NOT NULL, "
    "salt BLOB NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID"
)


def make(connection: sqlite3.Connection, header: bytes) -> None:
    """Make the tables in an empty file, inside the caller's transaction."""
    connection.execute(f"PRAGMA application_id={_APPLICATION}")
    connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute(_HEADER[VERSION])
    connection.execute(_RECORD)
    connection.execute("INSERT INTO header VALUES (1, ?, 0, 0)", (header,))


def _number(connection: sqlite3.Connection, name: str) -> int:
    (number,) = connection.execute(f"PRAGMA {name}").fetchone()
    return int(number)


def check(connection: sqlite3.Connection) -> int:
    """Return the version of a file that is structurally sound and holds our tables and nothing else.

    Raises `VaultCorrupt` for any other.
    """
    application, version = (_number(connection, name) for name in ("application_id", "user_version"))
    if application != _APPLICATION:
        raise VaultCorrupt
    if version > VERSION:
        msg = f"The vault was written by a newer Trollbridge (schema {version}); update to open it."
        raise VaultCorrupt(msg)
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name").fetchall()
    tables = (("header", _HEADER.get(version, "")), ("record", _RECORD))
    expected = [(b"table", name.encode(), name.encode(), sql.encode()) for name, sql in tables]
    if found != expected or connection.execute("PRAGMA quick_check(1)").fetchall() != [(b"ok",)]:
        raise VaultCorrupt
    return version


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring a file of an older version up to this one, inside the caller's transaction; raises `VaultCorrupt`."""
    if version == _FIRST:
        rows = connection.execute("SELECT one, body, failures FROM header").fetchall()
        connection.execute("DROP TABLE header")
        connection.execute(_HEADER[VERSION])
        connection.executemany("INSERT INTO header VALUES (?, ?, ?, 0)", rows)
        connection.execute(f"PRAGMA user_version={VERSION}")
