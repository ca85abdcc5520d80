"""Where a command's result goes: a file that appears whole or not at all, or standard output.

May import: our whole_file, our orders and plain_text. Invariants: a file that is there is replaced only if that was
said; nothing that would steer a terminal, binary data or control characters, goes to one; a report never mixes with a
result.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, TextIO, TypeAlias

from trollbridge.ui_adapter.vault import plain_text
from trollbridge.ui_adapter.vault.orders import Target
from trollbridge.ui_adapter.vault.refusals import OutputExists, WrongCommand
from trollbridge.ui_adapter.whole_file import NotWritten, WholeFile, temporary_failed, why

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

STANDARD: Final = "-"
TO_STANDARD: Final = Target()
Place: TypeAlias = WholeFile | BinaryIO
"""What a result is written to."""
_COPIED: Final = 1 << 20
"""Bytes that are copied at a time."""


def check(target: Target, *, binary: bool, instead: str = "") -> None:
    """Raise what stands in the way of a result, before any work: `OutputExists`, `NotWritten` or `WrongCommand`.

    `instead`: what makes text of a binary result.
    """
    if binary and to_a_terminal(target):
        msg = f"the result is binary, and would go to a terminal; use -o FILE or a pipe{instead}"
        raise WrongCommand(msg)
    if target.path == STANDARD:
        return
    path = Path(target.path)
    if path.is_dir():
        msg = f"{path} is a folder"
        raise NotWritten(msg)
    if not path.absolute().parent.is_dir():
        msg = f"{path} cannot be written: there is no such folder"
        raise NotWritten(msg)
    if os.path.lexists(path) and not target.force and not _device(path):
        raise _exists(path)


def _exists(path: Path) -> OutputExists:
    return OutputExists(f"{path} is there already, and was left as it is; --force replaces it")


def to_a_terminal(target: Target) -> bool:
    """Return whether a person would see the result on a terminal, whatever name it goes by."""
    if target.path == STANDARD:
        return os.isatty(1)
    if not _device(Path(target.path), stat.S_ISCHR):
        return False
    try:
        descriptor = os.open(target.path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # it is told when it is to be written to
        return False
    try:
        return os.isatty(descriptor)
    finally:
        os.close(descriptor)


def _device(path: Path, *kinds: Callable[[int], bool]) -> bool:
    """Return whether writing to a path replaces nothing: a pipe or a device, such as /dev/null."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return any(kind(mode) for kind in kinds or (stat.S_ISFIFO, stat.S_ISCHR))


@contextlib.contextmanager
def _stream(target: Target) -> Generator[BinaryIO]:
    """Give standard output or a device; raises `NotWritten`, but `OSError` if standard output takes it no more."""
    if target.path == STANDARD:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(target.path)
    try:
        with path.open("wb") as stream:
            yield stream
    except OSError as error:
        raise NotWritten(why(path, "written", error)) from None


def _whole(target: Target) -> bool:
    """Return whether the target is a file that is to appear whole."""
    return target.path != STANDARD and not _device(Path(target.path))


def write(target: Target, content: bytes) -> None:
    """Write a whole result; raises as `place`."""
    copy(target, io.BytesIO(content))


def copy(target: Target, source: BinaryIO) -> None:
    """Write the rest of a file; raises as `place`."""
    with place(target) as to:
        if isinstance(to, WholeFile):
            while piece := source.read(_COPIED):
                to.write(piece)
            to.commit()
        else:
            shutil.copyfileobj(source, to, _COPIED)


@contextlib.contextmanager
def place(target: Target) -> Generator[Place]:
    """Give what `documents` writes to: a file that appears whole, or a stream.

    What goes to a terminal is kept back until it is complete, and shown if it is plain text. Raises `NotWritten`,
    `OutputExists`, `WrongCommand`, and `OSError` if standard output takes it no more.
    """
    if _whole(target):
        with WholeFile(Path(target.path), replace=target.force, mode=target.mode) as sink:
            try:
                yield sink
            except FileExistsError:
                raise _exists(Path(target.path)) from None
        return
    with _stream(target) as stream:
        if not os.isatty(stream.fileno()):
            yield stream
            return
        with _temporary() as held:
            yield held
            _show(held, stream)


def _temporary() -> BinaryIO:
    try:
        return tempfile.TemporaryFile()
    except OSError as error:
        raise NotWritten(temporary_failed(error)) from None


def _show(held: BinaryIO, terminal: BinaryIO) -> None:
    """Show a result to a person; raises `WrongCommand` for what would steer the terminal."""
    held.seek(0)
    if not plain_text.shows(iter(lambda: held.read(_COPIED), b"")):
        msg = "the result is binary or has control characters, which would steer the terminal; use -o FILE or a pipe"
        raise WrongCommand(msg)
    held.seek(0)
    shutil.copyfileobj(held, terminal, _COPIED)


def report_to(target: Target | None) -> TextIO:
    """Return where the report about a result goes: standard output, unless the result itself does."""
    return sys.stderr if target is not None and target.path == STANDARD else sys.stdout
