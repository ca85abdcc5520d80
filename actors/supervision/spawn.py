"""Starting and ending processes: always a fresh exec, one inherited descriptor, nothing in the environment.

May import: our messages, `channel`, `permits`. Invariant: whoever is spawned here is known by PID and pidfd until it is
reaped, and dies with the supervisor.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.actors.processes import sockets
from trollbridge.actors.processes.channel import ParentChannel
from trollbridge.actors.supervision.permits import Permits
from trollbridge.messages import control
from trollbridge.messages.ids import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trollbridge.actors.isolation.interpreter import Interpreter
    from trollbridge.actors.supervision.remnants import Remnants
    from trollbridge.messages.ids import MemberId

PASSED_ON: Final = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "COLUMNS",
    "LINES",
    "TZ",
    "TMPDIR",
    "USER",
)
"""What of the environment a UI gets; everyone else gets the locale and the time zone only."""
MINIMAL: Final = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")

CONTROL: Final = 3
"""The descriptor at which a child finds its control channel; the next one that is free, if it is given that one."""
_ENTRY: Final = (
    "import gc; gc.disable(); import sys; sys.modules['typing_extensions'] = None; "
    "import msgspec; del sys.modules['typing_extensions']; from trollbridge.actors.entry.child import main; main()"
)
"""What a child runs. msgspec does without typing_extensions, which would cost each start 11 ms; the garbage collector,
for which imports are 8 ms of work and no yield, is enabled once all is loaded (`isolation.lock.settle`)."""

_EXITING: Final = 0x4
"""PF_EXITING of the kernel's include/linux/sched.h, in field 9 of /proc/PID/stat; set before descriptors are closed."""


class Besides(NamedTuple):
    """What one process gets besides what every process of its role gets."""

    environment: tuple[str, ...] = ()
    """Names of variables."""
    descriptors: tuple[int, ...] = ()
    """Descriptors of this process's own, under the same numbers."""


NOTHING_BESIDES: Final = Besides()


class Process:
    """One spawned process: its control channel, and its end once it has come."""

    def __init__(
        self,
        member: MemberId,
        role: Role,
        incarnation: int,
        interpreter: Interpreter,
        besides: Besides = NOTHING_BESIDES,
    ) -> None:
        """Spawn it; raises `OSError` if the system cannot."""
        self.member: Final = member
        self.role: Final = role
        self.incarnation: Final = incarnation
        ours, theirs = sockets.pair()
        ui = role is Role.UI
        channel = next(number for number in itertools.count(CONTROL) if number not in besides.descriptors)
        try:
            self.pid: Final = os.posix_spawn(
                interpreter.path,
                [sys.executable, "-I", "-c", _ENTRY, role.value, *map(str, (channel, *besides.descriptors))],
                _environment(os.environ, (PASSED_ON if ui else MINIMAL) + besides.environment)
                | interpreter.environment,
                file_actions=_descriptors(
                    {theirs.fileno(): channel, **{each: each for each in besides.descriptors}}, standard=ui
                ),
                setsid=not ui,
                setsigmask=(signal.SIGINT,),  # until the UI's code runs: Ctrl-C is for the supervisor before that
                setsigdef=(signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP),
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.channel: Final = ParentChannel(ours)
        try:
            self.pidfd: Final = os.pidfd_open(self.pid)
        except OSError:  # out of descriptors: leave no process that nobody watches
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.channel.close()
            raise
        self._status: int | None = None
        self.foreign = False
        """Whether it has loaded foreign code: it must not outlive its ring."""
        self.start_evidence: Final = interpreter.execute_only(self.pid)
        self._permits: Final = Permits(role)

    def permit(self, message: control.FromChild, epoch: int) -> None:
        """Note what it says; raises `Malformed` if it may not. One that may have errands may send descriptors."""
        self._permits.check(message, epoch)
        if isinstance(message, control.Hello) and message.errands:
            self.channel.accept_descriptors()
        self.foreign |= isinstance(message, control.CloseWindow)

    @property
    def identity(self) -> dict[str, object]:
        """Who it is, as the log's fields say it."""
        return {"member": self.member, "role": self.role.value, "pid": self.pid, "incarnation": self.incarnation}

    def kill(self) -> None:
        """Send SIGKILL to it and to its group; harmless if it has ended. What has left the group ends after it.

        A UI shares the supervisor's group, for the terminal's sake.
        """
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        if self.role is not Role.UI:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM; harmless if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGTERM)

    def stopped(self) -> bool:
        """Return whether the process is stopped by a signal rather than slow."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123
                return stat.read().rpartition(")")[2].split()[0] in "Tt"
        except OSError:
            return False

    def ending(self) -> bool:
        """Return whether it has ended, or the kernel is ending it, which closes its links before that can be seen."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123
                return bool(int(stat.read().rpartition(")")[2].split()[6]) & _EXITING)
        except OSError:
            return True

    def cpu(self) -> int:
        """Return the clock ticks of processor time that it has used."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            return 0
        return int(fields[11]) + int(fields[12])

    def reap(self, remnants: Remnants | None = None) -> int | None:
        """Return the exit status if it has ended: a code, or minus a signal's number. Closes what belongs to it.

        What it has left is followed by `remnants`; but a UI's is its user's.
        """
        if self._status is None:
            if os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return None
            self.kill()  # while the number is still its own
            if remnants is not None and self.role is not Role.UI:
                remnants.follow(self.pid)
            _, status = os.waitpid(self.pid, 0)
            self._status = os.waitstatus_to_exitcode(status)
            os.close(self.pidfd)
            self.channel.close()
        return self._status


def _descriptors(given: Mapping[int, int], *, standard: bool) -> list[tuple[int, ...] | tuple[int, int, str, int, int]]:
    """Return what the child's descriptors are to be: 0 to 2, and what is given it; it closes the others itself.

    `given`: our numbers, and the child's. One that stays the same is marked to be inherited by this, in the child only.
    """
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in given.items()
    ]
    if not standard:
        actions += [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)]
    return actions


def occupy_standard() -> None:
    """Open what is closed of the descriptors 0 to 2 on /dev/null, so that no socket of ours ever gets such a number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004  # standard error
        os.set_inheritable(descriptor, True)  # noqa: FBT003  # the standard library's signature
    os.close(descriptor)


def _environment(of: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: of[name] for name in names if name in of}
