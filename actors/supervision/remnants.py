"""What processes leave behind: whoever stands in the session of one that has ended is killed, until nobody does.

May import: the standard library. Invariants: a session is followed from the end of the process that began it until
nobody is left in it; nobody else is killed, and nobody waits here for a process that takes long to end.

Every child but the UI begins a session, which the filters let nobody leave (setsid is refused); the kernel gives its
number to nobody else while somebody stands in it. A UI's programs are its user's, and stand in the supervisor's.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from typing import Final, NamedTuple

AT_ONCE: Final = 0.2
"""Seconds that are spent on a session, at most, when its first process is reaped; what is left then is gone after."""
AT_THE_END: Final = 10.0
"""Seconds that all sessions together have once nothing else is left."""
MOST_KNOWN: Final = 4096
"""Sessions of ended processes that are known; the first are forgotten for more."""
_AGAIN: Final = 0.02
"""Seconds until it is looked again for those that were killed and still live."""
_CHASES: Final = 16
"""Looks at the latest numbers, before each at all: whoever forks and ends all the time has one of those."""
_BEFORE: Final = 512
"""Numbers before the latest that such a look takes in."""
_BEYOND: Final = 64
"""The same of those to come."""


_OUT_OF: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


class _Found(NamedTuple):
    living: frozenset[int]
    vanished: bool
    """Whether somebody ended while being looked at: it may have left a child that was not seen."""


def end(session: int, until: float) -> bool:
    """Kill whoever stands in a session, its first process excepted; return whether nobody is left.

    Goes on while others come, until that monotonic time; those that were killed and have not ended are not waited for.
    Where it cannot be looked, as no descriptor is free, somebody may be left.
    """
    try:
        return _end(session, until)
    except OSError as error:
        if error.errno not in _OUT_OF:
            raise
        return False


def _end(session: int, until: float) -> bool:
    struck: frozenset[int] = frozenset()
    quiet = 0
    while quiet <= 1:  # numbers begin anew at the largest: whoever does just then is missed by one look, not by two
        found = _strike(session)
        fresh = found.living - struck
        if found.living and not fresh:
            return False
        struck |= found.living
        quiet = 0 if fresh or found.vanished else quiet + 1
        if quiet <= 1 and time.monotonic() > until:
            return False
        if fresh:
            _chase(session)
    return True


def _chase(session: int) -> None:
    """Kill who has the latest numbers, upwards: of whoever forks meanwhile, the child comes after its parent."""
    for _ in range(_CHASES):
        with open("/proc/loadavg", "rb") as load:  # noqa: PTH123  # many times in a row
            latest = int(load.read().split()[-1])
        for number in range(max(1, latest - _BEFORE), latest + _BEYOND):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(number) == session != number:
                    os.kill(number, signal.SIGKILL)


def _strike(session: int) -> _Found:
    """Kill everybody in a session; but for those who wait only for being reaped, return who that was."""
    living: set[int] = set()
    vanished = False
    for number in sorted(int(each) for each in os.listdir("/proc") if each.isdigit()):  # noqa: PTH208  # names only
        try:
            if os.getsid(number) == session != number:
                ended = _has_ended(number)  # asked before, so that whoever is only now killed counts as one more
                os.kill(number, signal.SIGKILL)
                if not ended:
                    living.add(number)
                else:
                    os.waitpid(number, os.WNOHANG)  # if it has become a child of ours, as of whoever is PID 1
        except (ProcessLookupError, FileNotFoundError):
            vanished = True
        except (ChildProcessError, PermissionError):  # another process's; or another user's, which is not ours to end
            continue
    return _Found(frozenset(living), vanished)


def _has_ended(number: int) -> bool:
    """Return whether a process only waits for being reaped; one that has ended its first thread only does not."""
    with open(f"/proc/{number}/stat", "rb") as stat:  # noqa: PTH123  # for each that is left
        fields = stat.read().rpartition(b")")[2].split()  # state … number of threads (proc(5))
    return fields[0] in b"ZX" and int(fields[17]) <= 1


class Remnants:
    """The sessions of the processes that have ended; a timer of the supervisor's loop."""

    def __init__(self) -> None:
        """Start with none."""
        self._known: dict[int, None] = {}
        self._left: set[int] = set()
        self.due: float | None = None
        """The monotonic time at which it is looked again."""

    def follow(self, session: int) -> None:
        """Kill what a process leaves that has ended and is about to be reaped, and whoever comes of that."""
        self._known.pop(session, None)
        self._known[session] = None
        if len(self._known) > MOST_KNOWN:
            del self._known[next(iter(self._known))]
        if not end(session, time.monotonic() + AT_ONCE):
            self._left.add(session)
            self.due = time.monotonic() + _AGAIN

    def tick(self, now: float) -> None:
        """Look again for whoever was left, if it is time."""
        if self.due is None or now < self.due:
            return
        self._left -= {each for each in self._left if end(each, time.monotonic() + _AGAIN)}
        self.due = time.monotonic() + _AGAIN if self._left else None

    def close(self, seconds: float = AT_THE_END) -> bool:
        """Kill whoever is left, at the application's end; return whether nobody is."""
        until = time.monotonic() + seconds
        while self._left and time.monotonic() < until:
            self.tick(self.due or 0.0)
            if self._left:
                time.sleep(_AGAIN / 4)
        return not self._left

    def holds(self, process: int) -> bool:
        """Return whether a process cannot be told apart from one that was left behind."""
        try:
            session = os.getsid(process)
            if session not in self._known and session not in self._left:
                return False
        except ProcessLookupError:
            return True
        try:
            os.getsid(session)
        except ProcessLookupError:  # nobody has that number: the session is the one that was begun with it, or of old
            return True
        return False  # somebody has it anew, so everybody of old was gone by then
