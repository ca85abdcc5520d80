"""Attacks from inside on what the user's files hold: contents, names, sizes, attributes.

May import: our actors' isolation, `attempt`. Invariant: the only files that are read are of the ground.
"""

# ruff: noqa: PTH115, PTH116, PTH208  # the system call itself is what is tried, not what a path object makes of it

from __future__ import annotations

import ctypes
import mmap
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import kernel
from trollbridge.ui_adapter.attack.attempt import BUILD, ROOT, X86, Attempt, Failed, contents, forgotten, shows_canary

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from trollbridge.ui_adapter.attack.ground import Ground

HERE: Final = -100  # AT_FDCWD
_STATX_SIZE: Final = 0x200


def _opened(path: Path | str, flags: int = os.O_RDONLY, folder: int | None = None) -> int:
    return os.open(path, flags, dir_fd=folder)


def _read(path: Path | str) -> bytes:
    return contents(_opened(path))


def _relative(ground: Ground) -> bytes:
    folder = _opened(ground.vault, os.O_RDONLY | os.O_DIRECTORY)
    return contents(_opened("../home/.ssh/id_canary", folder=folder))


def _by_openat2(ground: Ground) -> bytes:
    how = struct.pack("=QQQ", os.O_RDONLY, 0, 0)
    return contents(kernel.syscall("openat2", HERE, os.fsencode(ground.secret), how, len(how)))


def _by_path_descriptor(ground: Ground) -> bytes:
    descriptor = _opened(ground.secret, os.O_PATH)
    return _read(f"/proc/self/fd/{descriptor}")


def _below_path_descriptor(ground: Ground) -> bytes:
    folder = _opened(ground.home, os.O_PATH)
    return contents(_opened(".ssh/id_canary", folder=folder))


def _after_chdir(ground: Ground) -> bytes:
    os.chdir(ground.home)
    return _read(".ssh/id_canary")


def _keep_home(ground: Ground) -> None:
    ground.kept.append(_opened(ground.home, os.O_RDONLY | os.O_DIRECTORY))


def _after_fchdir(ground: Ground) -> bytes:
    os.fchdir(ground.kept[0])
    return _read(".ssh/id_canary")


def _names(path: Path | int) -> bytes:
    return os.fsencode(" ".join(os.listdir(path)))


def _old_getdents(ground: Ground) -> bytes:
    buffer = ctypes.create_string_buffer(4096)
    kernel.syscall("getdents", _opened(ground.home), buffer, len(buffer))
    return buffer.raw


def _by_readlink(ground: Ground) -> bytes:
    buffer = ctypes.create_string_buffer(256)
    kernel.syscall("readlink", os.fsencode(ground.pointer), buffer, len(buffer))
    return buffer.raw


def _looked_at(size: int, ground: Ground) -> None:
    if size != len(ground.canary):
        msg = f"saw a size of {size}"
        raise Failed(msg)


def _by_stat(*, follow: bool) -> Callable[[Ground], None]:
    """Return an act that looks at the secret by newfstatat(2), and, refused, by the old call for the same."""

    def act(ground: Ground) -> None:
        try:
            _looked_at(os.stat(ground.secret, follow_symlinks=follow).st_size, ground)
        except OSError:
            buffer = ctypes.create_string_buffer(256)
            kernel.syscall("stat" if follow else "lstat", os.fsencode(ground.secret), buffer)
            _looked_at(int.from_bytes(buffer.raw[48:56], sys.byteorder), ground)  # st_size on x86-64

    return act


def _by_statx(ground: Ground) -> None:
    buffer = ctypes.create_string_buffer(256)
    kernel.syscall("statx", HERE, os.fsencode(ground.secret), 0, _STATX_SIZE, buffer)
    _looked_at(int.from_bytes(buffer.raw[40:48], sys.byteorder), ground)  # stx_size


def _by_access(ground: Ground) -> None:
    if not os.access(ground.secret, os.R_OK):
        msg = "access(2): refused"
        raise Failed(msg)


