"""How a client founds its sessions: a core without a socket, for whoever reads the link and passes on what arrives.

May import: our messages, `membership`. Invariants: whatever fails raises `HandshakeFailed`; nothing is returned before
every server that the client has a ticket for has welcomed it, and every enclave, if it brings the ring key, has that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from trollbridge.actors.calling.membership import Membership
from trollbridge.actors.calling.peer import Peer
from trollbridge.actors.calling.route import Route
from trollbridge.messages import payloads
from trollbridge.messages.envelope import Envelope, Kind, prologue
from trollbridge.messages.errors import HandshakeFailed
from trollbridge.messages.ids import NO_UID, HandlerName, MemberId, Microseconds, Role
from trollbridge.messages.noise import AwaitingReply, Initiator
from trollbridge.messages.padding import padded
from trollbridge.messages.record import Item, Left, Routed, envelope_of, route
from trollbridge.messages.ring_key import HEAD_SIZE, Sealed
from trollbridge.messages.session import LARGEST_CONTENT, Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import msgspec

    from trollbridge.actors.processes.endpoint import Endpoint
    from trollbridge.messages.control import SessionTicket
    from trollbridge.messages.ids import Epoch
    from trollbridge.messages.ring_key import RingKey

_NEVER: Final = Microseconds(0)


class Way(Protocol):
    """What goes out."""

    def put(self, item: Item, body: bytes = b"") -> None:
        """Queue an item for the broker."""


class Founding:
    """One client's sessions in one epoch, until they are founded."""

    def __init__(  # noqa: PLR0913, PLR0917  # each is another part of who founds what
        self,
        member: MemberId,
        role: Role,
        epoch: Epoch,
        vocabulary: Mapping[str, type[msgspec.Struct]],
        way: Way,
        key: RingKey | None = None,
    ) -> None:
        """Take who joins which epoch, the record types that its results may use, the way out, and the UI's ring key."""
        self._member = member
        self._role = role
        self._epoch = epoch
        self._vocabulary: dict[str, type[msgspec.Struct]] = {"Sealed": Sealed, **vocabulary}
        """Whoever gets a `Sealed` hands it on as an argument."""
        self._way = way
        self._key = key
        self._services: dict[MemberId, MemberId] = {}
        self._hosts: dict[MemberId, int] = {}
        """How often each host has left meanwhile."""
        self._keepers: set[MemberId] = set()
        """Who gets the ring key: the enclaves."""
        self._awaiting: dict[MemberId, AwaitingReply] = {}
        self._sessions: dict[MemberId, Session] = {}
        self._peers: dict[MemberId, Peer] = {}
        self._routes: dict[HandlerName, Route] = {}
        self._accepted: set[MemberId] = set()

    def begin(self, tickets: Iterable[SessionTicket]) -> None:
        """Send the first message of each handshake."""
        for ticket in tickets:
            server, role = MemberId(ticket.server), Role(ticket.server_role)
            self._services[server] = MemberId(ticket.service or server)
            if role is Role.HOST:
                self._hosts[server] = 0
            if self._key is not None and role is Role.ENCLAVE:
                self._keepers.add(server)
            words = prologue(self._epoch, self._member, self._role, server, role)
            first, self._awaiting[server] = Initiator(ticket.token, words).message_1()
            self._put(Envelope(Kind.HANDSHAKE, self._member, server, NO_UID, 0, _NEVER, first))

    @property
    def servers(self) -> frozenset[str]:
        """The members that sessions are founded with."""
        return frozenset(self._services)

    @property
    def complete(self) -> bool:
        """Whether every session is founded, but with hosts that have left."""
        lost = {host for host, times in self._hosts.items() if times}
        return self._peers.keys() >= self._services.keys() - lost and self._accepted == self._keepers

    def membership(self, endpoint: Endpoint, key: RingKey | None) -> Membership:
        """Return what was founded; raises `HandshakeFailed` if it is not complete."""
        if not self.complete:
            raise HandshakeFailed
        hosts = {host: (self._services[host], times) for host, times in self._hosts.items()}
        return Membership(self._epoch, endpoint, self._peers, self._routes, key, hosts, self._again)

    def founded(self) -> tuple[Mapping[MemberId, Peer], Mapping[HandlerName, Route]]:
        """Return the sessions and what may be called over them; raises `HandshakeFailed` if they are not complete."""
        if not self.complete:
            raise HandshakeFailed
        return self._peers, self._routes

    def _again(self, ticket: SessionTicket) -> Founding:
        """Begin to found one session anew, within the epoch."""
        founding = Founding(self._member, self._role, self._epoch, self._vocabulary, self._way)
        founding.begin((ticket,))
        return founding

    def take(self, item: Item, body: bytes) -> None:
        """Handle an item from the broker; raises `HandshakeFailed` or another `ProtocolError` for a wrong one."""
        if type(item) is Left and item.member in self._hosts:
            self._lose(MemberId(item.member))
            return
        if type(item) is not Routed:
            raise HandshakeFailed
        envelope = envelope_of(item, body)
        server = envelope.sender
        if envelope.kind == Kind.HANDSHAKE:
            waiting = self._awaiting.pop(server, None)
            if waiting is None:
                raise HandshakeFailed
            self._sessions[server] = Session(waiting.finish(body), self._epoch, self._member, server, initiator=True)
            return
        session = self._sessions.get(server)
        if session is None or envelope.kind != Kind.SESSION:
            raise HandshakeFailed
        payload = payloads.decode(session.open(envelope))
        match payload:
            case payloads.Welcome() if server not in self._peers:
                self._welcome(session, payload)
                self._offer(session)
            case payloads.RingKeyAccepted(fingerprint) if (
                self._key is not None and server in self._keepers and fingerprint == self._key.fingerprint
            ):
                self._accepted.add(server)
            case _:
                raise HandshakeFailed

    def _lose(self, host: MemberId) -> None:
        """Let go of a host that has left: the session with who comes in its place is founded later."""
        self._hosts[host] += 1
        self._way.put(Left(host))
        self._awaiting.pop(host, None)
        session = self._sessions.pop(host, None)
        if session is not None:
            session.drop()
        if self._peers.pop(host, None) is not None:
            for name in [name for name, found in self._routes.items() if found.servers == (host,)]:
                del self._routes[name]

    def _put(self, envelope: Envelope) -> None:
        self._way.put(route(envelope, b""), envelope.body)

    def _offer(self, session: Session) -> None:
        if self._key is not None and session.peer in self._keepers:
            offer = payloads.encode(payloads.RingKeyOffer(self._key.reveal()))
            self._put(session.seal(Kind.SESSION, NO_UID, _NEVER, offer))

    def _welcome(self, session: Session, welcome: payloads.Welcome) -> None:
        limit, server = LARGEST_CONTENT, session.peer
        service = self._services[server]
        for entry in welcome.handlers:
            found = Route(server, entry, self._vocabulary, service)
            limit = max(limit, padded(entry.max_bytes + HEAD_SIZE))  # a sensitive result is padded before it is sealed
            if found.name in self._routes:
                self._routes[found.name].add(server, entry)
            else:
                self._routes[found.name] = found
        self._peers[server] = Peer(session, limit, welcome.withheld)
