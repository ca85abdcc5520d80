"""How often a ring may be formed again: OTP's intensity and period, and the back-off between restarts.

May import: the standard library. Invariant: pure; time comes in as an argument.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

FIRST_DELAY: Final = 0.05
LONGEST_DELAY: Final = 5.0


class Intensity(msgspec.Struct, frozen=True):
    """At most `restarts` restarts within `period` seconds; one more, and the supervisor gives up."""

    restarts: int = 5
    period: float = 30.0


class Restarts:
    """The restarts of one application."""

    def __init__(self, limit: Intensity) -> None:
        """Take the limit."""
        self._limit = limit
        self._times: deque[float] = deque()

    def allow(self, now: float) -> int | None:
        """Note a restart at `now` seconds; return its number within the period, or None if it is one too many."""
        while self._times and now - self._times[0] > self._limit.period:
            self._times.popleft()
        if len(self._times) >= self._limit.restarts:
            return None
        self._times.append(now)
        return len(self._times)


def delay(number: int, jitter: float) -> float:
    """Return the seconds to wait before restart `number`: none, then doubling; `jitter` in 0..1 adds up to half."""
    if number <= 1:
        return 0.0
    return float(min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(number - 2, 64)) * (1 + jitter / 2))
