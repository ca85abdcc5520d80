"""Files on their way to a files host and back: of any length, in bounded memory, several pieces under way at a time.

May import: our bridge, streaming, whole_file, `messages`. Invariants: a file that does not arrive whole is not seen, at
either end; on any error nothing is left behind.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import TrollbridgeError
from trollbridge.ui_adapter.streaming import read as read_all
from trollbridge.ui_adapter.whole_file import NotRead, NotWritten, WholeFile, why

if TYPE_CHECKING:
    from typing import Any, BinaryIO

    from trollbridge.actors.calling.promise import Promise
    from trollbridge.actors.calling.proxies import MemberProxy
    from trollbridge.actors.calling.stream import Stream
    from trollbridge.ui_adapter.streaming import Progress, Readable

PIECE: Final = 512 * 1024
"""Bytes that are sent at a time."""
DEPTH: Final = 4
"""Pieces under way at a time."""
PATIENCE: Final = 60.0
"""Seconds that the host may take over one call."""


def _nothing(_done: int, _total: int | None) -> None:
    """Report to nobody."""


def upload(
    files: MemberProxy,
    path: str,
    source: Path | BinaryIO,
    report: Progress = _nothing,
    *,
    append: bool = False,
) -> int:
    """Write a file through a files host; return its size once it is complete, on the disk and in its place.

    `source`: a path, or an open binary file, which is read to its end. `report(done, total)` in bytes, the total None
    where nobody knows it. `append`: write at the end of what is there, which an error does not undo. Raises what the
    host raises, and `NotRead`.
    """
    if isinstance(source, Path):
        try:
            file = source.open("rb")
        except OSError as error:
            raise NotRead(why(source, "read", error)) from None
        with file:
            return _upload(files, path, file, _size(file), report, append=append)
    return _upload(files, path, source, None, report, append=append)


def _size(file: BinaryIO) -> int | None:
    found = os.fstat(file.fileno())
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _upload(  # noqa: PLR0913  # as above
    files: MemberProxy, path: str, source: Readable, total: int | None, report: Progress, *, append: bool
) -> int:
    handle: int = files.begin(path, append).get(timeout=PATIENCE)
    flying: deque[tuple[Promise[int], int]] = deque()
    sent = done = 0
    try:
        while piece := read_all(source, PIECE):
            # What is appended goes where the last piece ended, and a short call overtakes longer ones.
            while len(flying) >= (DEPTH if len(piece) == PIECE or not append else 1):
                done = _land(flying, done, total, report)
            flying.append((files.put(handle, sent, piece), len(piece)))
            sent += len(piece)
        while flying:
            done = _land(flying, done, total, report)
        size: int = files.commit(handle, sent).get(timeout=PATIENCE)
    except BaseException:
        with contextlib.suppress(TrollbridgeError):  # it may be gone already
            files.abandon(handle)
        raise
    return size


def _land(flying: deque[tuple[Promise[int], int]], done: int, total: int | None, report: Progress) -> int:
    promise, length = flying.popleft()
    promise.get(timeout=PATIENCE)
    report(done + length, total)
    return done + length


def download(files: MemberProxy, path: str, target: Path | WholeFile | BinaryIO, report: Progress = _nothing) -> int:
    """Read a file through a files host; return how many bytes it had.

    `target`: a path, whose file is replaced once all has come, a `WholeFile`, which may refuse to replace one, or an
    open binary file, which is written as it comes. `report`: as for `upload`. Raises what the host raises, and
    `NotWritten`.
    """
    total: int = files.stat(path).get(timeout=PATIENCE).size
    with files.read(path) as stream:
        if isinstance(target, Path | WholeFile):
            with WholeFile(target) if isinstance(target, Path) else target as sink:
                done = _receive(stream, sink, total, report)
                sink.commit()
                return done
        return _receive(stream, target, total, report)


def _receive(stream: Stream[bytes], sink: Any, total: int, report: Progress) -> int:  # noqa: ANN401  # anything that can be written to
    done = 0
    for piece in stream:
        try:
            sink.write(piece)
        except OSError as error:
            msg = f"the output cannot be written: {error.strerror or error}"
            raise NotWritten(msg) from None
        done += len(piece)
        report(done, total)
    return done
