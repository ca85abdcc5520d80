"""Files of any length under the vault's key: sealed and opened piece by piece. Functions of values; no file, no clock.

May import: our messages. Invariants: a key serves one file; nothing comes out of `Opening` that was not authenticated
as that part of that file at that place, and `finish` raises unless the file ends where it was ended.

    header      magic "trollbridge-file" (16), version 01 (1), vault id (16), salt (32): 65 bytes
    file key := derive(VAULT_FILE, vault key, vault id, salt)               salt: fresh and random for each file
    chunk i  := AES-256-GCM(file key, nonce 2·i + last, header, plaintext)  last: 1 for the last chunk, else 0

Each chunk but the last holds 65,536 bytes of plaintext, the last 1 to 65,536; only an empty file ends with an empty
one. It is the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015): the nonce holds place and end, so chunks
cannot be moved, repeated or left out, and a file that was cut has no end. The header is authenticated with each chunk.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.messages import aead
from trollbridge.messages.errors import AuthenticationFailed, FileDamaged, NotASealedFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.messages.aead import Octets

MAGIC: Final = b"trollbridge-file"
VERSION: Final = 1
ID_SIZE: Final = 16
SALT_SIZE: Final = 32
HEADER_SIZE: Final = len(MAGIC) + 1 + ID_SIZE + SALT_SIZE
CHUNK: Final = 64 * 1024
"""Bytes of plaintext in each chunk but the last."""
SEALED_CHUNK: Final = CHUNK + aead.TAG_SIZE


class Header(NamedTuple):
    """The beginning of a sealed file: which vault opens it, and the salt of its key."""

    vault: bytes
    salt: bytes

    def encode(self) -> bytes:
        """Return its bytes."""
        return MAGIC + bytes([VERSION]) + self.vault + self.salt


def decode_header(data: bytes, vault: bytes) -> Header:
    """Return the header of a file that `vault` has sealed; raises `NotASealedFile`."""
    if len(data) != HEADER_SIZE or not data.startswith(MAGIC):
        raise NotASealedFile
    if data[len(MAGIC)] != VERSION:
        msg = "The file was sealed by a newer Trollbridge; update to open it."
        raise NotASealedFile(msg)
    header = Header(data[-SALT_SIZE - ID_SIZE : -SALT_SIZE], data[-SALT_SIZE:])
    if header.vault != vault:
        msg = "Another vault has sealed this file; only that one opens it."
        raise NotASealedFile(msg)
    return header


def _nonce(number: int, *, last: bool) -> int:
    return 2 * number + last


class Sealing:
    """A file that is being sealed."""

    __slots__ = ("_header", "_held", "_key", "_number", "_written")

    def __init__(self, vault: bytes, file_key: Callable[[bytes], bytes]) -> None:
        """Take the vault's id, and what gives the key of a file with some salt."""
        salt = os.urandom(SALT_SIZE)
        self._header: Final = Header(vault, salt).encode()
        self._key: Final = file_key(salt)
        self._held = bytearray()
        self._number = 0
        self._written = False

    def _begun(self) -> list[bytes]:
        written, self._written = self._written, True
        return [] if written else [self._header]

    def feed(self, data: Octets) -> bytes:
        """Take more of the file; return what more of it is sealed."""
        made, held = self._begun(), self._held
        held += data
        whole = max(0, len(held) - 1) // CHUNK  # what comes last is held back, for its nonce says so
        with memoryview(held) as view:
            for at in range(0, whole * CHUNK, CHUNK):
                nonce = _nonce(self._number, last=False)
                made.append(aead.seal(self._key, nonce, self._header, view[at : at + CHUNK]))
                self._number += 1
        del held[: whole * CHUNK]
        return b"".join(made)

    def finish(self) -> bytes:
        """End the file; return the rest of it, sealed."""
        made = self._begun()
        made.append(aead.seal(self._key, _nonce(self._number, last=True), self._header, self._held))
        return b"".join(made)


class Opening:
    """A sealed file that is being opened."""

    __slots__ = ("_file_key", "_header", "_held", "_key", "_number", "_vault")

    def __init__(self, vault: bytes, file_key: Callable[[bytes], bytes]) -> None:
        """Take the vault's id, and what gives the key of a file with some salt."""
        self._vault: Final = vault
        self._file_key: Final = file_key
        self._held = bytearray()
        self._header = b""
        self._key = b""
        self._number = 0

    def _read_header(self) -> None:
        self._header = bytes(self._held[:HEADER_SIZE])
        self._key = self._file_key(decode_header(self._header, self._vault).salt)
        del self._held[:HEADER_SIZE]

    def feed(self, data: Octets) -> bytes:
        """Take more of the sealed file; return what more of it is open, each byte of it authenticated.

        Raises `NotASealedFile` or `FileDamaged`; then nothing that was returned before is to be trusted.
        """
        held = self._held
        held += data
        if not self._key:
            if len(held) < HEADER_SIZE:
                return b""
            self._read_header()
        opened: list[bytes] = []
        whole = max(0, len(held) - 1) // SEALED_CHUNK
        with memoryview(held) as view:
            for at in range(0, whole * SEALED_CHUNK, SEALED_CHUNK):
                opened.append(self._open(view[at : at + SEALED_CHUNK], last=False))
                self._number += 1
        del held[: whole * SEALED_CHUNK]
        return b"".join(opened)

    def finish(self) -> bytes:
        """Return the rest of the file; raises as `feed` does, for a file that was cut off too."""
        if not self._key:
            self._read_header()
        rest = self._open(self._held, last=True)
        if not rest and self._number:
            raise FileDamaged  # a second way to write the same file
        return rest

    def _open(self, chunk: Octets, *, last: bool) -> bytes:
        try:
            return aead.open_sealed(self._key, _nonce(self._number, last=last), self._header, chunk)
        except AuthenticationFailed:
            raise FileDamaged from None
