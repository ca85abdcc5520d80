"""A log file: appended to, turned when it is full, its head beside it so that a missing end shows.

May import: the standard library, our messages, `chain`, `sinks`. Invariants: one application at a time writes to it (it
holds flock(2) on the file); file and head are made 0600; the files that were turned are FILE.1 (the last) to FILE.n;
nothing that is no regular file is opened in their place, or waited for. Which file is the oldest that is kept follows
from what we have kept, never from what lies there: a file that somebody else has removed is missed, and one that is
moved or removed while we write to it is followed by a new one that continues the chain, and says so. What cannot be
done, as the folder may not be written to, is told once, and the log goes on without.

FILE.head is one line of fixed length that is written over in place: sequence number, chain value, mark; see `chain`.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from pathlib import Path
from typing import Final

from trollbridge.actors.operations.chain import UNMARKED, Head, split
from trollbridge.actors.operations.sinks import Sink
from trollbridge.messages.errors import AlreadyRunning

KEPT: Final = 5
"""Files that were turned and are kept, if nothing else is asked for."""
SMALLEST: Final = 64 * 1024
"""Bytes that a file may have before it is turned, at least."""
LONGEST_LINE: Final = 64 * 1024
"""Bytes; ours have a sixth of it at most."""
NUMBERED: Final = re.compile(r"this is file ([0-9]{1,9}) of the log; the oldest that is kept is file ([0-9]{1,9})")
"""The `detail` of a `log.rotated`: which file this is, and which is the oldest that is still there."""
_LOOK_AGAIN: Final = 0.02
"""Seconds until a lock that somebody else has is tried again."""
_BEGINS: Final = b'{"time":'
"""How each of our lines begins."""
_OVERWRITES: Final = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_APPENDS: Final = _OVERWRITES | os.O_APPEND
_NO_FILE: Final = frozenset({errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV})
"""What a link, a folder, a socket or a device without a driver cannot be opened by."""
_HEAD: Final = re.compile(rb"([0-9]{20}) ([0-9a-f]{64}) ([0-9a-f]{64}|-{64})\n")


_NO_HEAD: Final = (
    "its head cannot be written: should its end be cut off, nothing shows it, and with a key it counts as cut"
)
_GROWS: Final = "it grows beyond its size, as no new file can be begun: {}"


class LogBusy(AlreadyRunning):
    """Another application writes to this log file, or the same one runs already; give each one its own."""


class LogFile(Sink):
    """One log file that we append to."""

    def __init__(self, path: str, *, size: int = 0, keep: int = KEPT, wait: float = 0.0) -> None:
        """Open or make the file. `size`: bytes after which it is turned (0: never); `keep`: how many that were.

        Raises `OSError` if that cannot be, `LogBusy` if somebody else writes there, after `wait` seconds still.
        """
        self.path: Final = os.path.realpath(path)  # what a link leads to is what is turned
        self.name = path
        self._size: Final = size
        self._keep: Final = keep
        self._found: list[tuple[str, str]] = []
        self._descriptor = _held(self.path, 0, wait)
        try:
            self._head = _head_descriptor(self.path)
            self._length, self.after = self._end()
        except OSError:
            os.close(self._descriptor)
            raise
        self._unnamed = not self._length and count(self.path) > 0
        """Whether whoever turned the log ended between the two renamings, before this file had its first line."""
        self._number, self._oldest = numbers(turned(self.path, 1) if self._unnamed else self.path)
        """Which file of the log this is, and which is the oldest that is kept."""
        if self._unnamed:
            self._number += 1
            self._oldest = max(self._oldest, self._number - self._keep)
        self._missing = self._number - self._oldest - count(self.path)
        """How many of those that are kept are known not to be there."""
        self._lines = 0
        self._astray = False
        """Whether the file is not where it should be, and no other could be made there."""
        self._stuck = False
        """Whether the file is too long, and no other could be begun."""
        if self._head is None:
            self._found.append(("log.hindered", _NO_HEAD))
        before = read_head(self.path)
        if before is not None and before.chain != self.after:
            self._found.append(("log.altered", "the file does not end where its head says"))
        elif before is not None and before.mark != UNMARKED:
            self.mark = before.mark
        elif before is None and self.after and self._head is not None:
            self._found.append(("log.altered", "the file's head is missing: so may be its end"))

    def _end(self) -> tuple[int, str]:
        """Return the file's length and the chain value that it ends with; takes off a line that is not whole."""
        length = os.fstat(self._descriptor).st_size
        after, torn = last_value(self._descriptor, length)
        if is_torn(torn):
            length -= len(torn)
            os.ftruncate(self._descriptor, length)
            self._found.append(("log.mended", f"{len(torn)} bytes of a line that had no end"))
        elif torn:  # somebody else's words: they stay
            length += os.write(self._descriptor, b"\n")
        if not length:
            with contextlib.suppress(FileNotFoundError):
                older = regular(turned(self.path, 1))
                after, _ = last_value(older, os.fstat(older).st_size)
                os.close(older)
        return length, after

    def found(self) -> tuple[tuple[str, str], ...]:
        """Return what is to be told of how the file was found, or of what has become of it."""
        found, self._found = tuple(self._found), []
        return found

    def write(self, data: bytes) -> int:
        """Append; a full disk raises."""
        taken = os.write(self._descriptor, data)
        self._length += taken
        return taken

    def note(self, head: Head) -> None:
        """Write the head over the one before."""
        self._lines += 1
        if self._head is not None:
            with contextlib.suppress(OSError):  # the next line has another; a stale one is older than the file's end
                os.pwrite(self._head, b"%020d %s %s\n" % (head.seq, head.chain.encode(), head.mark.encode()), 0)

    def turn(self, length: int) -> str:
        """Begin a new file if this one would become too long, or is gone; if that cannot be, go on with this one.

        Raises `OSError` if this one is removed, and no other can be made.
        """
        self._look_for_head()
        if self._replaced():
            return self._name()
        if self._unnamed:
            self._unnamed = False
            return self._name()
        alone = self._number > 1 and self._lines <= 1  # nothing but its own first line
        if not self._size or self._length + length <= self._size or alone:
            return ""
        try:
            fresh = self._turned()
        except OSError as error:
            if not self._stuck:
                self._found.append(("log.hindered", _GROWS.format(error.strerror or type(error).__name__)))
            self._stuck = True
            return ""
        self._stuck = False
        self._go_on(fresh)
        self._oldest = max(self._oldest, self._number - self._keep)
        missing = self._number - self._oldest - count(self.path)
        if missing > self._missing:
            self._found.append(("log.altered", "files that were turned are missing"))
        self._missing = missing
        return self._name()

    def _go_on(self, fresh: int) -> None:
        os.close(self._descriptor)
        self._descriptor, self._length, self._lines = fresh, os.fstat(fresh).st_size, 0
        self._number += 1

    def _name(self) -> str:
        return f"this is file {self._number} of the log; the oldest that is kept is file {self._oldest}"

    def _replaced(self) -> bool:
        """Go on in another file if ours has been moved or removed; return whether."""
        if _is_at(self._descriptor, self.path):
            self._astray = False
            return False
        try:
            fresh = _held(self.path, 0)
        except (OSError, LogBusy) as error:
            if not os.fstat(self._descriptor).st_nlink:
                raise OSError(getattr(error, "errno", 0) or errno.EBUSY, "the log file was removed") from None
            if not self._astray:  # what is written arrives where it was moved to
                self._found.append(("log.altered", "the file was moved, and no new one can be made"))
            self._astray = True
            return False
        self._go_on(fresh)
        _, torn = last_value(fresh, self._length)
        if torn:  # somebody has put a file there
            self._length += os.write(fresh, b"\n")
        self._missing += 1
        self._astray = False
        self._found.append(("log.altered", "the file was moved or removed while it was written to"))
        return True

    def _look_for_head(self) -> None:
        """Make a new head if ours has been moved or removed."""
        if self._head is None or _is_at(self._head, f"{self.path}.head"):
            return
        os.close(self._head)
        self._head = None
        with contextlib.suppress(OSError):
            self._head = _head_descriptor(self.path)
        self._found.append(("log.altered", "the file's head was moved or removed while it was written to"))

    def _turned(self) -> int:
        """Move the files one on and put a new one in place; return its descriptor."""
        path, new = Path(self.path), Path(f"{self.path}.new")
        new.unlink(missing_ok=True)
        fresh = _held(str(new), os.O_EXCL)
        try:
            there = count(self.path)
            for age in range(max(self._keep, 1), there + 1):
                Path(turned(self.path, age)).unlink()
            for age in range(min(self._keep - 1, there), 0, -1):
                Path(turned(self.path, age)).replace(turned(self.path, age + 1))
            if self._keep:
                path.replace(turned(self.path, 1))
            new.replace(path)
        except OSError:
            os.close(fresh)
            with contextlib.suppress(OSError):
                new.unlink()
            raise
        return fresh

    def close(self) -> None:
        """Close the file and its head."""
        os.close(self._descriptor)
        if self._head is not None:
            os.close(self._head)
            self._head = None


