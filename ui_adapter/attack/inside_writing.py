"""Attacks from inside on the user's files: changing, making, removing, moving them.

May import: our actors' isolation, `attempt`. Invariant: each is proved by what the runner finds in the folders after.
"""

# ruff: noqa: PTH101, PTH102, PTH104, PTH106, PTH108, PTH211, S103  # the system call itself is what is tried, not what a path object makes of it

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import kernel
from trollbridge.ui_adapter.attack.attempt import BUILD, ROOT, X86, Attempt
from trollbridge.ui_adapter.attack.inside_reading import HERE
from trollbridge.ui_adapter.attack.needs import Need

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.attack.ground import Ground

_AT_SYMLINK_FOLLOW: Final = 0x400
_EXCHANGE: Final = 2  # RENAME_EXCHANGE
_WRITTEN: Final = b"written by an attack"
_NULL_DEVICE: Final = os.makedev(1, 3)


def _changed(ground: Ground, _found: bytes) -> bool:
    return ground.changed()


def _new(ground: Ground, _found: bytes) -> bool:
    return ground.made("new")


def _gone(name: str) -> Callable[[Ground, bytes], bool]:
    return lambda ground, _found: not ground.made(name)


def _pulled_in(ground: Ground, _found: bytes) -> bool:
    """Tell whether the secret lies in the scope under a name of its own."""
    with contextlib.suppress(OSError):
        return ground.canary in (ground.vault / "taken").read_bytes()
    return False


def _overwrite(path: Path | str, flags: int = 0) -> None:
    os.write(os.open(path, os.O_WRONLY | flags), _WRITTEN)


def _make(path: Path | str) -> None:
    os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)


def _truncated_by_reading(ground: Ground) -> None:
    os.open(ground.bystander, os.O_RDONLY | os.O_TRUNC)


def _shrunk(ground: Ground) -> None:
    os.ftruncate(os.open(ground.bystander, os.O_WRONLY), 1)


def _without_a_name(ground: Ground) -> None:
    descriptor = os.open(ground.home, os.O_TMPFILE | os.O_WRONLY, 0o600)
    source = f"/proc/self/fd/{descriptor}".encode()
    kernel.syscall("linkat", HERE, source, HERE, os.fsencode(ground.home / "new"), _AT_SYMLINK_FOLLOW)


def _through_the_planted(ground: Ground) -> bytes:
    descriptor = os.open(ground.planted, os.O_RDWR)
    found = os.read(descriptor, 4096)
    os.pwrite(descriptor, _WRITTEN, len(found))
    return found


def _the_source_changed(ground: Ground, found: bytes) -> bool:
    return ground.canary in found and ground.source.read_bytes().endswith(_WRITTEN)


def _bound_file(ground: Ground) -> None:
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).bind(str(ground.home / "new"))


def _exchanged(ground: Ground) -> None:
    kernel.syscall("renameat2", HERE, os.fsencode(ground.secret), HERE, os.fsencode(ground.record), _EXCHANGE)


def _the_record_is_outside(ground: Ground, _found: bytes) -> bool:
    return ground.secret.stat().st_ino == ground.inode


def _mode(name: str, ground: Ground) -> None:
    kernel.syscall(name, HERE, os.fsencode(ground.bystander), 0o666, 0)


def _in_shared_memory(ground: Ground) -> None:
    _make(f"/dev/shm/{ground.shared}")  # noqa: S108  # the attack is to make a file there


def _shared_memory_is_there(ground: Ground, _found: bytes) -> bool:
    path = Path("/dev/shm", ground.shared)  # noqa: S108  # as above
    there = path.exists()
    path.unlink(missing_ok=True)
    return there


def _old_creat(ground: Ground) -> None:
    kernel.syscall("creat", os.fsencode(ground.home / "new"), 0o600)


def _keep_home(ground: Ground) -> None:
    ground.kept.append(os.open(ground.home, os.O_RDONLY | os.O_DIRECTORY))


def _below_kept(ground: Ground) -> None:
    os.open("new", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=ground.kept[0])


