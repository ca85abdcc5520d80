"""The mailbox of a process actor: its link and control channel; joins the ring, then hands calls to pykka's loop.

May import: `pykka`, our messages, the other actors modules. Invariants: nothing is handed over before the ring is
sealed; replies leave when the mailbox is empty, when enough are ready, when the first has waited `PATIENCE`, or before
a handler that takes long.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NoReturn

from pykka._envelope import Envelope as Delivery

from trollbridge.actors.endpoint import Endpoint, found_link
from trollbridge.actors.isolation import denials
from trollbridge.actors.process_actor import Reply, incident_notice
from trollbridge.actors.serving import Invocation, Serving
from trollbridge.actors.sockets import LinkLost, close_all
from trollbridge.messages import control
from trollbridge.messages.control import FailureKind, NoticeKind
from trollbridge.messages.envelope import prologue
from trollbridge.messages.errors import HandlerFailed, HandshakeFailed, ProtocolError
from trollbridge.messages.ids import BROKER, Epoch, MemberId, Role
from trollbridge.messages.limits import LARGEST_RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from trollbridge.actors.channel import Channel
    from trollbridge.actors.handler import Exported
    from trollbridge.actors.process_actor import ProcessActor
    from trollbridge.messages.control import ErrandKind
    from trollbridge.messages.posture import Evidence
    from trollbridge.messages.record import Item

    Control = Channel[control.FromChild, control.ToChild]

JOIN_TIMEOUT: Final = 20.0
"""Seconds that the broker may take to answer the handshake."""
ERRAND_TIMEOUT: Final = 60.0
"""Seconds that a read or write on an errand's stream may take, unless whoever holds it sets others."""
PATIENCE: Final = 1_000_000
"""Nanoseconds that a finished reply may wait for others to share its record."""
MOST_READY: Final = 64


