"""One program that runs: its group, its pipes, its limits and its end.

May import: `subprocess`, our `confining`, `program` and `values`. Invariants: whatever a program has started is in
its group and is ended with it, whichever way it ends; its number stays taken until all of its group has been killed;
what it writes is read no faster than it is taken.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Final

from trollbridge.actors.hosts.values import Exit, Output, ProgramFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.actors.hosts.confining import Confinement
    from trollbridge.actors.hosts.guard import Guard
    from trollbridge.actors.hosts.program import Spec

PIECE: Final = 128_000
"""Bytes that are read at a time: with a word around them, what fits one envelope."""
_PIPE: Final = 1 << 20
"""Bytes that a pipe is made to hold, if the system lets it: fewer switches to and fro."""


class Run:
    """A program from its start to its end."""

    def __init__(  # noqa: PLR0913, PLR0917  # made once, by its host
        self,
        spec: Spec,
        walls: Confinement,
        cwd: str,
        arguments: Sequence[str],
        given: bytes,
        guard: Guard | None,
    ) -> None:
        """Start it, known to the guard if there is one; raises `ProgramFailed`."""
        self._left: Final = spec.output
        self._written = 0
        self._given = memoryview(given)
        self._began: Final = time.monotonic()
        self.deadline: Final = self._began + spec.seconds
        self.limit = ""
        self._status: int | None = None
        self._streams: dict[int, str] = {}
        self._entry = self._ended = -1
        self._guard: Final = guard
        self._epoll: Final = select.epoll()
        try:
            self._process: Final = _started(spec, walls, cwd, arguments, guard, piped=bool(given))
        except ProgramFailed:
            self._epoll.close()
            if guard is not None:
                guard.keep(0)
            raise
        self.group: Final = self._process.pid
        if guard is not None:
            guard.keep(self.group)
        try:
            self._ended = os.pidfd_open(self.group)
            self._watch()
        except OSError as error:  # out of descriptors: leave nothing that nobody watches
            self.close()
            os.waitpid(self.group, 0)
            raise _failed(os.strerror(error.errno or 0)) from None

    def _watch(self) -> None:
        self._epoll.register(self._ended, select.EPOLLIN)
        for pipe, stream in ((self._process.stdout, "out"), (self._process.stderr, "err")):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                with contextlib.suppress(OSError):  # beyond what one user may have
                    fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)
                self._epoll.register(pipe.fileno(), select.EPOLLIN)
                self._streams[pipe.fileno()] = stream
        entry = self._process.stdin
        if entry is not None:
            self._entry = entry.fileno()
            os.set_blocking(self._entry, False)
            self._epoll.register(self._entry, select.EPOLLOUT)

    @property
    def readable(self) -> int:
        """A descriptor that is readable when there is something to do."""
        return self._epoll.fileno()

    @property
    def over(self) -> bool:
        """Whether it has ended, and all that it wrote has been taken."""
        return self._status is not None and not self._streams

    def step(self) -> list[Output]:
        """Do what there is to be done now; return what it wrote, a piece of each stream at most."""
        found: list[Output] = []
        for descriptor, _ in self._epoll.poll(0):
            stream = self._streams.get(descriptor)
            if stream is not None:
                data = self._read(descriptor)
                if data:
                    found.append(Output(stream, data))
            elif descriptor == self._ended:
                self._end()
            elif descriptor == self._entry:
                self._feed(descriptor)
        return found

    def _read(self, descriptor: int) -> bytes:
        room = self._left - self._written
        try:
            data = os.read(descriptor, PIECE)
        except BlockingIOError:
            return b""
        self._written += len(data)
        if not data:
            self._epoll.unregister(descriptor)
            del self._streams[descriptor]
        elif len(data) > room:
            self.kill("output")
            data = data[:room]
        return data

    def _feed(self, descriptor: int) -> None:
        try:
            self._given = self._given[os.write(descriptor, self._given) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it does not want it all
            self._given = memoryview(b"")
        if not self._given:
            self._close_input()

    def _close_input(self) -> None:
        if self._process.stdin is not None and self._entry >= 0:
            self._epoll.unregister(self._entry)
            self._process.stdin.close()
            self._entry = -1

    def _end(self) -> None:
        """Note how it ended; end whatever it has left behind, while its number is still its own."""
        self._epoll.unregister(self._ended)
        found = os.waitid(os.P_PID, self.group, os.WEXITED | os.WNOWAIT)
        self._kill_group()
        if found is not None:
            killed = found.si_code in {os.CLD_KILLED, os.CLD_DUMPED}
            self._status = -found.si_status if killed else found.si_status

    def kill(self, limit: str = "") -> None:
        """End it and all that it has started, at once; `limit` says which limit that was."""
        self.limit = self.limit or limit
        self._close_input()
        if self._status is None:
            self._kill_group()
        for descriptor in tuple(self._streams):  # what it wrote before counts no more
            self._epoll.unregister(descriptor)
        self._streams.clear()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.group, signal.SIGKILL)

    def result(self) -> Exit:
        """Return how it ended; it is over."""
        status = self._status or 0
        seconds = time.monotonic() - self._began
        return Exit(status if status >= 0 else None, -status if status < 0 else None, seconds, self.limit)

    def close(self) -> None:
        """End it if it has not ended, and let go of it; who is left of its group is for `reap`."""
        if self._status is None:
            self._kill_group()
        if self._guard is not None:
            self._guard.forget(self.group)  # before it is reaped
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self._epoll.close()
        if self._ended >= 0:
            os.close(self._ended)
        self._process.returncode = 0 if self._status is None else self._status  # `reap` waits for it, not `subprocess`


def _failed(why: str) -> ProgramFailed:
    return ProgramFailed(f"the program could not be started: {why}")


def _started(  # noqa: PLR0913  # as above
    spec: Spec, walls: Confinement, cwd: str, arguments: Sequence[str], guard: Guard | None, *, piped: bool
) -> subprocess.Popen[bytes]:
    """Start a program in a group of its own, inside its walls; raises `ProgramFailed`."""

    def enter() -> None:
        if guard is not None:
            guard.announce()
        walls.enter()

    try:
        return subprocess.Popen(  # noqa: S603  # the arguments are declared, and no shell sees them
            [spec.path, *arguments],
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            cwd=cwd,
            env=spec.environment,
            process_group=0,
            preexec_fn=enter,  # noqa: PLW1509  # this process has one thread, so nobody holds a lock
        )
    except OSError as error:
        raise _failed(os.strerror(error.errno or 0)) from None
    except subprocess.SubprocessError:
        why = "its walls could not be laid on"
        raise _failed(why) from None


def reap(group: int) -> bool:
    """Reap who has ended of a group that was killed; return whether nobody is left of it.

    Whoever was orphaned is a child of this process, which adopts orphans.
    """
    while True:
        try:
            pid, _ = os.waitpid(-group, os.WNOHANG)
        except ChildProcessError:
            return True
        if not pid:
            return False
