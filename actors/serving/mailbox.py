"""The mailbox of a process actor: its link and control channel; joins the ring, then hands calls to pykka's loop.

May import: `pykka`, our messages, the other actors modules. Invariants: nothing is handed over before the ring is
sealed; replies leave when the mailbox is empty, when enough are ready, when the first has waited `PATIENCE`, or before
a handler that takes long.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pykka._envelope import Envelope as Delivery

from trollbridge.actors.calling.joining import COMING
from trollbridge.actors.calling.peers import PeerCalls
from trollbridge.actors.process_actor import Reply
from trollbridge.actors.processes.endpoint import Endpoint, found_link
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.actors.serving.advancing import Advancing
from trollbridge.actors.serving.errand_request import request
from trollbridge.actors.serving.inbox import FairInbox
from trollbridge.actors.serving.incidents import Incidents
from trollbridge.actors.serving.invocation import Invocation
from trollbridge.actors.serving.pacing import MOST_READY, Pace
from trollbridge.actors.serving.server import Serving
from trollbridge.actors.serving.waking import Wake
from trollbridge.messages import control
from trollbridge.messages.control import FailureKind, NoticeKind
from trollbridge.messages.envelope import prologue
from trollbridge.messages.errors import HandshakeFailed, ProtocolError, UsageError
from trollbridge.messages.ids import BROKER, Epoch, MemberId, Role
from trollbridge.messages.limits import LARGEST_RECORD, LONGEST_WAIT
from trollbridge.messages.record import Left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from trollbridge.actors.handlers import Exported
    from trollbridge.actors.outcomes.call_ledger import CallLedger
    from trollbridge.actors.process_actor import ProcessActor
    from trollbridge.actors.processes.channel import Channel
    from trollbridge.messages.control import ErrandKind
    from trollbridge.messages.errors import HandlerFailed
    from trollbridge.messages.posture import Evidence
    from trollbridge.messages.record import Item

    Control = Channel[control.FromChild, control.ToChild]

JOIN_TIMEOUT: Final = 20.0
"""Seconds that the broker may take to answer the handshake."""


class Mailbox:
    """Where the calls of one enclave arrive."""

    def __init__(  # noqa: PLR0913, PLR0917  # made once, by the process's entry
        self,
        member: MemberId,
        handlers: Mapping[str, Exported],
        control_end: Control,
        link_end: socket.socket,
        lock: Callable[[], tuple[Evidence, ...]],
        role: Role = Role.ENCLAVE,
        ledger: CallLedger | None = None,
    ) -> None:
        """Take who this is, what it exports, the control channel, the unfounded link, and what locks the process."""
        self.serving: Final = Serving(member, handlers, self, role, ledger)
        self.streams: Final = Advancing(self.serving, self)
        self.peers: Final = PeerCalls(self)
        self._incidents: Final = Incidents(member, role, self)
        self._member = member
        self._role = role
        self._control = control_end
        self._link_end = link_end
        self._endpoint: Endpoint | None = None
        self._epoll = select.epoll()
        self._epoll.register(control_end.fileno(), select.EPOLLIN)
        self._inbox: FairInbox[Delivery[Any]] = FairInbox(self.serving.slow)
        self._buffer = bytearray(LARGEST_RECORD)
        self._epoch = Epoch(0)
        self._reported = False
        self._pace = Pace()
        self._lock = lock
        self._writing = False
        self._actor: ProcessActor | None = None
        self._testimony: tuple[Evidence, ...] = ()
        """What the supervisor was told last."""
        self._wake = Wake()
        self._ended = False
        """Whether the process ends as soon as the handler that waits for a peer has returned."""

    # What the serving core asks for.

    def put(self, item: Item | Delivery[Any], body: bytes = b"") -> None:
        """Queue an item for the broker; or, as pykka's mailbox, a local message such as stop."""
        if isinstance(item, Delivery):
            self._inbox.append(item)
        elif self._endpoint is not None:
            self._endpoint.put(item, body)

    def notice(self, kind: NoticeKind, about: str, why: str, detail: str = "") -> None:
        """Tell the supervisor's log."""
        self._control.send(control.Notice(kind, about, why, detail))

    def now(self) -> int:
        """Return the monotonic clock in microseconds."""
        return time.monotonic_ns() // 1000

    def incident(self, invocation: Invocation, error: BaseException) -> HandlerFailed:
        """Log a handler's failure and return what its caller is told: the incident's number."""
        return self._incidents.report(invocation, error)

    def give_up(self, said: control.Failed) -> None:
        """Tell the supervisor why this process cannot go on."""
        with contextlib.suppress(LinkLost):
            self._control.send(said)

    def enter(self, actor: ProcessActor) -> None:
        """Have this process locked; tell the supervisor how it is kept, and which errands its actor may have."""
        self._actor = actor
        self.peers.vocabulary = {each.__name__: each for each in actor.vocabulary}
        self._control.send(control.Hello(self._lock(), tuple(sorted(actor.errands))))

    def errand(self, kind: ErrandKind, descriptors: Sequence[int]) -> socket.socket:
        """Ask for a one-shot process: see `ProcessActor.errand`."""
        return request(self._control, kind, descriptors)

    def testify(self) -> None:
        """Tell the supervisor what the actor says of itself, if it says anything."""
        evidence = () if self._actor is None else self._actor.evidence()
        if evidence and evidence != self._testimony:  # the supervisor hears only so many of them
            self._testimony = evidence
            self._control.send(control.Statement(evidence))

    def wake_at(self, moment: float | None) -> None:
        """Have the actor's `on_wake` called once this time of the monotonic clock has passed; None: not at all."""
        self._wake.at(moment)

    # What a handler asks for that calls another server.

    def pump(self, until: float | None) -> None:
        """Send what is ready, and take what arrives: once, waiting for it at most until this monotonic time."""
        self.flush()
        self._wait(None if until is None else max(0.0, until - time.monotonic()))

    # What the streams ask for.

    def step(self, invocation: Invocation, iterator: Iterator[object]) -> object:
        """Return what a stream yields next."""
        return self._own_actor().step(invocation, iterator)

    def close(self, invocation: Invocation, iterator: Iterator[object]) -> None:
        """Let a stream clean up."""
        self._own_actor().close(invocation, iterator)

    def _own_actor(self) -> ProcessActor:
        if self._actor is None:
            raise UsageError
        return self._actor

    def watch(self, descriptor: int) -> bool:
        """Wait for this descriptor too; return False for one that cannot be waited for."""
        try:
            self._epoll.register(descriptor, select.EPOLLIN)
        except OSError:
            return False
        return True

    def ignore(self, descriptor: int) -> None:
        """Wait for it no longer."""
        with contextlib.suppress(OSError):  # it is closed
            self._epoll.unregister(descriptor)

    # pykka's mailbox.

    def empty(self) -> bool:
        """Return whether no call waits."""
        return not self._inbox

    def get(self) -> Delivery[Any]:
        """Return the next call to run; pump the link until there is one. Ends the process when the ring falls."""
        while True:
            delivery = self._next()
            message = delivery.message
            if not isinstance(message, Invocation):
                return self._hand_over(delivery, "")
            if self.serving.starts(message):
                return self._hand_over(delivery, message.exported.name)

    def _next(self) -> Delivery[Any]:
        """Return the next call that has come, however late."""
        inbox, streams = self._inbox, self.streams
        self._wake_up()
        if streams:
            self._advance()
        if inbox and self._pace.looks():
            self._wait(0.0)  # whoever has sent one call must not wait for all that another has sent
        while not inbox:
            self.flush()
            self._wait(self._limit())
            self._wake_up()  # before what has arrived meanwhile: it comes too late for what was to end
            if streams:
                streams.turn()
        return inbox.popleft()

    def _advance(self) -> None:
        """Give the streams their turn in between two calls."""
        streams = self.streams
        streams.others_ran()
        if streams.ready:
            self.flush()  # whoever has been answered need not wait for a stream
        streams.turn()

    def _wake_up(self) -> None:
        if self._actor is not None and self._wake.comes():
            self.flush()  # whoever has been answered need not wait for this
            self._actor.wake()
            self.streams.others_ran()

    def _hand_over(self, delivery: Delivery[Any], name: str) -> Delivery[Any]:
        """Return the next call; send the replies that should not wait for it first."""
        if self._pace.next(name, 0 if self._endpoint is None else self._endpoint.ready):
            self.flush()
        return delivery

    def flush(self) -> None:
        """Send what is ready."""
        if self.peers.nudged:
            self.peers.tidy()
        endpoint = self._endpoint
        if endpoint is None or endpoint.idle:
            return
        try:
            done = endpoint.flush()
        except LinkLost:
            self._lost(endpoint)
            return
        if done is self._writing:
            self._writing = not done
            self._epoll.modify(endpoint.socket.fileno(), select.EPOLLIN if done else select.EPOLLIN | select.EPOLLOUT)

    def _limit(self) -> float | None:
        """Return the seconds after which there is something to do, whatever arrives; None: never."""
        limits = [self.streams.left() if self.streams else None, self._wake.left()]
        return min((max(0.0, each) for each in limits if each is not None), default=None)

    def _wait(self, limit: float | None) -> None:
        if self._ended and not self.peers.waiting:
            self._end()
        control_fd, record = self._control.fileno(), False
        link_fd = -1 if self._endpoint is None else self._endpoint.socket.fileno()
        for descriptor, events in self._epoll.poll(LONGEST_WAIT if limit is None else min(limit, LONGEST_WAIT)):
            if descriptor == control_fd:
                self.catch_up()
            elif descriptor != link_fd:
                self.streams.readable(descriptor)
            elif events & ~select.EPOLLOUT:
                record = True
        if record:  # after control: a call that follows the seal must find the ring sealed
            while self._take_record() > 1 and len(self._inbox) < MOST_READY:
                pass  # where one record held several items, more records are likely to wait

    def _take_record(self) -> int:
        """Take one record, if there is one; return how many items it had."""
        endpoint = self._endpoint
        if endpoint is None:
            return 0
        try:
            items = endpoint.receive(self._buffer, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except LinkLost:
            self._lost(endpoint)
            return 0
        except ProtocolError as error:
            self.notice(NoticeKind.RECORD_REFUSED, BROKER, type(error).__name__)
            return 0
        peers, take = self.peers, self._take
        for item, body in items:
            take(item, body)
        peers.settle()
        if not self._reported:
            self._report(endpoint)
        return len(items)

    def _take(self, item: Item, body: bytes) -> None:
        ours = self.peers.servers and self.peers.owns(item)
        try:
            if ours:
                self.peers.take(item, body)
                return
            invocation = self.serving.take(item, body)
        except HandshakeFailed:
            self._refuse_to_join(f"a {'server' if ours else 'client'} did not prove its join token")
        if invocation is not None:
            self._inbox.append(Delivery(invocation, Reply(self, invocation)), invocation.caller.member)
        elif type(item) is Left:
            self._inbox.forget(item.member)

    def _lost(self, endpoint: Endpoint) -> None:
        """Forget all keys and what waits; what to do next is the supervisor's word, which knows who died first."""
        self.serving.drop()
        self.peers.drop()
        if not self.peers.waiting:  # a stream that waits for a peer cannot be closed before it has been told
            self.streams.close()
        self._inbox.clear()
        self._endpoint = None
        self._epoll.unregister(endpoint.socket.fileno())

    def _report(self, endpoint: Endpoint) -> None:
        fingerprint = self.serving.fingerprint
        if fingerprint is not None and self.peers.founded:
            self._reported = True
            self.peers.settle_in(endpoint, self.serving.ring_key)
            self.flush()
            self.testify()
            self._control.send(control.Ready(self._epoch, fingerprint))

    # Control.

    def catch_up(self) -> None:
        """Take what the supervisor has sent so far."""
        while True:
            try:
                message, _ = self._control.receive(wait=False)
            except BlockingIOError:
                return
            except LinkLost:
                self._leave()
                return
            self._take_control(message)

    def _take_control(self, message: control.ToChild) -> None:
        match message:
            case control.Join():
                self._join(message)
            case control.Seal():
                self.serving.sealed = True
                self.peers.sealed()
            case control.Admit(ticket):
                if not self.serving.sealed or ticket.client_role not in COMING[self._role]:
                    raise ProtocolError
                self.serving.admit(ticket)
            case control.Away() | control.Renew() | control.Withdrawn():
                self.peers.host_changed(message)
            case control.Verdict():
                self.peers.judge(message)
            case control.Quarantine(digests):
                self.serving.ledger.spared.refuse(digests)
            case control.Ping(number):
                self._control.send(control.Pong(number))
            case control.Dismantle() | control.Stop():
                self._leave()
            case _:
                raise ProtocolError

    def _join(self, message: control.Join) -> None:
        if self._endpoint is not None:
            raise ProtocolError
        self._epoch = Epoch(message.epoch)
        words = prologue(self._epoch, self._member, self._role, BROKER, Role.BROKER)
        try:
            link = found_link(self._link_end, message.token, words, JOIN_TIMEOUT)
        except HandshakeFailed:
            self._refuse_to_join("the broker did not prove the join token")
        self._endpoint = Endpoint(self._link_end, link)
        self._epoll.register(self._link_end.fileno(), select.EPOLLIN)
        self.serving.ledger.spared.learn(message.key, message.quarantined)
        self.serving.check_grants(message.granted)
        self.serving.join(self._epoch, [each for each in message.tickets if each.server == self._member])
        calls = [each for each in message.tickets if each.client == self._member]
        self.peers.begin(self._member, self._role, self._epoch, calls)
        self._report(self._endpoint)  # nobody may be there whose session it has to found

    def _refuse_to_join(self, why: str) -> NoReturn:
        with contextlib.suppress(LinkLost):
            self._control.send(control.Failed(FailureKind.JOIN_FAILED, why))
        self._end(1)

    def _leave(self) -> None:
        """End the process: at once, or when the handler that waits for a peer has been told so."""
        if not self.peers.waiting:
            self._end()
        self._ended = True
        if self._endpoint is not None:
            self._lost(self._endpoint)

    def _end(self, code: int = 0) -> NoReturn:
        """Drop all keys and end the process: the ring has fallen, or the application stops."""
        self.serving.drop()
        self.peers.drop()
        self.streams.close()
        sys.stdout.flush()
        sys.stderr.flush()
        raise SystemExit(code)
