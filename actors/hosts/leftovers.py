"""Files that are being written, under names of their own: whose they are, and what a host that was killed has left.

May import: our `beneath`, `values`. Invariants: whoever writes such a file holds its lock (flock(2)) until it is in its
place or removed; one that can be locked is nobody's any more, and may be removed. The kernel lets go of a lock when the
last process that holds it ends, whichever way.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
from typing import Final

from trollbridge.actors.hosts import beneath
from trollbridge.actors.hosts.values import WrongKind

_NAME: Final = re.compile(re.escape(beneath.OWN) + r"[0-9a-f]{16}", re.ASCII)
_TRIES: Final = 8


class Unfinished:
    """A new file under a name of its own, locked."""

    def __init__(self, folder: int) -> None:
        """Make it in a folder; raises `OSError`."""
        for _ in range(_TRIES - 1):  # somebody may take it for left behind before it is locked
            with contextlib.suppress(BlockingIOError, FileNotFoundError, WrongKind):
                self._make(folder)
                return
        self._make(folder)

    def _make(self, folder: int) -> None:
        self.name = f"{beneath.OWN}{secrets.token_hex(8)}"
        self.file = beneath.make_file(folder, self.name)
        try:
            self._lock = _locked(folder, self.name)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(self.name, dir_fd=folder)  # by descriptor
            os.close(self.file)
            raise

    def release(self) -> None:
        """Let go of the lock; it is in its place, or removed."""
        os.close(self._lock)


def _locked(folder: int, name: str) -> int:
    """Return a descriptor that holds a file's lock; raises `BlockingIOError` if somebody else does, `WrongKind`.

    It cannot write: to close it is no change that whoever watches the folder would be told of. Where the file system
    has no locks it holds none, and nothing is taken for left behind.
    """
    held = beneath.open_file(folder, (name,))
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        beneath.check_file(os.fstat(held))  # removed before it was locked
    except (BlockingIOError, WrongKind):
        os.close(held)
        raise
    except OSError:
        pass
    return held


def sweep(folder: int) -> None:
    """Remove what hosts of this user have left behind in a folder; what cannot be removed stays."""
    for name in os.listdir(folder):  # by descriptor
        if _NAME.fullmatch(name):
            with contextlib.suppress(OSError, WrongKind):
                _remove(folder, name)


def _remove(folder: int, name: str) -> None:
    held = beneath.open_file(folder, (name,))
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(held).st_uid == os.geteuid():
            os.unlink(name, dir_fd=folder)  # by descriptor
    finally:
        os.close(held)
