"""The ring's life: one total table. What is not in the table is an error.

May import: our messages. Invariant: `FORMING → SEALED → DISMANTLING → DISMANTLED`, a ring that fails to form
dismantles too, and nothing leaves `DISMANTLED`: the next epoch is another ring.
"""

from __future__ import annotations

import enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NoReturn

from trollbridge.messages.errors import UsageError

if TYPE_CHECKING:
    from trollbridge.messages.ids import Epoch, MemberId


class RingState(enum.StrEnum):
    """Where a ring is in its life."""

    FORMING = "forming"
    SEALED = "sealed"
    DISMANTLING = "dismantling"
    DISMANTLED = "dismantled"


STANDING: Final = frozenset({RingState.FORMING, RingState.SEALED})
"""While a ring is whole, or is to become so: whoever is lost now makes it fall."""


class RingEvent(enum.StrEnum):
    """What moves a ring on."""

    ALL_READY = "every member has joined and agrees on the ring key"
    DISMANTLE = "a member died, a join failed, or somebody asked for it"
    ALL_REAPED = "every process that must not survive is reaped"


TRANSITIONS: Final = MappingProxyType(
    {
        (RingState.FORMING, RingEvent.ALL_READY): RingState.SEALED,
        (RingState.FORMING, RingEvent.DISMANTLE): RingState.DISMANTLING,
        (RingState.SEALED, RingEvent.DISMANTLE): RingState.DISMANTLING,
        (RingState.DISMANTLING, RingEvent.DISMANTLE): RingState.DISMANTLING,
        (RingState.DISMANTLING, RingEvent.ALL_REAPED): RingState.DISMANTLED,
    }
)


def diagram() -> str:
    """Return the table as a Mermaid state diagram, for the documents."""
    lines = ["stateDiagram-v2", "    [*] --> forming"]
    lines += [f"    {state} --> {new}: {event.name.lower()}" for (state, event), new in TRANSITIONS.items()]
    return "\n".join([*lines, f"    {RingState.DISMANTLED} --> [*]"])


class Ring:
    """The supervisor's one ring object: who must join, who has, and the state. It holds no key."""

    __slots__ = ("_fingerprints", "_joined", "_members", "epoch", "state")

    def __init__(self, epoch: Epoch, members: frozenset[MemberId]) -> None:
        """Start forming; `members` is everyone who must join."""
        self.epoch: Final = epoch
        self.state = RingState.FORMING
        self._members = members
        self._joined: set[MemberId] = set()
        self._fingerprints: set[bytes] = set()

    def move(self, event: RingEvent) -> RingState:
        """Take one step of the table; raises `UsageError` where it has none."""
        new = TRANSITIONS.get((self.state, event))
        if new is None:
            msg = f"a ring that is {self.state} cannot go on by: {event.value}"
            raise UsageError(msg)
        self.state = new
        return new

    def joined(self, member: MemberId, fingerprint: bytes) -> bool:
        """Note that a member has joined; return whether all have.

        Raises `UsageError` for a stranger, a second join, or another key.
        """
        if self.state is not RingState.FORMING or member not in self._members or member in self._joined:
            msg = f"{member} cannot join epoch {self.epoch} now"
            raise UsageError(msg)
        if fingerprint:
            self._fingerprints.add(fingerprint)
            if len(self._fingerprints) > 1:
                msg = f"{member} holds another ring key"
                raise UsageError(msg)
        self._joined.add(member)
        return self._joined >= self._members

    @property
    def missing(self) -> frozenset[MemberId]:
        """Who has not joined yet."""
        return self._members - self._joined

    @property
    def fingerprint(self) -> str:
        """The ring key's fingerprint in hexadecimal, once a member has reported it."""
        return next(iter(self._fingerprints), b"").hex()

    def __repr__(self) -> str:
        """Show epoch and state."""
        return f"<Ring, epoch {self.epoch}, {self.state}>"

    def _refuse(self, *_: object) -> NoReturn:
        msg = "there is one ring object; it cannot be copied or pickled"
        raise UsageError(msg)

    __reduce_ex__ = __copy__ = __deepcopy__ = _refuse
