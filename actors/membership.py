"""What a client holds of one epoch: link, sessions, UIDs, calls in flight; a core without a socket of its own.

May import: our messages, `endpoint`, `promise`. Invariants: a UID is taken from its lease once; a reply counts only
under the UID of a call in flight, from the enclave that was called; after `drop` nothing in here seals or opens.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import msgspec

from trollbridge.messages import labels, payloads
from trollbridge.messages.codec import BUILTIN, Codec, encode
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import (
    AuthenticationFailed,
    InvalidArguments,
    Malformed,
    NotGranted,
    Outcome,
    ProtocolError,
    Refused,
    RingDismantled,
    TooLarge,
    TrollbridgeError,
    from_wire,
)
from trollbridge.messages.ids import HandlerName, HandlerUID, MemberId, Microseconds, handler_name
from trollbridge.messages.parts import Assembly, Outgoing, at_once
from trollbridge.messages.record import Credit, Item, Lease, Refusal, Request, Routed, envelope_of, route
from trollbridge.messages.ring_key import SEALED, Sealed
from trollbridge.messages.signature import realise, sentence, tuple_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trollbridge.actors.endpoint import Endpoint
    from trollbridge.actors.promise import Promise
    from trollbridge.messages.envelope import Envelope
    from trollbridge.messages.ids import Epoch
    from trollbridge.messages.ring_key import RingKey
    from trollbridge.messages.session import Session

    Progress = Callable[[int, int], None]

_OVERHEAD: Final = 4096
"""Bytes of a reply that are not its result: an error's text, mostly."""


class Route:
    """One handler that the client may call, as its enclave's manifest of this epoch describes it."""

    __slots__ = ("_code", "_defaults", "_names", "_type", "entry", "name", "peer", "result")

    def __init__(
        self, peer: MemberId, entry: payloads.HandlerEntry, vocabulary: Mapping[str, type[msgspec.Struct]]
    ) -> None:
        """Take the manifest's line; raises `Malformed` if its types make no sense."""
        self.peer: Final = peer
        self.name: Final = handler_name(peer, entry.name)
        self.entry: Final = entry
        self._code = b"\x01" + entry.code
        self._names = tuple(each.name for each in entry.parameters)
        types = tuple(realise(each.kind, vocabulary) for each in entry.parameters)
        self._type = tuple_of(types)
        self._defaults: dict[str, object] = {
            each.name: Codec[object](kind).decode(each.default)
            for each, kind in zip(entry.parameters, types, strict=True)
            if each.default is not None
        }
        try:
            self.result: Final[Codec[Any]] = Codec(realise(entry.result, vocabulary))
        except TypeError:  # a union that no decoder could take apart
            raise Malformed from None

    def _bind(self, positional: tuple[object, ...], named: Mapping[str, object]) -> tuple[object, ...]:
        names = self._names
        if len(positional) == len(names) and not named:
            return positional
        given = dict(zip(names, positional, strict=False))
        unknown = [name for name in named if name not in names or name in given]
        given.update(named)
        missing = [name for name in names if name not in given and name not in self._defaults]
        if len(positional) > len(names) or unknown or missing:
            msg = f"{self.name}{self.signature()}: " + (
                f"missing {', '.join(missing)}" if missing else f"unexpected {', '.join(unknown) or 'arguments'}"
            )
            raise InvalidArguments(msg)
        return tuple(given.get(name, self._defaults.get(name)) for name in names)

    def content(self, positional: tuple[object, ...], named: Mapping[str, object]) -> bytes:
        """Return the content of a call; raises `InvalidArguments` or `TooLarge` before anything is sent."""
        arguments = self._bind(positional, named)
        try:
            encoded = encode(msgspec.convert(arguments, self._type, builtin_types=BUILTIN))
        except (msgspec.MsgspecError, OverflowError, RecursionError, TypeError, ValueError) as error:
            strangers = sorted({type(each).__name__ for each in arguments if isinstance(each, msgspec.Struct)})
            hint = f"; is {', '.join(strangers)} in the UI's vocabulary?" if strangers else ""
            msg = f"{self.name}{self.signature()}: {_where(error, self._names)}{hint}"
            raise InvalidArguments(msg) from None
        if len(encoded) > self.entry.max_bytes:
            msg = f"{self.name} takes at most {self.entry.max_bytes} bytes of arguments, not {len(encoded)}"
            raise TooLarge(msg)
        return self._code + encoded

    def signature(self) -> str:
        """Return the parameters and the result as Python writes them."""
        parameters = ", ".join(f"{each.name}: {sentence(each.kind)}" for each in self.entry.parameters)
        return f"({parameters}) -> {sentence(self.entry.result)}"


