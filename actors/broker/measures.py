"""What the broker counts: calls, replies, refusals, and how long one call in sixteen took. Pure but for its clock.

May import: our messages. Invariants: what is counted is a number; the cost of a call is a few additions; however many
calls never end, no more than `MOST_SAMPLES` are remembered.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from trollbridge.messages.measures import BUCKETS, MemberMeasure, bucket

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.messages.ids import HandlerUID

MOST_SAMPLES: Final = 256
"""Calls whose reply is awaited to know how long they took; the oldest gives way."""
EVERY: Final = 16
"""Of so many calls one is timed: a look at the clock and a note cost as much as the rest of the counting."""


class Counts:
    """What is counted of one member, from its link on."""

    __slots__ = ("calls", "latency", "replies", "served", "serves")

    def __init__(self) -> None:
        """Start at zero."""
        self.serves = False
        """Whether the times that count are those of what it serves, not of what it calls itself."""
        self.calls = 0
        self.replies = 0
        self.served = 0
        self.latency: list[int] = [0] * BUCKETS

    def measure(self, member: str, credit: tuple[int, int], load: int, refusals: int) -> MemberMeasure:
        """Return what is told of a member; `credit`: UIDs that it has not used, and its calls in flight."""
        unused, in_flight = credit
        return MemberMeasure(
            member,
            calls=self.calls,
            replies=self.replies,
            served=self.served,
            in_flight=in_flight,
            load=load,
            credit_held=unused,
            refusals=refusals,
            latency=tuple(self.latency),
        )


class Meter:
    """Counts what passes between members, and times one call in `EVERY`."""

    __slots__ = ("_clock", "_samples", "_turn")

    def __init__(self, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """Take the clock, in nanoseconds."""
        self._clock = clock
        self._samples: dict[HandlerUID, int] = {}
        self._turn = 0

    def called(self, uid: HandlerUID, client: Counts, server: Counts) -> None:
        """Note a call that is passed on."""
        client.calls += 1
        server.served += 1
        self._turn = turn = (self._turn + 1) % EVERY
        if not turn:
            if len(self._samples) >= MOST_SAMPLES:
                del self._samples[next(iter(self._samples))]
            self._samples[uid] = self._clock()

    def replied(self, uid: HandlerUID, client: Counts, server: Counts) -> None:
        """Note the reply to a call, which is passed on."""
        client.replies += 1
        if uid in self._samples:
            took = bucket((self._clock() - self._samples.pop(uid)) // 1000)
            server.latency[took] += 1
            if not client.serves:
                client.latency[took] += 1

    def ended(self, uid: HandlerUID) -> None:
        """Forget a call that ends without a reply."""
        self._samples.pop(uid, None)
