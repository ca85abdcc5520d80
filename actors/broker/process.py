"""The broker's process: sockets around the pure core in `routing`; one thread, no blocking send, no session key.

May import: our messages, the other actors modules. Invariant: a record counts only if the kernel says that the
spawned process sent it.
"""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Final

from msgspec import structs

from trollbridge.actors.broker.routing import Port, Routing
from trollbridge.actors.processes import sockets
from trollbridge.actors.processes.endpoint import Endpoint
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.messages import control
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.envelope import prologue
from trollbridge.messages.errors import ProtocolError
from trollbridge.messages.ids import BROKER, Epoch, MemberId, Role, member_id
from trollbridge.messages.limits import LARGEST_RECORD
from trollbridge.messages.noise import Responder
from trollbridge.messages.parts import counts
from trollbridge.messages.record import Item, Link, Routed

if TYPE_CHECKING:
    from trollbridge.actors.processes.channel import Channel
    from trollbridge.messages.measures import MemberMeasure
    from trollbridge.messages.posture import Evidence

    Control = Channel[control.FromChild, control.ToChild]

MOST_QUEUED: Final = 256 * 1024 * 1024
"""Bytes that may wait for one member, its items counted; honest senders, bound by credit, stay far below."""

_COMING: Final = frozenset({Role.EXTENSION, Role.HOST})
"""Who may join a sealed ring: it cannot have held the ring key, and gets none."""
MOST_AT_ONCE: Final = 16
"""Records of one member that are taken before the others have their turn."""


class _Joined:
    """A member's link, from its join token on."""

    __slots__ = ("backlog", "end", "endpoint", "pid", "port", "responder", "writing")

    def __init__(self, end: socket.socket, pid: int, port: Port, responder: Responder) -> None:
        self.end = end
        self.pid = pid
        self.port = port
        self.responder = responder
        self.endpoint: Endpoint | None = None
        self.backlog: list[tuple[Item, bytes]] = []
        self.writing = False


