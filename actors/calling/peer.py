"""What a client holds of one server in one epoch: the session, and what is under way in both directions.

May import: our messages. Invariant: values only; the client's lock is held around every change.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.parts import Assembly, Outgoing

if TYPE_CHECKING:
    from trollbridge.messages.session import Session

_OVERHEAD: Final = 4096
"""Bytes of a reply that are not its result: an error's text, mostly."""


class Peer:
    """A client's session with one enclave."""

    __slots__ = ("assembly", "outgoing", "outstanding", "session", "withheld")

    def __init__(self, session: Session, limit: int, withheld: tuple[str, ...]) -> None:
        """Take the founded session and the largest result to expect, in bytes."""
        self.session = session
        self.assembly = Assembly(limit + _OVERHEAD)
        self.outgoing = Outgoing(session)
        self.withheld = withheld
        self.outstanding = 0
        """Calls that it has not answered yet."""

    def drop(self) -> None:
        """Forget the session's keys, and what was under way: it may be long, and somebody may keep this."""
        self.session.drop()
        self.assembly, self.outgoing = Assembly(0), Outgoing(self.session)
