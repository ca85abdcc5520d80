"""What the tree decides: a closed union of values, which the supervisor carries out and logs.

May import: our messages. Invariant: they are in the order in which they are to be carried out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from trollbridge.actors.supervision.reasons import Reason
    from trollbridge.messages.ids import MemberId


class Start(NamedTuple):
    """Start a process now."""

    member: MemberId


class Stop(NamedTuple):
    """Ask a process to end, and kill it if it does not; the tree hears of its end as of any other."""

    member: MemberId
    group: str
    """Whose decision it is."""


class Restarting(NamedTuple):
    """A child has ended and is to be started again; what is needed for that follows, now or later."""

    name: str
    """A member or a group."""
    group: str
    number: int
    """Which restart of the group this is, within its period."""
    delay: float
    """Seconds until then."""
    reason: Reason
    others: tuple[str, ...]
    """Who is started again with it."""


class PutOff(NamedTuple):
    """A process is not started yet although its group is, or the ring is sealed: its back-off goes on."""

    member: MemberId
    group: str
    delay: float
    """Seconds until it is."""


class GaveUp(NamedTuple):
    """A group's children ended too often: those that are left are stopped, and it has ended itself."""

    group: str
    name: str
    """Whose end was one too many."""
    reason: Reason


class Gone(NamedTuple):
    """A process is not started again in this ring, unless all of its group are, or a person asks for it."""

    member: MemberId


class Fall(NamedTuple):
    """The topmost group has given up: the ring falls."""

    name: str
    reason: Reason


Action: TypeAlias = Start | Stop | Restarting | PutOff | GaveUp | Gone | Fall
