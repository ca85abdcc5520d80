"""Files that are being written: piece by piece beside their place, and then there at once, whole.

May import: our `beneath`, `leftovers`, `pieces`, `roots`, `shares`, `values`, our messages. Invariants: what stood at a
path stays as it was until the new file is complete and on the disk, then rename(2) replaces it; a file that is not
committed leaves nothing behind, or, if the host is killed, what the next one removes; a handle is good for the member
that began it, and for nobody else.

Appending writes at the end of the file that is there, at once: it is not undone by `abandon`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from typing import TYPE_CHECKING, Final

from trollbridge.actors.hosts import beneath
from trollbridge.actors.hosts.leftovers import Unfinished, sweep
from trollbridge.actors.hosts.pieces import Pieces
from trollbridge.actors.hosts.roots import telling
from trollbridge.actors.hosts.shares import Shares
from trollbridge.actors.hosts.values import NoSpace, NoSuchHandle, sentence
from trollbridge.messages.errors import DeclaredError, InvalidArguments

if TYPE_CHECKING:
    from trollbridge.actors.hosts.roots import Place, Roots
    from trollbridge.actors.serving.invocation import Caller
    from trollbridge.messages.ids import MemberId

MOST: Final = 16
"""Files that one member may be writing at a time."""
MOST_TOGETHER: Final = 64
"""Files that all members may be writing at a time; each takes three descriptors."""
_MOST_SWEPT: Final = 4096
"""Folders of which it is kept that they were looked through."""
IDLE: Final = 120.0
"""Seconds after which a file that nobody writes to is abandoned."""


class Writing:
    """One file that is being written."""

    def __init__(self, owner: MemberId, place: Place, folder: int, *, append: bool, largest: int) -> None:
        """Take the open folder around it, which is this object's from here on; raises `OSError`, `WrongKind`."""
        self.owner: Final = owner
        self.path: Final = place.path
        self._folder: Final = folder
        self._name: Final = place.name
        self._largest: Final = largest
        self._unfinished: Unfinished | None = None
        if append:
            self._file = _for_appending(folder, place.name)
        else:
            beneath.check_replaceable(folder, place.name)
            self._unfinished = Unfinished(folder)
            self._file = self._unfinished.file
        self._append: Final = append
        self._base: Final = os.fstat(self._file).st_size
        self._pieces: Final = Pieces()
        self.used = time.monotonic()

    def put(self, offset: int, data: bytes) -> int:
        """Write at an offset from where the file began; return how many bytes were taken in all. Raises `OSError`."""
        if offset < 0 or (self._append and offset != self._pieces.bytes):
            msg = "a piece begins where the one before it ended"
            raise InvalidArguments(msg)
        if self._base + offset + len(data) > self._largest:
            msg = f"{self.path}: {sentence(NoSpace)}"
            raise NoSpace(msg)
        self._pieces.add(offset, len(data))
        self.used = time.monotonic()
        rest = memoryview(data)
        at = self._base + offset
        while rest:
            written = os.pwrite(self._file, rest, at)
            rest, at = rest[written:], at + written
        return self._pieces.bytes

    def commit(self, size: int | None) -> int:
        """Put the file into its place, on the disk; return its size; raises `InvalidArguments` for missing pieces."""
        came = self._pieces.bytes
        if not self._pieces.whole or size not in {None, came}:
            msg = f"{self.path}: pieces are missing: {came} bytes came, and {size or self._pieces.end} should have"
            raise InvalidArguments(msg)
        os.fsync(self._file)
        self._close_file()  # now, lest whoever watches is told of a change after the new name
        if self._unfinished is not None:
            beneath.check_replaceable(self._folder, self._name)
            beneath.move(self._folder, self._unfinished.name, self._folder, self._name, replace=True)
            self._unfinished.release()
            self._unfinished = None
            os.fsync(self._folder)
        return self._base + came

    def close(self) -> None:
        """Leave nothing open, and nothing behind that was not committed."""
        if self._unfinished is not None:
            with contextlib.suppress(OSError):  # whoever has the folder may have removed it
                os.unlink(self._unfinished.name, dir_fd=self._folder)
            self._unfinished.release()
            self._unfinished = None
        self._close_file()
        os.close(self._folder)

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _for_appending(folder: int, name: str) -> int:
    try:
        return beneath.open_file(folder, (name,), os.O_RDWR)
    except FileNotFoundError:
        return beneath.make_file(folder, name)


