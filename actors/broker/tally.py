"""How much the broker lets pass of a stream whose contents it cannot read: items for steps, steps for items. Pure.

May import: our messages. Invariant: what a server sends is bounded by what its client has asked for, and what a client
says by what it has got; so neither can fill the other's queue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.limits import FIRST_CREDIT

if TYPE_CHECKING:
    from trollbridge.messages.ids import HandlerUID

LATE: Final = 4
"""Steps that may be under way when the reply that ends their stream passes: two Pulls, a Halt, and one over."""


class Tally:
    """The streams of one client that have shown any sign of life."""

    __slots__ = ("_late", "_passed")

    def __init__(self) -> None:
        """Start with none."""
        self._passed: dict[HandlerUID, list[int]] = {}
        self._late = 0

    def item(self, uid: HandlerUID) -> bool:
        """Note an item of a call in flight; return whether its client can have asked for it."""
        passed = self._passed.setdefault(uid, [0, 0])
        passed[0] += 1
        return passed[0] <= FIRST_CREDIT * (1 + passed[1])

    def step(self, uid: HandlerUID) -> bool:
        """Note a step of a call in flight; return whether its client can have had reason for it."""
        passed = self._passed.setdefault(uid, [0, 0])
        passed[1] += 1
        return passed[1] <= passed[0] + 1

    def ended(self, uid: HandlerUID) -> None:
        """Note that a call is over: a few steps may come too late."""
        if self._passed:
            self._passed.pop(uid, None)
        self._late += LATE

    def late(self) -> bool:
        """Note a step for no call in flight; return whether it may just be late."""
        self._late = max(-1, self._late - 1)
        return self._late >= 0
