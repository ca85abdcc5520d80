"""The part of a client that opens sealed results, in the epoch that they were sealed in.

May import: our messages, `opening`. Invariants: a process that holds foreign code opens nothing; the client's lock is
held around every use of a key.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from trollbridge.actors.calling.opening import absent, demand_sealed, opened
from trollbridge.messages.errors import AuthenticationFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trollbridge.actors.calling.membership import Membership
    from trollbridge.messages.ids import HandlerName
    from trollbridge.messages.ring_key import Sealed


class Unsealing:
    """What holds a membership, from one epoch to the next, and opens what is sealed to it."""

    def __init__(self) -> None:
        """Start without a ring."""
        self._lock = threading.Lock()
        self._membership: Membership | None = None
        self.foreign = False
        """Whether this process has loaded foreign code, or is about to."""

    def open(self, sealed: Sealed) -> object:
        """Return the result that `sealed` holds; raises `AuthenticationFailed` if it is not for this ring and role.

        Raises `NotGranted` if this member may not call its handler, `UsageError` for what is no `Sealed`.
        """
        return self._open(sealed, None)

    def open_as(
        self, name: HandlerName, sealed: Sealed, positional: tuple[object, ...], named: Mapping[str, object]
    ) -> object:
        """Return what `sealed` holds if it is a result or an item of this handler for exactly these arguments.

        Raises `AuthenticationFailed` otherwise, and as `call` does for a handler or for arguments that cannot be.
        """
        membership = self._membership
        if membership is None:
            raise AuthenticationFailed
        route = membership.routes.get(name)
        if route is None:
            raise absent(membership, name)
        demand_sealed(sealed)
        what = route.asked(positional, named)
        if sealed.handler.partition("[")[0] != name:
            raise AuthenticationFailed
        return self._open(sealed, what)

    def _open(self, sealed: Sealed, what: bytes | None) -> object:
        demand_sealed(sealed)
        if self.foreign:
            msg = "this process has loaded foreign code, and opens nothing any more"
            raise UsageError(msg)
        with self._lock:
            if self._membership is None:
                raise AuthenticationFailed
            return opened(self._membership, sealed, what)
