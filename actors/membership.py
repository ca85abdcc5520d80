"""What a client holds of one epoch: link, sessions, UIDs, calls in flight; a core without a socket of its own.

May import: our messages, `endpoint`, `promise`. Invariants: a UID is taken from its lease once; a reply counts only
under the UID of a call in flight, from the enclave that was called; after `drop` nothing in here seals or opens.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from trollbridge.actors.held import Held
from trollbridge.actors.pending import Pending as Pending  # noqa: PLC0414  # re-exported
from trollbridge.actors.pending import Settled as Settled  # noqa: PLC0414  # re-exported
from trollbridge.messages import payloads
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import (
    AuthenticationFailed,
    Malformed,
    NotGranted,
    Outcome,
    ProtocolError,
    Refused,
    RingDismantled,
    TrollbridgeError,
    from_wire,
)
from trollbridge.messages.ids import HandlerName, HandlerUID, MemberId, Microseconds
from trollbridge.messages.parts import Assembly, Outgoing, at_once
from trollbridge.messages.record import Credit, Item, Lease, Refusal, Request, Routed, envelope_of, route
from trollbridge.messages.ring_key import SEALED, Sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trollbridge.actors.endpoint import Endpoint
    from trollbridge.actors.intake import Intake
    from trollbridge.actors.promise import Promise
    from trollbridge.actors.route import Route
    from trollbridge.messages.envelope import Envelope
    from trollbridge.messages.ids import Epoch
    from trollbridge.messages.ring_key import RingKey
    from trollbridge.messages.session import Session

    Told = Callable[[int, int], None]

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


class Membership:
    """A client's part of one epoch. Not thread-safe: the client holds its lock around every call."""

    def __init__(
        self,
        epoch: Epoch,
        endpoint: Endpoint,
        peers: Mapping[MemberId, Peer],
        routes: Mapping[HandlerName, Route],
        ring_key: RingKey | None,
    ) -> None:
        """Take what joining has made."""
        self.epoch: Final = epoch
        self.endpoint: Final = endpoint
        self.peers: Final = peers
        self.routes: Final = routes
        self.ring_key = ring_key
        self.pending: Final[dict[HandlerUID, Pending]] = {}
        self.reports: Final[deque[tuple[Told, int, int]]] = deque()
        """Progress to tell, once no lock is held."""
        self._leases: dict[HandlerName, Held] = {}
        self._waiting: dict[HandlerName, deque[Pending]] = {}
        self._leased: set[HandlerName] = set()
        """Replicated handlers with a lease in the record that is being taken."""
        self._streams = 0
        """How many of the calls in flight are streams."""
        endpoint.on_sent = self._sent

    @property
    def outstanding(self) -> int:
        """Calls without a reply, those that wait for credit included."""
        return len(self.pending) + sum(map(len, self._waiting.values()))

    @property
    def calls(self) -> int:
        """Calls in flight that have no stream, which may stay for long."""
        return len(self.pending) - self._streams

    @property
    def starving(self) -> bool:
        """Whether calls wait for credit."""
        return any(self._waiting.values())

    def call(self, pending: Pending) -> None:
        """Send a call if there is credit for its handler, else let it wait for some."""
        name = pending.route.name
        lease = self._leases.get(name)
        while lease is not None and (found := lease.take(self.peers)) is not None:
            peer, uid = found
            if uid not in self.pending:  # an honest broker gives each UID once
                self._send(pending, uid, peer)
                return
        if lease is None and name not in self._waiting:
            self.endpoint.put(Request(name))
        self._waiting.setdefault(name, deque()).append(pending)

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
            raise Malformed
        if type(item) is Lease:
            return self._lease(item)
        if type(item) is Refusal:
            refused = self.pending.pop(HandlerUID(item.uid), None)
            if refused is not None:
                self._streams -= refused.intake is not None
                peer = self.peers[refused.peer]
                peer.outstanding -= 1
                peer.outgoing.forget(HandlerUID(item.uid))
            return () if refused is None else (Settled(refused.promise, error=Refused()),)
        if type(item) is Credit:
            peer = self.peers[MemberId(item.peer)]
            peer.outgoing.credit(item.parts)
            self._drain(peer)
            return ()
        raise Malformed

    def _of(self, envelope: Envelope) -> Pending:
        pending = self.pending.get(envelope.uid)
        if pending is None or pending.peer != envelope.sender or pending.sequence != envelope.deadline:
            raise AuthenticationFailed  # where a call has its deadline, its reply has the call's sequence
        return pending

    def _reply(self, envelope: Envelope, fresh: bytes) -> Settled:
        pending = self._of(envelope)
        peer = self.peers[envelope.sender]
        opened = peer.session.open(envelope)
        del self.pending[envelope.uid]
        self._streams -= pending.intake is not None
        peer.outstanding -= 1
        replica = fresh[16:].decode("ascii", "replace")
        self._credit(pending.route, HandlerUID(fresh[:16]), MemberId(replica or envelope.sender))
        try:
            value = self._value(pending, payloads.decode(peer.assembly.finish(envelope.uid, opened)))
        except (TrollbridgeError, ProtocolError) as error:
            return Settled(pending.promise, error=error)
        return Settled(pending.promise, value)

    # Streams.

    def _item(self, envelope: Envelope) -> Sequence[Settled]:
        pending = self._of(envelope)
        intake, peer = pending.intake, self.peers[envelope.sender]
        if intake is None:
            raise Malformed
        opened = peer.session.open(envelope)
        if pending.promise.done:
            peer.assembly.finish(envelope.uid, opened)
            return ()
        try:
            self._take_in(pending, intake, payloads.decode(peer.assembly.finish(envelope.uid, opened)))
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
                item = self._sealed(pending, f"{of.name}[{number}]", SEALED.decode(sealed))
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

    def _value(self, pending: Pending, payload: payloads.Payload) -> object:
        of, intake = pending.route, pending.intake
        match payload:
            case payloads.Result(value) if not of.entry.sensitive:
                return of.result.decode(value if intake is None else intake.ended(value))
            case payloads.SealedResult(sealed) if of.entry.sensitive:
                return self._sealed(pending, of.name, SEALED.decode(sealed if intake is None else intake.ended(sealed)))
            case payloads.Fault(code, name, text):
                raise from_wire(code, name, text)
            case _:
                raise Malformed

    def _sealed(self, pending: Pending, name: str, sealed: Sealed) -> object:
        if self.ring_key is None:
            return sealed
        if sealed.handler != name:
            raise AuthenticationFailed
        return self.open(sealed, pending.asked())

    def open(self, sealed: Sealed, what: bytes | None = None) -> object:
        """Return the result or item that `sealed` holds, of a call that `asked` for `what`, or for anything.

        Raises `AuthenticationFailed` for another one, and without its epoch's ring key.
        """
        name, numbered, _ = sealed.handler.partition("[")
        of = self.routes.get(HandlerName(name))
        codec = None if of is None else of.item if numbered else of.result
        if self.ring_key is None or codec is None:
            raise AuthenticationFailed
        return codec.decode(self.ring_key.open(sealed, what))

    def _credit(self, of: Route, fresh: HandlerUID, peer: MemberId) -> None:
        if fresh in self.pending or not of.serves(peer):  # an honest broker gives each UID once, for who can use it
            return
        waiting = self._waiting.get(of.name)
        while waiting:
            pending = waiting.popleft()
            if not pending.promise.done:
                self._send(pending, fresh, peer)
                return
        lease = self._leases.get(of.name)
        if lease is None:
            lease = self._leases[of.name] = Held()
        lease.add(peer, fresh)

    def _lease(self, lease: Lease) -> Sequence[Settled]:
        name = HandlerName(lease.handler)
        if not lease.uids:
            return [Settled(each.promise, error=NotGranted()) for each in self._waiting.pop(name, ())]
        of = self.routes[name]
        peer = MemberId(lease.member or name.partition(".")[0])
        held = self._leases.setdefault(name, Held())
        for start in range(0, len(lease.uids), 16):
            uid = HandlerUID(lease.uids[start : start + 16])
            if of.replicated and of.serves(peer) and uid not in self.pending:
                held.add(peer, uid)
                self._leased.add(name)
            else:
                self._credit(of, uid, peer)
        return ()

    def spread(self) -> None:
        """Send the calls that a record's leases let go, now that it is known which replicas there are UIDs for.

        To be called after the last item of each record.
        """
        while self._leased:
            name = self._leased.pop()
            waiting, held = self._waiting.get(name), self._leases[name]
            while waiting and (found := held.take(self.peers)) is not None:
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
        for waiting in self._waiting.values():
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

    def drop_ring_key(self) -> None:
        """Forget the ring key only: what is sealed stays sealed from now on."""
        key, self.ring_key = self.ring_key, None
        if key is not None:
            key.drop()

    def drop(self, died: str) -> tuple[list[Settled], Pending | None]:
        """Forget every key; return what each outstanding call is told, and the oldest one that `died` had been sent."""
        self.endpoint.drop()
        for peer in self.peers.values():
            peer.session.drop()
        if self.ring_key is not None:
            self.ring_key.drop()
        settled: list[Settled] = []
        blamed: Pending | None = None
        for pending in self.pending.values():
            if pending.sent and pending.peer == died and blamed is None:
                blamed = pending
            outcome = Outcome.UNKNOWN if pending.sent else Outcome.NOT_STARTED
            settled.append(Settled(pending.promise, error=RingDismantled(outcome=outcome)))
        for waiting in self._waiting.values():
            settled += [Settled(each.promise, error=RingDismantled(outcome=Outcome.NOT_STARTED)) for each in waiting]
        self.pending.clear()
        self._waiting.clear()
        self._leases.clear()
        return settled, blamed
