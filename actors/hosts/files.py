"""The files host: what a caller may do with the folders that an application declares.

May import: our actors and messages, this folder. Invariants: two walls, each of which holds alone: every path is
resolved by the kernel beneath a declared folder (`beneath`), and Landlock lets the process reach nothing else; no
answer and no error names an absolute path.
"""

from __future__ import annotations

import errno
import os
import resource
import stat
import time
from collections.abc import Generator, Iterator  # a handler's annotations are read at run time
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.actors.hosts import beneath
from trollbridge.actors.hosts.folders import Declared
from trollbridge.actors.hosts.leftovers import sweep
from trollbridge.actors.hosts.roots import Place, Roots, telling
from trollbridge.actors.hosts.shares import Shares
from trollbridge.actors.hosts.values import Change, Entry, NoSuchFile
from trollbridge.actors.hosts.watching import Watch
from trollbridge.actors.hosts.writing import Handles
from trollbridge.actors.serving.streaming import Pause
from trollbridge.messages.errors import InvalidArguments, TooLarge

if TYPE_CHECKING:
    from trollbridge.actors.serving.invocation import Caller

PIECE: Final = 128_000
"""Bytes that are read at a time: what fits one envelope."""
MOST_LISTED: Final = 10_000
"""Entries of a folder that can be listed."""
MOST_WATCHED: Final = 8
"""Folders that one member may be watching at a time."""
MOST_WATCHED_TOGETHER: Final = 64
"""Folders that all members may be watching at a time: half of what the kernel lets one user watch, if not told more."""
MOST_READ: Final = 32
"""Files that one member may be reading at a time."""
MOST_READ_TOGETHER: Final = 256
"""Files that all members may be reading at a time."""
_DESCRIPTORS: Final = 1024
"""More than all that together takes; the usual limit of a process."""
FARTHEST: Final = 1 << 62
"""The highest offset, and the greatest length: the kernel knows none beyond 2^63."""
LOOK: Final = 1.0
"""Seconds after which, while files are being written, it is looked whether their writers are still there."""
_LISTING: Final = 4 << 20
"""Bytes that a listing may take."""


