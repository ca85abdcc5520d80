"""Does once what a member does all the time, so that whatever is imported on first use is there before the lock.

May import: our messages. Invariant: its keys are made and dropped in here; nothing of it is left but loaded code.
"""

from __future__ import annotations

import os

from trollbridge.messages.envelope import Envelope, Kind
from trollbridge.messages.ids import BROKER, NO_UID, Epoch, MemberId, Microseconds
from trollbridge.messages.noise import Initiator, Responder, Split
from trollbridge.messages.record import Item, Link, Request, envelope_of, route
from trollbridge.messages.ring_key import SEALED, RingKey, asked
from trollbridge.messages.session import Session

_EPOCH = Epoch(0)
_CLIENT = MemberId("rehearsal")


def _handshake() -> tuple[Split, Split]:
    token = os.urandom(32)
    first, waiting = Initiator(token, b"").message_1()
    second, theirs = Responder(token, b"").accept(first)
    return waiting.finish(second), theirs


def rehearse() -> None:
    """Found a link and a session with oneself, and send one envelope."""
    ours, theirs = (Link(each) for each in _handshake())
    sender, receiver = _handshake()
    session = Session(sender, _EPOCH, _CLIENT, BROKER, initiator=True)
    sealed = session.seal(Kind.CALL, NO_UID, Microseconds(0), b"rehearsed")
    items: list[Item] = [route(sealed, b""), Request("rehearsal.nothing")]
    record = ours.seal(items) + sealed.body
    [(item, body), _] = theirs.open(memoryview(record))
    envelope: Envelope = envelope_of(item, body)  # type: ignore[arg-type]  # the first item is the envelope's header
    Session(receiver, _EPOCH, BROKER, _CLIENT, initiator=False).open(envelope)
    key = RingKey(os.urandom(32), _EPOCH)
    what = asked(b"rehearsed")
    key.open(SEALED.decode(SEALED.encode(key.seal("rehearsal.nothing", b"rehearsed", what))), what)
    key.drop()
