# pyright: reportPrivateUsage=false
"""A ring with the test in its middle: real processes of a UI and of enclaves, whose supervisor and broker the test is.

The broker routes with the true core, in a thread, and is honest until `play` is replaced: it sees each item that the
broker is about to send, and says what is sent in its place. Everything that passes is kept.
"""

from __future__ import annotations

import os
import select
import threading
import time
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeVar

from tests.conftest import REPOSITORY
from tests.harness.interpreter import interpreter
from tests.harness.puppeteer import Backstage, Hand
from tests.harness.stage import HANDLERS, PROBE, PUPPET
from trollbridge.actors.broker.routing import Port, Routing
from trollbridge.actors.processes import sockets
from trollbridge.actors.processes.endpoint import Endpoint
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.actors.supervision.spawn import Process
from trollbridge.messages import control
from trollbridge.messages.envelope import Kind, prologue
from trollbridge.messages.errors import ProtocolError
from trollbridge.messages.grants import Grant
from trollbridge.messages.ids import BROKER, Epoch, MemberId, Role
from trollbridge.messages.limits import LARGEST_RECORD
from trollbridge.messages.noise import Responder
from trollbridge.messages.parts import counts
from trollbridge.messages.record import Item, Link, Routed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from trollbridge.messages.control import NoticeKind

M = TypeVar("M")
PATIENCE: Final = 20.0
UI: Final = MemberId("puppet")
Passing = list[tuple[Item, bytes]]


class Seen(NamedTuple):
    """An item on one hop of its way."""

    sender: MemberId
    receiver: MemberId
    item: Item
    body: bytes


class Member:
    """One real process and its link."""

    def __init__(self, name: MemberId, role: Role, actor: str, settings: dict[str, str]) -> None:
        """Spawn it."""
        self.name: Final = name
        self.role: Final = role
        self.process: Final = Process(name, role, 1, interpreter())
        self.notices: list[control.Notice] = []
        self.endpoint: Endpoint | None = None
        self.record = b""
        """The last record that came from it, as it came."""
        self._boot = control.Boot(name, role.value, actor, tuple(sorted(settings.items())), (str(REPOSITORY),))
        self.backlog: Passing = []
        """What waits for it to join."""
        self.token = b""
        self._fresh = True

    def open_link(self, epoch: Epoch, tickets: tuple[control.SessionTicket, ...]) -> Callable[[], None]:
        """Give it the end of a link; return what waits for its word and has it join."""
        self.near, self.far = sockets.pair()
        self.token, self.endpoint, self.backlog = os.urandom(32), None, []
        self.responder: Responder | None = Responder(
            self.token, prologue(epoch, self.name, self.role, BROKER, Role.BROKER)
        )
        fresh, self._fresh = self._fresh, False
        if fresh:
            self.tell(self._boot, self.near.fileno())
            self.near.close()

        def join() -> None:
            message = control.Join(epoch, self.token, tickets)
            if fresh:
                self.expect(control.Hello)
                self.tell(message)
            else:
                self.tell(message, self.near.fileno())
                self.near.close()

        return join

    def tell(self, message: control.ToChild, *descriptors: int) -> None:
        """Send a control message."""
        self.process.channel.send(message, *descriptors)

    def expect(self, kind: type[M], seconds: float = PATIENCE) -> M:
        """Return the next control message of a kind; notices on the way are kept. Raises `TimeoutError`, `LinkLost`."""
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.process.channel.fileno(), select.POLLIN)
        while poll.poll(1000 * max(0.0, until - time.monotonic())):
            message = self.process.channel.take(self.process.pid)
            if isinstance(message, control.Notice):
                self.notices.append(message)
            if isinstance(message, kind):
                return message
        raise TimeoutError

    def alive(self) -> bool:
        """Return whether it answers a ping; what it said before is in `notices` then."""
        self.tell(control.Ping(1))
        try:
            return self.expect(control.Pong).number == 1
        except LinkLost:
            return False

    def noticed(self) -> list[tuple[NoticeKind, str, str]]:
        """Return what it has noticed so far: kind, about whom, why."""
        if not self.alive():
            raise ConnectionError
        return [(each.kind, each.about, each.why) for each in self.notices]

    def end(self) -> None:
        """Kill and reap it."""
        self.process.kill()
        poll = select.poll()
        poll.register(self.process.pidfd, select.POLLIN)
        poll.poll(1000 * PATIENCE)
        self.process.reap()


