"""What the broker decides, as a pure core: an item from a member in, items for members out; no session key.

May import: our messages, `uids`. Invariants: the sender is the spawn record's, never the header's word; a UID is
claimed before the call is passed on; whatever the cause of a refusal, its sender sees the same `Refusal`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, assert_never

from trollbridge.actors.broker.measures import Meter
from trollbridge.actors.broker.port import Port as Port  # noqa: PLC0414, TC001  # re-exported
from trollbridge.actors.broker.uids import CREDIT, CREDIT_OF_EXTENSIONS, Denial, Lease, UidLedger, UidRefused
from trollbridge.messages import record
from trollbridge.messages.address import Caller
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.envelope import Kind
from trollbridge.messages.ids import NO_UID, SERVING, HandlerName, HandlerUID, MemberId, Role, handler_name
from trollbridge.messages.parts import WINDOW, counts
from trollbridge.messages.record import Credit, Item, Left, Publish, Refusal, Request, Routed

if TYPE_CHECKING:
    from trollbridge.messages.measures import MemberMeasure

MOST_STRIKES: Final = 16
"""Refusals that a member may cause; the next one costs it its link."""
EXCUSED: Final = 4
"""Requests for a handler with full credit that cost nothing once a host of it has left."""
_NOT_ACCEPTED: Final = "the {} could not open or accept it"
MOST_SESSION_MESSAGES: Final = 4
"""Handshake and session messages of one member to one peer in an epoch."""


class Outward(Protocol):
    """What the core tells the world."""

    def send(self, member: MemberId, item: Item, body: bytes = b"") -> None:
        """Queue an item for a member; it goes nowhere if that member has left."""

    def notice(self, kind: NoticeKind, about: MemberId, why: str, detail: str = "") -> None:
        """Tell the supervisor's log."""

    def remove(self, member: MemberId, why: str) -> None:
        """Cut a member's link."""


