"""A ring without processes: the true cores of client, broker and enclave, joined by real links inside this process.

Nothing runs by itself: `pump` carries what is ready, `answer` lets the enclave run its calls. So a test decides the
order of everything, can look into every part, and can stand in the broker's place: `on_the_way` sees, changes or drops
each item.
"""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import contextlib
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from trollbridge.actors.broker.routing import Port, Routing
from trollbridge.actors.calling.founding import Founding
from trollbridge.actors.calling.intake import Intake
from trollbridge.actors.calling.membership import Membership, Pending, Settled
from trollbridge.actors.calling.promise import Promise
from trollbridge.actors.handlers import exported
from trollbridge.actors.processes import sockets
from trollbridge.actors.processes.endpoint import Endpoint
from trollbridge.actors.serving.advancing import Advancing, Ended
from trollbridge.actors.serving.server import Serving
from trollbridge.messages.control import NoticeKind, SessionTicket
from trollbridge.messages.errors import CallError, HandlerFailed, ProtocolError
from trollbridge.messages.grants import Grant
from trollbridge.messages.ids import BROKER, Epoch, HandlerName, HandlerUID, MemberId, Role
from trollbridge.messages.limits import LARGEST_RECORD
from trollbridge.messages.noise import Initiator, Responder
from trollbridge.messages.parts import counts
from trollbridge.messages.record import Item, Link, Routed, envelope_of
from trollbridge.messages.ring_key import RingKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import msgspec

    from trollbridge.actors.serving.invocation import Invocation
    from trollbridge.messages.envelope import Envelope

    Body = bytes
    OnTheWay = Callable[[MemberId, MemberId, Item, Body], list[tuple[Item, Body]]]

TOKEN: Final = bytes(range(32))
UI: Final = MemberId("console")
EXTENSION: Final = MemberId("plugin")
ENCLAVE: Final = MemberId("vault")


class Wire:
    """A member's link, both ends of it."""

    def __init__(self) -> None:
        """Found it."""
        near, far = sockets.pair()
        first, waiting = Initiator(TOKEN, b"wire").message_1()
        second, split = Responder(TOKEN, b"wire").accept(first)
        self.near: Final = Endpoint(near, Link(waiting.finish(second)))
        """The member's end."""
        self.far: Final = Endpoint(far, Link(split))
        """The broker's end."""

    def close(self) -> None:
        """Close both ends."""
        self.near.socket.close()
        self.far.socket.close()


class Enclave:
    """An enclave's core, and the object that its handlers are methods of."""

    def __init__(self, actor: object, wire: Wire, grants: Mapping[MemberId, tuple[Role, tuple[str, ...]]]) -> None:
        """Take the actor and who may call what."""
        self.actor: Final = actor
        self.notices: list[tuple[NoticeKind, str, str]] = []
        self.waiting: deque[Invocation] = deque()
        self.ran: list[tuple[HandlerUID, str]] = []
        self.control: deque[Callable[[], None]] = deque()
        """What the supervisor has said and nobody has taken yet."""
        self._wire = wire
        self.serving: Final = Serving(ENCLAVE, exported(type(actor)), self)
        self.streams: Final = Advancing(self.serving, self)
        self.watched: list[int] = []
        self._tickets = tuple(
            SessionTicket(client, role.value, ENCLAVE, "enclave", TOKEN, tuple(map(Grant, methods)))
            for client, (role, methods) in grants.items()
        )

    def join(self, epoch: Epoch) -> None:
        """Publish the handlers."""
        self.serving.join(epoch, self._tickets)

    def put(self, item: Item, body: bytes = b"") -> None:
        """Queue an item for the broker."""
        self._wire.near.put(item, body)

    def notice(self, kind: NoticeKind, about: str, why: str, detail: str = "") -> None:
        """Keep a notice."""
        del detail
        self.notices.append((kind, about, why))

    def now(self) -> int:
        """Return the monotonic clock in microseconds."""
        return time.monotonic_ns() // 1000

    def catch_up(self) -> None:
        """Take what the supervisor has said."""
        while self.control:
            self.control.popleft()()

    def run(self, invocation: Invocation) -> None:
        """Run one call and send its result, as a process actor does."""
        self.ran.append((invocation.origin.uid, invocation.exported.name))
        try:
            value = getattr(self.actor, invocation.exported.name)(*invocation.arguments)
        except CallError as error:
            self.serving.fail(invocation.origin, error)
            return
        if invocation.exported.item is not None:
            self.streams.begin(invocation, value)
            return
        self.serving.answer(invocation, invocation.exported.encode_result(value))

    # What the streams ask for.

    def step(self, invocation: Invocation, iterator: Iterator[object]) -> object:
        """Return what a stream yields next."""
        try:
            return next(iterator)
        except StopIteration as stop:
            return Ended(stop.value)
        except CallError as error:
            return Ended(error=error)
        except ValueError as error:
            return Ended(error=self.incident(invocation, error))

    def close(self, invocation: Invocation, iterator: Iterator[object]) -> None:
        """Let a stream clean up."""
        del invocation
        getattr(iterator, "close", lambda: None)()

    def incident(self, invocation: Invocation, error: BaseException) -> HandlerFailed:
        """Keep a failure."""
        self.notices.append((NoticeKind.INCIDENT, invocation.exported.name, type(error).__name__))
        return HandlerFailed()

    def watch(self, descriptor: int) -> bool:
        """Wait for a descriptor; none below 0."""
        self.watched.append(descriptor)
        return descriptor >= 0

    def ignore(self, descriptor: int) -> None:
        """Wait for it no longer."""
        self.watched.remove(descriptor)


