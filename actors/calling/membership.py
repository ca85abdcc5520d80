"""What a client holds of one epoch: link, sessions, UIDs, calls in flight; a core without a socket of its own.

May import: our messages, `endpoint`, `promise`. Invariants: a UID is taken from its lease once; a reply counts only
under the UID of a call in flight, from the enclave that was called; after `drop` nothing in here seals or opens.
"""

from __future__ import annotations

from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from trollbridge.actors.calling.held import Held
from trollbridge.actors.calling.pending import Pending as Pending  # noqa: PLC0414  # re-exported
from trollbridge.actors.calling.pending import Settled as Settled  # noqa: PLC0414  # re-exported
from trollbridge.actors.calling.renewing import Renewing, never
from trollbridge.actors.calling.results import opened, sealed_of, value_of
from trollbridge.messages import payloads
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import (
    AuthenticationFailed,
    Malformed,
    NotGranted,
    Outcome,
    ProtocolError,
    Refused,
    TrollbridgeError,
)
from trollbridge.messages.ids import HandlerName, HandlerUID, MemberId, Microseconds
from trollbridge.messages.parts import at_once
from trollbridge.messages.record import Credit, Item, Lease, Left, Refusal, Request, Routed, envelope_of, route
from trollbridge.messages.ring_key import SEALED, Sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trollbridge.actors.calling.founding import Founding
    from trollbridge.actors.calling.intake import Intake
    from trollbridge.actors.calling.peer import Peer
    from trollbridge.actors.calling.promise import Promise
    from trollbridge.actors.calling.route import Route
    from trollbridge.actors.processes.endpoint import Endpoint
    from trollbridge.messages.control import SessionTicket
    from trollbridge.messages.envelope import Envelope
    from trollbridge.messages.ids import Epoch
    from trollbridge.messages.ring_key import RingKey

    Told = Callable[[int, int], None]


