"""The lines of a log file as they stand there, and those that are added while somebody looks, across rotation.

May import: the standard library. Invariant: a line is returned once it is complete, and each line once; at the end of
a file that is not followed, what stands there without a newline is a line.
"""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING, BinaryIO, Final

from trollbridge.messages.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Generator

LONGEST: Final = 1 << 20
"""Bytes of one line; no log of ours has one near that."""
_LOOK_AGAIN: Final = 0.2
"""Seconds between two looks at a file that is followed."""


def lines(path: str, *, follow: bool = False) -> Generator[bytes | None]:
    """Return the lines of a file, without their newlines; with `follow` also what comes, for ever.

    With `follow` there is a None whenever all that stands there has been read. Raises `UsageError` for a file that
    cannot be read.
    """
    pause = threading.Event()
    file = _opened(path)
    try:
        rest = b""
        while True:
            piece = file.readline(LONGEST)
            rest += piece
            if rest.endswith(b"\n") or len(rest) >= LONGEST:
                yield rest.rstrip(b"\n")
                rest = b""
            elif not piece and not follow:
                break
            elif not piece:
                yield None
                file, replaced = _next(path, file)
                if not replaced:
                    pause.wait(_LOOK_AGAIN)
        if rest:
            yield rest
    finally:
        file.close()


def _opened(path: str) -> BinaryIO:
    try:
        file = open(path, "rb")  # noqa: PTH123, SIM115  # as the command line has it; closed by the caller
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise UsageError(msg) from None
    return file


def _next(path: str, file: BinaryIO) -> tuple[BinaryIO, bool]:
    """Return the file that the path names now, once the one that it named has been read, and whether it is another."""
    here = os.fstat(file.fileno())
    try:
        named = os.stat(path)  # noqa: PTH116  # as the command line has it
    except FileNotFoundError:  # between two files, as they are rotated
        return file, False
    if (named.st_dev, named.st_ino) != (here.st_dev, here.st_ino):
        if file.read(1):  # it was written to after it had been read, and before it was moved
            file.seek(-1, os.SEEK_CUR)
            return file, True
        following = _opened(path)
        file.close()
        return following, True
    if stat.S_ISREG(here.st_mode) and here.st_size < file.tell():  # somebody has emptied it
        file.seek(0)
        return file, True
    return file, False
