"""What the hosts tell their callers: frozen values, and the errors that they declare.

May import: `msgspec`, our messages. Invariant: no text and no value in here names an absolute path of the machine.
"""

from __future__ import annotations

import errno
import os
from typing import Final

import msgspec

from trollbridge.messages.errors import DeclaredError


class _Told(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A value of a host's."""


class Entry(_Told, frozen=True):
    """A file or a folder, as it was when it was looked at."""

    name: str
    """Its own name, without the folders around it."""
    kind: str
    """`file`, `folder` or `other`: links, devices, pipes and files of several names, none of which can be opened."""
    size: int
    """Bytes of a file; 0 of anything else."""
    modified: float
    """Seconds since 1970."""


class Change(_Told, frozen=True):
    """Something happened in a folder that is watched."""

    kind: str
    """`begun`, once, first: from here on nothing is missed; then `made` (or put there), `changed` (written to, and
    closed), `removed` (or taken away); `lost`: too much happened at once, look at it all."""
    name: str
    """The name of what it happened to; empty for `begun` and `lost`."""


class Output(_Told, frozen=True):
    """A piece of what a program wrote."""

    stream: str
    """`out` or `err`."""
    data: bytes


class Exit(_Told, frozen=True):
    """How a program ended."""

    code: int | None
    """Its exit code; None if a signal ended it."""
    signal: int | None
    """The signal's number; None if it exited."""
    seconds: float
    """How long it ran."""
    limit: str
    """Which limit ended it: `time` or `output`; empty if none did."""


VOCABULARY: Final = (Entry, Change, Output, Exit)
"""For a UI or an extension that would have these classes, and not others of the same shape: its `vocabulary`."""


class OutOfScope(DeclaredError):
    """That path lies outside of what is declared, or leads there."""


class NoSuchFile(DeclaredError):
    """There is no file and no folder of that name."""


class WrongKind(DeclaredError):
    """That is not a file, or not a folder, or a file that has several names."""


class AlreadyThere(DeclaredError):
    """There is something of that name already."""


class ReadOnly(DeclaredError):
    """That folder is declared to be read, not to be written."""


class NoSpace(DeclaredError):
    """The disk is full, or the file would become longer than is declared; what was there is unchanged."""


class NoSuchHandle(DeclaredError):
    """No file of that number is being written: it was committed, abandoned, or left alone for too long."""


class FileFailed(DeclaredError):
    """The file system refused."""


class NotDeclared(DeclaredError):
    """No such program is declared, or none with these arguments."""


class ProgramFailed(DeclaredError):
    """The program could not be started."""


_KINDS: Final[dict[int, type[DeclaredError]]] = {
    errno.ENOENT: NoSuchFile,
    errno.ENOTDIR: NoSuchFile,
    errno.ELOOP: OutOfScope,
    errno.EXDEV: OutOfScope,
    errno.EACCES: OutOfScope,
    errno.EPERM: OutOfScope,
    errno.ENAMETOOLONG: NoSuchFile,
    errno.EEXIST: AlreadyThere,
    errno.ENOTEMPTY: AlreadyThere,
    errno.EISDIR: WrongKind,
    errno.ENXIO: WrongKind,
    errno.EROFS: ReadOnly,
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
    errno.EFBIG: NoSpace,
}


def told(error: OSError, path: str) -> DeclaredError:
    """Return what a caller is told of a failed system call on `path`, which is as the caller gave it."""
    number = error.errno or 0
    kind = _KINDS.get(number, FileFailed)
    if kind is FileFailed:
        return FileFailed(f"{path}: {os.strerror(number)}")
    return kind(f"{path}: {sentence(kind)}")


def sentence(kind: type[DeclaredError]) -> str:
    """Return a class's own sentence, to stand behind a colon."""
    text = (kind.__doc__ or "").strip().splitlines()[0]
    return text[:1].lower() + text[1:].rstrip(".")
