"""What the service manager is told: ready, in which state, reloading, alive, stopping (sd_notify(3)).

May import: our messages, the log, the reactor. Invariants: nothing here waits: what the manager does not take now is
sent with a later tick; the variables that name it are read once, when the supervisor is made, and removed.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from trollbridge.messages.ids import SUPERVISOR
from trollbridge.messages.vault import printable

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from trollbridge.actors.operations.log import Line, Log
    from trollbridge.actors.processes.reactor import Reactor

AGAIN: Final = 1.0
"""Seconds after which what was not taken is sent again."""
_LONGEST_ADDRESS: Final = 107
"""Bytes of `sun_path` in unix(7), without the zero at its end."""
_LONGEST_STATUS: Final = 200
_WAITING: Final = 16
"""Messages that wait for a manager that takes none: of states alone, the last one counts."""
_MICROSECONDS: Final = 1_000_000


def status(line: Line) -> str:
    """Return the sentence that `systemctl status` shows from this line of the log on; empty if it shows none."""
    match line.event:
        case "ring.forming":
            text = f"epoch {line.epoch}: the ring is being formed"
        case "ring.sealed":
            text = f"epoch {line.epoch}: the ring is sealed"
        case "ring.draining":
            text = f"epoch {line.epoch}: new keys; calls in flight finish first"
        case "ring.dismantling":
            text = f"epoch {line.epoch}: the ring falls: {line.why}"
        case "ring.restarting":
            text = f"epoch {line.epoch}: the ring has fallen; the next will be formed in {line.delay:g} s"
        case "application.gave_up":
            text = f"epoch {line.epoch}: gave up: {line.why}"
        case "application.stopping":
            text = f"stopping: {line.why}"
        case _:
            return ""
    return printable(text)[:_LONGEST_STATUS]


def states(line: Line) -> tuple[str, ...]:
    """Return the assignments besides STATUS that a line of the log stands for.

    A planned change of keys is a reload: from RELOADING, with the monotonic time that `Type=notify-reload` compares,
    until READY. A ring that falls because a member died is none: the application is running, and restarts a part.
    """
    match line.event:
        case "ring.sealed":
            return ("READY=1",)
        case "ring.draining":
            return ("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        case "application.stopping":
            return ("STOPPING=1",)
        case _:
            return ()


class Notify:
    """The way to the service manager, if one has started the application. A timer of the supervisor's loop."""

    def __init__(self, address: str, watchdog: float | None, tell: Callable[[str], object] | None = None) -> None:
        """Take the socket's name, `@` first if it is abstract, empty for none; the seconds that the watchdog waits.

        `tell` is called, from `tick`, with the reason when the manager cannot be reached, once until it is again.
        """
        self._address: Final = _sockaddr(address)
        self._socket: Final = None if self._address is None else socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        if self._socket is not None:
            self._socket.settimeout(0)
        self._tell = tell
        self.epoch = 0
        self._waiting: deque[tuple[str, ...]] = deque(maxlen=_WAITING)
        self._trouble, self._told, self._stopping = "", False, False
        self._every: Final = None if watchdog is None or self._socket is None else watchdog / 2
        self._alive_at: float | None = None if self._every is None else 0.0
        self._again_at: float | None = None

    @classmethod
    def from_environment(
        cls, tell: Callable[[str], object] | None = None, environment: MutableMapping[str, str] = os.environ
    ) -> Notify:
        """Read NOTIFY_SOCKET and the watchdog's variables, and remove them (sd_notify(3), sd_watchdog_enabled(3))."""
        names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        address, microseconds, pid = (environment.pop(name, "") for name in names)
        meant = not pid or pid == str(os.getpid())
        valid = microseconds.isascii() and microseconds.isdigit() and int(microseconds) > 0
        return cls(address, int(microseconds) / _MICROSECONDS if meant and valid else None, tell)

    def heard(self, line: Line) -> None:
        """Tell the manager what a line of the log means to it."""
        self.epoch = line.epoch
        text = status(line)
        assignments = (*states(line), *((f"STATUS={text}",) if text else ()))
        if self._socket is None or self._stopping or not assignments:
            return
        self._stopping = line.event == "application.stopping"
        if self._waiting and not _lasting(self._waiting[-1]):
            self._waiting.pop()  # only a sentence, and a newer one is here
        self._waiting.append(assignments)
        self._flush(time.monotonic())

    @property
    def due(self) -> float | None:
        """The monotonic time of the next tick."""
        return min((each for each in (self._alive_at, self._again_at) if each is not None), default=None)

    def tick(self, now: float) -> None:
        """Say that the loop turns, at half of what the watchdog waits, and send what was not taken."""
        if self._every is not None and self._alive_at is not None and now >= self._alive_at:
            self._alive_at = now + self._every
            self._send(("WATCHDOG=1",))
        if self._again_at is not None and now >= self._again_at:
            self._flush(now)
        if self._trouble and not self._told and self._tell is not None:
            self._told = True
            self._tell(self._trouble)

    def close(self) -> None:
        """Make a last attempt, and let the socket go."""
        if self._socket is not None:
            self._flush(time.monotonic())
            self._socket.close()

    def _flush(self, now: float) -> None:
        self._again_at = None
        while self._waiting:
            if not self._send(self._waiting[0]):
                self._again_at = now + AGAIN
                return
            self._waiting.popleft()

    def _send(self, assignments: tuple[str, ...]) -> bool:
        if self._socket is None or self._address is None:
            return False
        try:
            self._socket.sendto("\n".join(assignments).encode(errors="replace"), self._address)
        except BlockingIOError:  # it is busy
            return False
        except OSError as error:
            self._trouble = error.strerror or type(error).__name__
            return False
        self._trouble, self._told = "", False
        return True


def attach(log: Log, reactor: Reactor) -> Notify:
    """Have the service manager told what the log says, for as long as the loop turns."""

    def tell(why: str) -> None:
        log.line("notify.failed", notify.epoch, member=SUPERVISOR, why=why, next="what counts is sent again")

    notify = Notify.from_environment(tell)
    log.subscribe(notify.heard)
    reactor.timers.append(notify)
    return notify


def _lasting(assignments: tuple[str, ...]) -> bool:
    return any(not each.startswith("STATUS=") for each in assignments)


def _sockaddr(address: str) -> bytes | None:
    """Return an address for `sendto`; None for one that is no socket of this machine, as vsock."""
    with contextlib.suppress(ValueError):
        name = os.fsencode(address)
        if name[:1] == b"@" and 1 < len(name) <= _LONGEST_ADDRESS:
            return b"\0" + name[1:]
        if name[:1] == b"/" and len(name) <= _LONGEST_ADDRESS:
            return name
    return None