class Broker:
    """Routes envelopes and issues UIDs for one epoch, then ends with its process."""

    def __init__(self, channel: Control, *, tells_calls: bool = False) -> None:
        """Take the control channel, and whether the log is told which grants are used: in learn mode."""
        self._control = channel
        self._epoll = select.epoll()
        self._epoll.register(channel.fileno(), select.EPOLLIN)
        self._links: dict[int, _Joined] = {}
        self._members: dict[MemberId, _Joined] = {}
        self._dirty: dict[_Joined, None] = {}
        self._buffer = bytearray(LARGEST_RECORD)
        self._routing = Routing(self, tells_calls=tells_calls)
        self._epoch = Epoch(0)
        self._expected = 0
        self._ready = False

    # What the pure core asks for.

    def send(self, member: MemberId, item: Item, body: bytes = b"") -> None:
        """Queue an item for a member."""
        joined = self._members.get(member)
        if joined is None:
            return
        endpoint = joined.endpoint
        if endpoint is None:
            joined.backlog.append((item, body))
            return
        endpoint.put(item, body)
        self._dirty[joined] = None
        if endpoint.queued > MOST_QUEUED:
            self.remove(member, "it does not take what is sent to it")

    def notice(self, kind: NoticeKind, about: MemberId, why: str, detail: str = "") -> None:
        """Tell the supervisor."""
        self._control.send(control.Notice(kind, about, why, detail))

    def remove(self, member: MemberId, why: str) -> None:
        """Cut a member's link and say so; the supervisor sees to its process."""
        if self._cut(member):
            self.notice(NoticeKind.MEMBER_REMOVED, member, why)

    def _cut(self, member: MemberId) -> bool:
        joined = self._members.pop(member, None)
        if joined is None:
            return False
        self._epoll.unregister(joined.end.fileno())
        del self._links[joined.end.fileno()]
        self._dirty.pop(joined, None)
        self._routing.close(member)
        joined.end.close()
        return True

    # The loop.

    def run(self, evidence: tuple[Evidence, ...] = ()) -> None:
        """Say how this process is kept, then serve until the supervisor ends it."""
        self._control.send(control.Hello(evidence))
        control_fd = self._control.fileno()
        while True:
            for descriptor, events in self._epoll.poll():
                if descriptor == control_fd:
                    if not self._take_control():
                        return
                    continue
                joined = self._links.get(descriptor)
                if joined is None:
                    continue
                if events & select.EPOLLOUT:
                    self._dirty[joined] = None
                if events & ~select.EPOLLOUT:
                    self._take_records(joined)
            while self._dirty:
                self._flush()

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, {}
        for joined in dirty:
            endpoint = joined.endpoint
            if endpoint is None or joined.port.member not in self._members:
                continue
            try:
                done = endpoint.flush()
            except LinkLost:
                self._lost(joined)
                continue
            if done is joined.writing:
                joined.writing = not done
                interest = select.EPOLLIN if done else select.EPOLLIN | select.EPOLLOUT
                self._epoll.modify(joined.end.fileno(), interest)

    def _lost(self, joined: _Joined) -> None:
        if self._cut(joined.port.member):
            self.notice(NoticeKind.LINK_LOST, joined.port.member, "its end of the link is closed")

    def _take_records(self, joined: _Joined) -> None:
        """Take what a member sent; where one record held several items, more records are likely to wait."""
        for _ in range(MOST_AT_ONCE):
            if self._take_record(joined) <= 1:
                return

    def _take_record(self, joined: _Joined) -> int:
        """Take one record, if there is one; return how many items it had."""
        member = joined.port.member
        try:
            found = self._next_record(joined)
        except ProtocolError as error:
            self._routing.strike(member, NoticeKind.RECORD_REFUSED, type(error).__name__)
            return 0
        take = self._routing.take
        for item, body in found:
            if member not in self._members:
                return 0
            take(member, item, body)
        if not self._ready:
            self._report_ready()
        return len(found)

    def _next_record(self, joined: _Joined) -> list[tuple[Item, bytes]]:
        try:
            length, pid = sockets.receive_from(joined.end, self._buffer)
        except BlockingIOError:
            return []
        except OSError:
            length = pid = 0
        if not length:
            self._lost(joined)
        elif pid != joined.pid:
            self._routing.strike(
                joined.port.member, NoticeKind.SENDER_REFUSED, "another process spoke on its descriptor"
            )
        elif joined.endpoint is None:
            self._found(joined, bytes(self._buffer[:length]))
        else:
            return joined.endpoint.open(memoryview(self._buffer)[:length])
        return []

    def _found(self, joined: _Joined, message: bytes) -> None:
        member = joined.port.member
        try:
            answer, split = joined.responder.accept(message)  # once: a responder that has been used refuses
            joined.end.send(answer, socket.MSG_DONTWAIT)
        except (ProtocolError, OSError):
            self.notice(NoticeKind.JOIN_REFUSED, member, "it did not prove its join token")
            self.remove(member, "its join was refused")
            return
        joined.endpoint = Endpoint(joined.end, Link(split))
        joined.endpoint.on_sent = self._sent
        for item, body in joined.backlog:
            self.send(member, item, body)
        joined.backlog = []
        self._report_ready()

    def _sent(self, items: list[Item]) -> None:
        parts: dict[tuple[MemberId, MemberId], int] = {}
        for item in items:
            if type(item) is Routed and counts(item.kind, item.length):
                pair = MemberId(item.sender), MemberId(item.receiver)
                parts[pair] = parts.get(pair, 0) + 1
        for (sender, receiver), count in parts.items():
            self._routing.part_left(sender, receiver, count)

    def _report_ready(self) -> None:
        joined = [each for each in self._members.values() if each.endpoint is not None]
        if not self._ready and len(joined) == self._expected and self._routing.published:
            self._ready = True
            self._control.send(control.Ready(self._epoch, b""))

    # Control.

    def _take_control(self) -> bool:
        try:
            message, descriptors = self._control.receive()
        except LinkLost:
            return False
        match message:
            case control.OpenLink():
                self._open_link(message, descriptors)
            case control.Join(epoch):
                self._epoch = Epoch(epoch)
                self._expected = len(self._members)
                for descriptor in self._links:  # not before: a member must be known before anyone writes to it
                    self._epoll.register(descriptor, select.EPOLLIN)
                self._report_ready()
            case control.Seal():
                self._routing.sealed = True
            case control.Ping(number):
                self._control.send(control.Pong(number))
            case control.Measure(number):
                self._control.send(control.Measures(number, tuple(map(self._measured, self._routing.measures()))))
            case control.Withdrawn(host):
                self._cut(member_id(host))
            case control.Dismantle() | control.Stop():
                return False
            case _:
                raise ProtocolError
        return True

    def _measured(self, measure: MemberMeasure) -> MemberMeasure:
        """Add what a member's link knows to what was counted of it."""
        joined = self._members.get(MemberId(measure.member))
        if joined is None or joined.endpoint is None:
            return measure
        end = joined.endpoint
        return structs.replace(measure, bytes_in=end.taken, bytes_out=end.sent, queued=end.queued)

    def _open_link(self, message: control.OpenLink, descriptors: list[int]) -> None:
        [descriptor] = descriptors
        role, member = Role(message.role), member_id(message.member)
        sealed = self._routing.sealed
        before = self._members.get(member)
        if sealed and role in _COMING and before is not None and before.port.role is role:
            self._cut(member)  # its process has been reaped, whatever still holds the end of its link
        if not may_come(role, sealed=sealed) or member in self._members:
            raise ProtocolError
        end = socket.socket(fileno=descriptor)
        peers = frozenset(MemberId(peer) for peer in message.peers)
        port = Port(member, role, frozenset(message.handlers), peers, service=message.service)
        words = prologue(Epoch(message.epoch), member, role, BROKER, Role.BROKER)
        joined = _Joined(end, message.pid, port, Responder(message.token, words))
        self._links[end.fileno()] = self._members[member] = joined
        self._routing.open(port)
        if self._epoch:
            self._epoll.register(end.fileno(), select.EPOLLIN)


def may_come(role: Role, *, sealed: bool) -> bool:
    """Return whether a link may be opened for this role: for extensions and hosts once the ring is sealed."""
    return role in _COMING if sealed else role is not Role.EXTENSION
