"""A vault's file as schema 1 had it, written literally: with nothing of today's code but ciphers and the password's."""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import msgpack

from tests.enclave.cheap import CHEAP
from trollbridge.messages import password as pw

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trollbridge.messages.vault import PasswordParameters

VAULT: Final = bytes(range(16))
KEY: Final = bytes(range(200, 232))
_TABLES: Final = (
    "CREATE TABLE header (one INTEGER PRIMARY KEY, body BLOB NOT NULL, failures INTEGER NOT NULL)",
    (
        "CREATE TABLE record (id BLOB PRIMARY KEY, kind INTEGER NOT NULL, version INTEGER NOT NULL, "
        "salt BLOB NOT NULL, sealed BLOB NOT NULL) WITHOUT ROWID"
    ),
)
_INDEX: Final = 0


def _derived(label: bytes, key: bytes, *parts: bytes) -> bytes:
    joined = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return blake2b(joined, digest_size=32, key=key, person=label).digest()


def _sealed(key: bytes, associated: Sequence[object], plaintext: bytes) -> bytes:
    return AESGCM(key).encrypt(bytes(12), plaintext, msgpack.encode(associated))


def _header(secret: str, cost: PasswordParameters) -> bytes:
    made = pw.new_verifier(secret, cost)
    stored_key = pw.stored_key(made.client_key)
    parts = [VAULT, "password-only", made.salt, [cost.memory_kib, cost.passes, cost.lanes], stored_key]
    key = _derived(b"tb1 vault wrap", made.client_key, VAULT, made.salt)
    body = msgpack.encode([*parts, _sealed(key, parts, KEY + made.server_key)])
    return _derived(b"tb1 vault header", b"", body) + body


def _row(kind: int, name: str, body: bytes, version: int) -> tuple[bytes, int, int, bytes, bytes]:
    row_id = _derived(b"tb1 vault name", KEY, VAULT, bytes([kind]), name.encode())
    salt = blake2b(bytes([kind]) + name.encode(), digest_size=32).digest()
    key = _derived(b"tb1 vault record", KEY, salt)
    return row_id, kind, version, salt, _sealed(key, [VAULT, kind, row_id, version], msgpack.encode([name, body]))


class Record(NamedTuple):
    """What schema 1 knew: 1 is a secret key, 2 a certificate; both by fingerprint, the key as it was made."""

    kind: int
    name: str
    body: bytes


def write(
    path: str, secret: str, records: Iterable[Record], failures: int = 0, cost: PasswordParameters = CHEAP
) -> None:
    """Write a vault under `secret` that holds these records."""
    rows = [_row(each.kind, each.name, each.body, 1) for each in records]
    tally = 0
    for row_id, kind, version, salt, _ in rows:
        mark = _derived(b"tb1 vault index", KEY, row_id, msgpack.encode([kind, version]), salt)
        tally ^= int.from_bytes(mark, "big")
    rows.append(_row(_INDEX, "", msgpack.encode([len(rows), tally.to_bytes(32, "big")]), 1))
    Path(path).touch(mode=0o600)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id={0x54524C42}")
    connection.execute("PRAGMA user_version=1")
    for table in _TABLES:
        connection.execute(table)
    connection.execute("INSERT INTO header VALUES (1, ?, ?)", (_header(secret, cost), failures))
    connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?)", rows)
    connection.commit()
    connection.close()
