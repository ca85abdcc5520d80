"""Where a command's result goes: a file that appears whole or not at all, or standard output.

May import: our whole_file, our orders. Invariants: a file that is there is replaced only if that was said; binary data
goes to no terminal; a report never mixes with a result.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO

from trollbridge.ui_adapter.vault.orders import Target
from trollbridge.ui_adapter.vault.refusals import OutputExists, WrongCommand
from trollbridge.ui_adapter.whole_file import NotWritten, WholeFile

if TYPE_CHECKING:
    from collections.abc import Generator

STANDARD: Final = "-"
TO_STANDARD: Final = Target()
_COPIED: Final = 1 << 20
"""Bytes that are copied at a time."""


def binary_to_a_terminal() -> WrongCommand:
    """Return the error of a result that would steer the terminal it is written to."""
    return WrongCommand("the result is binary, and standard output is a terminal; name a file with -o")


def check(target: Target, *, binary: bool) -> None:
    """Raise what stands in the way of a result, before any work: `OutputExists`, `NotWritten` or `WrongCommand`."""
    if target.path == STANDARD:
        if binary and os.isatty(1):
            raise binary_to_a_terminal()
        return
    path = Path(target.path)
    if path.is_dir():
        msg = f"{path} is a folder"
        raise NotWritten(msg)
    if not path.absolute().parent.is_dir():
        msg = f"{path} cannot be written: there is no such folder"
        raise NotWritten(msg)
    if os.path.lexists(path) and not target.force and not _device(path):
        msg = f"{path} is there already, and was left as it is; --force replaces it"
        raise OutputExists(msg)


def _device(path: Path) -> bool:
    """Return whether writing to a path replaces nothing: a pipe or a device, such as /dev/null."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def write(target: Target, content: bytes) -> None:
    """Write a whole result; raises `NotWritten`, and `OSError` if standard output takes it no more."""
    if target.path == STANDARD:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    elif _device(path := Path(target.path)):
        try:
            path.write_bytes(content)
        except OSError as error:
            msg = f"{path} cannot be written: {error.strerror or error}"
            raise NotWritten(msg) from None
    else:
        with WholeFile(path) as sink:
            sink.write(content)
            sink.commit()


@contextlib.contextmanager
def place(target: Target) -> Generator[Path | BinaryIO]:
    """Give what `documents` writes to: a path, whose file appears whole, or a stream; raises `NotWritten`."""
    path = Path(target.path)
    if target.path == STANDARD:
        sys.stdout.flush()
        yield sys.stdout.buffer
    elif _device(path):
        try:
            stream = path.open("wb")
        except OSError as error:
            msg = f"{path} cannot be written: {error.strerror or error}"
            raise NotWritten(msg) from None
        with stream:
            yield stream
    else:
        yield path


def copy(target: Target, source: BinaryIO) -> None:
    """Write the rest of a file; raises as `write`."""
    with place(target) as to:
        if isinstance(to, Path):
            with WholeFile(to) as sink:
                while piece := source.read(_COPIED):
                    sink.write(piece)
                sink.commit()
        else:
            shutil.copyfileobj(source, to, _COPIED)
            to.flush()


def report_to(target: Target | None) -> TextIO:
    """Return where the report about a result goes: standard output, unless the result itself does."""
    return sys.stderr if target is not None and target.path == STANDARD else sys.stdout