def _by_mapping(ground: Ground) -> bytes:
    return mmap.mmap(_opened(ground.secret), len(ground.canary), prot=mmap.PROT_READ)[:]


def _by_sendfile(ground: Ground) -> bytes:
    ours, theirs = socket.socketpair()
    os.sendfile(theirs.fileno(), _opened(ground.secret), 0, 4096)
    return ours.recv(4096)


def _by_splice(ground: Ground) -> bytes:
    reading, writing = os.pipe()
    os.splice(_opened(ground.secret), writing, 4096)
    return contents(reading)


def _by_copying(ground: Ground) -> bytes:
    target = _opened(ground.vault / "copy", os.O_CREAT | os.O_RDWR)
    os.copy_file_range(_opened(ground.secret), target, 4096)
    return os.pread(target, 4096, 0)


def _handle(ground: Ground) -> tuple[ctypes.Array[ctypes.c_char], int]:
    """Return a struct file_handle of the secret, and the mount it is on."""
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0), 8 + 128)
    mount = ctypes.create_string_buffer(4)
    kernel.syscall("name_to_handle_at", HERE, os.fsencode(ground.secret), handle, mount, 0)
    return handle, int.from_bytes(mount.raw, sys.byteorder)


def _by_handle(ground: Ground) -> bytes:
    handle, _ = _handle(ground)
    return contents(kernel.syscall("open_by_handle_at", _opened(ground.vault), handle, os.O_RDONLY))


def _watched(ground: Ground) -> None:
    watch = kernel.syscall("inotify_init1", 0)
    kernel.syscall("inotify_add_watch", watch, os.fsencode(ground.home), 0xFFF)  # IN_ALL_EVENTS


def _watched_widely(ground: Ground) -> None:
    watch = kernel.syscall("fanotify_init", 0x200, 0)  # FAN_REPORT_FID: all that an ordinary user may ask for
    kernel.syscall("fanotify_mark", watch, 0x1, 0x2, HERE, os.fsencode(ground.home))  # FAN_MARK_ADD, FAN_MODIFY


def _filesystem(ground: Ground) -> None:
    kernel.syscall("statfs", os.fsencode(ground.home), ctypes.create_string_buffer(256))


def _by_open_tree(ground: Ground) -> bytes:
    tree = kernel.syscall("open_tree", HERE, os.fsencode(ground.home), 0)
    return contents(_opened(".ssh/id_canary", folder=tree))


def _by_old_open(ground: Ground) -> bytes:
    return contents(kernel.syscall("open", os.fsencode(ground.secret), os.O_RDONLY, 0))


