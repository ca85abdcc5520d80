"""Wrong passwords: how many there were, and how long the next attempt has to wait. They outlast the process.

May import: our enclave's database, our messages. Invariants: an attempt is on the disk, as a wrong one, before it is
judged, so whoever ends the process in between has gained nothing; what cannot be counted is not judged; no clock that
is set back or forward while the process runs shortens a wait, and none lengthens it beyond what it is.

Three wrong passwords cost nothing. After the n-th, from the fourth on, the next attempt waits 2^(n-3) seconds, 300 at
most. Within a process the wait runs by a clock that nobody can set. A process that starts goes by the time of day: by
how much of the wait has passed since the last wrong password, and by all of it if that lies in the future.

A vault on a disk that is full or read-only is not unlocked by password: a count that can be switched off by filling
the disk is none. The count is not sealed: whoever can write the file can reset it. Without the keychain's layer they
could as well guess elsewhere, on a copy of the file, at Argon2id's cost; with it, elsewhere needs the root too.

Where there is a root, a proof is judged once that is there, and nothing is counted if it is not.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import StorageFailed, TooManyAttempts

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.enclave.database import Database

FREE: Final = 3
"""Wrong passwords that cost no time."""
LONGEST: Final = 300.0
"""Seconds that an attempt has to wait at most."""
_DOUBLINGS: Final = 9
_LAST: Final = 2**31
_UNCOUNTED: Final = (
    "The attempt cannot be counted, so it was not taken: the vault's disk is full or read-only. Make room, or copy the "
    "vault to a disk that can be written."
)


def delay(failures: int) -> float:
    """Return how many seconds the next attempt waits after so many wrong ones."""
    return 0.0 if failures <= FREE else min(2.0 ** min(failures - FREE, _DOUBLINGS), LONGEST)


class Attempts:
    """The attempts at one vault's password."""

    __slots__ = ("_clock", "_database", "_not_before", "_now", "failures")

    def __init__(self, database: Database, clock: Callable[[], float], now: Callable[[], float]) -> None:
        """Take where they are kept, a clock that only moves forward, and the time of day, both in seconds."""
        self._database: Final = database
        self._clock: Final = clock
        self._now: Final = now
        self.failures, failed_at = database.attempts()
        wait, passed = delay(self.failures), now() - failed_at / 1000
        self._not_before = clock() + (wait if passed < 0 else max(wait - passed, 0.0))

    def wait(self) -> float:
        """Return how many seconds the next attempt has to wait."""
        return max(self._not_before - self._clock(), 0.0)

    def check(self) -> None:
        """Raise `TooManyAttempts` if it is too early for the next one."""
        wait = math.ceil(self.wait())
        if wait:
            msg = f"Too many wrong passwords; wait {wait} second{'s'[: wait > 1]} before the next attempt."
            raise TooManyAttempts(msg)

    def begin(self) -> None:
        """Count an attempt as a wrong one, on the disk; raises `TooManyAttempts`, or `StorageFailed` if it cannot."""
        self.check()
        failures = min(self.failures + 1, _LAST)
        try:
            self._database.set_attempts(failures, int(self._now() * 1000))
        except StorageFailed:
            raise StorageFailed(_UNCOUNTED) from None
        self.failures, self._not_before = failures, self._clock() + delay(failures)

    def settle(self) -> None:
        """Count the attempt that was begun as a right one."""
        self.failures, self._not_before = 0, 0.0
        with contextlib.suppress(StorageFailed):  # it stays counted, and the vault opens all the same
            self._database.set_attempts(0, 0)
