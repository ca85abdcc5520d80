"""The one moment at which an actor has asked to be woken.

May import: our errors. Invariant: it comes once for each time that it was set.
"""

from __future__ import annotations

import math
import time

from trollbridge.messages.errors import UsageError


class Wake:
    """A moment of the monotonic clock, or none."""

    __slots__ = ("_moment",)

    def __init__(self) -> None:
        """Start without one."""
        self._moment: float | None = None

    def at(self, moment: float | None) -> None:
        """Take another moment, or none; raises `UsageError` for what is no number."""
        if moment is not None and math.isnan(moment):
            raise UsageError
        self._moment = moment

    def comes(self) -> bool:
        """Return whether it has come; it is taken back then."""
        if self._moment is None or time.monotonic() < self._moment:
            return False
        self._moment = None
        return True

    def left(self) -> float | None:
        """Return the seconds until it comes; None if there is none."""
        return None if self._moment is None else self._moment - time.monotonic()
