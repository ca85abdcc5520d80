"""Which extensions have cost too many servers their lives, and are not started again. Pure.

May import: our messages. Invariants: whoever is barred stays so until the application ends; nobody is barred by the
word of one host alone, which may have been taken over, and say of its own death what it likes.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from trollbridge.messages.ids import MemberId

MOST: Final = 3
"""Deaths of servers, whichever and by whichever calls, at the last of which an extension is barred."""
PERIOD: Final = 3600.0
"""Seconds within which they count."""


class Blame(NamedTuple):
    """Whose call a server ran when it died, and by whose word."""

    extension: MemberId
    hosts: frozenset[MemberId]
    """The services of the hosts that say so: none, if it is the word of enclaves only."""


class Barring:
    """What each extension is blamed for."""

    def __init__(self) -> None:
        """Start with nobody blamed."""
        self._deaths: Final[dict[Blame, collections.deque[float]]] = {}
        """When, as far as it matters."""
        self.barred: frozenset[MemberId] = frozenset()
        """Who is not started again."""

    def blame(self, blame: Blame, now: float) -> bool:
        """Note that a server has died as it ran a call of an extension; return whether that is barred by it.

        It is at the third death within a `PERIOD`, unless there is a host whose word it was at each of them.
        """
        self._deaths.setdefault(blame, collections.deque(maxlen=MOST)).append(now)
        counted = {
            each: recent
            for each, times in self._deaths.items()
            if each.extension == blame.extension and (recent := sum(now - time < PERIOD for time in times))
        }
        alone = any(all(host in each.hosts for each in counted) for host in blame.hosts)
        if sum(counted.values()) < MOST or alone or blame.extension in self.barred:
            return False
        self.barred |= {blame.extension}
        return True
