"""How a client joins: it founds its link, then one session with each enclave that it has a ticket for.

May import: our messages, `endpoint`, `membership`. Invariants: each step blocks at most `JOIN_TIMEOUT`;
whatever fails on the way raises `HandshakeFailed`, and nothing of a ring that was not joined whole is returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.actors.endpoint import Endpoint, found_link
from trollbridge.actors.isolation import secret_memory
from trollbridge.actors.membership import Membership, Peer, Route
from trollbridge.actors.sockets import LinkLost
from trollbridge.messages import payloads
from trollbridge.messages.aead import KEY_SIZE
from trollbridge.messages.envelope import Envelope, Kind, prologue
from trollbridge.messages.errors import HandshakeFailed, ProtocolError
from trollbridge.messages.ids import BROKER, NO_UID, Epoch, HandlerName, MemberId, Microseconds, Role
from trollbridge.messages.limits import LARGEST_RECORD
from trollbridge.messages.noise import AwaitingReply, Initiator
from trollbridge.messages.padding import padded
from trollbridge.messages.record import Item, Routed, envelope_of, route
from trollbridge.messages.ring_key import RingKey
from trollbridge.messages.session import LARGEST_CONTENT, Session

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    import msgspec

    from trollbridge.messages import control

JOIN_TIMEOUT: Final = 20.0
"""Seconds that broker and enclaves may take."""
_NEVER: Final = Microseconds(0)


def _new_ring_key(epoch: Epoch) -> RingKey:
    key = secret_memory.secret(KEY_SIZE)
    secret_memory.fill_random(key.view)
    return RingKey(key, epoch)


class Joining:
    """One client's way into one epoch."""

    def __init__(self, member: MemberId, role: Role, vocabulary: Mapping[str, type[msgspec.Struct]]) -> None:
        """Take who joins, and the record types that its results may use."""
        self._member = member
        self._role = role
        self._vocabulary = vocabulary
        self._awaiting: dict[MemberId, AwaitingReply] = {}
        self._sessions: dict[MemberId, Session] = {}
        self._peers: dict[MemberId, Peer] = {}
        self._routes: dict[HandlerName, Route] = {}
        self._accepted: set[MemberId] = set()

    def join(self, end: socket.socket, message: control.Join) -> Membership:
        """Join over `end` and return what this client holds of the epoch; raises `HandshakeFailed`."""
        epoch = Epoch(message.epoch)
        key = _new_ring_key(epoch) if self._role is Role.UI else None
        words = prologue(epoch, self._member, self._role, BROKER, Role.BROKER)
        endpoint = Endpoint(end, found_link(end, message.token, words, JOIN_TIMEOUT))
        for ticket in message.tickets:
            enclave = MemberId(ticket.enclave)
            words = prologue(epoch, self._member, self._role, enclave, Role.ENCLAVE)
            first, self._awaiting[enclave] = Initiator(ticket.token, words).message_1()
            self._put(endpoint, Envelope(Kind.HANDSHAKE, self._member, enclave, NO_UID, 0, _NEVER, first))
        expected = set(self._awaiting)
        buffer = bytearray(LARGEST_RECORD)
        end.settimeout(JOIN_TIMEOUT)
        try:
            while self._peers.keys() != expected or (key is not None and self._accepted != expected):
                endpoint.flush()
                for item, body in endpoint.receive(buffer):
                    self._take(endpoint, epoch, key, item, body)
            endpoint.flush()
        except (LinkLost, ProtocolError, BlockingIOError):
            raise HandshakeFailed from None
        end.settimeout(None)
        return Membership(epoch, endpoint, self._peers, self._routes, key)

    def _put(self, endpoint: Endpoint, envelope: Envelope) -> None:
        endpoint.put(route(envelope, b""), envelope.body)

    def _take(self, endpoint: Endpoint, epoch: Epoch, key: RingKey | None, item: Item, body: bytes) -> None:
        if type(item) is not Routed:
            raise HandshakeFailed
        envelope = envelope_of(item, body)
        enclave = envelope.sender
        if envelope.kind == Kind.HANDSHAKE:
            split = self._awaiting.pop(enclave).finish(body) if enclave in self._awaiting else None
            if split is None:
                raise HandshakeFailed
            self._sessions[enclave] = Session(split, epoch, self._member, enclave, initiator=True)
            return
        session = self._sessions.get(enclave)
        if session is None or envelope.kind != Kind.SESSION:
            raise HandshakeFailed
        payload = payloads.decode(session.open(envelope))
        match payload:
            case payloads.Welcome() if enclave not in self._peers:
                self._welcome(session, payload)
                if key is not None:
                    offer = payloads.encode(payloads.RingKeyOffer(key.reveal()))
                    self._put(endpoint, session.seal(Kind.SESSION, NO_UID, _NEVER, offer))
            case payloads.RingKeyAccepted(fingerprint) if key is not None and fingerprint == key.fingerprint:
                self._accepted.add(enclave)
            case _:
                raise HandshakeFailed

    def _welcome(self, session: Session, welcome: payloads.Welcome) -> None:
        limit = LARGEST_CONTENT
        for entry in welcome.handlers:
            found = Route(session.peer, entry, self._vocabulary)
            self._routes[found.name] = found
            limit = max(limit, padded(entry.max_bytes + 4))  # a sensitive result is padded before it is sealed
        self._peers[session.peer] = Peer(session, limit, welcome.withheld)
