"""Two ends of a session and of a link, founded by a real handshake, for tests that need no process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.ids import Epoch, HandlerUID, MemberId
from trollbridge.messages.noise import Initiator, Responder
from trollbridge.messages.record import Link
from trollbridge.messages.session import Session

if TYPE_CHECKING:
    from trollbridge.messages.noise import Split

CLIENT: Final = MemberId("console")
ENCLAVE: Final = MemberId("vault")
EPOCH: Final = Epoch(7)
UID: Final = HandlerUID(bytes(range(1, 17)))
TOKEN: Final = bytes(range(32))


def splits(prologue: bytes = b"test") -> tuple[Split, Split]:
    """Return what a handshake leaves on both sides, the initiator's first."""
    first, waiting = Initiator(TOKEN, prologue).message_1()
    second, responder = Responder(TOKEN, prologue).accept(first)
    return waiting.finish(second), responder


def pair(epoch: Epoch = EPOCH, client: MemberId = CLIENT, enclave: MemberId = ENCLAVE) -> tuple[Session, Session]:
    """Return the client's and the enclave's end of one session."""
    ours, theirs = splits()
    return Session(ours, epoch, client, enclave, initiator=True), Session(
        theirs, epoch, enclave, client, initiator=False
    )


def links() -> tuple[Link, Link]:
    """Return a member's and the broker's end of one link."""
    ours, theirs = splits()
    return Link(ours), Link(theirs)