def turned(path: str, age: int) -> str:
    """Return the name of the file that was turned `age` times ago."""
    return f"{path}.{age}"


def count(path: str) -> int:
    """Return how many files that were turned lie beside this one."""
    found = 0
    while os.path.lexists(turned(path, found + 1)):
        found += 1
    return found


def numbers(path: str) -> tuple[int, int]:
    """Return which file of the log this is, and which is the oldest that is kept, by its first line (1, 1)."""
    try:
        with open(regular(path), "rb") as file:
            first = file.readline(LONGEST_LINE)
    except OSError:
        return 1, 1
    match = NUMBERED.search(first.decode(errors="replace")) if b'"event":"log.rotated"' in first else None
    return (int(match[1]), min(int(match[1]), int(match[2]))) if match else (1, 1)


def regular(path: str) -> int:
    """Open a file to read, which nothing waits for; raises `OSError`, with EINVAL for what is no regular file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise _irregular(path)


def _irregular(path: str) -> OSError:
    return OSError(errno.EINVAL, f"{os.path.basename(path)} is no regular file, and stands where the log has one", path)  # noqa: PTH119  # a text


def is_torn(rest: bytes) -> bool:
    """Return whether what stands behind a file's last line is the beginning of one of ours."""
    return bool(rest) and rest[: len(_BEGINS)] == _BEGINS[: len(rest)]


