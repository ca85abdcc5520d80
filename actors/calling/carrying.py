"""The calls of one client that outlive their ring: they go out once more, or for the first time, in the next epoch.

May import: our messages, `pending`. Invariants: pure, the client's lock is held around every call; what has left this
process goes out again once at most, and only if its handler is `idempotent`; what is kept is told in the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from trollbridge.messages.errors import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trollbridge.actors.calling.membership import Membership
    from trollbridge.actors.calling.pending import Pending, Settled
    from trollbridge.actors.calling.promise import Promise
    from trollbridge.actors.calling.route import Route
    from trollbridge.messages.ids import HandlerName

_AGAIN: Final = frozenset({Outcome.UNKNOWN, Outcome.NOT_STARTED})
"""With which outcomes an idempotent call is sent again; one that is done has only lost its reply."""


class Carrying:
    """What one client keeps between two epochs."""

    def __init__(self) -> None:
        """Keep nothing."""
        self._kept: dict[Promise[Any], Settled] = {}
        """In the order in which they go out; each with what it is told if it cannot."""
        self.holding = False
        """Whether a change of keys is under way: new calls wait for the next epoch."""
        self.last: Membership | None = None
        """What ended with the last ring, if by such a change: until the next, calls are checked by its manifests."""

    def __len__(self) -> int:
        """Return how many calls are kept."""
        return len(self._kept)

    def __contains__(self, promise: Promise[Any]) -> bool:
        """Return whether the call of a promise is kept."""
        return promise in self._kept

    def hold(self, pending: Pending) -> None:
        """Keep a call that was not sent."""
        self._kept[pending.promise] = pending.fell(Outcome.NOT_STARTED)

    def fell(self, membership: Membership) -> None:
        """Note that a ring is gone."""
        self.last = membership if self.holding else None

    def keep(self, settled: Iterable[Settled]) -> list[Settled]:
        """Keep, of the calls that a fall has ended, those that may go out in the next epoch; return the others."""
        told: list[Settled] = []
        for each in settled:
            if each.pending is not None and not each.promise.done and self._goes_on(each.pending, each.error):
                self._kept[each.promise] = each
            else:
                told.append(each)
        return told

    def _goes_on(self, pending: Pending, error: BaseException | None) -> bool:
        outcome = getattr(error, "outcome", None)
        if outcome not in _AGAIN:
            return False
        if self.holding and not pending.sent:  # it is as if it were made a moment later
            return True
        if pending.again or not pending.route.entry.idempotent:
            return False
        pending.again = True
        return True

    def take(self, routes: Mapping[HandlerName, Route]) -> tuple[list[Pending], list[Settled]]:
        """Give out what is to be sent over these routes, and what each call is told that cannot be.

        A handler that is not there any more, or takes or gives something else, is not called.
        """
        kept, self._kept, self.holding = self._kept, {}, False
        ready: list[Pending] = []
        told: list[Settled] = []
        for promise, settled in kept.items():
            pending = settled.pending
            if promise.done or pending is None:
                continue
            route = routes.get(pending.route.name)
            if route is None or not route.is_like(pending.route):
                told.append(settled)
            else:
                pending.renew(route)
                ready.append(pending)
        return ready, told

    def forget(self, promise: Promise[Any]) -> Settled | None:
        """Let go of a call that is to go out no more; return what it is told, if it was kept."""
        return self._kept.pop(promise, None)

    def end(self) -> list[Settled]:
        """Give everything up: there is no next epoch for this process. Return what each call is told."""
        kept, self._kept = self._kept, {}
        self.holding, self.last = False, None
        return list(kept.values())
