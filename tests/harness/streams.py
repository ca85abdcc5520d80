"""Streams of lines from a process under test, read by a thread and waited for with a deadline, never with a sleep."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import IO, TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class NothingCame(AssertionError):
    """What a test waits for did not come before its deadline, or the stream ended."""


class Stream(Generic[T]):
    """The lines of one stream, as they came."""

    def __init__(self, source: IO[bytes], parse: Callable[[str], T]) -> None:
        """Start to read `source`; `parse` is called once for each line, without its end."""
        self._source = source
        self._parse = parse
        self._changed = threading.Condition()
        self._items: list[T] = []
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._source, contextlib.suppress(ConnectionResetError):  # an end like any other
            for raw in self._source:
                item = self._parse(raw.decode("utf-8", "replace").rstrip("\n"))
                with self._changed:
                    self._items.append(item)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def items(self) -> list[T]:
        """What has come so far."""
        with self._changed:
            return list(self._items)

    def wait(self, wanted: Callable[[T], bool], seconds: float, *, start: int = 0) -> T:
        """Return the first item from number `start` on that is `wanted`; raises `NothingCame`."""
        until = time.monotonic() + seconds
        position = start
        with self._changed:
            while True:
                for item in self._items[position:]:
                    position += 1
                    if wanted(item):
                        return item
                if self._ended:
                    msg = "the stream ended"
                    raise NothingCame(msg)
                if not self._changed.wait(max(0.0, until - time.monotonic())):
                    msg = f"it did not come within {seconds} s"
                    raise NothingCame(msg)

    def end(self, seconds: float) -> None:
        """Wait for the end of the stream; raises `NothingCame`."""
        self._reader.join(seconds)
        if self._reader.is_alive():
            msg = f"the stream is still open after {seconds} s"
            raise NothingCame(msg)
