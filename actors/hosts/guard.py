"""The guard of a programs host: a process that outlives it for a moment, and kills what its programs have left.

May import: `isolation.kernel`. Invariants: the kernel ends a program with its host, but not what the program has
started; the guard knows each group from before its program begins to after it has been killed, and learns of the host's
end, whichever way it comes, from the pipe that only the host holds open.

It is forked before the host has joined a ring: it holds no key, no descriptor but its pipe, and its host's walls.
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
from typing import Final, NoReturn

from trollbridge.actors.isolation import kernel

_WORD: Final = struct.Struct("=ii")
"""What is told, and of which group. It is written whole, so it is read whole."""
_BEGINS, _KEPT, _ENDED = 1, 2, 3
_ASKING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals by which others are asked to end; its host is, and ends it."""
_WORDS: Final = 512
"""Words that are read at a time."""


class Guard:
    """The guard, as its host has it."""

    def __init__(self, *groups: int) -> None:
        """Start it; `groups`: what it is to know from the beginning. Raises `OSError`."""
        ours, self._entry = os.pipe()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _ASKING)  # they wait until it ignores them
        try:
            self.pid: Final = os.fork()
            if not self.pid:
                _keep_watch(ours, before)
        except OSError:
            os.close(ours)
            os.close(self._entry)
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(ours)
        for each in groups:
            self.keep(each)

    def has_ended(self) -> bool:
        """Whether somebody has killed it; reaps it then. Not to be asked again after that."""
        return bool(os.waitpid(self.pid, os.WNOHANG)[0])

    def close(self) -> None:
        """Let go of one that has ended."""
        os.close(self._entry)

    def dismiss(self) -> None:
        """End it, now that nothing runs any more, and reap it."""
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.close()

    def announce(self) -> None:
        """Tell it, in between fork and exec, of the calling process's group; raises `OSError`.

        The pipe is open here until the exec: if the host ends meanwhile, the guard learns of it once it can kill this.
        Without a guard the write ends this process, by SIGPIPE.
        """
        os.write(self._entry, _WORD.pack(_BEGINS, os.getpid()))

    def keep(self, group: int) -> None:
        """Tell it that what was announced has begun; 0: that it could not."""
        self._tell(_KEPT, group)

    def forget(self, group: int) -> None:
        """Tell it of a group that has been killed, and whose number is still taken."""
        self._tell(_ENDED, group)

    def _tell(self, what: int, group: int) -> None:
        with contextlib.suppress(BrokenPipeError):  # it has ended; the next program gets another one
            os.write(self._entry, _WORD.pack(what, group))


def _keep_watch(entry: int, mask: set[signal.Signals | int]) -> NoReturn:
    """Be the guard; `mask`: the signals that are to be blocked."""
    try:
        for number in _ASKING:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.setpgid(0, 0)
        kernel.set_name("troll-guard")
        os.closerange(0, entry)
        os.closerange(entry + 1, 1 << 20)
        for group in _left(entry):
            with contextlib.suppress(OSError):
                os.killpg(group, signal.SIGKILL)
    finally:
        os._exit(0)


def _left(entry: int) -> set[int]:
    """Read until the host has ended; return the groups that it has left."""
    groups: set[int] = set()
    begun = 0
    while data := os.read(entry, _WORDS * _WORD.size):
        for what, group in _WORD.iter_unpack(data):
            if what == _BEGINS:
                begun = group
            elif what == _KEPT:
                begun = 0
                groups.add(group)
            else:
                groups.discard(group)
    return (groups | {begun}) - {0}