class Routing:
    """The routing table, UIDs and addresses of one epoch."""

    def __init__(self, outward: Outward, ledger: UidLedger | None = None, *, tells_calls: bool = False) -> None:
        """Take where decisions go; `tells_calls`: note the first call of each handler by each member, in learn mode."""
        self._out = outward
        self._ledger = UidLedger() if ledger is None else ledger
        self._ports: dict[MemberId, Port] = {}
        self._callers: dict[tuple[MemberId, str], Caller] = {}
        self._services: dict[str, tuple[MemberId, ...]] = {}
        """Who serves the handlers that are called by a member's name: it, and its replicas."""
        self._tells_calls = tells_calls
        self._told: set[tuple[MemberId, str]] = set()
        self._meter = Meter()
        self._hosts: dict[MemberId, str] = {}
        """Every host that there is or was, and whose replica it is: one may come in the place of one that has left."""
        self.sealed = False

    def open(self, port: Port) -> None:
        """Let a member in: any but an extension while the ring forms, only extensions and hosts once it is sealed.

        A client that comes while a host of its is away is told so.
        """
        self._ports[port.member] = port
        if port.role in SERVING:
            port.service = port.service or port.member
            self._services[port.service] = (*self._services.get(port.service, ()), port.member)
        if port.role is Role.HOST:
            self._hosts[port.member] = port.service
        if self.sealed:
            for host, service in self._hosts.items():
                if host in port.peers and host not in self._ports and port.calls(service):
                    self._lose(port, host)

    def close(self, member: MemberId) -> None:
        """Let a member go; its UIDs are void, and so are those that were to call it."""
        left = self._ports.pop(member, None)
        self._ledger.forget(member)
        if left is None:
            return
        if left.role is Role.HOST:
            self._withdraw(left)
        for other in tuple(self._ports.values()):
            founded = other.founding.pop(member, None) is not None
            if left.role is Role.HOST and other.calls(left.service):
                self._lose(other, member)
            elif other.role in SERVING and (founded or other.member in left.peers):
                other.parts.pop(member, None)
                other.departed.add(member)
                if founded:
                    self._out.send(other.member, Left(member))

    def _withdraw(self, host: Port) -> None:
        """Forget what could be called of a host that has left: who comes in its place publishes its own."""
        self._services[host.service] = tuple(each for each in self._services[host.service] if each != host.member)
        for key in [key for key in self._callers if key[0] == host.member]:
            del self._callers[key]
        for uid, client in self._ledger.void(host.member):
            self._meter.ended(uid)
            if client in self._ports:
                self._ports[client].streams.ended(uid)

    def _lose(self, client: Port, host: MemberId) -> None:
        client.parts.pop(host, None)
        client.opening.pop(host, None)
        client.lost[host] = client.lost.get(host, 0) + 1
        for each in client.handlers:
            if each.partition(".")[0] == self._hosts[host]:
                client.excused[each] = EXCUSED
        self._out.send(client.member, Left(host))

    @property
    def published(self) -> bool:
        """Whether every enclave has published its manifest."""
        return all(port.published for port in self._ports.values() if port.role in SERVING)

    def strike(self, member: MemberId, kind: NoticeKind, why: str, detail: str = "") -> None:
        """Note a refusal; the one too many costs the member its link."""
        self._out.notice(kind, member, why, detail)
        port = self._ports.get(member)
        if port is not None:
            port.strikes += 1
            if port.strikes > MOST_STRIKES:
                self._out.remove(member, "too many refusals")

    def take(self, member: MemberId, item: Item, body: bytes) -> None:
        """Decide on one item that arrived on a member's link."""
        port = self._ports[member]
        match item:
            case Routed():
                self._envelope(port, item, body)
            case Request(handler):
                self._request(port, handler)
            case Publish():
                self._publish(port, item)
            case Refusal(uid):
                self._refused_by_enclave(port, HandlerUID(uid))
            case Left(host) if port.lost.get(MemberId(host)):
                port.lost[MemberId(host)] -= 1
            case record.Lease() | Credit() | Left():
                self.strike(member, NoticeKind.RECORD_REFUSED, "an item that only the broker sends")
            case _:
                assert_never(item)

    def measures(self) -> list[MemberMeasure]:
        """Return what has been counted of each member, but for what its link knows."""
        standing, load = self._ledger.standing(), self._ledger.load
        return [
            each.counts.measure(each.member, standing.get(each.member, (0, 0)), load(each.member), each.strikes)
            for each in self._ports.values()
        ]

    def _envelope(self, port: Port, item: Routed, body: bytes) -> None:
        receiver = MemberId(item.receiver)
        if item.sender != port.member or item.route:
            self.strike(port.member, NoticeKind.SENDER_REFUSED, "the header names another sender or a route")
            self._out.send(port.member, Refusal(item.uid))
            return
        kind = item.kind
        if self._gone(port, receiver, kind):
            return
        if not self._under_way(port, receiver, item):
            return
        if kind == Kind.CALL and (port.handlers or port.role not in SERVING):
            self._call(port, receiver, item, body)
        elif kind == Kind.REPLY and port.role in SERVING:
            self._reply(port, receiver, item, body)
        elif kind == Kind.PART:
            self._part(port, receiver, item, body)
        elif kind == Kind.ITEM and port.role in SERVING:
            self._item(port, receiver, item, body)
        elif kind == Kind.STEER:
            self._steer(port, receiver, item, body)
        elif kind in (Kind.HANDSHAKE, Kind.SESSION):
            self._session(port, receiver, item, body)
        else:
            self._refuse(port, item, "an envelope of a kind that this role does not send")

    def _refuse(self, port: Port, item: Routed, why: str) -> None:
        self.strike(port.member, NoticeKind.ENVELOPE_REFUSED, why)
        self._out.send(port.member, Refusal(item.uid))

    def _foreseen(self, port: Port, receiver: MemberId) -> bool:
        """Return whether two members may have a session, or had one; only an extension's record names its enclaves."""
        other = self._ports.get(receiver)
        return receiver in port.peers or receiver in port.departed or (other is not None and port.member in other.peers)

    def _call(self, port: Port, receiver: MemberId, item: Routed, body: bytes) -> None:
        uid = HandlerUID(item.uid)
        if port.opening.get(receiver) == uid:
            del port.opening[receiver]
        if port.refused.get(receiver) == uid:  # it has been told so, and could not know yet
            if counts(item.kind, item.length):
                self._give_back(port, receiver)
            return
        try:
            lease = self._ledger.claim(uid, port.member, receiver)
        except UidRefused as refused:
            self.strike(port.member, NoticeKind.UID_REFUSED, refused.denial)
            self._out.send(port.member, Refusal(uid))
            if counts(item.kind, item.length):
                self._give_back(port, receiver)
            return
        server = self._ports.get(receiver)
        if server is not None:  # else it has left, and the call goes nowhere
            self._meter.called(uid, port.counts, server.counts)
        self._out.send(receiver, _via(item, self._callers[receiver, lease.handler].next()), body)

    def _reply(self, port: Port, receiver: MemberId, item: Routed, body: bytes) -> None:
        replicas, client = self._services[port.service], self._ports.get(receiver)
        if client is not None and client.lost:
            replicas = tuple(each for each in replicas if each not in client.lost)
        try:
            if len(replicas) == 1:
                fresh: bytes = self._ledger.answered(HandlerUID(item.uid), port.member, receiver)
            else:
                uid, member = self._ledger.replaced(HandlerUID(item.uid), port.member, receiver, replicas)
                fresh = uid if member == port.member else uid + member.encode()
        except UidRefused as refused:
            self._out.notice(NoticeKind.REPLY_DROPPED, port.member, refused.denial)
            if counts(item.kind, item.length):
                self._give_back(port, receiver)
            return
        client = self._ports[receiver]
        client.streams.ended(HandlerUID(item.uid))
        self._meter.replied(HandlerUID(item.uid), client.counts, port.counts)
        self._out.send(receiver, _via(item, fresh), body)

    def _gone(self, port: Port, receiver: MemberId, kind: int) -> bool:
        """Return whether an envelope is of a session that has ended with its other end, and goes nowhere."""
        if receiver in port.departed:
            return self._departed(port, receiver, kind)
        return receiver in port.lost and self._was_lost(port, receiver, kind)

    def _departed(self, port: Port, receiver: MemberId, kind: int) -> bool:
        """Return whether an envelope is of a session that has ended, until its server has founded the next one."""
        if kind in (Kind.HANDSHAKE, Kind.SESSION) and receiver not in self._ports:
            return True  # it has left before its server could answer, which is no fault
        if kind == Kind.HANDSHAKE:
            port.departed.discard(receiver)
        elif kind in (Kind.PART, Kind.ITEM):
            self._out.send(port.member, Credit(receiver, 1))
            return True
        return False

    def _was_lost(self, port: Port, receiver: MemberId, kind: int) -> bool:
        """Return whether an envelope is for a host that has left: until its client founds a session with the next."""
        if kind == Kind.HANDSHAKE and not port.lost[receiver]:  # else it is for who has left
            del port.lost[receiver]
            return False
        return kind in (Kind.HANDSHAKE, Kind.SESSION, Kind.CALL, Kind.PART, Kind.STEER)

    def _item(self, port: Port, receiver: MemberId, item: Routed, body: bytes) -> None:
        uid = HandlerUID(item.uid)
        if not self._ledger.in_flight(uid, port.member, receiver):
            self._out.notice(NoticeKind.REPLY_DROPPED, port.member, Denial.NOT_LIVE)
        elif not self._ports[receiver].streams.item(uid):
            self.strike(port.member, NoticeKind.ENVELOPE_REFUSED, "more items than its client has asked for")
        else:
            self._out.send(receiver, item, body)
            return
        if counts(item.kind, item.length):
            self._give_back(port, receiver)

    def _steer(self, port: Port, receiver: MemberId, item: Routed, body: bytes) -> None:
        uid = HandlerUID(item.uid)
        if not self._ledger.in_flight(uid, receiver, port.member):
            if not port.streams.late():
                self.strike(port.member, NoticeKind.UID_REFUSED, Denial.NOT_LIVE)
        elif port.streams.step(uid):
            self._out.send(receiver, item, body)
        else:
            self.strike(port.member, NoticeKind.ENVELOPE_REFUSED, "more steps than its stream has given reason for")

    def _part(self, port: Port, receiver: MemberId, item: Routed, body: bytes) -> None:
        uid = HandlerUID(item.uid)
        if receiver not in self._ports or port.refused.get(receiver) == uid:  # which is no fault of the sender
            self._give_back(port, receiver)
            return
        try:
            if port.role not in SERVING or not self._ledger.in_flight(uid, port.member, receiver):  # it is of a call
                if port.opening.setdefault(receiver, uid) != uid:
                    raise UidRefused(Denial.NOT_LIVE)
                self._ledger.check(uid, port.member, receiver)
        except UidRefused as refused:
            self.strike(port.member, NoticeKind.UID_REFUSED, refused.denial)
            self._out.send(port.member, Refusal(uid))
            self._give_back(port, receiver)
            return
        self._out.send(receiver, item, body)

    def _under_way(self, port: Port, receiver: MemberId, item: Routed) -> bool:
        """Count a long body against its sender's credit; return whether it had any left."""
        if not counts(item.kind, item.length):
            return True
        if not self._foreseen(port, receiver):  # before anything is kept under its name
            self._refuse(port, item, "no session with that member is foreseen")
            return False
        used = port.parts.get(receiver, 0)
        if used >= WINDOW:
            self._out.remove(port.member, "more long bodies than its credit")
            return False
        port.parts[receiver] = used + 1
        return True

    def _give_back(self, port: Port, receiver: MemberId) -> None:
        """Return the credit of a long body that goes no further."""
        port.parts[receiver] -= 1
        self._out.send(port.member, Credit(receiver, 1))

    def part_left(self, sender: MemberId, receiver: MemberId, parts: int) -> None:
        """Give credit back for long bodies that have left for their receiver."""
        port = self._ports.get(sender)
        parts = 0 if port is None else min(parts, port.parts.get(receiver, 0))  # some may be of who was there before
        if port is not None and parts:
            port.parts[receiver] -= parts
            self._out.send(sender, Credit(receiver, parts))

    def _session(self, port: Port, receiver: MemberId, item: Routed, body: bytes) -> None:
        count = port.founding.get(receiver, 0) + 1
        if not self._foreseen(port, receiver) or item.uid != NO_UID or count > MOST_SESSION_MESSAGES:
            self.strike(port.member, NoticeKind.ENVELOPE_REFUSED, "no session with that member is foreseen")
            return
        port.founding[receiver] = count
        self._out.send(receiver, item, body)

    def _request(self, port: Port, handler: str) -> None:
        service = handler.partition(".")[0]
        present = self._services.get(service, ())
        servers = [each for each in present if (each, handler) in self._callers and each not in port.lost]
        granted = handler in port.handlers
        if granted and not servers and service in self._hosts.values():
            return  # it is away: its clients ask again once they have founded a session with who comes in its place
        if not granted or not servers:
            self.strike(port.member, NoticeKind.LEASE_REFUSED, "no grant")
            self._out.send(port.member, record.Lease(handler, b""))
            return
        servers.sort(key=self._ledger.load)  # the client tries the first one first
        most = CREDIT_OF_EXTENSIONS if port.role is Role.EXTENSION else CREDIT
        shares = self._ledger.share(*(Lease(port.member, each, HandlerName(handler)) for each in servers), most=most)
        if not any(shares) and port.excused.get(handler):
            port.excused[handler] -= 1
        elif not any(shares):
            self.strike(port.member, NoticeKind.LEASE_REFUSED, "its credit is full", handler)
            self._out.send(port.member, record.Lease(handler, b""))
        elif self._tells_calls and (port.member, handler) not in self._told:
            self._told.add((port.member, handler))
            self._out.notice(NoticeKind.GRANT_USED, port.member, "its first call of this handler", handler)
        for server, uids in zip(servers, shares, strict=True):
            if uids:
                member = "" if server == service else server
                self._out.send(port.member, record.Lease(handler, b"".join(uids), member))

    def _publish(self, port: Port, item: Publish) -> None:
        if port.role not in SERVING or port.published or (self.sealed and port.role is not Role.HOST):
            self._out.remove(port.member, "published out of turn")
            return
        port.published = True
        for each in item.handlers:
            self._callers[port.member, handler_name(MemberId(port.service), each.name)] = Caller(each.seed)

    def _refused_by_enclave(self, port: Port, uid: HandlerUID) -> None:
        lease = self._ledger.holder(uid)
        if lease is None or lease.enclave != port.member:
            if port.role in SERVING:  # its caller may have been removed meanwhile, which is no fault of its own
                self._out.notice(NoticeKind.REPLY_DROPPED, port.member, Denial.NOT_LIVE)
            else:
                self.strike(port.member, NoticeKind.REPLY_DROPPED, Denial.NOT_LIVE)
            return
        self._ledger.forfeit(uid)
        self._meter.ended(uid)
        client = self._ports.get(lease.member)
        if client is not None:
            client.streams.ended(uid)
        if port.role is Role.HOST and client is not None and client.role is not Role.EXTENSION:
            self._refused_by_host(client, port.member, lease, uid)
        else:
            self.strike(lease.member, NoticeKind.ENVELOPE_REFUSED, _NOT_ACCEPTED.format(port.role.value), lease.handler)
        self._out.send(lease.member, Refusal(uid))

    def _refused_by_host(self, client: Port, host: MemberId, lease: Lease, uid: HandlerUID) -> None:
        """Note a refusal that may be a lie: a host holds no key of the ring, and its word costs the ring no member."""
        self._out.notice(NoticeKind.ENVELOPE_REFUSED, client.member, _NOT_ACCEPTED.format("host"), lease.handler)
        if client.opening.get(host) == uid:
            del client.opening[host]
            client.refused[host] = uid


def _via(item: Routed, route: bytes) -> Routed:
    return Routed(
        item.kind, item.sender, item.receiver, item.uid, item.sequence, item.deadline, route, item.length, item.tag
    )
