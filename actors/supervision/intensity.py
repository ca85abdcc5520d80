"""How often a ring may be formed again: OTP's intensity and period, and the back-off between restarts.

May import: our messages. Invariant: pure; time comes in as an argument.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

import msgspec
from msgspec import structs

from trollbridge.messages.errors import DeclarationError

FIRST_DELAY: Final = 0.05
LONGEST_DELAY: Final = 5.0


class Intensity(msgspec.Struct, frozen=True):
    """At most `restarts` restarts within `period` seconds; one more, and the supervisor gives up."""

    restarts: int = 5
    period: float = 30.0

    def __post_init__(self) -> None:
        """Raise `DeclarationError` for what is no number of restarts, or no time."""
        if type(self.restarts) is not int or self.restarts < 0:
            msg = f"Intensity: restarts are a whole number from 0 on, not {self.restarts!r}"
            raise DeclarationError(msg)
        period = seconds(self.period)
        if period is None or not period > 0:
            msg = f"Intensity: the period is a finite number of seconds above 0, not {self.period!r}"
            raise DeclarationError(msg)
        structs.force_setattr(self, "period", period)


def seconds(value: object) -> float | None:
    """Return a declared number of seconds as what it is declared to be, whole or not; None if it is no finite one."""
    if type(value) not in (int, float):
        return None
    try:
        found = float(value)  # type: ignore[arg-type]  # it is one of these
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


class Restarts:
    """The restarts that one supervisor has made.

    Its clock can be made to stand still: else what is put off, or takes its time to fail, would never be too many.
    """

    def __init__(self, limit: Intensity) -> None:
        """Take the limit."""
        self._limit = limit
        self._times: deque[tuple[float, float]] = deque()
        """When each was, by that clock, and since when there had been trouble."""
        self._still, self._until = 0.0, -math.inf
        """For how many seconds the clock has stood still, or is about to, and until when it does."""
        self.since = math.inf
        """Since when there is trouble, once there is: the earliest of what counts."""

    def allow(self, now: float, since: float = math.inf) -> int | None:
        """Note a restart at `now` seconds; return its number within the period, or None if it is one too many.

        `since`: when the trouble began that led to it, if before `now`.
        """
        time = now - self._still + max(0.0, self._until - now)
        while self._times and time - self._times[0][0] > self._limit.period:
            self._times.popleft()
        self.since = min([now, since, *(began for _, began in self._times)])
        if len(self._times) >= self._limit.restarts:
            return None
        self._times.append((time, min(now, since)))
        return len(self._times)

    def stand_still(self, since: float, until: float) -> None:
        """Have the period be longer by the time from `since` until `until`; what is told twice counts once."""
        self._still += max(0.0, until - max(since, self._until))
        self._until = max(self._until, until)


def delay(number: int, jitter: float, longest: float = LONGEST_DELAY) -> float:
    """Return the seconds to wait before restart `number`: none, then doubling up to the `longest`.

    `jitter` in 0..1 adds up to half.
    """
    if number <= 1:
        return 0.0
    return float(min(longest, FIRST_DELAY * 2.0 ** min(number - 2, 64)) * (1 + jitter / 2))
