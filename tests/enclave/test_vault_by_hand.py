"""A vault and a recovery file, opened after SPEC.md, section 20, with nothing of ours: the page says all of it."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from msgspec import msgpack

from tests.enclave.cheap import CHEAP
from tests.enclave.keepers import FolderKeeper
from trollbridge.enclave.access import Access
from trollbridge.enclave.sealing import Kind
from trollbridge.enclave.storage import Put
from trollbridge.messages import password as pw
from trollbridge.messages.vault import KEYCHAIN_ONLY, MODES, PASSWORD_ONLY, TWO_LAYERS

if TYPE_CHECKING:
    from pathlib import Path

SECRET: Final = "secret"
SPARE: Final = "spare"


def derived(label: str, key: bytes, *parts: bytes) -> bytes:
    """D of section 2."""
    joined = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return blake2b(joined, digest_size=32, key=key, person=label.encode()).digest()


def unsealed(key: bytes, associated: list[Any], sealed: bytes) -> bytes:
    """Open what `sealed` made."""
    return AESGCM(key).decrypt(bytes(12), sealed, msgpack.encode(associated))


def client_key(password: str, salt: bytes, cost: list[int], stored_key: bytes) -> bytes:
    """Return ClientKey of SCRAM; StoredKey must fit it."""
    memory, passes, lanes = cost
    kdf = Argon2id(salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory)
    found = hmac.digest(kdf.derive(password.encode()), b"Client Key", "sha256")
    assert hashlib.sha256(found).digest() == stored_key
    return found


def vault_key(body: bytes, root: bytes) -> tuple[bytes, bytes]:
    """Return the vault's id and its key."""
    digest, fields = body[:32], body[32:]
    assert digest == derived("tb1 vault header", b"", fields)
    form, vault, mode, number, mark, fresh, salt, cost, stored, wrapped = msgpack.decode(fields)
    context = (vault, mode.encode(), salt, msgpack.encode(number), fresh)
    bound = [form, number, mark, fresh, vault, mode, salt, cost]
    stored_key = unsealed(derived("tb1 vault stored", root, *context), bound, stored) if mode == TWO_LAYERS else stored
    layers = b"" if mode == KEYCHAIN_ONLY else client_key(SECRET, salt, cost, stored_key)
    if mode != PASSWORD_ONLY:
        assert mark == derived("tb1 keychain", root, vault, msgpack.encode(number))
        layers += root
    both = unsealed(derived("tb1 vault wrap", layers, *context), [*bound, stored], wrapped)
    assert form == 2
    assert len(both) == 64
    return vault, both[:32]


def records(path: str, vault: bytes, key: bytes) -> dict[tuple[int, str], bytes]:
    """Return every record but the index, which must count them."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT id, kind, version, salt, sealed FROM record").fetchall()
    connection.close()
    found: dict[tuple[int, str], bytes] = {}
    tally = 0
    for row_id, kind, version, salt, sealed in rows:
        opened = unsealed(derived("tb1 vault record", key, salt), [vault, kind, row_id, version], sealed)
        name, found[kind, name] = msgpack.decode(opened)
        assert row_id == derived("tb1 vault name", key, vault, bytes([kind]), name.encode())
        if kind:
            mark = derived("tb1 vault index", key, row_id, msgpack.encode([kind, version]), salt)
            tally ^= int.from_bytes(mark, "big")
    size, counted = msgpack.decode(found.pop((0, "")))
    assert (size, counted) == (len(found), tally.to_bytes(32, "big"))
    return found


@pytest.mark.parametrize("mode", MODES)
def test_a_vault_opens_by_hand(path: str, tmp_path: Path, mode: str) -> None:
    """Every mode: layers, header, records, index (A29, A46)."""
    keeper = FolderKeeper(tmp_path / "roots")
    access = Access(path, floor=CHEAP, keychain=keeper)
    access.create(mode, None if mode == KEYCHAIN_ONLY else pw.new_verifier(SECRET, CHEAP))
    access.opened().records.write(Put(Kind.API_KEY, "name", b"value"), Put(Kind.TRUST, "ab", b""))
    access.close()
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchall() == [(2,)]
    assert connection.execute("PRAGMA application_id").fetchall() == [(0x54524C42,)]
    [(body, failures, failed_at)] = connection.execute("SELECT body, failures, failed_at FROM header").fetchall()
    connection.close()
    assert (failures, failed_at) == (0, 0)
    [root] = [*keeper.roots().values()] or [b""]
    vault, key = vault_key(body, root)
    assert records(path, vault, key) == {(3, "name"): b"value", (6, "ab"): b""}


def test_a_recovery_file_opens_by_hand(path: str, tmp_path: Path) -> None:
    """The root, and the name that it has in the keychain (A46, A47)."""
    keeper = FolderKeeper(tmp_path / "roots")
    access = Access(path, floor=CHEAP, keychain=keeper)
    access.create(KEYCHAIN_ONLY, None)
    data = access.export_recovery(None, pw.new_verifier(SPARE, CHEAP))
    access.close()
    magic, digest, fields = data[:23], data[23:55], data[55:]
    assert magic == b"trollbridge recovery 1\n"
    assert digest == derived("tb1 recovery fil", b"", fields)
    vault, number, salt, cost, stored_key, kept = msgpack.decode(fields)
    found = client_key(SPARE, salt, cost, stored_key)
    key = derived("tb1 vault recov", found, vault, msgpack.encode(number), salt)
    root = unsealed(key, [vault, number, salt, cost, stored_key], kept)
    assert keeper.roots() == {f"{vault.hex()}.{number}": root}