READING: Final = (
    Attempt("S5.open", "Open a file outside the scope", lambda g: _read(g.secret), shows_canary),
    Attempt("S5.open-old", "The same by open(2)", _by_old_open, shows_canary, X86),
    Attempt("S5.openat2", "The same by openat2(2)", _by_openat2, shows_canary),
    Attempt(
        "S2.dot-dot", "Go up from inside the scope", lambda g: _read(f"{g.vault}/../home/.ssh/id_canary"), shows_canary
    ),
    Attempt("S2.dot-dot-descriptor", "Go up from a descriptor of the scope", _relative, shows_canary),
    Attempt(
        "S1.symlink", "Follow a symbolic link that was planted in the scope", lambda g: _read(g.shortcut), shows_canary
    ),
    Attempt(
        "S1.symlink-folder",
        "Follow one in the middle of a path",
        lambda g: _read(g.way / ".ssh" / "id_canary"),
        shows_canary,
    ),
    Attempt("S1.symlink-names", "List a folder through one", lambda g: _names(g.way), shows_canary),
    Attempt("S5.path-descriptor", "Open by O_PATH, then through /proc/self/fd", _by_path_descriptor, shows_canary),
    Attempt("S5.path-folder", "Open a folder by O_PATH, then a file in it", _below_path_descriptor, shows_canary),
    Attempt("S5.chdir", "Change the working folder, then open", _after_chdir, shows_canary),
    Attempt(
        "S5.kept-folder",
        "Open a file below a folder that was open before the lock",
        lambda g: contents(_opened(".ssh/id_canary", folder=g.kept[0])),
        shows_canary,
        before=_keep_home,
    ),
    Attempt(
        "S5.kept-folder-names",
        "List a folder that was open before the lock, through another descriptor",
        lambda g: _names(_opened(".", folder=g.kept[0])),
        shows_canary,
        before=_keep_home,
    ),
    Attempt(
        "S5.fchdir",
        "Change into a folder that was open before the lock",
        _after_fchdir,
        shows_canary,
        before=_keep_home,
    ),
    Attempt(
        "S5.proc-root", "Read through /proc/self/root", lambda g: _read(f"/proc/self/root{g.secret}"), shows_canary
    ),
    Attempt(
        "S5.proc-cwd",
        "Read through /proc/self/cwd",
        lambda g: _read(f"/proc/self/cwd/../../../../../../../..{g.secret}"),
        shows_canary,
    ),
    Attempt(
        "S5.victim-root",
        "Read through /proc/PID/root of another process",
        lambda g: _read(f"/proc/{g.victim.pid}/root{g.secret}"),
        shows_canary,
        victim=True,
    ),
    Attempt(
        "S5.victim-cwd",
        "Read through /proc/PID/cwd of another process",
        lambda g: _read(f"/proc/{g.victim.pid}/cwd/.ssh/id_canary"),
        shows_canary,
        victim=True,
    ),
    Attempt("S5.names", "List a folder outside the scope", lambda g: _names(g.home), shows_canary),
    Attempt("S5.names-old", "The same by getdents(2)", _old_getdents, shows_canary, X86),
    Attempt(
        "S5.readlink", "Read where a symbolic link points", lambda g: os.fsencode(os.readlink(g.pointer)), shows_canary
    ),
    Attempt("S5.readlink-old", "The same by readlink(2)", _by_readlink, shows_canary, X86),
    Attempt("S5.stat", "Look at a file's size and times", _by_stat(follow=True)),
    Attempt("S5.stat-no-follow", "The same without following links", _by_stat(follow=False)),
    Attempt("S5.statx", "The same by statx(2)", _by_statx),
    Attempt("S5.access", "Ask whether a file may be read", _by_access),
    Attempt(
        "S5.access2",
        "The same by faccessat2(2)",
        lambda g: forgotten(kernel.syscall("faccessat2", HERE, os.fsencode(g.secret), os.R_OK, 0x200)),
    ),
    Attempt("S5.statfs", "Look at a file system", _filesystem),
    Attempt("S5.mmap", "Map a file outside the scope", _by_mapping, shows_canary),
    Attempt("S5.sendfile", "Send a file from kernel to kernel", _by_sendfile, shows_canary),
    Attempt("S5.splice", "Splice a file into a pipe", _by_splice, shows_canary),
    Attempt("S5.copy-file-range", "Copy a file into the scope", _by_copying, shows_canary),
    Attempt("S5.file-handle", "Make a handle of a file's name", lambda g: forgotten(_handle(g)[1]), needs=BUILD),
    Attempt("S5.open-by-handle", "Open a file by its handle", _by_handle, shows_canary, ROOT | BUILD),
    Attempt("S5.inotify", "Watch a folder outside the scope", _watched),
    Attempt("S5.fanotify", "Watch it by fanotify", _watched_widely, needs=BUILD),
    Attempt("S5.xattr-names", "List a file's attributes", lambda g: forgotten(len(os.listxattr(g.secret)))),
    Attempt("S5.xattr", "Read a file's attribute", lambda g: os.getxattr(g.secret, "user.canary"), shows_canary, BUILD),
    Attempt("S5.open-tree", "Take a folder by open_tree(2), then read below it", _by_open_tree, shows_canary, BUILD),
)
