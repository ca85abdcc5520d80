"""A member as the broker knows it: what its spawn record says, and what the broker keeps of it while it is there.

May import: our messages, `measures`, `tally`. Invariant: who it is and what it may call never changes.
"""

from __future__ import annotations

import msgspec

from trollbridge.actors.broker.measures import Counts
from trollbridge.actors.broker.tally import Tally
from trollbridge.messages.ids import SERVING, HandlerUID, MemberId, Role


class Port(msgspec.Struct):
    """A member as the broker knows it, from its spawn record."""

    member: MemberId
    role: Role
    handlers: frozenset[str]
    peers: frozenset[MemberId]
    strikes: int = 0
    published: bool = False
    founding: dict[MemberId, int] = msgspec.field(default_factory=dict)
    parts: dict[MemberId, int] = msgspec.field(default_factory=dict)
    opening: dict[MemberId, HandlerUID] = msgspec.field(default_factory=dict)
    streams: Tally = msgspec.field(default_factory=Tally)
    refused: dict[MemberId, HandlerUID] = msgspec.field(default_factory=dict)
    """Of each host the last call that it refused before its end; what is still on its way of it is nobody's fault."""
    departed: set[MemberId] = msgspec.field(default_factory=set)
    """Clients of this server that have left; what it still sends them is theirs no more, whoever comes again."""
    lost: dict[MemberId, int] = msgspec.field(default_factory=dict)
    """Hosts that this client calls and that have left, and how often it has not said yet that it knows; until it founds
    a session with who has come in their place.
    """
    excused: dict[str, int] = msgspec.field(default_factory=dict)
    """How often it may still ask for UIDs of a handler in vain: it knows of its credit late once a host has left."""
    service: str = ""
    """Whose replica it is, if it is one of another member's."""
    counts: Counts = msgspec.field(default_factory=Counts)

    def __post_init__(self) -> None:
        """Have the times counted of what it serves, if its role is to serve."""
        self.counts.serves = self.role in SERVING

    def calls(self, service: str) -> bool:
        """Return whether it may call anything of a service."""
        return any(each.partition(".")[0] == service for each in self.handlers)
