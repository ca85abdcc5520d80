"""The vault's end of one scribe: two pipes and a stream, pumped together and never for longer than is said.

May import: our enclave's scribe_words, our messages. Invariants, of a scribe that was taken over too: one call takes a
bounded time, whatever the scribe does meanwhile; what is held here is bounded by who feeds it, by one word of the
scribe's and by one answer to it; a scribe that says what it may not is let go of, and so is one that has nothing more
to say.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from trollbridge.enclave.scribe_words import FROM_SCRIBE, TO_SCRIBE, Done, Failed, framed, unframed
from trollbridge.messages.errors import Malformed

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from trollbridge.enclave.scribe_words import FromScribe, ToScribe

WORK: Final = 1.0
"""Seconds that one call may take at most, beside those that it may wait."""
_READ: Final = 1 << 20
"""Bytes that are read at once: what a pipe holds (`errands`)."""
_SAID: Final = 1 << 16
_CLOSED: Final = -1


class Scribe:
    """One scribe at work. `close` ends it, whatever it is doing."""

    __slots__ = (
        "_answer", "_end", "_ended", "_held", "_input", "_output", "_pending", "_unsent", "outcome", "silent",
        "waiting",
    )  # fmt: skip

    def __init__(
        self, start: Callable[[int, int], socket.socket], answer: Callable[[FromScribe], ToScribe | None]
    ) -> None:
        """Start one. `start` takes the pipes' far ends, closes them, and returns the stream.

        `answer` is asked whenever the scribe says something; what it raises comes out of `pump`.
        """
        source, self._input = os.pipe()
        self._output, target = os.pipe()
        for each in (self._input, self._output):
            os.set_blocking(each, False)  # its one form
        self._pending: deque[memoryview] = deque()
        self.waiting = 0
        """Bytes that were fed and not taken yet."""
        self.silent = 0.0
        """Seconds that were waited for it since it last did anything."""
        self._ended = False
        self._unsent = bytearray()
        self._held = bytearray()
        self._answer = answer
        self.outcome: Done | Failed | None = None
        """How it went."""
        self._end: socket.socket | None = None
        try:
            self._end = start(source, target)
        except BaseException:
            self.close()
            raise
        self._end.setblocking(False)  # noqa: FBT003  # its one form

    def say(self, word: ToScribe) -> None:
        """Have a word sent by the next `pump`."""
        self._unsent += framed(TO_SCRIBE.encode(word))

    def feed(self, data: bytes) -> None:
        """Have more of the document taken in by the next `pump`."""
        if data and self._input != _CLOSED:
            self._pending.append(memoryview(data))
            self.waiting += len(data)

    def end_input(self) -> None:
        """Say that the document ends with what was fed."""
        self._ended = True

    @property
    def finished(self) -> bool:
        """Whether nothing more comes: all output was pumped, and `outcome` says how it went, or it died without one."""
        return self._output == _CLOSED and (self.outcome is not None or self._end is None)

    def pump(self, room: int, enough: int, seconds: float) -> bytes:
        """Move what can be moved, and return what has come out, at most `room` bytes.

        Waits at most `seconds`, and only while more than `enough` bytes wait to be taken; with `enough` below zero,
        while there is room and it has not finished. It takes `WORK` seconds more at most: what is left is for the next.
        """
        made: list[bytes] = []
        until = time.monotonic() + seconds
        while room > 0 and not self.finished and (now := time.monotonic()) < until + WORK:
            patient = enough < 0 or self.waiting > enough
            left = max(0.0, until - now) if patient else 0.0
            moved, piece = self._step(left, min(room, _READ))
            self.silent = 0.0 if moved else self.silent + left
            if piece:
                made.append(piece)
                room -= len(piece)
            if not moved and not left:
                break
        return made[0] if len(made) == 1 else b"".join(made)

    def _step(self, seconds: float, room: int) -> tuple[bool, bytes]:
        """Wait for what can be moved, and move it; return whether there was anything, and what has come out."""
        poll = select.poll()
        if self._end is not None:
            poll.register(self._end, select.POLLIN | (select.POLLOUT if self._unsent else 0))
        if self._ended and not self._pending:
            self._close_input()
        if self._input != _CLOSED and self._pending:
            poll.register(self._input, select.POLLOUT)
        if self._output != _CLOSED:
            poll.register(self._output, select.POLLIN)
        piece = b""
        ready = [descriptor for descriptor, _ in poll.poll(1000 * seconds)]
        if self._output in ready:
            piece = self._read(room)
        if self._input in ready:
            self._write()
        if self._end is not None and self._end.fileno() in ready:
            self._talk(self._end)
        return bool(ready), piece

    def _close_input(self) -> None:
        descriptor, self._input = self._input, _CLOSED
        self._pending.clear()
        self.waiting = 0
        if descriptor != _CLOSED:
            os.close(descriptor)

    def _write(self) -> None:
        piece = self._pending[0]
        try:
            written = os.write(self._input, piece)
        except BlockingIOError:
            return
        except BrokenPipeError:  # it wants no more of it: how it went will be told
            self._close_input()
            return
        self.waiting -= written
        if written == len(piece):
            self._pending.popleft()
        else:
            self._pending[0] = piece[written:]

    def _read(self, room: int) -> bytes:
        piece = os.read(self._output, room)
        if not piece:
            os.close(self._output)
            self._output = _CLOSED
        return piece

    def _talk(self, end: socket.socket) -> None:
        """Send what is to be said, and take what was said."""
        if self._unsent:
            with contextlib.suppress(OSError):  # what it said before it went away is taken all the same
                del self._unsent[: end.send(self._unsent)]
        try:
            piece = end.recv(_SAID)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._hang_up()
            return
        self._held += piece
        while (word := unframed(self._held)) is not None:
            self._take(FROM_SCRIBE.decode(word))

    def _take(self, word: FromScribe) -> None:
        if self.outcome is not None:
            raise Malformed
        if isinstance(word, Done | Failed):
            self.outcome = word
            return
        if self._unsent:  # it does not take what it asked for
            raise Malformed
        answer = self._answer(word)
        if answer is not None:
            self.say(answer)

    def _hang_up(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end.close()

    def close(self) -> None:
        """Let go of it: with its pipes and its stream gone, it ends."""
        self._close_input()
        output, self._output = self._output, _CLOSED
        if output != _CLOSED:
            os.close(output)
        self._hang_up()
