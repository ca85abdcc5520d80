"""The calls of one client whose server has ended, until the supervisor has found out what became of them.

May import: our messages, `pending`. Invariants: pure, the client's lock is held around every call; each call is told
once, by its server's verdict or, when none can come any more, as unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.messages.ids import MemberId

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trollbridge.actors.calling.pending import Settled
    from trollbridge.messages.control import Verdict


class Awaiting:
    """What one client has sent to servers that have ended."""

    def __init__(self) -> None:
        """Wait for nothing."""
        self._calls: dict[MemberId, list[Settled]] = {}

    def __len__(self) -> int:
        """Return how many calls wait for a verdict."""
        return sum(map(len, self._calls.values()))

    def sort(self, fallen: Iterable[Settled]) -> list[Settled]:
        """Keep the calls that were sent; return the others, of which it is known that they were not started."""
        known: list[Settled] = []
        for each in fallen:
            if each.pending is not None and each.pending.sent:
                self._calls.setdefault(each.pending.peer, []).append(each)
            else:
                known.append(each)
        return known

    def judged(self, verdict: Verdict, *, gone: bool = False) -> list[Settled]:
        """Return what each call to a server is told, now that there is a verdict; `gone`: it is not started again."""
        return [
            each if each.pending is None else each.pending.judged(verdict, each.error, gone=gone)
            for each in self._calls.pop(MemberId(verdict.server), ())
        ]

    def end(self) -> list[Settled]:
        """Wait no longer; return what each call is told without a verdict."""
        calls, self._calls = self._calls, {}
        return [each for settled in calls.values() for each in settled]
