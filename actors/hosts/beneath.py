"""Opening what lies beneath a folder, and nothing else: the kernel resolves the path, and refuses to leave.

May import: `isolation.kernel`, our `values`. Invariants: a path is resolved by openat2 with RESOLVE_BENEATH,
RESOLVE_NO_SYMLINKS and RESOLVE_NO_MAGICLINKS, from a descriptor, in one call: nothing is checked first and used later;
whatever is returned open is a folder, or a regular file that, when it was opened, had one name, and that in the folder
in which it was looked for.

Source: openat2(2), <linux/openat2.h> of Linux 6.18; vfs_unlink and d_path there. The names are looked at too, but only
to say sooner what is wrong.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import struct
from typing import Final

from trollbridge.actors.hosts.values import OutOfScope, WrongKind, sentence
from trollbridge.actors.isolation import kernel
from trollbridge.messages.errors import DeclarationError, InvalidName

NO_MAGICLINKS, NO_SYMLINKS, BENEATH = 0x02, 0x04, 0x08
_RESOLVE: Final = NO_MAGICLINKS | NO_SYMLINKS | BENEATH
_ALWAYS: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
"""A link in the last place is RESOLVE_NO_SYMLINKS' to refuse: with O_NOFOLLOW it would be taken for a file."""
_LONGEST_NAME: Final = 255
"""Bytes (NAME_MAX)."""
LONGEST_PATH: Final = 4095
"""Bytes (PATH_MAX, without the zero)."""
_NO_REPLACE: Final = 1
"""RENAME_NOREPLACE."""
OWN: Final = ".trollbridge-"
"""How the names of files begin that are being written."""
_REMOVED: Final = " (deleted)"
"""What the kernel puts behind the path of an open file whose name has been removed (d_path)."""
_LOOKS: Final = 16
_ENTRIES: Final = ctypes.create_string_buffer(1024)
"""Room for a few entries of a folder, which nobody looks at."""


def check_kernel() -> None:
    """Raise `DeclarationError` if this kernel has no openat2."""
    try:
        os.close(_openat2(None, "/", _FOLDER, 0, 0))
    except OSError as error:
        if error.errno != errno.ENOSYS:
            return
        msg = (
            "files are kept by openat2, which this kernel does not have, or a container's filter hides: "
            "run Linux 5.6 or newer, and allow openat2"
        )
        raise DeclarationError(msg) from None


def _openat2(folder: int | None, path: str, flags: int, mode: int, resolve: int) -> int:
    how = struct.pack("=QQQ", flags, mode, resolve)  # struct open_how: flags, mode, resolve
    return kernel.syscall("openat2", -100 if folder is None else folder, os.fsencode(path) + b"\0", how, len(how))


def names(path: str, whole: str, *, hidden: bool) -> tuple[str, ...]:
    """Return a caller's path as the names that it is made of; raises `InvalidName`, and `OutOfScope` for dotfiles.

    Empty for an empty path. `whole`: what the caller gave, for the sentence. `hidden`: whether names that begin with a
    dot are in scope.
    """
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise InvalidName from None
    if b"\0" in encoded or len(encoded) > LONGEST_PATH:
        raise InvalidName
    if not path:
        return ()
    found = tuple(path.split("/"))
    for each in found:
        if each in {"", "."} or len(each.encode()) > _LONGEST_NAME:
            raise InvalidName
        if each == ".." or each.startswith(OWN) or (each.startswith(".") and not hidden):
            msg = f"{whole}: {sentence(OutOfScope)}"
            raise OutOfScope(msg)
    return found


def open_folder(root: int, inside: tuple[str, ...]) -> int:
    """Return a descriptor of a folder beneath `root`; raises `OSError`."""
    return _openat2(root, "/".join(inside) or ".", _FOLDER, 0, _RESOLVE)


def open_file(root: int, inside: tuple[str, ...], flags: int = os.O_RDONLY) -> int:
    """Return a descriptor of a regular file of one name beneath `root`; raises `OSError`, `WrongKind`."""
    if not inside:
        raise WrongKind
    folder = open_folder(root, inside[:-1])
    try:
        return _open_in(folder, inside[-1], flags)
    finally:
        os.close(folder)


def _open_in(folder: int, name: str, flags: int) -> int:
    opened = _openat2(folder, name, flags | _ALWAYS, 0, _RESOLVE)
    try:
        check_file(os.fstat(opened))
        _check_name(folder, opened)
    except BaseException:
        os.close(opened)
        raise
    return opened


def _check_name(folder: int, opened: int) -> None:
    """Raise `WrongKind` unless the name by which a file was opened is in this folder, and was when it was the only one.

    A second name that is removed between the opening and the look at the number of names would leave one name, outside.
    The kernel never puts a removed name back: one that is made later, of the same file in the same place, is another to
    it. So a name that is there after the look was there during it.
    """
    with contextlib.suppress(OSError):  # whatever it answers, a removal that was under way in this folder is complete
        kernel.syscall("getdents64", folder, _ENTRIES, len(_ENTRIES))
    for _ in range(_LOOKS):  # the folder may be renamed in between the two
        path, around = (os.readlink(f"/proc/self/fd/{each}") for each in (opened, folder))  # noqa: PTH115  # as told
        if path.endswith(_REMOVED):
            break
        if os.path.dirname(path) == around:  # noqa: PTH120  # a string, compared as such
            return
    raise WrongKind


def make_file(folder: int, name: str) -> int:
    """Return a descriptor of a new file in a folder, 0600; raises `OSError` if there is something of that name."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | _ALWAYS
    return _openat2(folder, name, flags, 0o600, _RESOLVE)


def check_file(found: os.stat_result) -> None:
    """Raise `WrongKind` for what is no regular file, or has a second name, which may lie anywhere."""
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise WrongKind


def check_replaceable(folder: int, name: str) -> None:
    """Raise `WrongKind` if there is something of that name in a folder which no file may replace."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    check_file(found)


def move(source: int, name: str, target: int, to: str, *, replace: bool) -> None:
    """Rename in or between two open folders, by names without a slash; raises `OSError`."""
    flags = 0 if replace else _NO_REPLACE
    kernel.syscall("renameat2", source, os.fsencode(name) + b"\0", target, os.fsencode(to) + b"\0", flags)
