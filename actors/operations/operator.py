"""The operator's socket of a running application: who may ask, what is answered, who is cut (`SPEC.md`, section 21).

May import: our messages and actors. Invariants: only processes of this user are heard, by the kernel's word
(SO_PEERCRED), and none that the application itself keeps apart, or that those have started; nothing here waits, and
what a client makes the supervisor hold is bounded; whoever breaks a rule is cut, and the application does not notice.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from trollbridge.actors.operations.runtime_folder import Seat, peer_of
from trollbridge.actors.processes import sockets
from trollbridge.actors.processes.reactor import Alarm
from trollbridge.messages import operator
from trollbridge.messages.errors import Malformed, UsageError
from trollbridge.messages.ids import SUPERVISOR

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator

    from trollbridge.actors.operations.log import Line, Log
    from trollbridge.actors.operations.runtime_folder import Peer
    from trollbridge.actors.processes.reactor import Reactor
    from trollbridge.messages.control import Measures

MOST_WAITING: Final = 4 << 20
"""Bytes that wait for a client; it is cut for more. The last lines of the log are a tenth of that."""
IDLE: Final = 10.0
"""Seconds without a request after which a client that follows nothing must make room for another, if there is none."""
_PAUSE: Final = 1.0
"""Seconds until a connection is taken again once the system has refused one, such as for want of descriptors."""
_READS, _WRITES = select.EPOLLIN, select.EPOLLIN | select.EPOLLOUT


class Desk(Protocol):
    """The application, as its operator meets it."""

    def snapshot(self, name: str) -> operator.Snapshot:
        """Return how it is."""
        ...

    def measure(self, told: Callable[[Measures | None], object]) -> None:
        """Have `told` called with what the broker has counted, or None if there is no broker."""

    def epoch(self) -> int:
        """Return the epoch that it is in."""
        ...

    def keeps_apart(self, pid: int) -> bool:
        """Return whether a process is one that the application keeps apart, or was started by one."""
        ...

    def check(self, request: operator.Restart | operator.Rekey | operator.Stop) -> None:
        """Raise `UsageError` if the request cannot be obeyed now."""

    def obey(self, request: operator.Restart | operator.Rekey | operator.Stop) -> None:
        """Do what was asked."""


class _Client:
    __slots__ = ("asked", "came", "end", "events", "follows", "measures", "peer", "queue", "queued")

    def __init__(self, end: socket.socket, peer: Peer) -> None:
        self.end: Final = end
        self.peer: Final = peer
        self.queue: deque[bytes] = deque()
        self.queued = 0
        self.events = _READS
        self.follows = False
        self.measures = False
        self.came: Final = time.monotonic()
        self.asked = self.came


class Operator:
    """Answers on the operator's socket, from the supervisor's loop."""

    def __init__(self, seat: Seat, reactor: Reactor, log: Log, desk: Desk) -> None:
        """Listen; raises `BootFailed` if the system refuses."""
        self._name = seat.name
        self._reactor = reactor
        self._log = log
        self._desk = desk
        self._buffer = bytearray(operator.LARGEST_REQUEST)
        self._clients: dict[int, _Client] = {}
        self._told_of: set[int] = set()
        self._listening = seat.listen()
        self._resume = Alarm(self._listen)
        reactor.timers.append(self._resume)
        self._unsubscribe = log.subscribe(self._written)
        self._listen()

    def close(self) -> None:
        """Cut everybody; what was queued for them and fits is theirs."""
        self._unsubscribe()
        for client in tuple(self._clients.values()):
            self._flush(client)
            self._drop(client)
        self._reactor.ignore(self._listening.fileno())

    # Who comes.

    def _listen(self) -> None:
        self._reactor.watch(self._listening.fileno(), self._accept)

    def _accept(self, _events: int) -> None:
        try:
            end, _ = self._listening.accept()
        except BlockingIOError:
            return
        except OSError:  # else the loop would turn without end: the connection still waits
            self._reactor.ignore(self._listening.fileno())
            self._resume.set(_PAUSE)
            return
        end.setblocking(False)  # noqa: FBT003  # the standard library's signature
        peer = peer_of(end)
        if not self._may_ask(peer):
            end.close()
            return
        if len(self._clients) >= operator.MOST_CLIENTS and not self._make_room():
            self._refuse(end)
            return
        client = self._clients[end.fileno()] = _Client(end, peer)
        self._reactor.watch(end.fileno(), lambda events: self._ready(client, events), _READS)

    def _may_ask(self, peer: Peer) -> bool:
        if peer.uid == os.geteuid() and peer.pid > 0 and not self._desk.keeps_apart(peer.pid):
            return True
        if peer.pid not in self._told_of and len(self._told_of) < operator.MOST_RECENT:  # it might try without end
            self._told_of.add(peer.pid)
            event, why = "operator.refused", "it is of the application itself"
            if peer.uid != os.geteuid():
                why = "it is another user's"
            elif _is_gone(peer.pid):  # it could not be told apart from one of the application's, that is all
                event, why = "operator.missed", "it had ended before it was heard"
            self._log.line(event, self._desk.epoch(), member=SUPERVISOR, pid=peer.pid, why=why)
        return False

    def _make_room(self) -> bool:
        """Cut the client that has been idle longest, else the one that has asked longest, if it was long enough."""
        before = time.monotonic() - IDLE
        passing = [each for each in self._clients.values() if not each.follows]
        idle = [each for each in passing if not each.measures and each.asked <= before]
        staying = [each for each in passing if each.came <= before]
        if not staying:
            return False
        self._drop(min(idle, key=lambda each: each.asked) if idle else min(staying, key=lambda each: each.came))
        return True

    @staticmethod
    def _refuse(end: socket.socket) -> None:
        answer = operator.Denied(operator.NO_PLACE)
        with end:
            try:
                end.send(operator.ANSWER.encode(answer))
            except OSError:
                return

    # What is asked.

    def _ready(self, client: _Client, events: int) -> None:
        if events & select.EPOLLOUT:
            self._flush(client)
        if events & ~select.EPOLLOUT and client.end.fileno() in self._clients:
            self._read(client)

    def _read(self, client: _Client) -> None:
        """Take one request: the others have their turn in between."""
        try:
            data = sockets.receive_alone(client.end, self._buffer)
        except BlockingIOError:
            return
        except (OSError, Malformed):
            data = b""
        try:
            request = operator.REQUEST.decode(data)
        except Malformed:  # the end of the file too
            self._drop(client)
            return
        client.asked = time.monotonic()
        self._answer(client, request)

    def _answer(self, client: _Client, request: operator.Request) -> None:
        match request:
            case operator.Status():
                self._say(client, self._desk.snapshot(self._name))
            case operator.Recent(limit):
                self._last(client, limit)
                self._say(client, operator.Done())
            case operator.Follow(recent):
                self._follow(client, recent)
            case operator.Measure():
                self._measure(client)
            case operator.Restart() | operator.Rekey() | operator.Stop():
                self._change(client, request)

    def _follow(self, client: _Client, recent: int) -> None:
        """Begin to pass lines on, unless others have all places of those who stay: one who asks must find one."""
        if sum(each.follows for each in self._clients.values() if each is not client) >= operator.MOST_FOLLOWERS:
            self._say(client, operator.Denied(operator.FOLLOWED))
            return
        self._last(client, recent)
        self._say(client, operator.Done())
        client.follows = True

    def _last(self, client: _Client, limit: int) -> None:
        lines = self._log.recent
        for number in range(max(0, len(lines) - limit), len(lines)):
            self._say(client, operator.LogLine(_text(lines[number])))

    def _measure(self, client: _Client) -> None:
        if client.measures:
            self._say(client, operator.Denied("the broker has not answered your last question yet"))
            return
        client.measures = True
        epoch = self._desk.epoch()

        def told(measures: Measures | None) -> None:
            client.measures = False
            if measures is None:
                self._say(client, operator.Denied("there is no broker now; ask again once the ring is sealed"))
            else:
                self._say(client, operator.Measures(epoch, measures.measures))

        self._desk.measure(told)

    def _change(self, client: _Client, request: operator.Restart | operator.Rekey | operator.Stop) -> None:
        try:
            self._desk.check(request)
        except UsageError as error:
            self._say(client, operator.Denied(str(error)))
            return
        of = f"of {request.member}, " if isinstance(request, operator.Restart) and request.member else ""
        self._log.line(
            "operator.asked",
            self._desk.epoch(),
            member=SUPERVISOR,
            why=type(request).__name__.lower(),
            detail=f"{of}asked by PID {client.peer.pid}",
        )
        self._say(client, operator.Done())
        self._desk.obey(request)

    # What is said.

    def _written(self, line: Line) -> None:
        """Pass a line of the log on; nothing in here may write one."""
        followers = [each for each in self._clients.values() if each.follows]
        if followers:
            data = operator.ANSWER.encode(operator.LogLine(_text(line)))
            for each in followers:
                self._send(each, data)

    def _say(self, client: _Client, answer: operator.Answer) -> None:
        data = operator.ANSWER.encode(answer)
        if len(data) > operator.LARGEST_ANSWER:
            data = operator.ANSWER.encode(operator.Denied("the answer is too large"))
        self._send(client, data)

    def _send(self, client: _Client, data: bytes) -> None:
        if client.end.fileno() not in self._clients:  # it was cut meanwhile
            return
        client.queue.append(data)
        client.queued += len(data)
        if len(client.queue) == 1:
            self._flush(client)
        if client.queued > MOST_WAITING:
            self._drop(client)

    def _flush(self, client: _Client) -> None:
        """Send what the client takes; wait for its taking more only while there is more."""
        while client.queue:
            try:
                client.end.send(client.queue[0])
            except BlockingIOError:
                break
            except OSError:
                self._drop(client)
                return
            client.queued -= len(client.queue.popleft())
        events = _WRITES if client.queue else _READS
        if events != client.events:
            client.events = events
            self._reactor.change(client.end.fileno(), events)

    def _drop(self, client: _Client) -> None:
        if self._clients.pop(client.end.fileno(), None) is not None:
            self._reactor.ignore(client.end.fileno())
            client.queue.clear()
            client.queued = 0
            client.end.close()


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _text(line: Line) -> str:
    return msgspec.json.encode(line).decode()


@contextlib.contextmanager
def operating(name: str, reactor: Reactor, log: Log, desk: Desk) -> Generator[None]:
    """Be the one application of this name, and answer its operator, inside the block; without a name, nothing.

    Raises `AlreadyRunning` if another is, `BootFailed` if the system refuses.
    """
    if not name:
        yield
        return
    with Seat(name) as seat, contextlib.closing(Operator(seat, reactor, log, desk)):
        yield