def read_head(path: str) -> Head | None:
    """Return the head beside a log file; None if there is none, or none that can be read."""
    try:
        with open(regular(f"{path}.head"), "rb") as file:
            match = _HEAD.fullmatch(file.read(1024))
    except OSError:
        return None
    return Head(int(match[1]), match[2].decode(), match[3].decode()) if match else None


def last_value(descriptor: int, length: int) -> tuple[str, bytes]:
    """Return (the chain value of a file's last whole line, what comes after its end)."""
    tail = os.pread(descriptor, LONGEST_LINE, max(0, length - LONGEST_LINE))
    whole, _, torn = tail.rpartition(b"\n")
    return split(whole.rpartition(b"\n")[2])[1], torn


def _held(path: str, flags: int, wait: float = 0.0) -> int:
    """Open a file to append to, and lock it; it is the one that has this name then, whatever was turned meanwhile."""
    until = time.monotonic() + wait
    while True:
        descriptor = os.open(path, _APPENDS | flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _irregular(path)
            if not _locked(descriptor):
                if time.monotonic() >= until:
                    raise LogBusy
                time.sleep(_LOOK_AGAIN)
            elif _is_at(descriptor, path):
                return descriptor
        except (OSError, LogBusy):
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: str) -> bool:
    """Return whether the path names this open file; also if that cannot be seen, as its folder may not be read now."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False))  # noqa: PTH116  # each line
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _head_descriptor(path: str) -> int | None:
    """Open the head; None where none can be made: the log goes on without. Raises `OSError` for what is no file."""
    head = f"{path}.head"
    try:
        descriptor = os.open(head, _OVERWRITES, 0o600)
    except OSError as error:
        if error.errno in _NO_FILE:
            raise _irregular(head) from None
        return None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise _irregular(head)
