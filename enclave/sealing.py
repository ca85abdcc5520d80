"""How a record of the vault is sealed, named and counted. Functions of values; no file, no clock.

May import: our messages. Invariants: every write has its own key, used once; a row opens only as what it was written
as: in its vault, of its kind, under its name, in its version; a set of rows that is not the set last written has
another tally.

    vault key  := 32 random bytes, one for each vault
    row id     := derive(VAULT_NAME, vault key, vault id, kind, name)      so the file shows no names
    record key := derive(VAULT_RECORD, vault key, salt)                    salt: 32 fresh random bytes for each write
    associated := MessagePack [vault id, kind, row id, version]
    plaintext  := MessagePack [name, body]                                 the name must lead back to the row id
    mark       := derive(VAULT_INDEX, vault key, row id, kind, version, salt)
    tally      := XOR of the marks of all rows but the index itself

The index is a row too, of kind INDEX. Its body is MessagePack [size, tally], its version the vault's generation,
which grows with every write; a record's version is the generation that wrote it. Marks are secret, so nobody without
the key can find another set with the same tally.
"""

from __future__ import annotations

import enum
import os
from typing import Final, NamedTuple, NoReturn

from trollbridge.messages import aead, labels
from trollbridge.messages.codec import Codec, encode
from trollbridge.messages.errors import AuthenticationFailed, Malformed, UsageError, VaultCorrupt
from trollbridge.messages.secret import Secret

KEY_SIZE: Final = 32
SALT_SIZE: Final = 32
ID_SIZE: Final = 32
LAST_VERSION: Final = 2**62


class Kind(enum.IntEnum):
    """What a record holds. The number is stored in clear and authenticated; never renumbered."""

    INDEX = 0
    SECRET_KEY = 1
    CERTIFICATE = 2
    API_KEY = 3
    API_KEY_INFO = 4
    CONSTRAINTS = 5
    TRUST = 6
    REVOCATION = 7
    USES = 8


class Row(NamedTuple):
    """A record as it lies in the file."""

    id: bytes
    kind: int
    version: int
    salt: bytes
    sealed: bytes


class Index(NamedTuple):
    """What the vault must contain: so many rows, with this tally, as of this generation."""

    generation: int
    size: int
    tally: bytes


EMPTY: Final = Index(0, 0, bytes(32))
_PLAINTEXT: Final[Codec[tuple[str, bytes]]] = Codec(tuple[str, bytes])
_INDEX: Final[Codec[tuple[int, bytes]]] = Codec(tuple[int, bytes])


class VaultKey:
    """The key of one vault. It is neither copied nor pickled nor shown, and inert once dropped."""

    __slots__ = ("_key", "vault")

    def __init__(self, key: Secret | bytes, vault: bytes) -> None:
        """Take the 32 bytes, a `Secret` where its maker has put it, and the vault's id."""
        secret = Secret.of(key) if isinstance(key, bytes) else key
        if secret.size != KEY_SIZE:
            msg = "a vault key has 32 bytes"
            raise UsageError(msg)
        self._key: Secret | None = secret
        self.vault: Final = vault

    def _derive(self, label: bytes, *context: bytes) -> bytes:
        if self._key is None:
            msg = "this vault key was dropped"
            raise UsageError(msg)
        return labels.derive(label, self._key.view, *context)

    def _associated(self, kind: int, row_id: bytes, version: int) -> bytes:
        return encode([self.vault, kind, row_id, version])

    def row_id(self, kind: Kind, name: str) -> bytes:
        """Return where the record of that kind and name lies, 32 bytes that tell nothing of the name."""
        return self._derive(labels.VAULT_NAME, self.vault, bytes([kind]), name.encode())

    def seal(self, kind: Kind, name: str, body: bytes, version: int) -> Row:
        """Return the record as a row, under a key of its own."""
        row_id, salt = self.row_id(kind, name), os.urandom(SALT_SIZE)
        key = self._derive(labels.VAULT_RECORD, salt)
        sealed = aead.seal_once(key, self._associated(kind, row_id, version), encode([name, body]))
        return Row(row_id, kind, version, salt, sealed)

    def open(self, row: Row) -> tuple[str, bytes]:
        """Return (name, body); raises `VaultCorrupt` for a row that is altered, moved, renamed or of another vault."""
        key = self._derive(labels.VAULT_RECORD, row.salt)
        try:
            kind = Kind(row.kind)
            plaintext = aead.open_once(key, self._associated(kind, row.id, row.version), row.sealed)
            name, body = _PLAINTEXT.decode(plaintext)
        except (AuthenticationFailed, Malformed, ValueError):
            raise VaultCorrupt from None
        if self.row_id(kind, name) != row.id:
            raise VaultCorrupt
        return name, body

    def key_password(self, fingerprint: str) -> str:
        """Return what protects the secret key of that fingerprint inside its record: 64 hexadecimal digits."""
        return self._derive(labels.VAULT_KEY_PASSWORD, self.vault, fingerprint.encode()).hex()

    def file_key(self, salt: bytes) -> bytes:
        """Return the key of a sealed file with this salt, 32 bytes."""
        return self._derive(labels.VAULT_FILE, self.vault, salt)

    def mark(self, row: Row) -> bytes:
        """Return the row's share in the tally."""
        return self._derive(labels.VAULT_INDEX, row.id, encode([row.kind, row.version]), row.salt)

    def seal_index(self, index: Index) -> Row:
        """Return the index as a row."""
        return self.seal(Kind.INDEX, "", _INDEX.encode((index.size, index.tally)), index.generation)

    def open_index(self, row: Row) -> Index:
        """Return the index of a row; raises `VaultCorrupt`."""
        try:
            size, tally = _INDEX.decode(self.open(row)[1])
        except Malformed:
            raise VaultCorrupt from None
        return Index(row.version, size, tally)

    def drop(self) -> None:
        """Wipe the key."""
        key, self._key = self._key, None
        if key is not None:
            key.drop()

    def __repr__(self) -> str:
        """Show which vault it is of, nothing else."""
        return f"<VaultKey of {self.vault.hex()}>"

    def _refuse(self, *_: object) -> NoReturn:
        msg = "a vault key cannot be copied or pickled"
        raise UsageError(msg)

    __reduce_ex__ = __copy__ = __deepcopy__ = _refuse


def combine(left: bytes, right: bytes) -> bytes:
    """Return the XOR of two tallies or marks, 32 bytes; combining a mark twice takes it out again."""
    return (int.from_bytes(left, "big") ^ int.from_bytes(right, "big")).to_bytes(32, "big")
