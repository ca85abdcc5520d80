"""Which child may tell the supervisor what, and how often: a table decides; anything else is fatal for the child.

May import: our messages, `intensity`. Invariant: what is not in the table is refused, whatever state the ring is in.
"""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import Final

from trollbridge.actors.supervision.intensity import Intensity, Restarts
from trollbridge.messages import control
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import SERVING, Role
from trollbridge.messages.posture import TESTIFIED

EVERYONE: Final = frozenset(Role)
CALLING: Final = frozenset({Role.UI, Role.EXTENSION})
LINKED: Final = EVERYONE - {Role.ERRAND}
"""Who has a link."""
STATEMENTS: Final = Intensity(64, 60.0)
"""Statements of one process: each is passed on to the UI, which must not be flooded."""
TALKATIVE: Final = frozenset({Role.EXTENSION, Role.ERRAND})
"""Of whom a person is shown whatever it says that it failed by, in any state of the ring: each may say so once."""
PERMITS: Final = MappingProxyType(
    {
        control.Hello: (EVERYONE, "once"),
        control.Ready: (LINKED, "once an epoch"),
        control.Failed: (EVERYONE, "once an epoch, WORK_FAILED once; errand and extension: once"),
        control.Dismantled: (frozenset({Role.UI}), "once an epoch"),
        control.Pong: (LINKED, "one for each Ping"),
        control.Notice: (frozenset({Role.BROKER, *SERVING}), "always"),
        control.Errand: (frozenset({Role.ENCLAVE}), "always"),
        control.Statement: (frozenset({Role.ENCLAVE}), "64 a minute"),
        control.CloseWindow: (frozenset({Role.UI}), "once"),
        control.Measures: (frozenset({Role.BROKER}), "one for each Measure"),
        control.Drained: (CALLING, "once an epoch"),
    }
)

NOTICES: Final = MappingProxyType(
    {
        control.NoticeKind.UID_REFUSED: frozenset({Role.BROKER}),
        control.NoticeKind.LEASE_REFUSED: frozenset({Role.BROKER}),
        control.NoticeKind.RECORD_REFUSED: frozenset({Role.BROKER, *SERVING}),
        control.NoticeKind.ENVELOPE_REFUSED: frozenset({Role.BROKER, *SERVING}),
        control.NoticeKind.SENDER_REFUSED: frozenset({Role.BROKER}),
        control.NoticeKind.REPLY_DROPPED: frozenset({Role.BROKER}),
        control.NoticeKind.JOIN_REFUSED: frozenset({Role.BROKER, *SERVING}),
        control.NoticeKind.LINK_LOST: frozenset({Role.BROKER}),
        control.NoticeKind.MEMBER_REMOVED: frozenset({Role.BROKER}),
        control.NoticeKind.CALL_LATE: frozenset(SERVING),
        control.NoticeKind.CALL_REFUSED: frozenset(SERVING),
        control.NoticeKind.INCIDENT: frozenset(SERVING),
        control.NoticeKind.SANDBOX_DENIED: frozenset(SERVING),
        control.NoticeKind.GRANT_USED: frozenset({Role.BROKER}),
    }
)
"""Who may send a notice of which kind."""


class Permits:
    """What one process has said so far, as far as it bears on what it may say: its memory is bounded."""

    __slots__ = ("_errands", "_role", "_said", "_statements")

    def __init__(self, role: Role) -> None:
        """Take its role, from its spawn record."""
        self._role = role
        self._said: set[tuple[type, int]] = set()
        self._errands: frozenset[control.ErrandKind] = frozenset()
        self._statements = Restarts(STATEMENTS)

    def check(self, message: control.FromChild, epoch: int) -> None:
        """Note a message in this epoch; raises `Malformed` if this process may not send it, or not again."""
        roles, often = PERMITS[type(message)]
        if isinstance(message, control.Notice):
            roles = NOTICES[message.kind]
        said = (type(message), self._epoch_of(message, epoch))
        again = often.startswith("once") and said in self._said
        stays = isinstance(message, control.Dismantled) and (control.CloseWindow, 0) in self._said
        if self._role not in roles or again or stays:  # one with foreign code has to end with its ring
            raise Malformed
        match message:
            case control.Hello(_, errands):
                if errands and self._role is not Role.ENCLAVE:
                    raise Malformed
                self._errands = frozenset(errands)
            case control.Errand(kind):
                if kind not in self._errands:
                    raise Malformed
            case control.Statement(evidence):
                if any(each.mechanism not in TESTIFIED for each in evidence):
                    raise Malformed
                if self._statements.allow(time.monotonic()) is None:
                    raise Malformed
            case _:
                pass
        self._said = {each for each in self._said if each[1] in (0, epoch - 1, epoch)} | {said}

    def _epoch_of(self, message: control.FromChild, epoch: int) -> int:
        """Return which epoch a message is about, 0 if none; raises `Malformed` unless it is this one or the last.

        A UI whose first ring has fallen before it was let in knows of no epoch, and says 0. A failure names no epoch
        and is about this one: a UI that could not join tries again in the next; all others end by theirs, and a UI by
        that of its own code.
        """
        if isinstance(message, control.Failed) and self._role not in TALKATIVE:
            return 0 if message.kind is control.FailureKind.WORK_FAILED else epoch
        if not isinstance(message, control.Ready | control.Dismantled | control.Drained):
            return 0
        joined = any(kind is control.Ready for kind, _ in self._said)
        unjoined = isinstance(message, control.Dismantled) and message.epoch == 0 and not joined
        if not unjoined and not max(1, epoch - 1) <= message.epoch <= epoch:
            raise Malformed
        return message.epoch