WRITING: Final = (
    Attempt("S5.write", "Write into a file outside the scope", lambda g: _overwrite(g.bystander), _changed),
    Attempt("S5.append", "Append to it", lambda g: _overwrite(g.bystander, os.O_APPEND), _changed),
    Attempt("S5.open-truncating", "Open it truncating", lambda g: _overwrite(g.bystander, os.O_TRUNC), _changed),
    Attempt("S5.open-reading-truncating", "Open it for reading, truncating", _truncated_by_reading, _changed),
    Attempt("S5.truncate", "Truncate it by name", lambda g: os.truncate(g.bystander, 1), _changed),
    Attempt("S5.ftruncate", "Truncate it by descriptor", _shrunk, _changed),
    Attempt(
        "S1.write-symlink",
        "Write through a symbolic link in the scope",
        lambda g: _overwrite(g.way / "notes"),
        _changed,
    ),
    Attempt(
        "S2.write-dot-dot",
        "Write by going up from the scope",
        lambda g: _overwrite(f"{g.vault}/../home/notes"),
        _changed,
    ),
    Attempt(
        "S1.hard-link-planted",
        "Read and write through a hard link that somebody planted in the scope",
        _through_the_planted,
        _the_source_changed,
    ),
    Attempt("S5.create", "Make a file outside the scope", lambda g: _make(g.home / "new"), _new),
    Attempt("S5.create-old", "The same by creat(2)", _old_creat, _new, X86),
    Attempt(
        "S5.create-below-kept",
        "Make a file below a folder that was open before the lock",
        _below_kept,
        _new,
        before=_keep_home,
    ),
    Attempt("S5.create-nameless", "Make a file without a name, then give it one", _without_a_name, _new, BUILD),
    Attempt("S5.mkdir", "Make a folder", lambda g: os.mkdir(g.home / "new"), _new),
    Attempt("S5.mkfifo", "Make a named pipe", lambda g: os.mkfifo(g.home / "new"), _new),
    Attempt("S5.mknod", "Make a file by mknod(2)", lambda g: os.mknod(g.home / "new", stat.S_IFREG | 0o600), _new),
    Attempt("S5.mknod-socket", "Make a socket's file", lambda g: os.mknod(g.home / "new", stat.S_IFSOCK | 0o600), _new),
    Attempt(
        "S5.mknod-device",
        "Make a device outside",
        lambda g: os.mknod(g.home / "new", stat.S_IFCHR | 0o600, _NULL_DEVICE),
        _new,
        ROOT,
    ),
    Attempt(
        "S5.mknod-device-inside",
        "Make a device in the scope",
        lambda g: os.mknod(g.vault / "taken", stat.S_IFCHR | 0o600, _NULL_DEVICE),
        lambda g, _: (g.vault / "taken").is_char_device(),
        ROOT,
    ),
    Attempt("S5.bind-file", "Bind a socket to a path outside", _bound_file, _new),
    Attempt("S5.symlink", "Make a symbolic link outside", lambda g: os.symlink("notes", g.home / "new"), _new),
    Attempt("S1.link-in", "Link the secret into the scope", lambda g: os.link(g.secret, g.vault / "taken"), _pulled_in),
    Attempt("S1.link-out", "Link a record out of the scope", lambda g: os.link(g.record, g.home / "new"), _new),
    Attempt(
        "S1.rename-in", "Move the secret into the scope", lambda g: os.rename(g.secret, g.vault / "taken"), _pulled_in
    ),
    Attempt("S1.rename-out", "Move a record out of the scope", lambda g: os.rename(g.record, g.home / "new"), _new),
    Attempt(
        "S1.rename-over", "Move a record over a file outside", lambda g: os.rename(g.record, g.bystander), _changed
    ),
    Attempt("S1.rename-exchange", "Exchange a record with the secret", _exchanged, _the_record_is_outside, BUILD),
    Attempt("S5.rename-outside", "Rename a file outside", lambda g: os.rename(g.bystander, g.home / "new"), _new),
    Attempt("S5.unlink", "Remove a file outside", lambda g: os.unlink(g.bystander), _gone("notes")),
    Attempt("S5.rmdir", "Remove a folder outside", lambda g: os.rmdir(g.home / "empty"), _gone("empty")),
    Attempt("S5.chmod", "Open a file to everyone", lambda g: os.chmod(g.bystander, 0o666), _changed),
    Attempt("S5.fchmodat", "The same by fchmodat(2)", lambda g: _mode("fchmodat", g), _changed),
    Attempt("S5.fchmodat2", "The same by fchmodat2(2)", lambda g: _mode("fchmodat2", g), _changed, BUILD),
    Attempt(
        "S5.chown", "Change a file's owner (to the same one)", lambda g: os.chown(g.bystander, os.getuid(), os.getgid())
    ),
    Attempt("S5.utime", "Change a file's times", lambda g: os.utime(g.bystander, (1, 1)), _changed),
    Attempt(
        "S5.set-xattr",
        "Set a file's attribute",
        lambda g: os.setxattr(g.bystander, "user.attack", b"1"),
        lambda g, _: "user.attack" in os.listxattr(g.bystander),
        BUILD,
    ),
    Attempt(
        "S5.shared-memory",
        "Make a file in /dev/shm",
        _in_shared_memory,
        _shared_memory_is_there,
        frozenset({Need.SHARED_FOLDER}),
    ),
)