class Mailbox:
    """Where the calls of one enclave arrive."""

    def __init__(
        self,
        member: MemberId,
        handlers: Mapping[str, Exported],
        control_end: Control,
        link_end: socket.socket,
        lock: Callable[[], tuple[Evidence, ...]],
    ) -> None:
        """Take who this is, what it exports, the control channel, the unfounded link, and what locks the process."""
        self.serving: Final = Serving(member, handlers, self)
        self._member = member
        self._control = control_end
        self._link_end = link_end
        self._endpoint: Endpoint | None = None
        self._epoll = select.epoll()
        self._epoll.register(control_end.fileno(), select.EPOLLIN)
        self._inbox: deque[Delivery[Any]] = deque()
        self._buffer = bytearray(LARGEST_RECORD)
        self._epoch = Epoch(0)
        self._reported = False
        self._since = 0
        self._running, self._started = "", 0
        self._took: dict[str, int] = {}
        """Nanoseconds that each handler took the last time."""
        self._lock = lock
        self._writing = False
        self._actor: ProcessActor | None = None
        self._testimony: tuple[Evidence, ...] = ()
        """What the supervisor was told last."""
        self._wake: float | None = None

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
        number = os.urandom(4).hex()
        self.notice(*incident_notice(invocation, error, number))
        denied = denials.explain(error)
        if denied:
            self.notice(
                NoticeKind.SANDBOX_DENIED, self._member, invocation.exported.name, f"{denied} (incident {number})"
            )
        return HandlerFailed(
            f"{invocation.exported.name} failed inside the enclave; incident {number} in the supervisor's log"
        )

    def give_up(self, text: str, where: str = "") -> None:
        """Tell the supervisor why this process cannot go on."""
        with contextlib.suppress(LinkLost):
            self._control.send(control.Failed(FailureKind.START_FAILED, f"{text} ({where})" if where else text))

    def enter(self, actor: ProcessActor) -> None:
        """Have this process locked; tell the supervisor how it is kept, and which errands its actor may have."""
        self._actor = actor
        self._control.send(control.Hello(self._lock(), tuple(sorted(actor.errands))))

    def errand(self, kind: ErrandKind, descriptors: Sequence[int]) -> socket.socket:
        """Ask for a one-shot process: see `ProcessActor.errand`."""
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with far, contextlib.suppress(LinkLost):  # without a supervisor there is no errand, and soon no enclave
            self._control.send(control.Errand(kind), far.fileno(), *descriptors)
        close_all(descriptors)
        near.settimeout(ERRAND_TIMEOUT)
        return near

    def testify(self) -> None:
        """Tell the supervisor what the actor says of itself, if it says anything."""
        evidence = () if self._actor is None else self._actor.evidence()
        if evidence and evidence != self._testimony:  # the supervisor hears only so many of them
            self._testimony = evidence
            self._control.send(control.Statement(evidence))

    def wake_at(self, moment: float | None) -> None:
        """Have the actor's `on_wake` called once this time of the monotonic clock has passed; None: not at all."""
        self._wake = moment

    # pykka's mailbox.

    def empty(self) -> bool:
        """Return whether no call waits."""
        return not self._inbox

    def get(self) -> Delivery[Any]:
        """Return the next call; pump the link until there is one. Ends the process when the ring falls."""
        inbox = self._inbox
        self._wake_up()
        while not inbox:
            self._flush()
            self._wait()
            self._wake_up()  # before what has arrived meanwhile: it comes too late for what was to end
        return self._hand_over(inbox.popleft())

    def _wake_up(self) -> None:
        wake = self._wake
        if wake is not None and self._actor is not None and time.monotonic() >= wake:
            self._wake = None
            self._flush()  # whoever has been answered need not wait for this
            self._actor.wake()

    def _hand_over(self, delivery: Delivery[Any]) -> Delivery[Any]:
        """Return the next call; send the replies that should not wait for it first."""
        now, message = time.monotonic_ns(), delivery.message
        name = message.exported.name if isinstance(message, Invocation) else ""
        self._took[self._running] = now - self._started
        ready = 0 if self._endpoint is None else self._endpoint.ready
        if not ready:
            self._since = now
        elif ready >= MOST_READY or now - self._since > PATIENCE or self._took.get(name, PATIENCE) >= PATIENCE:
            self._flush()
            self._since = now
        self._running, self._started = name, now
        return delivery

    def _flush(self) -> None:
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

    def _wait(self) -> None:
        control_fd, record = self._control.fileno(), False
        wake = self._wake
        for descriptor, events in self._epoll.poll(None if wake is None else max(0.0, wake - time.monotonic())):
            if descriptor == control_fd:
                self.catch_up()
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
        take = self.serving.take
        for item, body in items:
            try:
                invocation = take(item, body)
            except HandshakeFailed:
                self._refuse_to_join("a client did not prove its join token")
            if invocation is not None:
                self._inbox.append(Delivery(invocation, Reply(self, invocation)))
        if not self._reported:
            self._report()
        return len(items)

    def _lost(self, endpoint: Endpoint) -> None:
        """Forget all keys and what waits; what to do next is the supervisor's word, which knows who died first."""
        self.serving.drop()
        self._inbox.clear()
        self._endpoint = None
        self._epoll.unregister(endpoint.socket.fileno())

    def _report(self) -> None:
        fingerprint = self.serving.fingerprint
        if fingerprint is not None:
            self._reported = True
            self._flush()
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
                self._end()
            self._take_control(message)

    def _take_control(self, message: control.ToChild) -> None:
        match message:
            case control.Join():
                self._join(message)
            case control.Seal():
                self.serving.sealed = True
            case control.Admit(ticket):
                if not self.serving.sealed or ticket.client_role != Role.EXTENSION:
                    raise ProtocolError
                self.serving.admit(ticket)
            case control.Ping(number):
                self._control.send(control.Pong(number))
            case control.Dismantle() | control.Stop():
                self._end()
            case _:
                raise ProtocolError

    def _join(self, message: control.Join) -> None:
        if self._endpoint is not None:
            raise ProtocolError
        self._epoch = Epoch(message.epoch)
        words = prologue(self._epoch, self._member, Role.ENCLAVE, BROKER, Role.BROKER)
        try:
            link = found_link(self._link_end, message.token, words, JOIN_TIMEOUT)
        except HandshakeFailed:
            self._refuse_to_join("the broker did not prove the join token")
        self._endpoint = Endpoint(self._link_end, link)
        self._epoll.register(self._link_end.fileno(), select.EPOLLIN)
        self.serving.check_grants(message.granted)
        self.serving.join(self._epoch, message.tickets)

    def _refuse_to_join(self, why: str) -> NoReturn:
        with contextlib.suppress(LinkLost):
            self._control.send(control.Failed(FailureKind.JOIN_FAILED, why))
        self._end(1)

    def _end(self, code: int = 0) -> NoReturn:
        """Drop all keys and end the process: the ring has fallen, or the application stops."""
        self.serving.drop()
        sys.stdout.flush()
        sys.stderr.flush()
        raise SystemExit(code)