class FilesHost(HostActor):
    """Reads and writes files beneath the folders that `Files(…)` declares; a path is `root/folder/name`."""

    single = True

    def __init__(self, declared: str) -> None:
        """Take what is declared (`folders.Declared`, in JSON)."""
        super().__init__()
        self._declared = msgspec.json.decode(declared, type=Declared)
        self._roots: Roots
        self._handles: Handles
        self._watching: Final = Shares("folders are being watched", each=MOST_WATCHED, together=MOST_WATCHED_TOGETHER)
        self._reading: Final = Shares("files are being read", each=MOST_READ, together=MOST_READ_TOGETHER)
        self._looking = False
        """Whether it is to be looked after writers."""

    def warm_up(self) -> None:
        """Open the folders, while their paths can still be resolved; raises `DeclarationError`."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < _DESCRIPTORS:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(_DESCRIPTORS, hard), hard))
        self._roots = Roots(self._declared)
        self._handles = Handles(self._roots, self._declared.largest)

    def on_stop(self) -> None:
        """Leave no half-written file behind."""
        self._handles.close()

    def on_wake(self) -> None:
        """Abandon what nobody writes to any longer, and what a member was writing that has left."""
        for member in self._handles.owners - self.clients:
            self._handles.forget(member)
        self._handles.expire(time.monotonic())
        self._looking = bool(self._handles.owners)
        if self._looking:
            self.wake_at(time.monotonic() + LOOK)

    # Looking.

    @handler
    def exists(self, path: str) -> bool:
        """Return whether there is a file or a folder at a path."""
        try:
            self.stat(path)
        except NoSuchFile:
            return False
        return True

    @handler
    def stat(self, path: str) -> Entry:
        """Return what there is at a path."""
        place = self._roots.place(path)
        with telling(path):
            if not place.inside:
                with self._roots.folder(place) as folder:
                    return _entry(path.partition("/")[0], os.fstat(folder))
            with self._roots.around(place) as folder:
                return _entry(place.name, os.stat(place.name, dir_fd=folder, follow_symlinks=False))

    @handler(max_bytes=_LISTING)
    def list(self, path: str = "") -> tuple[Entry, ...]:
        """Return what a folder holds, by name, up to 10,000 entries; without a path, the declared folders."""
        if not path:
            return tuple(msgspec.structs.replace(self.stat(each), name=each) for each in sorted(self._roots.names))
        place = self._roots.place(path)
        with telling(path), self._roots.folder(place) as folder:
            names = sorted(name for name in os.listdir(folder) if self._roots.shows(name))  # noqa: PTH208  # by descriptor
            if len(names) > MOST_LISTED:
                msg = f"{path}: it holds more than {MOST_LISTED} entries"
                raise TooLarge(msg)
            found = (_looked_at(folder, name) for name in names)
            return tuple(each for each in found if each is not None)

    # Reading.

    @handler
    def read(self, path: str, offset: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Stream a file's bytes, from an offset on, to its end or up to a length.

        What is read is what the file holds at that moment. Who replaces it meanwhile does not change what is read; who
        makes it shorter or longer does.
        """
        if not 0 <= offset <= FARTHEST or not 0 <= (length or 0) <= FARTHEST:
            msg = "an offset and a length are not negative, and at most 2^62"
            raise InvalidArguments(msg)
        return self._read(self.caller, self._roots.place(path), offset, length)

    def _read(self, caller: Caller, place: Place, offset: int, length: int | None) -> Generator[bytes, None, None]:
        self._reading.take(caller)
        opened = -1
        try:
            with telling(place.path):
                opened = beneath.open_file(place.root, place.inside)
            while length is None or length > 0:
                with telling(place.path):
                    piece = os.pread(opened, PIECE if length is None else min(PIECE, length), offset)
                if not piece:
                    return
                yield piece
                offset += len(piece)
                length = None if length is None else length - len(piece)
        finally:
            if opened >= 0:
                os.close(opened)
            self._reading.give(caller.member)

    @handler
    def watch(self, path: str) -> Iterator[Change | Pause]:
        """Stream what happens in a folder, not in those beneath it, until it is removed or moved.

        The first item is `begun`: whoever looks at the folder after it misses nothing.
        """
        return self._watch(self.caller, self._roots.place(path))

    def _watch(self, caller: Caller, place: Place) -> Generator[Change | Pause, None, None]:
        self._watching.take(caller)
        watch = None
        try:
            with telling(place.path), self._roots.folder(place) as folder:
                watch = Watch(folder)
            yield Change("begun", "")
            while not watch.gone:
                changes = watch.take(self._roots.shows)
                yield from changes
                if not changes and not watch.gone:
                    yield Pause(readable=watch.descriptor)
        finally:
            if watch is not None:
                watch.close()
            self._watching.give(caller.member)

    # Changing.

    @handler
    def make_folder(self, path: str) -> None:
        """Make a folder in one that exists."""
        place = self._roots.writable(path)
        with telling(path), self._roots.around(place) as folder:
            os.mkdir(place.name, 0o700, dir_fd=folder)  # by descriptor

    @handler
    def remove(self, path: str) -> None:
        """Remove a file, or a folder that is empty."""
        place = self._roots.writable(path)
        with telling(path), self._roots.around(place) as folder:
            try:
                os.unlink(place.name, dir_fd=folder)  # by descriptor
            except IsADirectoryError:
                _remove_folder(folder, place.name)

    @handler
    def rename(self, path: str, to: str, replace: bool = False) -> None:  # noqa: FBT001, FBT002  # a handler's parameter
        """Give a file or a folder another path, at once; raises `AlreadyThere` unless it may replace a file."""
        source, target = self._roots.writable(path), self._roots.writable(to)
        with telling(path), self._roots.around(source) as one, telling(to), self._roots.around(target) as other:
            if replace:
                beneath.check_replaceable(other, target.name)
            beneath.move(one, source.name, other, target.name, replace=replace)

    # Writing.

    @handler
    def begin(self, path: str, append: bool = False) -> int:  # noqa: FBT001, FBT002  # a handler's parameter
        """Begin a file, and return its number: nobody sees it until it is committed.

        `append`: write at the end of what is there, at once.
        """
        number = self._handles.begin(self.caller, path, append=append)
        if not self._looking:
            self.on_wake()
        return number

    @handler
    def put(self, handle: int, offset: int, data: bytes) -> int:
        """Write a piece at an offset; return how many bytes have come so far. Pieces may come in any order."""
        return self._handles.put(self.caller.member, handle, offset, data)

    @handler
    def commit(self, handle: int, size: int | None = None) -> int:
        """Put the file into its place, atomically, once it is on the disk; return its size.

        `size`: how many bytes should have come; raises `InvalidArguments` if a piece is missing.
        """
        return self._handles.commit(self.caller.member, handle, size)

    @handler
    def abandon(self, handle: int) -> None:
        """Forget a file that was begun; what is there stays as it was."""
        self._handles.abandon(self.caller.member, handle)


def _remove_folder(folder: int, name: str) -> None:
    """Remove an empty folder; what a host that was killed has left in it does not count. Raises `OSError`."""
    try:
        os.rmdir(name, dir_fd=folder)  # by descriptor
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
        inside = beneath.open_folder(folder, (name,))
        try:
            sweep(inside)
        finally:
            os.close(inside)
        os.rmdir(name, dir_fd=folder)  # by descriptor


def _kind(found: os.stat_result) -> str:
    if stat.S_ISDIR(found.st_mode):
        return "folder"
    return "file" if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 else "other"


def _entry(name: str, found: os.stat_result) -> Entry:
    kind = _kind(found)
    return Entry(name, kind, found.st_size if kind == "file" else 0, found.st_mtime)


def _looked_at(folder: int, name: str) -> Entry | None:
    try:
        return _entry(name, os.stat(name, dir_fd=folder, follow_symlinks=False))
    except FileNotFoundError:  # it has gone meanwhile
        return None
