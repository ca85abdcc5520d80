"""What outlives a group and a ring: how long each child is put off, and how often the ring has fallen. Pure.

May import: our messages, `intensity`. Invariants: time and chance come in as arguments; only a quiet time has a child
begin anew, whatever else is started again in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.actors.supervision.intensity import Restarts, delay

if TYPE_CHECKING:
    from trollbridge.actors.supervision.intensity import Intensity

LONGEST_IN_A_GROUP: Final = 60.0
"""Seconds that what stands in a group is put off at most, before chance adds up to half."""
QUIET: Final = 10.0
"""So many times the seconds that a child was put off it must have lasted, to begin anew."""


class BackOff:
    """How long one child of a supervisor is put off, a group too."""

    def __init__(self) -> None:
        """Begin."""
        self._ends = 0
        self._wait = 0.0
        self.until = 0.0
        """When it may be started again."""
        self.since = 0.0
        """The end before the last, if it has not been quiet since; else the last."""

    def ended(self, now: float, delaying: tuple[float, float], period: float, *, failed: bool) -> float:
        """Note an end that is to be followed by a start; return the seconds until that.

        `delaying`: chance, and the longest delay. `period`: of its supervisor's intensity; a child that has lasted for
        that time, and for `QUIET` times what it was put off last, begins anew; not one that `failed` to start.
        """
        jitter, longest = delaying
        quiet = not self._ends or (not failed and now - self.until > max(period, QUIET * self._wait))
        self.since = now if quiet else self.until - self._wait
        self._ends = 1 if quiet else self._ends + 1
        self._wait = delay(self._ends, jitter, longest)
        self.until = now + self._wait
        return self._wait


class Lasting:
    """Of one application, while its rings come and go."""

    def __init__(self, rings: Intensity) -> None:
        """Take how often the ring may fall."""
        self.rings: Final = Restarts(rings)
        self._of: dict[str, BackOff] = {}

    def of(self, name: str) -> BackOff:
        """Return the back-off of a member or a group."""
        return self._of.setdefault(name, BackOff())

    def forget(self, name: str) -> None:
        """Have a child begin anew: a person asks for it."""
        self._of.pop(name, None)
