"""The redactor: an enclave that takes a log as a stream and gives it back to the files host, without addresses.

Whatever goes wrong, a log that is not redacted to its end is not there: it is abandoned, and what was there stays.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Generator  # read at run time, as every annotation of a handler
from typing import TYPE_CHECKING

import msgspec

from trollbridge.actors import Progress, handler
from trollbridge.enclave import EnclaveActor
from trollbridge.messages.errors import DeclaredError

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 1 << 20
"""Bytes of a line. A longer one is no line of a log, and could not be cut without cutting an address."""
PIECE = 512 << 10
"""Bytes that are written at a time."""
ADDRESS = re.compile(
    rb"(?P<mail>(?<![\w.%+\x80-\xff-])[\w.%+\x80-\xff-]++@[\w.\x80-\xff-]+)"
    rb"|(?P<ip>\b(?:\d{1,3}\.){3}\d{1,3}\b"
    rb"|(?<![\w:])(?:(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}"
    rb"|(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6})?::(?:[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{1,4}){0,6})?)(?![\w:]))"
)
"""Rather too much than too little: what only looks like an address becomes a pseudonym too."""


class LineTooLong(DeclaredError):
    """The log has a line of more than 1 MiB."""


class Summary(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How much was redacted."""

    size: int
    addresses: int


class Redactor(EnclaveActor):
    """Redacts logs."""

    def on_start(self) -> None:
        """Begin without a key: the vault is locked yet."""
        self._key = b""
        self._count = 0

    @handler
    def redact(self, name: str, size: int) -> Generator[Progress, None, Summary]:
        """Redact `logs/name` into `redacted/name`; tell how much of its `size` is done."""
        if not self._key:
            made = self.peers.vault.hmac_secret("pseudonyms", b"log redactor, version 1", "sha256")
            self._key = made.get(timeout=10)
        files, done, written, found = self.peers.files, 0, 0, 0
        number = files.begin(f"redacted/{name}").get(timeout=10)
        try:
            for lines in _lines(files.read(f"logs/{name}")):
                safe, count = ADDRESS.subn(self._pseudonym, lines)
                for at in range(0, len(safe), PIECE):
                    written = files.put(number, written, safe[at : at + PIECE]).get(timeout=10)
                done, found = done + len(lines), found + count
                yield Progress(done, max(done, size), name)
            files.commit(number, written).get(timeout=10)
        except BaseException:
            files.abandon(number)
            raise
        return Summary(written, found)

    def _pseudonym(self, match: re.Match[bytes]) -> bytes:
        kind = match.lastgroup or ""
        digest = hmac.digest(self._key, kind.encode() + match[0].lower(), "sha256")
        return f"{kind}-{digest.hex()[:16]}".encode()


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what comes, in whole lines: an address never lies in two of what is yielded."""
    rest = b""
    for piece in pieces:
        lines, end, begun = (rest + piece).rpartition(b"\n")
        if lines or end:
            yield lines + end
        rest = begun
        if len(rest) > LONGEST:
            raise LineTooLong
    if rest:
        yield rest
