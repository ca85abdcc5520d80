"""A call on its way, as its client keeps it, and what a promise is to be resolved with.

May import: our messages, `promise`. Invariant: values only; the client's lock is held around every change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trollbridge.messages import payloads
from trollbridge.messages.errors import Outcome, Quarantined, RingDismantled, ServerLost
from trollbridge.messages.ids import NO_UID, Microseconds
from trollbridge.messages.ring_key import asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.actors.calling.intake import Intake
    from trollbridge.actors.calling.promise import Promise
    from trollbridge.actors.calling.route import Route
    from trollbridge.messages.control import Verdict
    from trollbridge.messages.errors import CallError

    Told = Callable[[int, int], None]


class Pending:
    """A call that has no reply yet."""

    __slots__ = (
        "_asked",
        "again",
        "content",
        "deadline",
        "intake",
        "peer",
        "progress",
        "promise",
        "route",
        "sent",
        "sequence",
        "uid",
    )

    def __init__(
        self, promise: Promise[Any], route: Route, content: bytes, deadline: int, progress: Told | None
    ) -> None:
        """Take what the call consists of."""
        self.promise = promise
        self.route = route
        self.peer = route.peer
        """Whom it was sent to: another, if that is a replica."""
        self.content = content
        self.deadline = Microseconds(deadline)
        self.progress = progress
        self.intake: Intake | None = None
        """What has arrived of its stream, if it has one."""
        self.sent = False
        self.again = False
        """Whether it was outstanding when a ring or its server fell before, and goes out again since."""
        self.uid = NO_UID
        self.sequence = -1
        """The CALL's sequence in its session, once it is sealed: the reply must name it."""
        self._asked = b""

    def renew(self, route: Route) -> None:
        """Be a call that was never sent, over the route of another epoch that is like the present one."""
        self.content = route.again(self.content)
        self.route, self.peer = route, route.peer
        self.sent, self.uid, self.sequence = False, NO_UID, -1

    def fell(self, outcome: Outcome) -> Settled:
        """Return what this is told when its ring has fallen."""
        error = RingDismantled(outcome=outcome, handler=self.route.name)
        return Settled(self.promise, error=error, pending=self)

    def lost(self, outcome: Outcome = Outcome.UNKNOWN, *, gone: bool) -> Settled:
        """Return what this is told when its host has ended; `gone`: it is not started again in this ring."""
        error = ServerLost(outcome=outcome, handler=self.route.name, gone=gone)
        return Settled(self.promise, error=error, pending=self)

    def judged(self, verdict: Verdict, error: BaseException | None, *, gone: bool) -> Settled:
        """Return what this is told now that there is a verdict on its server; `error`: what it would be told without.

        One that goes out again by itself and is in quarantine since is told so; nobody has to look before the next.
        """
        found: CallError
        if self.sequence in verdict.deadly and self.route.entry.idempotent:
            found = Quarantined(handler=self.route.name)
            return Settled(self.promise, error=found, pending=self)
        outcome = verdict.outcome(self.sequence)
        return self.lost(outcome, gone=gone) if isinstance(error, ServerLost) else self.fell(outcome)

    def asked(self) -> bytes:
        """Return the digest of the arguments that sensitive results of this call are bound to."""
        if not self._asked:
            self._asked = asked(self.content[payloads.CODE_SIZE + 1 :])
        return self._asked


class Settled:
    """A promise and what it resolves with, once the client's lock is released."""

    __slots__ = ("error", "pending", "promise", "value")

    def __init__(
        self,
        promise: Promise[Any],
        value: object = None,
        error: BaseException | None = None,
        pending: Pending | None = None,
    ) -> None:
        """Take the outcome; and the call, if a fall has ended it: it may go out again (`carrying`)."""
        self.promise = promise
        self.value = value
        self.error = error
        self.pending = pending