def _where(error: Exception, names: tuple[str, ...]) -> str:
    text = str(error)
    for number, name in enumerate(names):
        text = text.replace(f"`$[{number}]", f"`{name}")
    return text


class Pending:
    """A call that has no reply yet."""

    __slots__ = ("content", "deadline", "progress", "promise", "route", "sent", "sequence")

    def __init__(
        self, promise: Promise[Any], route: Route, content: bytes, deadline: int, progress: Progress | None
    ) -> None:
        """Take what the call consists of."""
        self.promise = promise
        self.route = route
        self.content = content
        self.deadline = Microseconds(deadline)
        self.progress = progress
        self.sent = False
        self.sequence = -1
        """The CALL's sequence in its session, once it is sealed: the reply must name it."""

    def digest(self) -> bytes:
        """Return a digest of handler and arguments, the same in every epoch."""
        return labels.digest(labels.CALL, self.route.name.encode(), self.content[payloads.CODE_SIZE + 1 :])


class Peer:
    """A client's session with one enclave."""

    __slots__ = ("assembly", "outgoing", "session", "withheld")

    def __init__(self, session: Session, limit: int, withheld: tuple[str, ...]) -> None:
        """Take the founded session and the largest result to expect, in bytes."""
        self.session = session
        self.assembly = Assembly(limit + _OVERHEAD)
        self.outgoing = Outgoing(session)
        self.withheld = withheld


