"""Where the log's lines go: a descriptor that is never waited for, or a function.

May import: the standard library. Invariant: no write waits for a reader. Standard error is shared with whoever started
us, so its own flags stay as they are: a pipe or a terminal is opened anew for ourselves, a socket is asked for each
write, and a file takes what it is given.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.actors.operations.chain import Head

_GONE: Final = frozenset({errno.EPIPE, errno.EBADF, errno.EIO, errno.ECONNRESET, errno.ENOTCONN})
"""What a write to a pipe, a socket or a terminal fails by once nobody can ever read what is written."""


class PlaceGone(OSError):
    """Nobody can read any more what is written there."""


class Sink:
    """A place for lines. One at a time; each whole, in order."""

    after = ""
    """The chain value that the place ends with already, in hex."""
    name: str = ""
    """What a person is told that it is, if it has a name: a file's path."""
    mark = ""
    """The mark of the head there, if it is of that value and under a key, in hex."""

    def found(self) -> tuple[tuple[str, str], ...]:
        """Return what was found there since this was asked last, and is to be told: events, and why."""
        return ()

    def turn(self, length: int) -> str:
        """Begin a new file if the line that comes, of so many bytes, asks for it; return its name in words, or ''.

        Raises `OSError` if there is no place any more that a line could be written to.
        """
        del length
        return ""

    def write(self, data: bytes) -> int:
        """Write as much as is taken at once; return how many bytes. Raises `OSError`, or `ValueError` if closed."""
        raise NotImplementedError

    def note(self, head: Head) -> None:
        """Take the head: the line before it is written whole."""

    def wait(self, seconds: float) -> bool:
        """Wait until something could be written again; return whether it can."""
        del seconds
        return False

    def close(self) -> None:
        """Let go of what belongs to it."""


class FunctionSink(Sink):
    """A function that takes each line as a text."""

    def __init__(self, take: Callable[[str], object]) -> None:
        """Take the function; what it raises other than `OSError` and `ValueError` goes through."""
        self._take: Final = take

    def write(self, data: bytes) -> int:
        """Hand the line over."""
        self._take(data.decode())
        return len(data)


class DescriptorSink(Sink):
    """An open descriptor, such as standard error; nothing that is done here changes it for others."""

    def __init__(self, descriptor: int) -> None:
        """Take the descriptor, which stays its owner's."""
        self._owned: int | None = None
        self._shared: Final = descriptor
        self._socket: socket.socket | None = None
        self._waits = False
        kind = _kind(descriptor)
        if stat.S_ISSOCK(kind):
            with contextlib.suppress(OSError):
                self._socket = socket.socket(fileno=os.dup(descriptor))
        elif stat.S_ISFIFO(kind) or (stat.S_ISCHR(kind) and os.isatty(descriptor)):
            self._owned = _opened_anew(descriptor)
            self._waits = self._owned is None

    def write(self, data: bytes) -> int:
        """Write what fits."""
        try:
            if self._socket is not None:
                return self._socket.send(data, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            if self._owned is not None:
                return os.write(self._owned, data)
            if self._waits and not self.wait(0):
                return 0
            return os.write(self._shared, data[: select.PIPE_BUF] if self._waits else data)
        except BlockingIOError:
            return 0
        except OSError as error:
            if error.errno in _GONE:
                raise PlaceGone(error.errno, error.strerror) from None
            raise

    def wait(self, seconds: float) -> bool:
        """Wait until there is room."""
        poll = select.poll()
        poll.register(self._shared if self._owned is None else self._owned, select.POLLOUT)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        """Close what was opened here."""
        if self._owned is not None:
            os.close(self._owned)
            self._owned = None
            self._waits = True
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._waits = True


def _kind(descriptor: int) -> int:
    try:
        return os.fstat(descriptor).st_mode
    except OSError:
        return 0


def _opened_anew(descriptor: int) -> int | None:
    """Return a descriptor of our own for a pipe or a terminal, that does not wait; None where that may not be.

    It may not where the pipe belongs to another user, as under sudo, or /proc is missing.
    """
    try:
        return os.open(
            f"/proc/self/fd/{descriptor}",
            os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_APPEND | os.O_CLOEXEC,
        )
    except OSError:
        return None
