"""What a client may not call or open, told apart: not granted, not exported, not sealed at all.

May import: our messages, `membership`. Invariant: only what a server has said that it exports is called not granted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.messages import error_words
from trollbridge.messages.errors import (
    NoSuchHandler,
    NotGranted,
    Outcome,
    RingDismantled,
    ServerLost,
    UsageError,
)
from trollbridge.messages.ids import HandlerName
from trollbridge.messages.ring_key import Sealed

if TYPE_CHECKING:
    from trollbridge.actors.calling.membership import Membership


def unsent(name: str) -> RingDismantled:
    """Return why a handler cannot be called while there is no ring."""
    return RingDismantled(error_words.unsent(name), outcome=Outcome.NOT_STARTED)


def not_loaded() -> RingDismantled:
    """Return why no foreign code can be loaded while there is no ring."""
    text = error_words.NO_RING.format("no plugin was loaded", "load it")
    return RingDismantled(text, outcome=Outcome.NOT_STARTED)


def absent(membership: Membership, name: HandlerName) -> NotGranted | NoSuchHandler | ServerLost:
    """Return why a handler cannot be called: its host has ended, or it is not granted, or this member knows of none."""
    member, _, method = name.partition(".")
    lost = membership.renewing.missing(name)
    if lost is not None and all(each.partition(".")[0] != member for each in membership.routes):
        return lost
    for known, peer in membership.peers.items():
        if known == member and method in peer.withheld:
            return NotGranted(f"{name} is not granted to this member; add it to App(grants=…)")
    return NoSuchHandler(
        f"{name} is not exported, or not to this member; there is {', '.join(sorted(membership.routes)) or 'nothing'}"
    )


def demand_sealed(value: object) -> None:
    """Raise `UsageError` for what is no `Sealed`."""
    if type(value) is not Sealed:
        msg = f"a value of the type {type(value).__name__} is no Sealed value"
        raise UsageError(msg)


def opened(membership: Membership, sealed: Sealed, what: bytes | None) -> object:
    """Return what a `Sealed` holds, as `Membership.open` does.

    Raises `NotGranted` for one of this epoch whose handler is exported and not granted: only whoever may call it knows
    what its results are.
    """
    name = HandlerName(sealed.handler.partition("[")[0])
    if name not in membership.routes and sealed.epoch == membership.epoch:
        error = absent(membership, name)
        if isinstance(error, NotGranted):
            raise error
    return membership.open(sealed, what)
