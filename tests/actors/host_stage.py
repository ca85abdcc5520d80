"""A host that dies and comes back, without processes: the true cores of client, broker and host.

Nothing runs by itself: a test decides the order. Each of `STEPS` is one thing that may happen next: a packet on its way
in either direction, a word of the supervisor's, a call that is run.
"""

from __future__ import annotations

import socket
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from tests.actors.memory_ring import Wire
from trollbridge.actors.broker.routing import Port, Routing
from trollbridge.actors.calling.founding import Founding
from trollbridge.actors.calling.pending import Pending, Settled
from trollbridge.actors.calling.promise import Promise
from trollbridge.actors.handlers import exported, handler
from trollbridge.actors.host import HostActor
from trollbridge.actors.serving.server import Serving
from trollbridge.messages.control import Away, NoticeKind, Renew, SessionTicket, Withdrawn
from trollbridge.messages.errors import ProtocolError
from trollbridge.messages.grants import Grant
from trollbridge.messages.ids import Epoch, HandlerName, MemberId, Role
from trollbridge.messages.limits import LARGEST_RECORD
from trollbridge.messages.parts import counts
from trollbridge.messages.record import Item, Routed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trollbridge.actors.serving.invocation import Invocation
    from trollbridge.messages.errors import HandlerFailed

EPOCH: Final = Epoch(1)
UI: Final = MemberId("console")
HOSTS: Final = (MemberId("porter"), MemberId("porter_2"))
ECHO: Final = HandlerName("porter.echo")


class Porter(HostActor):
    """What the host exports."""

    @handler(max_bytes=1 << 20)
    def echo(self, data: bytes) -> bytes:
        """Return what came."""
        return data


class Host:
    """One process of a host."""

    def __init__(self, member: MemberId, number: int, actor: type[HostActor] = Porter) -> None:
        """Publish the handlers."""
        self.member: Final = member
        self.number: Final = number
        self.out: Final[deque[tuple[Item, bytes]]] = deque()
        self.arriving: Final[deque[tuple[Item, bytes]]] = deque()
        self.waiting: Final[deque[Invocation]] = deque()
        self.serving: Final = Serving(member, exported(actor), self, Role.HOST)
        self.serving.join(EPOCH, ())
        self.serving.sealed = True

    def put(self, item: Item, body: bytes = b"") -> None:
        """Queue an item for the broker."""
        self.out.append((item, body))

    def notice(self, kind: NoticeKind, about: str, why: str, detail: str = "") -> None:
        """Fail: there is nothing to complain of."""
        raise AssertionError(kind, about, why, detail)

    def now(self) -> int:
        """Return no time."""
        return 0

    def catch_up(self) -> None:
        """Do nothing: it has been told everything."""

    def incident(self, invocation: Invocation, error: BaseException) -> HandlerFailed:
        """Fail."""
        raise AssertionError(invocation) from error


