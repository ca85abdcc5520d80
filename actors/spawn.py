"""Starting and ending processes: always a fresh exec, one inherited descriptor, nothing in the environment.

May import: the standard library, `channel`. Invariant: whoever is spawned here is known by PID and pidfd until it is
reaped, and dies with the supervisor.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from trollbridge.actors import sockets
from trollbridge.actors.channel import ParentChannel
from trollbridge.messages.ids import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

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


class Process:
    """One spawned process: its control channel, and its end once it has come."""

    def __init__(self, member: MemberId, role: Role, incarnation: int) -> None:
        """Spawn it; raises `OSError` if the system cannot."""
        self.member: Final = member
        self.role: Final = role
        self.incarnation: Final = incarnation
        ours, theirs = sockets.pair()
        ui = role is Role.UI
        try:
            self._popen = subprocess.Popen(  # noqa: S603  # the interpreter and fixed words
                [sys.executable, "-I", "-m", "trollbridge.actors.child", role.value, str(theirs.fileno())],
                stdin=None if ui else subprocess.DEVNULL,
                stdout=None if ui else subprocess.DEVNULL,
                stderr=None if ui else subprocess.DEVNULL,
                env=_environment(os.environ, PASSED_ON if ui else MINIMAL),
                pass_fds=(theirs.fileno(),),
                start_new_session=not ui,
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self.channel: Final = ParentChannel(ours)
        self.pid: Final = self._popen.pid
        self.pidfd: Final = os.pidfd_open(self.pid)

    def kill(self) -> None:
        """Send SIGKILL; harmless if it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

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

    def cpu(self) -> int:
        """Return the clock ticks of processor time that it has used."""
        try:
            with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:  # noqa: PTH123
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            return 0
        return int(fields[11]) + int(fields[12])

    def reap(self) -> int | None:
        """Return the exit status if it has ended: a code, or minus a signal's number. Closes what belongs to it."""
        status = self._popen.poll()
        if status is not None:
            with contextlib.suppress(OSError):
                os.close(self.pidfd)
            self.channel.close()
        return status


def _environment(of: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    return {name: of[name] for name in names if name in of}


def describe(status: int) -> tuple[int | None, str]:
    """Return (exit code, signal name) of an exit status: one of them is there."""
    if status >= 0:
        return status, ""
    try:
        return None, signal.Signals(-status).name
    except ValueError:
        return None, f"signal {-status}"
