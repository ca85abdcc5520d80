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

    @property
    def how(self) -> str:
        """How it ended, in words."""
        return self.signal or f"exit code {self.code}"

    @property
    def fields(self) -> Mapping[str, object]:
        """The fields of the log line."""
        follows = "the application stops" if self.leaves else "the ring is dismantled" if self.ring_falls else ""
        why = SIGNAL_MEANS.get(self.signal, "")
        return {"exit_code": self.code, "signal": self.signal, "expected": self.expected, "why": why, "next": follows}


def describe(status: int) -> tuple[int | None, str]:
    """Return (exit code, signal name) of an exit status, a code or minus a signal's number: one of them is there."""
    if status >= 0:
        return status, ""
    try:
        return None, signal.Signals(-status).name
    except ValueError:
        return None, f"signal {-status}"


def end_of(role: Role, status: int, *, standing: bool, ran: bool) -> End:
    """Return what an end means while a ring is `standing` or not; `ran`: it is the UI whose code has run."""
    code, name = describe(status)
    leaves = ran and code is not None
    if role in (Role.EXTENSION, Role.ERRAND):
        return End(code, name, leaves=False, ring_falls=False, expected=status == 0 or not standing)
    return End(code, name, leaves, ring_falls=standing, expected=leaves or not standing)
