"""What a server says of its handlers' failures: the log their place, the caller a number; not a line for each.

May import: our messages, `denials`, `handler`, `invocation`, `peers`. Invariants: no value of any kind leaves; what is
counted here is bounded by the code and the declaration: an entry for each client, handler and place.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trollbridge.actors.calling.peers import Ungranted
from trollbridge.actors.handlers import WrongType
from trollbridge.actors.isolation import denials
from trollbridge.actors.processes.places import place
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.errors import HandlerFailed

if TYPE_CHECKING:
    from trollbridge.actors.serving.invocation import Invocation, Outside
    from trollbridge.messages.ids import MemberId, Role


class Incidents:
    """One server's."""

    def __init__(self, member: MemberId, role: Role, outside: Outside) -> None:
        """Take whose handlers these are, and where notices go."""
        self._member = member
        self._role = role
        self._out = outside
        self._kinds: dict[tuple[str, str, str], tuple[int, str]] = {}
        """How many there were, and the number of the one that was logged last."""

    def report(self, invocation: Invocation, error: BaseException) -> HandlerFailed:
        """Log a handler's failure and return what its caller is told: the incident's number.

        The first of a kind is logged, the second, the fourth …, lest one caller fill the log; the others have the
        number of the last that was.
        """
        name = invocation.exported.name
        where = error.where if isinstance(error, WrongType) else place(error.__traceback__)
        kind = invocation.origin.client, name, where
        count, number = self._kinds.get(kind, (0, ""))
        count += 1
        if not count & (count - 1):
            number = os.urandom(4).hex()
            detail = f"{name} {number} {where}" + ("" if count == 1 else f", {count} so far")
            self._out.notice(NoticeKind.INCIDENT, invocation.origin.client, _cause(error), detail)
            denied = denials.explain(error)
            if denied:
                self._out.notice(NoticeKind.SANDBOX_DENIED, self._member, name, f"{denied} (incident {number})")
        self._kinds[kind] = count, number
        return HandlerFailed(f"{name} failed inside the {self._role}; incident {number} in the supervisor's log")


def _cause(error: BaseException) -> str:
    """Return what the log is told: the exception's class; of what the library itself found, a fixed sentence."""
    if isinstance(error, WrongType | Ungranted):
        return error.why
    return f"{type(error).__module__}.{type(error).__qualname__}"