class Handles:
    """Every file that is being written, by its number."""

    def __init__(self, roots: Roots, largest: int) -> None:
        """Take the folders, and the bytes of the longest file that may be written."""
        self._roots: Final = roots
        self._largest: Final = largest
        self._open: dict[int, Writing] = {}
        self._shares: Final = Shares("files are being written", each=MOST, together=MOST_TOGETHER)
        self._swept: set[tuple[int, int]] = set()
        """Folders, by device and number, in which nothing is left behind by a host before this one."""

    @property
    def owners(self) -> frozenset[MemberId]:
        """Who is writing."""
        return frozenset(each.owner for each in self._open.values())

    def begin(self, caller: Caller, path: str, *, append: bool) -> int:
        """Begin a file; return its number, which nobody can guess. Raises what a caller is told."""
        place = self._roots.writable(path)
        self._shares.take(caller)
        try:
            with telling(path):
                writing = self._begun(caller.member, place, append=append)
        except BaseException:
            self._shares.give(caller.member)
            raise
        number = secrets.randbits(53)
        self._open[number] = writing
        return number

    def _begun(self, owner: MemberId, place: Place, *, append: bool) -> Writing:
        folder = beneath.open_folder(place.root, place.inside[:-1])
        try:
            self._sweep(folder)
            return Writing(owner, place, folder, append=append, largest=self._largest)
        except BaseException:
            os.close(folder)
            raise

    def _sweep(self, folder: int) -> None:
        """Look a folder through when something is first written there."""
        found = os.fstat(folder)
        if (found.st_dev, found.st_ino) not in self._swept:
            if len(self._swept) >= _MOST_SWEPT:
                self._swept.clear()
            self._swept.add((found.st_dev, found.st_ino))
            sweep(folder)

    def get(self, owner: MemberId, number: int) -> Writing:
        """Return what a member writes under a number; raises `NoSuchHandle`."""
        found = self._open.get(number)
        if found is None or found.owner != owner:
            raise NoSuchHandle
        return found

    def put(self, owner: MemberId, number: int, offset: int, data: bytes) -> int:
        """Write a piece; what cannot be written is abandoned. Raises what a caller is told."""
        writing = self.get(owner, number)
        try:
            with telling(writing.path):
                return writing.put(offset, data)
        except DeclaredError:  # a part of it may be written
            self._close(number)
            raise

    def commit(self, owner: MemberId, number: int, size: int | None) -> int:
        """Put a file into its place; raises what a caller is told, and the file is abandoned then."""
        writing = self.get(owner, number)
        try:
            with telling(writing.path):
                return writing.commit(size)
        finally:
            self._close(number)

    def abandon(self, owner: MemberId, number: int) -> None:
        """Forget a file; raises `NoSuchHandle`."""
        self.get(owner, number)
        self._close(number)

    def forget(self, owner: MemberId) -> None:
        """Abandon whatever a member was writing."""
        for number in [number for number, each in self._open.items() if each.owner == owner]:
            self._close(number)

    def expire(self, now: float) -> None:
        """Abandon what nobody has written to for `IDLE` seconds."""
        for number in [number for number, each in self._open.items() if now >= each.used + IDLE]:
            self._close(number)

    def close(self) -> None:
        """Abandon everything."""
        for number in tuple(self._open):
            self._close(number)

    def _close(self, number: int) -> None:
        found = self._open.pop(number)
        self._shares.give(found.owner)
        found.close()
