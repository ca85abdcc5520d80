"""Which child may tell the supervisor what, and how often: a table decides; anything else is fatal for the child.

May import: our messages, `intensity`. Invariant: what is not in the table is refused, whatever state the ring is in.
"""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import Final

from trollbridge.actors.intensity import Intensity, Restarts
from trollbridge.messages import control
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import Role
from trollbridge.messages.posture import TESTIFIED

EVERYONE: Final = frozenset(Role)
LINKED: Final = EVERYONE - {Role.ERRAND}
"""Who has a link."""
STATEMENTS: Final = Intensity(64, 60.0)
"""Statements of one process: each is passed on to the UI, which must not be flooded."""
PERMITS: Final = MappingProxyType(
    {
        control.Hello: (EVERYONE, "once"),
        control.Ready: (LINKED, "once an epoch"),
        control.Failed: (EVERYONE, "always"),
        control.Dismantled: (frozenset({Role.UI}), "once an epoch"),
        control.Pong: (LINKED, "always"),
        control.Notice: (frozenset({Role.BROKER, Role.ENCLAVE}), "always"),
        control.Errand: (frozenset({Role.ENCLAVE}), "always"),
        control.Statement: (frozenset({Role.ENCLAVE}), "64 a minute"),
    }
)


class Permits:
    """What one process has said so far."""

    __slots__ = ("_errands", "_role", "_said", "_statements")

    def __init__(self, role: Role) -> None:
        """Take its role, from its spawn record."""
        self._role = role
        self._said: set[tuple[type, int]] = set()
        self._errands: frozenset[control.ErrandKind] = frozenset()
        self._statements = Restarts(STATEMENTS)

    def check(self, message: control.FromChild) -> None:
        """Note a message; raises `Malformed` if this process may not send it, or not again."""
        roles, often = PERMITS[type(message)]
        epoch = message.epoch if isinstance(message, control.Ready | control.Dismantled) else 0
        said = (type(message), epoch)
        if self._role not in roles or (often.startswith("once") and said in self._said):
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
        self._said.add(said)