class Client:
    """A client's core."""

    def __init__(
        self, member: MemberId, role: Role, wire: Wire, vocabulary: Mapping[str, type[msgspec.Struct]]
    ) -> None:
        """Start to found a session with the enclave."""
        self.member: Final = member
        self.refused: list[type[ProtocolError]] = []
        self._wire = wire
        self._vocabulary = vocabulary
        self._role = role
        self.membership: Membership | None = None

    def join(self, epoch: Epoch) -> None:
        """Send the first message of the handshake."""
        self._key = RingKey(b"k" * 32, epoch) if self._role is Role.UI else None
        self._founding = Founding(self.member, self._role, epoch, self._vocabulary, self._wire.near, self._key)
        self._founding.begin([SessionTicket(self.member, self._role, ENCLAVE, "enclave", TOKEN, ())])

    def joined(self) -> Membership:
        """Return what was joined."""
        membership = self.membership = self._founding.membership(self._wire.near, self._key)
        return membership

    def take(self, item: Item, body: bytes) -> Sequence[Settled]:
        """Handle what the broker sent."""
        if self.membership is None:
            self._founding.take(item, body)
            return ()
        try:
            return self.membership.take(item, body)
        except (ProtocolError, KeyError) as error:
            self.refused.append(type(error) if isinstance(error, ProtocolError) else ProtocolError)
            return ()


def pass_on(_sender: MemberId, _receiver: MemberId, item: Item, body: bytes) -> list[tuple[Item, bytes]]:
    """Be an honest way."""
    return [(item, body)]


