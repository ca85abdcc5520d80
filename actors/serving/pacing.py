"""When the replies of a server leave: not one by one, and none waits for long, or for a handler that takes long.

Besides, when a server that has calls waiting looks for others.

May import: the standard library. Invariant: a finished reply waits at most for the call that runs next, and only if
that took less than `PATIENCE` the last time.
"""

from __future__ import annotations

import time
from typing import Final

PATIENCE: Final = 1_000_000
"""Nanoseconds that a finished reply may wait for others to share its record."""
MOST_READY: Final = 64
GLANCE: Final = 250_000
"""Nanoseconds after which the link is looked at although calls wait: others may have sent some."""


class Pace:
    """How long the handlers of one actor take, and since when a reply waits."""

    __slots__ = ("_looked", "_running", "_since", "_started", "_took")

    def __init__(self) -> None:
        """Start with nothing known: a handler that has not run yet is taken to be slow."""
        self._since = self._looked = 0
        self._running, self._started = "", 0
        self._took: dict[str, int] = {}
        """Nanoseconds that each handler took the last time."""

    def looks(self) -> bool:
        """Return whether the link is to be looked at now, and if so note it."""
        now = time.monotonic_ns()
        due = now - self._looked >= GLANCE
        if due:
            self._looked = now
        return due

    def next(self, name: str, ready: int) -> bool:
        """Note that the handler `name` is about to run; return whether the replies that are `ready` should go first."""
        now = time.monotonic_ns()
        self._took[self._running] = now - self._started
        due = bool(ready) and (
            ready >= MOST_READY or now - self._since > PATIENCE or self._took.get(name, PATIENCE) >= PATIENCE
        )
        if due or not ready:
            self._since = now
        self._running, self._started = name, now
        return due
