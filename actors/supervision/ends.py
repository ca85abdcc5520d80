"""What the end of a process means: for the log, for the ring and for the application. A function of values.

May import: our messages. Invariant: an end is expected only if nobody loses anything by it.
"""

from __future__ import annotations

import signal
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.messages.ids import Role

if TYPE_CHECKING:
    from collections.abc import Mapping

SIGNAL_MEANS: Final = MappingProxyType(
    {"SIGSYS": "it made a system call that its Sandbox does not allow; `trollbridge run --learn` names it"}
)
"""What a person should know of the signal that a process ended by."""


class Fate(NamedTuple):
    """What a supervisor of hosts and extensions has decided on one of its own."""

    asked: bool
    """Whether it had asked for the end."""
    follows: str
    """What becomes of the process, in words."""


class End(NamedTuple):
    """One end, as it is to be taken."""

    code: int | None
    """The exit code, or None if a signal ended it."""
    signal: str
    """The signal's name, or empty."""
    leaves: bool
    """Whether it was a UI that has finished: so has the application."""
    ring_falls: bool
    expected: bool
    follows: str
    """What comes next, in words."""
    failed: bool = False
    """Whether its own code has ended by an error."""

    @property
    def how(self) -> str:
        """How it ended, in words."""
        return how(self.code, self.signal)

    @property
    def farewell(self) -> str:
        """What a UI that has left has done."""
        return f"ended by an error ({self.how})" if self.failed else "has finished"

    @property
    def fields(self) -> Mapping[str, object]:
        """The fields of the log line."""
        return {
            "exit_code": self.code,
            "signal": self.signal,
            "expected": self.expected,
            "why": SIGNAL_MEANS.get(self.signal, "its code ended by an error" if self.failed else ""),
            "next": self.follows,
        }


def how(code: int | None, name: str) -> str:
    """Return in words how a process ended: by an exit code, or by the signal of this name."""
    return name or f"exit code {code}"


def describe(status: int) -> tuple[int | None, str]:
    """Return (exit code, signal name) of an exit status, a code or minus a signal's number: one of them is there."""
    if status >= 0:
        return status, ""
    try:
        return None, signal.Signals(-status).name
    except ValueError:
        return None, f"signal {-status}"


def end_of(  # noqa: PLR0913  # each is something else that an end depends on
    role: Role, status: int, *, standing: bool, ran: bool, fate: Fate | None = None, failed: bool = False
) -> End:
    """Return what an end means while a ring is `standing` or not; `ran`: it is the UI whose code has run.

    `fate`: what has been decided on a host or an extension of a sealed ring, whose end is none of the ring's.
    `failed`: it has said that its code ended by an error, which nobody expects.
    """
    code, name = describe(status)
    if fate is not None:
        expected = fate.asked or (role is Role.EXTENSION and status == 0)
        return End(code, name, leaves=False, ring_falls=False, expected=expected, follows=fate.follows, failed=failed)
    if role in (Role.EXTENSION, Role.ERRAND):
        expected = status == 0 or not standing
        return End(code, name, leaves=False, ring_falls=False, expected=expected, follows="", failed=failed)
    leaves = ran and code is not None
    follows = "the application stops" if leaves else "the ring is dismantled" if standing else ""
    expected = not failed if leaves else not standing
    return End(code, name, leaves, ring_falls=standing, expected=expected, follows=follows, failed=failed)