class Membership:
    """A client's part of one epoch. Not thread-safe: the client holds its lock around every call."""

    def __init__(  # noqa: PLR0913, PLR0917  # all that joining makes
        self,
        epoch: Epoch,
        endpoint: Endpoint,
        peers: Mapping[MemberId, Peer],
        routes: Mapping[HandlerName, Route],
        ring_key: RingKey | None,
        hosts: Mapping[MemberId, tuple[MemberId, int]] = MappingProxyType({}),
        found: Callable[[SessionTicket], Founding] = never,
    ) -> None:
        """Take what joining has made; of each host whose replica it is and how often it has left, and what founds."""
        self.epoch: Final = epoch
        self.endpoint: Final = endpoint
        self.peers: Final = dict(peers)
        self.routes: Final = dict(routes)
        self.renewing: Final = Renewing(self, hosts, found)
        self.ring_key = ring_key
        self.pending: Final[dict[HandlerUID, Pending]] = {}
        self.reports: Final[deque[tuple[Told, int, int]]] = deque()
        """Progress to tell, once no lock is held."""
        self.leases: Final[dict[HandlerName, Held]] = {}
        self.waiting: Final[dict[HandlerName, deque[Pending]]] = {}
        """Calls without a UID: those that wait for credit, and those that wait for a host that is away."""
        self.asked: Final[set[HandlerName]] = set()
        """Handlers that the broker was asked for UIDs of, and gives them or has given them."""
        self._leased: set[HandlerName] = set()
        """Replicated handlers with a lease in the record that is being taken."""
        self._streams = 0
        """How many of the calls in flight are streams."""
        endpoint.on_sent = self._sent

    @property
    def outstanding(self) -> int:
        """Calls without a reply, those that wait for credit included."""
        return len(self.pending) + sum(map(len, self.waiting.values()))

    @property
    def calls(self) -> int:
        """Calls in flight that have no stream, which may stay for long."""
        return len(self.pending) - self._streams

    @property
    def starving(self) -> bool:
        """Whether calls wait for credit, so that the link is to be read for them; or a host comes or goes."""
        return any(calls and name in self.asked for name, calls in self.waiting.items()) or self.renewing.unsettled

    def call(self, pending: Pending) -> None:
        """Send a call if there is credit for its handler, else let it wait for some; or for a host that is away.

        Raises `ServerLost` if its host has been withdrawn just now.
        """
        name = pending.route.name
        lease = self.leases.get(name)
        while lease is not None and (found := lease.take(self.peers)) is not None:
            peer, uid = found
            if uid not in self.pending:  # an honest broker gives each UID once
                self._send(pending, uid, peer)
                return
        if name not in self.asked:
            self._ask(name)
        self.waiting.setdefault(name, deque()).append(pending)

    def _ask(self, name: HandlerName) -> None:
        of = self.routes.get(name)
        lost = self.renewing.missing(name) if of is None else None
        if lost is not None:
            raise lost
        if of is None or self.renewing.usable(of):
            self.asked.add(name)
            self.endpoint.put(Request(name))

    def _send(self, pending: Pending, uid: HandlerUID, to: MemberId) -> None:
        self.pending[uid] = pending
        pending.uid = uid
        self._streams += pending.intake is not None
        pending.peer, peer = to, self.peers[to]
        peer.outstanding += 1
        content = pending.route.content_for(to, pending.content)
        if at_once(len(content)):
            envelope = peer.session.seal(Kind.CALL, uid, pending.deadline, content)
            pending.sequence = envelope.sequence
            self.endpoint.put(route(envelope, b""), envelope.body)
        else:
            peer.outgoing.put(Kind.CALL, uid, pending.deadline, content, pending.progress)
            self._drain(peer)

    def _drain(self, peer: Peer) -> None:
        for envelope in peer.outgoing.drain():
            self.endpoint.put(route(envelope, b""), envelope.body)
            if envelope.kind == Kind.CALL and envelope.uid in self.pending:
                pending = self.pending[envelope.uid]
                pending.sequence = envelope.sequence
                if pending.intake is not None and pending.promise.done:
                    self._halt(envelope.uid, pending)
        self.reports.extend(peer.outgoing.reports)
        peer.outgoing.reports.clear()

    def _sent(self, items: list[Item]) -> None:
        for item in items:
            if type(item) is Routed and item.kind == Kind.CALL:
                pending = self.pending.get(HandlerUID(item.uid))
                if pending is not None:
                    pending.sent = True

    def take(self, item: Item, body: bytes) -> Sequence[Settled]:
        """Handle one item from the broker; return what it settles. Raises `ProtocolError` for one to drop."""
        if type(item) is Routed:
            envelope = envelope_of(item, body)
            if item.kind == Kind.REPLY:
                return (self._reply(envelope, item.route),)
            if item.kind == Kind.ITEM:
                return self._item(envelope)
            if item.kind == Kind.PART:
                self._of(envelope)
                peer = self.peers[envelope.sender]
                peer.assembly.add(envelope.uid, envelope.sequence, peer.session.open(envelope))
                return ()
            self.renewing.take(item, body, envelope.sender)
            return ()
        return self._of_broker(item)

    def _of_broker(self, item: Item) -> Sequence[Settled]:
        if type(item) is Lease:
            return self._lease(item)
        if type(item) is Refusal:
            refused = self.end(HandlerUID(item.uid))
            return () if refused is None else (Settled(refused.promise, error=Refused()),)
        if type(item) is Credit:
            peer = self.peers[MemberId(item.peer)]
            peer.outgoing.credit(item.parts)
            self._drain(peer)
            return ()
        if type(item) is Left:
            self.renewing.left(MemberId(item.member))
            return ()
        raise Malformed

    def end(self, uid: HandlerUID) -> Pending | None:
        """Take a call in flight out, and what was still to be sent of it; return it, if there is one."""
        pending = self.pending.pop(uid, None)
        if pending is not None:
            self._streams -= pending.intake is not None
            peer = self.peers.get(pending.peer)
            if peer is not None:
                peer.outstanding -= 1
                peer.outgoing.forget(uid)
        return pending

    def put_back(self, pending: Pending) -> None:
        """Have a call wait, before all others: it has not left this process."""
        self.waiting.setdefault(pending.route.name, deque()).appendleft(pending)

    def _of(self, envelope: Envelope) -> Pending:
        pending = self.pending.get(envelope.uid)
        if pending is None or pending.peer != envelope.sender or pending.sequence != envelope.deadline:
            raise AuthenticationFailed  # where a call has its deadline, its reply has the call's sequence
        return pending

    def _reply(self, envelope: Envelope, fresh: bytes) -> Settled:
        pending = self._of(envelope)
        peer = self.peers[envelope.sender]
        plain = peer.session.open(envelope)
        del self.pending[envelope.uid]
        self._streams -= pending.intake is not None
        peer.outstanding -= 1
        replica = fresh[16:].decode("ascii", "replace")
        self.credit(pending.route, HandlerUID(fresh[:16]), MemberId(replica or envelope.sender))
        try:
            value = value_of(
                pending, payloads.decode(peer.assembly.finish(envelope.uid, plain)), self.routes, self.ring_key
            )
        except (TrollbridgeError, ProtocolError) as error:
            return Settled(pending.promise, error=error)
        return Settled(pending.promise, value)

    # Streams.

    def _item(self, envelope: Envelope) -> Sequence[Settled]:
        pending = self._of(envelope)
        intake, peer = pending.intake, self.peers[envelope.sender]
        if intake is None:
            raise Malformed
        plain = peer.session.open(envelope)
        if pending.promise.done:
            peer.assembly.finish(envelope.uid, plain)
            return ()
        try:
            self._take_in(pending, intake, payloads.decode(peer.assembly.finish(envelope.uid, plain)))
        except (TrollbridgeError, ProtocolError) as error:
            self._halt(envelope.uid, pending)
            return (Settled(pending.promise, error=error),)
        arrival, intake.arrival = intake.arrival, None
        return () if arrival is None else (Settled(arrival),)

    def _take_in(self, pending: Pending, intake: Intake, payload: payloads.Payload) -> None:
        of = pending.route
        match payload:
            case payloads.StreamProgress(number, progress):
                intake.arrived(number)
                intake.progress = progress
                if intake.report is not None:
                    self.reports.append((intake.report, progress.done, progress.total))
                self.taken(pending)
                return
            case payloads.StreamItem(number, value) if not of.entry.sensitive and of.item is not None:
                intake.arrived(number)
                item = of.item.decode(value)
            case payloads.SealedItem(number, sealed) if of.entry.sensitive:
                intake.arrived(number)
                item = sealed_of(pending, f"{of.name}[{number}]", SEALED.decode(sealed), self.routes, self.ring_key)
            case _:
                raise Malformed
        if intake.unwatched:
            self.taken(pending)
        else:
            intake.items.append(item)

    def taken(self, pending: Pending) -> bool:
        """Note that an item was used; return whether the server was asked for more."""
        more = 0 if pending.intake is None else pending.intake.taken()
        if not more or pending.sequence < 0 or self.pending.get(pending.uid) is not pending:
            return False
        self._steer(pending.uid, pending, payloads.Pull(more))
        return True

    def _halt(self, uid: HandlerUID, pending: Pending) -> None:
        """Tell a stream's server, once, that no more is wanted; where the CALL has not left, when it does."""
        intake = pending.intake
        if intake is not None and not intake.halted and pending.sequence >= 0:
            intake.halted = True
            self._steer(uid, pending, payloads.Halt())

    def _steer(self, uid: HandlerUID, pending: Pending, word: payloads.Pull | payloads.Halt) -> None:
        session = self.peers[pending.peer].session
        envelope = session.seal(Kind.STEER, uid, Microseconds(pending.sequence), payloads.encode(word))
        self.endpoint.put(route(envelope, b""), envelope.body)

    # Results.

    def open(self, sealed: Sealed, what: bytes | None = None) -> object:
        """Return the result or item that `sealed` holds, as `results.opened`; raises `AuthenticationFailed`."""
        return opened(self.routes, self.ring_key, sealed, what)

    def credit(self, of: Route, fresh: HandlerUID, peer: MemberId) -> None:
        """Take a UID that is good for one call by one of the members that serve a handler."""
        if fresh in self.pending or not of.serves(peer):  # an honest broker gives each UID once, for who can use it
            return
        if self.renewing.keeps(of.name, fresh, peer):
            return
        waiting = self.waiting.get(of.name)
        while waiting:
            pending = waiting.popleft()
            if not pending.promise.done:
                self._send(pending, fresh, peer)
                return
        lease = self.leases.get(of.name)
        if lease is None:
            lease = self.leases[of.name] = Held()
        lease.add(peer, fresh)

    def _lease(self, lease: Lease) -> Sequence[Settled]:
        name = HandlerName(lease.handler)
        if not lease.uids:
            self.asked.discard(name)
            return [Settled(each.promise, error=NotGranted()) for each in self.waiting.pop(name, ())]
        of = self.routes[name]
        peer = MemberId(lease.member or name.partition(".")[0])
        held = self.leases.setdefault(name, Held())
        for start in range(0, len(lease.uids), 16):
            uid = HandlerUID(lease.uids[start : start + 16])
            if of.replicated and of.serves(peer) and uid not in self.pending:
                if not self.renewing.keeps(name, uid, peer):
                    held.add(peer, uid)
                    self._leased.add(name)
            else:
                self.credit(of, uid, peer)
        return ()

    def spread(self) -> None:
        """Send the calls that a record's leases let go, now that it is known which replicas there are UIDs for.

        To be called after the last item of each record.
        """
        while self._leased:
            name = self._leased.pop()
            waiting, held = self.waiting.get(name), self.leases.get(name)
            while waiting and held is not None and (found := held.take(self.peers)) is not None:
                pending = waiting.popleft()
                if pending.promise.done:
                    held.add(*found)
                elif found[1] not in self.pending:
                    self._send(pending, found[1], found[0])
                else:
                    waiting.appendleft(pending)

    def forget(self, promise: Promise[Any]) -> bool:
        """Drop a call that still waits for credit; one that was sent keeps its UID until the reply.

        The server of a stream is told that no more is wanted; return whether that waits to be sent.
        """
        for waiting in self.waiting.values():
            for pending in waiting:
                if pending.promise is promise:
                    waiting.remove(pending)
                    return False
        for pending in self.pending.values():
            if pending.intake is not None and pending.promise is promise:
                pending.intake.items.clear()
                self._halt(pending.uid, pending)
                return True
        return False

    def withhold(self) -> list[Pending]:
        """Take back the calls that still wait for credit, and return them."""
        withheld: list[Pending] = []
        for waiting in self.waiting.values():  # the names stay: their leases were asked for
            withheld += waiting
            waiting.clear()
        return withheld

    def drop_ring_key(self) -> None:
        """Forget the ring key only: what is sealed stays sealed from now on."""
        key, self.ring_key = self.ring_key, None
        if key is not None:
            key.drop()

    def drop(self) -> list[Settled]:
        """Forget every key; return what each outstanding call is told, unless more becomes known of it."""
        self.endpoint.drop()
        for peer in self.peers.values():
            peer.drop()
        if self.ring_key is not None:
            self.ring_key.drop()
        settled: list[Settled] = []
        for pending in self.pending.values():
            outcome = Outcome.UNKNOWN if pending.sent else Outcome.NOT_STARTED
            settled.append(pending.fell(outcome))
        settled += [each.fell(Outcome.NOT_STARTED) for each in self.withhold()]
        self.renewing.drop()
        self.pending.clear()
        self.waiting.clear()
        self.leases.clear()
        return settled
