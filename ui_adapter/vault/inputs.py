"""What a command reads: a file, or standard input.

May import: our whole_file. Invariant: whatever cannot be read is told by its name, before anything is asked of the
vault.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import TooLarge
from trollbridge.ui_adapter.whole_file import NotRead

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import BinaryIO

STANDARD: Final = "-"
AHEAD: Final = 1 << 20
"""Bytes of a pipe that are read before the vault is opened."""


def named(file: str) -> str:
    """Return how a person calls the input."""
    return "standard input" if file == STANDARD else file


def opened(file: str) -> BinaryIO:
    """Return the input as an open binary file, standard input for `-`; raises `NotRead`."""
    try:
        if file == STANDARD:
            return os.fdopen(os.dup(0), "rb", buffering=0)
        return open(file, "rb")  # noqa: PTH123  # the caller closes it
    except OSError as error:
        raise _unread(file, error) from None


def _unread(file: str, error: OSError) -> NotRead:
    return NotRead(f"{named(file)} cannot be read: {error.strerror or error}")


def waited(file: str) -> BinaryIO:
    """Return the input as `opened` does; of a pipe, once it has ended or filled what is read ahead.

    So the other end of the pipe may be another command on the same vault, which is done by then.
    """
    source = opened(file)
    try:
        if source.seekable() or source.isatty():
            return source
        ahead = b"".join(_pieces(source, AHEAD))
    except OSError as error:
        source.close()
        raise _unread(file, error) from None
    return io.BufferedReader(_Ahead(ahead, source))


class _Ahead(io.RawIOBase):
    """A stream whose beginning has been read."""

    def __init__(self, beginning: bytes, rest: BinaryIO) -> None:
        """Take both; the rest is closed with this."""
        super().__init__()
        self._beginning = memoryview(beginning)
        self._rest: Final = rest

    def readable(self) -> bool:
        """Return that it is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # whatever can be written to
        """Read some bytes; 0 at the end."""
        data = self._beginning[: len(buffer)] or self._rest.read(len(buffer))
        self._beginning = self._beginning[len(data) :]
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Close the rest, too."""
        self._rest.close()
        super().close()


def _pieces(source: BinaryIO, left: int) -> Generator[bytes]:
    while left and (piece := source.read(left)):
        yield piece
        left -= len(piece)


def copied(file: str) -> BinaryIO:
    """Return an input that can be read twice: itself if it is a file, else a copy without a name. Raises `NotRead`."""
    source = opened(file)
    if source.seekable():
        return source
    copy = tempfile.TemporaryFile()  # noqa: SIM115  # the caller closes it
    with source:
        shutil.copyfileobj(source, copy)
    copy.seek(0)
    return copy


def whole(file: str, limit: int) -> bytes:
    """Return all of an input of at most `limit` bytes; raises `NotRead`, or `TooLarge` before reading more."""
    with opened(file) as source:
        try:
            content = b"".join(_pieces(source, limit + 1))
        except OSError as error:
            raise _unread(file, error) from None
    if len(content) > limit:
        msg = f"{named(file)} is longer than {limit} bytes, the most that is taken here"
        raise TooLarge(msg)
    return content