class Settled:
    """A promise and what it resolves with, once the client's lock is released."""

    __slots__ = ("error", "promise", "value")

    def __init__(self, promise: Promise[Any], value: object = None, error: BaseException | None = None) -> None:
        """Take the outcome."""
        self.promise = promise
        self.value = value
        self.error = error


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
        self.ring_key: Final = ring_key
        self.pending: Final[dict[HandlerUID, Pending]] = {}
        self.reports: Final[deque[tuple[Progress, int, int]]] = deque()
        """Progress to tell, once no lock is held."""
        self._leases: dict[HandlerName, list[HandlerUID]] = {}
        self._waiting: dict[HandlerName, deque[Pending]] = {}
        endpoint.on_sent = self._sent

    @property
    def outstanding(self) -> int:
        """Calls without a reply, those that wait for credit included."""
        return len(self.pending) + sum(map(len, self._waiting.values()))

    @property
    def starving(self) -> bool:
        """Whether calls wait for credit."""
        return any(self._waiting.values())

    def call(self, pending: Pending) -> None:
        """Send a call if there is credit for its handler, else let it wait for some."""
        name = pending.route.name
        lease = self._leases.get(name)
        while lease:
            uid = lease.pop()
            if uid not in self.pending:  # an honest broker gives each UID once
                self._send(pending, uid)
                return
        if lease is None and name not in self._waiting:
            self.endpoint.put(Request(name))
        self._waiting.setdefault(name, deque()).append(pending)

    def _send(self, pending: Pending, uid: HandlerUID) -> None:
        self.pending[uid] = pending
        peer = self.peers[pending.route.peer]
        content = pending.content
        if at_once(len(content)):
            envelope = peer.session.seal(Kind.CALL, uid, pending.deadline, content)
            pending.sequence = envelope.sequence
            self.endpoint.put(route(envelope, b""), envelope.body)
        else:
            peer.outgoing.put(Kind.CALL, uid, pending.deadline, content, pending.progress)
            self._drain(peer)

    def _drain(self, peer: Peer) -> None:
        for envelope in peer.outgoing.drain():
            if envelope.kind == Kind.CALL and envelope.uid in self.pending:
                self.pending[envelope.uid].sequence = envelope.sequence
            self.endpoint.put(route(envelope, b""), envelope.body)
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
                self.peers[refused.route.peer].outgoing.forget(HandlerUID(item.uid))
            return () if refused is None else (Settled(refused.promise, error=Refused()),)
        if type(item) is Credit:
            peer = self.peers[MemberId(item.peer)]
            peer.outgoing.credit(item.parts)
            self._drain(peer)
            return ()
        raise Malformed

    def _of(self, envelope: Envelope) -> Pending:
        pending = self.pending.get(envelope.uid)
        if pending is None or pending.route.peer != envelope.sender or pending.sequence != envelope.deadline:
            raise AuthenticationFailed  # where a call has its deadline, its reply has the call's sequence
        return pending

    def _reply(self, envelope: Envelope, fresh: bytes) -> Settled:
        pending = self._of(envelope)
        peer = self.peers[envelope.sender]
        opened = peer.session.open(envelope)
        del self.pending[envelope.uid]
        self._credit(pending.route.name, HandlerUID(fresh))
        try:
            value = self._value(pending.route, payloads.decode(peer.assembly.finish(envelope.uid, opened)))
        except (TrollbridgeError, ProtocolError) as error:
            return Settled(pending.promise, error=error)
        return Settled(pending.promise, value)

    def _value(self, of: Route, payload: payloads.Payload) -> object:
        match payload:
            case payloads.Result(value) if not of.entry.sensitive:
                return of.result.decode(value)
            case payloads.SealedResult(sealed) if of.entry.sensitive:
                return self._sealed(of, SEALED.decode(sealed))
            case payloads.Fault(code, name, text):
                raise from_wire(code, name, text)
            case _:
                raise Malformed

    def _sealed(self, of: Route, sealed: Sealed) -> object:
        if self.ring_key is None:
            return sealed
        if sealed.handler != of.name:
            raise AuthenticationFailed
        return self.open(sealed)

    def open(self, sealed: Sealed) -> object:
        """Return the result that `sealed` holds; raises `AuthenticationFailed` without this epoch's ring key."""
        of = self.routes.get(HandlerName(sealed.handler))
        if self.ring_key is None or of is None:
            raise AuthenticationFailed
        return of.result.decode(self.ring_key.open(sealed))

    def _credit(self, name: HandlerName, fresh: HandlerUID) -> None:
        if fresh in self.pending:  # an honest broker gives each UID once
            return
        waiting = self._waiting.get(name)
        while waiting:
            pending = waiting.popleft()
            if not pending.promise.done:
                self._send(pending, fresh)
                return
        self._leases.setdefault(name, []).append(fresh)

    def _lease(self, lease: Lease) -> Sequence[Settled]:
        name = HandlerName(lease.handler)
        if not lease.uids:
            return [Settled(each.promise, error=NotGranted()) for each in self._waiting.pop(name, ())]
        self._leases.setdefault(name, [])
        for start in range(0, len(lease.uids), 16):
            self._credit(name, HandlerUID(lease.uids[start : start + 16]))
        return ()

    def forget(self, promise: Promise[Any]) -> None:
        """Drop a call that still waits for credit; one that was sent keeps its UID until the reply."""
        for waiting in self._waiting.values():
            for pending in waiting:
                if pending.promise is promise:
                    waiting.remove(pending)
                    return

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
            if pending.sent and pending.route.peer == died and blamed is None:
                blamed = pending
            outcome = Outcome.UNKNOWN if pending.sent else Outcome.NOT_STARTED
            settled.append(Settled(pending.promise, error=RingDismantled(outcome=outcome)))
        for waiting in self._waiting.values():
            settled += [Settled(each.promise, error=RingDismantled(outcome=Outcome.NOT_STARTED)) for each in waiting]
        self.pending.clear()
        self._waiting.clear()
        self._leases.clear()
        return settled, blamed
