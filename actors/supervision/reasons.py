"""Why a child has ended, in the words that a restart type asks for. A function of values.

May import: our messages. Invariant: a reason is one of a closed set.
"""

from __future__ import annotations

import enum
import signal
from typing import Final


class Reason(enum.StrEnum):
    """How a process or a group has ended."""

    NORMAL = "normal"
    """By itself, with exit code 0."""
    SHUTDOWN = "shutdown"
    """It took SIGTERM as a request: ended by it, or with 143. A group that has given up ends so too."""
    ERROR = "error exit"
    """With another exit code."""
    SIGNAL = "signal"
    """By another signal."""
    HUNG = "hang"
    """It was stopped or answered nothing, and was killed for it."""
    START_FAILURE = "start failure"
    """Before it was ready, however it did that; or it could not be started at all."""


ORDERLY: Final = frozenset({Reason.NORMAL, Reason.SHUTDOWN})
"""What costs a transient child no restart."""


def reason_of(status: int, *, hung: bool) -> Reason:
    """Return the reason of an exit status, a code or minus a signal's number; `hung`: it was killed for that."""
    if hung:
        return Reason.HUNG
    if status == 0:
        return Reason.NORMAL
    if status in (-signal.SIGTERM, 128 + signal.SIGTERM):
        return Reason.SHUTDOWN
    return Reason.ERROR if status > 0 else Reason.SIGNAL
