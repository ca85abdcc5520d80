"""Watching a folder: what the kernel says that happened in it, by inotify.

May import: `isolation.kernel`, our `values`. Invariants: what is watched is the folder that a descriptor stands for,
never a path of a caller's; one that was moved is not watched any longer, wherever it is now.

Source: inotify(7), <linux/inotify.h>.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Final

from trollbridge.actors.hosts.values import Change
from trollbridge.actors.isolation import kernel

if TYPE_CHECKING:
    from collections.abc import Callable

_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x08, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _UNMOUNT, _OVERFLOW, _IGNORED = 0x400, 0x800, 0x2000, 0x4000, 0x8000
_ONLY_FOLDERS: Final = 0x0100_0000
_WANTED: Final = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF | _ONLY_FOLDERS
_GONE: Final = _DELETE_SELF | _MOVE_SELF | _UNMOUNT | _IGNORED
_HEAD: Final = struct.Struct("=iIII")
"""struct inotify_event: watch, mask, cookie, length of the name that follows."""
_BUFFER: Final = 64 * 1024
_WORDS: Final = (
    (_OVERFLOW, "lost"),
    (_CREATE | _MOVED_TO, "made"),
    (_DELETE | _MOVED_FROM, "removed"),
    (_CLOSE_WRITE, "changed"),
)


class Watch:
    """One folder that is watched; the kernel keeps what happens, up to a number of events, until it is taken."""

    def __init__(self, folder: int) -> None:
        """Watch the folder that this descriptor stands for, which may be closed afterwards; raises `OSError`."""
        self.descriptor: Final = kernel.syscall("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)
        self.gone = False
        """Whether the folder was removed or moved; nothing comes any more."""
        try:
            kernel.syscall("inotify_add_watch", self.descriptor, b"/proc/self/fd/%d\0" % folder, _WANTED)
        except OSError:
            self.close()
            raise

    def take(self, shows: Callable[[str], bool]) -> list[Change]:
        """Return what has happened since it was last asked, to names that `shows` lets pass."""
        try:
            data = os.read(self.descriptor, _BUFFER)
        except BlockingIOError:
            return []
        found: list[Change] = []
        at = 0
        while at < len(data):
            _, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
            at += length
            if mask & _GONE:
                self.gone = True
                break
            kind = next((word for bits, word in _WORDS if mask & bits), "")
            if kind == "lost" or (kind and shows(name)):
                found.append(Change(kind, name))
        return found

    def close(self) -> None:
        """Watch no more."""
        os.close(self.descriptor)