class Stage:
    """One client, and a service of one host or of two replicas."""

    def __init__(self, replicas: int = 1) -> None:
        """Form the ring."""
        self.members: Final = HOSTS[:replicas]
        self.notices: Final[list[str]] = []
        self.to_client: Final[list[tuple[Item, bytes]]] = []
        """Whatever the broker has sent to the client."""
        self.changed: Callable[[Item, bytes], Iterable[tuple[Item, bytes]]] = lambda item, body: [(item, body)]
        """What a broker makes of what it sends to the client."""
        self.words: Final[deque[Away | Renew | Withdrawn]] = deque()
        self.settled: Final[list[Settled]] = []
        self.ran: Final[list[tuple[int, bytes]]] = []
        self.refused: Final[list[str]] = []
        self.hosts: Final[dict[MemberId, Host]] = {}
        self._numbers = dict.fromkeys(self.members, 0)
        self._buffer = bytearray(LARGEST_RECORD)
        self._wire = Wire()
        self.routing: Final = Routing(self)
        tickets = [self._open(each) for each in self.members]
        self.routing.open(Port(UI, Role.UI, frozenset({ECHO}), frozenset(self.members)))
        founding = Founding(UI, Role.UI, EPOCH, {}, self._wire.near)
        founding.begin(tickets)
        while not founding.complete:
            self.send_out()
            self.hosts_take()
            for item, body in self._arrived():
                founding.take(item, body)
        self.membership: Final = founding.membership(self._wire.near, None)
        self.routing.sealed = True

    def close(self) -> None:
        """Let go of the sockets."""
        self._wire.close()

    # What the broker's core says.

    def send(self, member: MemberId, item: Item, body: bytes = b"") -> None:
        """Pass an item on."""
        if member == UI:
            self.to_client.append((item, body))
            for each in self.changed(item, body):
                self._wire.far.put(*each)
        elif member in self.hosts:
            self.hosts[member].arriving.append((item, body))
            if type(item) is Routed and counts(item.kind, item.length):
                self.routing.part_left(MemberId(item.sender), member, 1)

    def notice(self, kind: NoticeKind, about: MemberId, why: str, detail: str = "") -> None:
        """Keep it."""
        self.notices.append(f"{kind} {about} {why} {detail}")

    def remove(self, member: MemberId, why: str) -> None:
        """Fail."""
        raise AssertionError(member, why)

    # The host comes and goes.

    def _open(self, member: MemberId, actor: type[HostActor] = Porter) -> SessionTicket:
        self._numbers[member] += 1
        service = "" if member == HOSTS[0] else HOSTS[0]
        self.routing.open(Port(member, Role.HOST, frozenset(), frozenset(), service=service))
        host = self.hosts[member] = Host(member, self._numbers[member], actor)
        token = bytes([self._numbers[member]]) * 32
        ticket = SessionTicket(UI, Role.UI, member, Role.HOST, token, (Grant("echo"),), service)
        host.serving.admit(ticket)
        return ticket

    def dies(self, member: MemberId = HOSTS[0]) -> None:
        """End a host's process; the supervisor's word is on its way."""
        del self.hosts[member]
        self.routing.close(member)
        self.words.append(Away(member))

    def comes(self, member: MemberId = HOSTS[0], actor: type[HostActor] = Porter) -> None:
        """Start the next process; as above."""
        self.words.append(Renew(self._open(member, actor)))

    # What may happen next.

    def word(self) -> None:
        """Have the supervisor's oldest word arrive."""
        if self.words:
            self.membership.renewing.told(self.words.popleft())
            self._lost()

    def send_out(self) -> None:
        """Have what the client has ready arrive at the broker."""
        self._wire.near.flush()
        for item, body in self._received(self._wire.far):
            self.routing.take(UI, item, body)

    def hosts_take(self) -> None:
        """Have the hosts take what has come, and the broker what they say."""
        for host in tuple(self.hosts.values()):
            while host.arriving:
                invocation = host.serving.take(*host.arriving.popleft())
                if invocation is not None:
                    host.waiting.append(invocation)
            while host.out:
                self.routing.take(host.member, *host.out.popleft())

    def runs(self, most: int = 1000) -> None:
        """Have each host run the oldest calls that wait, at most so many."""
        for host in tuple(self.hosts.values()):
            for _ in range(min(most, len(host.waiting))):
                invocation = host.waiting.popleft()
                [data] = invocation.arguments
                if not isinstance(data, bytes):
                    raise TypeError
                self.ran.append((host.number, data))
                host.serving.answer(invocation, invocation.exported.encode_result(data))

    def client_takes(self) -> None:
        """Have the client take all that the broker has sent."""
        for item, body in self._arrived():
            try:
                self._tell(self.membership.take(item, body))
            except (ProtocolError, KeyError) as error:
                self.refused.append(type(error).__name__)
        self.membership.spread()
        self._lost()

    def _received(self, end: Any) -> list[tuple[Item, bytes]]:  # noqa: ANN401  # an endpoint
        found: list[tuple[Item, bytes]] = []
        with suppress(BlockingIOError):
            while True:
                found += end.receive(self._buffer, socket.MSG_DONTWAIT)
        return found

    def _arrived(self) -> list[tuple[Item, bytes]]:
        sent: list[Item] = []
        self._wire.far.on_sent = sent.extend
        self._wire.far.flush()
        found = self._received(self._wire.near)
        for item in sent:
            if type(item) is Routed and counts(item.kind, item.length):
                self.routing.part_left(MemberId(item.sender), UI, 1)
        return found

    def _lost(self) -> None:
        renewing = self.membership.renewing
        self._tell([*renewing.lost, *renewing.judged])
        renewing.lost, renewing.judged = [], []

    def _tell(self, settled: Iterable[Settled]) -> None:
        for each in settled:
            self.settled.append(each)
            each.promise.resolve(each.value, each.error)

    def until_quiet(self) -> None:
        """Have everything happen that may."""
        for _ in range(12):
            self.word()
            self.send_out()
            self.hosts_take()
            self.runs()
            self.hosts_take()
            self.client_takes()

    # Calls.

    def call(self, data: bytes = b"x") -> Promise[Any]:
        """Call the host."""
        route = self.membership.routes[ECHO]
        promise: Promise[Any] = Promise()
        self.membership.call(Pending(promise, route, route.content((data,), {}), 0, None))
        return promise


STEPS: Final = (Stage.word, Stage.send_out, Stage.hosts_take, Stage.runs, Stage.client_takes)