class Middle:
    """Supervisor and broker of one application, in the test's process."""

    def __init__(self, folder: Path, *, enclaves: tuple[str, ...] = ("probe",), capture: bool = False) -> None:
        """Start the UI and the enclaves and form their first ring; the journal is in `folder`."""
        self.journal: Final = folder / "journal"
        self.journal.touch()
        self.epoch = Epoch(0)
        self.seen: list[Seen] = []
        self.play: Callable[[MemberId, Item, bytes], Passing] = self._honest
        self.notices: list[tuple[NoticeKind, MemberId, str, str]] = []
        self.removed: list[tuple[MemberId, str]] = []
        self.members: dict[MemberId, Member] = {}
        self._enclaves = tuple(MemberId(each) for each in enclaves)
        self._backstage = Backstage(folder)
        self._settings = {"strings": self._backstage.path, "capture": "yes" if capture else ""}
        self._lock = threading.RLock()
        self._wake, self._waker = os.pipe()
        self._closing = False
        self._buffer = bytearray(LARGEST_RECORD)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.failure: BaseException | None = None
        self.form()
        self.hand: Final[Hand] = self._backstage.next_hand()

    @staticmethod
    def _honest(_member: MemberId, item: Item, body: bytes) -> Passing:
        return [(item, body)]

    # Supervising.

    def form(self) -> None:
        """Form and seal the next ring: new enclaves, and the UI that is there."""
        self.epoch = Epoch(self.epoch + 1)
        with self._lock:
            self.routing = Routing(self)
        grants = tuple(map(Grant, sorted(HANDLERS)))
        tickets = {
            each: control.SessionTicket(UI, Role.UI.value, each, "enclave", os.urandom(32), grants)
            for each in self._enclaves
        }
        handlers = frozenset(f"{enclave}.{method}" for enclave in self._enclaves for method in HANDLERS)
        joins: list[Callable[[], None]] = []
        for each in (*self._enclaves, UI):
            enclave = each in tickets
            member = self.members.get(each) or self._spawn(each, enclave=enclave)
            peers = frozenset({UI} if enclave else self._enclaves)
            port = Port(each, member.role, frozenset() if enclave else handlers, peers)
            with self._lock:
                own = (tickets[each],) if enclave else tuple(tickets.values())
                joins.append(member.open_link(self.epoch, own))
                self.members[each] = member
                self.routing.open(port)
            self._nudge()
        if not self._thread.is_alive():
            self._thread.start()
        for join in joins:
            join()
        self._seal()

    def _spawn(self, name: MemberId, *, enclave: bool) -> Member:
        if enclave:
            return Member(name, Role.ENCLAVE, PROBE, {"journal": str(self.journal)})
        return Member(name, Role.UI, PUPPET, self._settings)

    def _seal(self) -> None:
        prints = {member.expect(control.Ready).fingerprint for member in self.members.values()}
        if len(prints) != 1:
            raise AssertionError(prints)
        with self._lock:
            self.routing.sealed = True
        records = tuple(
            control.MemberRecord(member.name, member.role, member.process.pid) for member in self.members.values()
        )
        for member in self.members.values():
            member.tell(control.Seal(records))
            if not member.alive():
                raise ConnectionError

    def fall(self) -> None:
        """Dismantle the ring: the UI lets go of its keys, the enclaves end."""
        for name in self._enclaves:
            with self._lock:
                self._cut(name)
                member = self.members.pop(name)
            member.end()
        ui = self.members[UI]
        ui.tell(control.Dismantle("the test asked for it", ""))
        ui.expect(control.Dismantled)
        for name in self._enclaves:  # none of them kept a ledger
            ui.tell(control.Verdict(name, control.NOTHING_KNOWN, (), ()))
        with self._lock:
            self._cut(UI)

    def member(self, name: str) -> Member:
        """Return a member by its name."""
        return self.members[MemberId(name)]

    def ran(self) -> list[str]:
        """Return what the enclaves have written into the journal, their starts left out."""
        return [each for each in self.journal.read_text("utf-8").splitlines() if each != "start"]

    # What routing asks for; always with the lock held.

    def send(self, member: MemberId, item: Item, body: bytes = b"") -> None:
        """Send an item, or what the test has in its place."""
        for each, content in self.play(member, item, body):
            self._put(member, each, content)

    def _put(self, member: MemberId, item: Item, body: bytes) -> None:
        known = self.members.get(member)
        if known is None:
            return
        if known.endpoint is None:
            known.backlog.append((item, body))
            return
        self.seen.append(Seen(BROKER, member, item, body))
        known.endpoint.put(item, body)

    def notice(self, kind: NoticeKind, about: MemberId, why: str, detail: str = "") -> None:
        """Keep a notice."""
        self.notices.append((kind, about, why, detail))

    def remove(self, member: MemberId, why: str) -> None:
        """Cut a member's link."""
        self.removed.append((member, why))
        self._cut(member)

    def _cut(self, name: MemberId) -> None:
        member = self.members[name]
        if member.far.fileno() >= 0:
            sockets.cut(member.far)
            member.far.close()
        member.endpoint = None
        self.routing.close(name)

    # The broker's thread.

    def _nudge(self) -> None:
        os.write(self._waker, b"\0")

    def inject(self, receiver: str, item: Item, body: bytes = b"") -> None:
        """Send an item that nobody asked for."""
        with self._lock:
            self._put(MemberId(receiver), item, body)
            self._flush()

    def send_packet(self, receiver: str, packet: bytes) -> None:
        """Send a packet as it is, sealed by nobody."""
        self.member(receiver).far.send(packet)

    def _serve(self) -> None:
        try:
            while not self._closing:
                self._turn()
        except BaseException as error:
            self.failure = error
            raise

    def _turn(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        with self._lock:
            ends = {m.far.fileno(): m for m in self.members.values() if m.far.fileno() >= 0}
            for descriptor, member in ends.items():
                busy = member.endpoint is not None and not member.endpoint.idle
                poll.register(descriptor, select.POLLIN | (select.POLLOUT if busy else 0))
        for descriptor, events in poll.poll():
            if descriptor == self._wake:
                os.read(self._wake, 4096)
                continue
            with self._lock:
                if events & ~select.POLLOUT and ends[descriptor].far.fileno() == descriptor:
                    self._take(ends[descriptor])
        with self._lock:
            self._flush()

    def _take(self, member: Member) -> None:
        try:
            length = member.far.recv_into(self._buffer)
        except OSError:
            length = 0
        if not length:
            self._cut(member.name)
            return
        member.record = bytes(self._buffer[:length])
        if member.endpoint is None:
            responder, member.responder = member.responder, None
            if responder is None:
                raise AssertionError
            answer, split = responder.accept(member.record)
            member.far.send(answer)
            member.endpoint = Endpoint(member.far, Link(split))
            waiting, member.backlog = member.backlog, []
            for item, body in waiting:
                self._put(member.name, item, body)
            return
        for item, body in member.endpoint.open(memoryview(member.record)):
            self.seen.append(Seen(member.name, BROKER, item, body))
            self.routing.take(member.name, item, body)

    def _flush(self) -> None:
        for name, member in self.members.items():
            endpoint = member.endpoint
            if endpoint is None or member.far.fileno() < 0:
                continue
            left: list[Item] = []
            endpoint.on_sent = left.extend
            try:
                endpoint.flush()
            except (LinkLost, ProtocolError):
                self._cut(name)
            for item in left:
                if isinstance(item, Routed) and counts(item.kind, item.length):
                    self._part_left(MemberId(item.sender), MemberId(item.receiver))

    def _part_left(self, sender: MemberId, receiver: MemberId) -> None:
        port = self.routing._ports.get(sender)
        if port is not None and port.parts.get(receiver):  # a part that the test made up counts for no window
            self.routing.part_left(sender, receiver, 1)

    # What passed.

    def passed(self, kind: Kind, sender: str, receiver: str) -> list[tuple[Routed, bytes]]:
        """Return the envelopes of a kind on one hop: from a member to the broker, or from the broker to a member."""
        with self._lock:
            return [
                (each.item, each.body)
                for each in self.seen
                if isinstance(each.item, Routed)
                and (each.item.kind, each.sender, each.receiver) == (kind, sender, receiver)
            ]

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End every process and the broker's thread."""
        self._closing = True
        self._nudge()
        self._thread.join(PATIENCE)
        for member in self.members.values():
            member.end()
            if member.far.fileno() >= 0:
                member.far.close()
        self._backstage.__exit__()
        os.close(self._wake)
        os.close(self._waker)
        if self.failure is not None and error is None:
            raise self.failure
