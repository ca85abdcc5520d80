"""A source that can be read again from where it began, whatever it is.

May import: our streaming and whole_file. Invariant: what is read the second time is what was read the first time: the
file itself where it can be positioned, else a copy in an unnamed temporary file.
"""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from trollbridge.ui_adapter.streaming import read
from trollbridge.ui_adapter.whole_file import NotWritten, temporary, temporary_failed

if TYPE_CHECKING:
    from types import TracebackType


class Replay:
    """A source, and how much of it has been read."""

    def __init__(self, source: BinaryIO) -> None:
        """Take the open file, which stays open."""
        self._source: Final = source
        self.total: Final = _size(source)
        """Bytes from here to its end; None where nobody knows."""
        self._start: Final = source.tell() if source.seekable() else None
        self._copy: BinaryIO | None = None
        self._copied = 0
        self._at = 0

    @property
    def repeatable(self) -> bool:
        """Whether it can be read again as it is now."""
        return self._start is not None or self._copy is not None

    def keep(self, beginning: bytes = b"") -> None:
        """Copy what is read from here on, where that is needed; `beginning` is what was read before."""
        if self._start is None and self._copy is None:
            self._copy = temporary()
            self._store(beginning)
            self._at = self._copied

    def _store(self, data: bytes) -> None:
        if self._copy is None:
            return
        try:
            self._copy.seek(self._copied)
            left = memoryview(data)
            while left:
                left = left[self._copy.write(left) :]
        except OSError as error:
            raise NotWritten(temporary_failed(error)) from None
        self._copied += len(data)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, none at the end; raises what the file raises."""
        if self._copy is not None and self._at < self._copied:
            self._copy.seek(self._at)
            data = read(self._copy, min(size, self._copied - self._at))
        else:
            data = self._source.read(size)
            self._store(data)
        self._at += len(data)
        return data

    def again(self) -> None:
        """Begin where it began; only a kept or positioned source can."""
        if self._start is not None:
            self._source.seek(self._start)
        elif self._copy is None:
            msg = "this source was not kept"
            raise io.UnsupportedOperation(msg)
        self._at = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the copy; put the file back to where it began after an error, so that it can be tried again."""
        if self._copy is not None:
            self._copy.close()
        if error is not None and self._start is not None:
            self._source.seek(self._start)


def _size(source: BinaryIO) -> int | None:
    try:
        found = os.fstat(source.fileno())
    except (OSError, ValueError, AttributeError):
        return None
    return found.st_size - source.tell() if stat.S_ISREG(found.st_mode) else None
