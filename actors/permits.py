"""Which child may tell the supervisor what, and how often: a table decides; anything else is fatal for the child.

May import: our messages. Invariant: what is not in the table is refused, whatever state the ring is in.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from trollbridge.messages import control
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import Role

EVERYONE: Final = frozenset(Role)
PERMITS: Final = MappingProxyType(
    {
        control.Hello: (EVERYONE, "once"),
        control.Ready: (EVERYONE, "once an epoch"),
        control.Failed: (EVERYONE, "always"),
        control.Dismantled: (frozenset({Role.UI}), "once an epoch"),
        control.Pong: (EVERYONE, "always"),
        control.Notice: (frozenset({Role.BROKER, Role.ENCLAVE}), "always"),
    }
)


class Permits:
    """What one process has said so far."""

    __slots__ = ("_role", "_said")

    def __init__(self, role: Role) -> None:
        """Take its role, from its spawn record."""
        self._role = role
        self._said: set[tuple[type, int]] = set()

    def check(self, message: control.FromChild) -> None:
        """Note a message; raises `Malformed` if this process may not send it, or not again."""
        roles, often = PERMITS[type(message)]
        epoch = message.epoch if isinstance(message, control.Ready | control.Dismantled) else 0
        said = (type(message), epoch)
        if self._role not in roles or (often != "always" and said in self._said):
            raise Malformed
        self._said.add(said)