class MemoryRing:
    """A sealed ring of an enclave, a UI and an extension."""

    def __init__(
        self,
        actor: object,
        *,
        grants: Mapping[MemberId, tuple[str, ...]] | None = None,
        epoch: int = 1,
        vocabulary: Mapping[str, type[msgspec.Struct]] | None = None,
    ) -> None:
        """Form and seal it; every handler is granted to the UI unless `grants` says otherwise."""
        self.epoch: Final = Epoch(epoch)
        self.notices: list[tuple[NoticeKind, MemberId, str, str]] = []
        self.removed: list[tuple[MemberId, str]] = []
        self.settled: list[Settled] = []
        self.on_the_way: OnTheWay = pass_on
        methods = tuple(sorted(exported(type(actor))))
        granted = {UI: methods} if grants is None else dict(grants)
        roles = {each: Role.EXTENSION if each == EXTENSION else Role.UI for each in granted}
        self._wires = {each: Wire() for each in (ENCLAVE, *granted)}
        self.routing: Final = Routing(self)
        self._buffer = bytearray(LARGEST_RECORD)
        self.enclave: Final = Enclave(actor, self._wires[ENCLAVE], {c: (roles[c], m) for c, m in granted.items()})
        self.clients: Final = {each: Client(each, roles[each], self._wires[each], vocabulary or {}) for each in granted}
        try:
            self._form(granted, roles)
        except BaseException:
            self.close()
            raise

    def _form(self, granted: Mapping[MemberId, tuple[str, ...]], roles: Mapping[MemberId, Role]) -> None:
        self.routing.open(Port(ENCLAVE, Role.ENCLAVE, frozenset(), frozenset(granted)))
        for client, methods in granted.items():
            names = frozenset(f"{ENCLAVE}.{method}" for method in methods)
            self.routing.open(Port(client, roles[client], names, frozenset({ENCLAVE})))
        self.enclave.join(self.epoch)
        for each in self.clients.values():
            each.join(self.epoch)
        self.pump()
        for each in self.clients.values():
            each.joined()
        self.routing.sealed = self.enclave.serving.sealed = True
        self.notices.clear()

    # What routing asks for.

    def send(self, member: MemberId, item: Item, body: bytes = b"") -> None:
        """Queue an item for a member."""
        if member in self._wires:
            for each, content in self.on_the_way(BROKER, member, item, body):
                self._wires[member].far.put(each, content)

    def notice(self, kind: NoticeKind, about: MemberId, why: str, detail: str = "") -> None:
        """Keep a notice."""
        self.notices.append((kind, about, why, detail))

    def remove(self, member: MemberId, why: str) -> None:
        """Cut a member's link."""
        if member in self._wires:
            self.removed.append((member, why))
            self._wires.pop(member).close()
            self.routing.close(member)

    # Moving things.

    def _arrived(self, endpoint: Endpoint) -> list[tuple[Item, bytes]]:
        found: list[tuple[Item, bytes]] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                with contextlib.suppress(ProtocolError):  # a record that does not open is dropped whole
                    found += endpoint.receive(self._buffer, socket.MSG_DONTWAIT)
        return found

    def to_broker(self, member: MemberId) -> int:
        """Carry what a member has ready to the broker; return how many items it was."""
        self._wires[member].near.flush()
        return self.at_broker(member)

    def at_broker(self, member: MemberId) -> int:
        """Have the broker take what a member has sent; return how many items it was."""
        found = self._arrived(self._wires[member].far)
        for item, body in found:
            for each, content in self.on_the_way(member, BROKER, item, body):
                if member in self._wires:
                    self.routing.take(member, each, content)
        return len(found)

    def to_member(self, member: MemberId) -> int:
        """Carry what the broker has ready to a member; return how many items it was."""
        wire = self._wires[member]
        sent: list[Item] = []
        wire.far.on_sent = sent.extend
        wire.far.flush()
        found = self._arrived(wire.near)
        for item, body in found:
            if member == ENCLAVE:
                invocation = self.enclave.serving.take(item, body)
                if invocation is not None:
                    self.enclave.waiting.append(invocation)
                continue
            for done in self.clients[member].take(item, body):
                self.settled.append(done)
                done.promise.resolve(done.value, done.error)
        if member != ENCLAVE and (joined := self.clients[member].membership) is not None:
            joined.spread()
        self._parts_left(sent)
        return len(found)

    def _parts_left(self, sent: list[Item]) -> None:
        for item in sent:
            if type(item) is Routed and counts(item.kind, item.length):
                with contextlib.suppress(KeyError):  # `on_the_way` has rewritten whose it is
                    self.routing.part_left(MemberId(item.sender), MemberId(item.receiver), 1)

    def pump(self, *, answering: bool = False) -> None:
        """Carry everything everywhere until nothing moves; with `answering`, the enclave runs its calls too."""
        moved = 1
        while moved:
            moved = sum(self.to_broker(each) for each in tuple(self._wires) if each in self._wires)
            moved += sum(self.to_member(each) for each in tuple(self._wires) if each in self._wires)
            while answering and self.enclave.waiting:
                self.answer()
                moved += 1
            if answering and self.enclave.streams.ready:
                self.enclave.streams.turn()
                moved += 1

    def answer(self) -> None:
        """Let the enclave run its oldest call."""
        self.enclave.run(self.enclave.waiting.popleft())

    # Calling.

    def membership(self, member: MemberId = UI) -> Membership:
        """Return what a client holds."""
        membership = self.clients[member].membership
        if membership is None:
            raise AssertionError
        return membership

    def call(
        self,
        method: str,
        *arguments: object,
        member: MemberId = UI,
        deadline: int = 0,
        promise: Promise[Any] | None = None,
    ) -> Promise[Any]:
        """Call a handler; return the promise, which somebody has to pump."""
        membership = self.membership(member)
        route = membership.routes[HandlerName(f"{ENCLAVE}.{method}")]
        promise = promise or Promise()
        membership.call(Pending(promise, route, route.content(arguments, {}), deadline, None))
        return promise

    def stream(self, method: str, *arguments: object, member: MemberId = UI, deadline: int = 0) -> Pending:
        """Call a handler that yields; what arrives is in the `intake` of what is returned."""
        membership = self.membership(member)
        route = membership.routes[HandlerName(f"{ENCLAVE}.{method}")]
        pending = Pending(Promise(), route, route.content(arguments, {}), deadline, None)
        pending.intake = Intake(None)
        membership.call(pending)
        return pending

    def taken(self, pending: Pending, member: MemberId = UI) -> list[Any]:
        """Pump, and take everything that comes of a stream, until nothing does."""
        items: list[Any] = []
        intake = pending.intake
        if intake is None:
            raise AssertionError
        while True:
            self.pump(answering=True)
            if not intake.items:
                return items
            while intake.items:
                items.append(intake.items.popleft())
                self.membership(member).taken(pending)

    def result(self, method: str, *arguments: object, member: MemberId = UI) -> Any:  # noqa: ANN401  # the handler's
        """Call a handler and return its result."""
        promise = self.call(method, *arguments, member=member)
        self.pump(answering=True)
        return promise.get(timeout=0)

    def close(self) -> None:
        """Close every link."""
        for wire in self._wires.values():
            wire.close()


def envelopes(items: list[tuple[Item, bytes]]) -> list[Envelope]:
    """Return the envelopes among items."""
    return [envelope_of(item, body) for item, body in items if type(item) is Routed]
