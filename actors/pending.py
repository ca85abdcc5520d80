"""A call on its way, as its client keeps it, and what a promise is to be resolved with.

May import: our messages, `promise`. Invariant: values only; the client's lock is held around every change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trollbridge.messages import labels, payloads
from trollbridge.messages.ids import NO_UID, Microseconds
from trollbridge.messages.ring_key import asked

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.actors.intake import Intake
    from trollbridge.actors.promise import Promise
    from trollbridge.actors.route import Route

    Told = Callable[[int, int], None]


class Pending:
    """A call that has no reply yet."""

    __slots__ = (
        "_asked",
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
        self.uid = NO_UID
        self.sequence = -1
        """The CALL's sequence in its session, once it is sealed: the reply must name it."""
        self._asked = b""

    def asked(self) -> bytes:
        """Return the digest of the arguments that sensitive results of this call are bound to."""
        if not self._asked:
            self._asked = asked(self.content[payloads.CODE_SIZE + 1 :])
        return self._asked

    def digest(self) -> bytes:
        """Return a digest of handler and arguments, the same in every epoch."""
        return labels.digest(labels.CALL, self.route.name.encode(), self.content[payloads.CODE_SIZE + 1 :])


class Settled:
    """A promise and what it resolves with, once the client's lock is released."""

    __slots__ = ("error", "promise", "value")

    def __init__(self, promise: Promise[Any], value: object = None, error: BaseException | None = None) -> None:
        """Take the outcome."""
        self.promise = promise
        self.value = value
        self.error = error
