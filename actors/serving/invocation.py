"""A call that may run, and what the core that took it tells the world.

May import: our messages, `handler`. Invariant: values only; who calls is known from the session, never from a message.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from trollbridge.actors.handlers import Exported  # msgspec resolves it by name
from trollbridge.messages.ids import HandlerUID, MemberId, Microseconds, Role  # as above

if TYPE_CHECKING:
    from trollbridge.messages.control import NoticeKind
    from trollbridge.messages.record import Item


class Origin(msgspec.Struct, frozen=True):
    """Whom a reply goes to, and which call it answers: UID and sequence, both authenticated in it."""

    client: MemberId
    uid: HandlerUID
    sequence: int


class Caller(msgspec.Struct, frozen=True):
    """Who makes a call, by the session that it came over: no message can say otherwise."""

    member: MemberId
    role: Role


class Invocation(msgspec.Struct, frozen=True):
    """A call that may run: authenticated, claimed and decoded."""

    origin: Origin
    caller: Caller
    exported: Exported
    arguments: tuple[object, ...]
    asked: bytes
    """Of a sensitive handler, the digest of its encoded arguments, which its results are bound to; else empty."""
    deadline: Microseconds = Microseconds(0)
    """After which it is not started; 0: never."""
    digest: bytes = b""
    """By which it is known again, should its server die of it (`quarantine`)."""


class Outside(Protocol):
    """What the core tells the world."""

    def put(self, item: Item, body: bytes = b"") -> None:
        """Queue an item for the broker."""

    def notice(self, kind: NoticeKind, about: str, why: str, detail: str = "") -> None:
        """Tell the supervisor's log."""

    def now(self) -> int:
        """Return the monotonic clock in microseconds."""
        ...

    def catch_up(self) -> None:
        """Take what the supervisor has sent so far."""
