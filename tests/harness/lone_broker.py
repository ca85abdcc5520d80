"""A real broker process without a ring around it: the test is its supervisor, and every member too.

So a test can let anybody join with any token, say anything on any link, and see what the broker does and reports.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, Final, Self, TypeVar

from tests.harness.interpreter import interpreter
from trollbridge.actors.processes import sockets
from trollbridge.actors.processes.endpoint import Endpoint, found_link
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.actors.supervision.spawn import Process
from trollbridge.messages import control
from trollbridge.messages.envelope import Kind, prologue
from trollbridge.messages.ids import BROKER, Epoch, MemberId, Role
from trollbridge.messages.limits import LARGEST_RECORD
from trollbridge.messages.record import Item, Publish, PublishedHandler, Routed

if TYPE_CHECKING:
    import socket
    from types import TracebackType

    from trollbridge.messages.control import NoticeKind

M = TypeVar("M")
PATIENCE: Final = 20.0
EPOCH: Final = Epoch(7)
JOIN_TIME: Final = 20.0


class LoneMember:
    """One member of a lone broker, in the test's process."""

    def __init__(self, name: str, role: Role, end: socket.socket, token: bytes) -> None:
        """Take the far end of its link."""
        self.name: Final = MemberId(name)
        self.role: Final = role
        self.end: Final = end
        self.token: Final = token
        self._endpoint: Endpoint | None = None
        self._waiting: list[tuple[Item, bytes]] = []

    def join(self, token: bytes | None = None, *, epoch: int = EPOCH, role: Role | None = None) -> Self:
        """Found the link, with the right token, epoch and role unless told otherwise; raises `HandshakeFailed`."""
        words = prologue(Epoch(epoch), self.name, role or self.role, BROKER, Role.BROKER)
        self._endpoint = Endpoint(self.end, found_link(self.end, token or self.token, words, JOIN_TIME))
        return self

    @property
    def endpoint(self) -> Endpoint:
        """The founded link; raises `ConnectionError` before `join`."""
        if self._endpoint is None:
            raise ConnectionError
        return self._endpoint

    def say(self, item: Item, body: bytes = b"") -> None:
        """Send one item in a record of its own."""
        self.endpoint.put(item, body)
        self.endpoint.flush()

    def publish(self, **seeds: bytes) -> Self:
        """Publish handlers with the seeds of their addresses, as an enclave does."""
        self.say(Publish(tuple(PublishedHandler(name, seed) for name, seed in seeds.items())))
        return self

    def hear(self, seconds: float = PATIENCE) -> tuple[Item, bytes]:
        """Return the next item; raises `LinkLost` if the broker has cut the link, `TimeoutError` if nothing comes."""
        if not self._waiting:
            poll = select.poll()
            poll.register(self.end, select.POLLIN)
            if not poll.poll(1000 * seconds):
                raise TimeoutError
            self._waiting = self.endpoint.receive(bytearray(LARGEST_RECORD))
        return self._waiting.pop(0)

    def cut_off(self, seconds: float = PATIENCE) -> bool:
        """Wait for the broker to cut the link; return whether it has."""
        until = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.end, select.POLLIN)
        while poll.poll(1000 * max(0.0, until - time.monotonic())):
            try:
                if not self.end.recv(LARGEST_RECORD):
                    return True
            except OSError:
                return True
        return False


class LoneBroker:
    """A broker process, and the control channel to it."""

    def __init__(self) -> None:
        """Start it and wait until it is there."""
        self.process: Final = Process(BROKER, Role.BROKER, 1, interpreter())
        self.notices: Final[list[control.Notice]] = []
        self._ends: list[socket.socket] = []
        self._ended = False
        self.tell(control.Boot(BROKER, Role.BROKER.value, "", (), ()))
        self.expect(control.Hello)

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

    def notice(self, kind: NoticeKind, about: str = "") -> control.Notice:
        """Return the first notice of a kind, about a member if one is named; waits for it."""
        while True:
            for each in self.notices:
                if each.kind is kind and about in ("", each.about):
                    return each
            self.expect(control.Notice)

    def kinds(self, count: int) -> list[NoticeKind]:
        """Wait for at least `count` notices; return the kinds of all that have come."""
        while len(self.notices) < count:
            self.expect(control.Notice)
        return [each.kind for each in self.notices]

    def alive(self) -> bool:
        """Return whether it answers a ping. What members said before may still wait to be read."""
        self.tell(control.Ping(1))
        try:
            return self.expect(control.Pong).number == 1
        except LinkLost:
            return False

    def open(  # noqa: PLR0913  # by name
        self,
        name: str,
        role: Role,
        *,
        handlers: tuple[str, ...] = (),
        peers: tuple[str, ...] = (),
        pid: int = 0,
        token: bytes = b"",
    ) -> LoneMember:
        """Have the broker expect a member, in the test's process unless `pid` names another."""
        ours, theirs = sockets.pair()
        sockets.demand_credentials(ours)
        used = token or os.urandom(32)
        spawned = pid or os.getpid()
        with ours:
            self.tell(control.OpenLink(EPOCH, name, role.value, spawned, used, handlers, peers), ours.fileno())
        self._ends.append(theirs)
        return LoneMember(name, role, theirs, used)

    def begin(self) -> None:
        """Tell it that every member of the ring has been named."""
        self.tell(control.Join(EPOCH, bytes(32), (), ()))

    def seal(self) -> None:
        """Wait until all have joined and seal the ring."""
        self.expect(control.Ready)
        self.tell(control.Seal(()))
        if not self.alive():
            raise ConnectionError

    def end(self, seconds: float = PATIENCE) -> int | None:
        """Wait for the process to end by itself; return its exit status, or None if it lives on."""
        poll = select.poll()
        poll.register(self.process.pidfd, select.POLLIN)
        if not poll.poll(1000 * seconds):
            return None
        self._ended = True
        return self.process.reap()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the process and close every link."""
        for end in self._ends:
            end.close()
        if not self._ended:
            self.process.kill()
            self.end()


def ring_of_two(broker: LoneBroker, handler: str = "echo") -> tuple[LoneMember, LoneMember]:
    """Form and seal a ring of a UI and one enclave, called `vault`, that exports one handler; return (UI, enclave)."""
    ui = broker.open("ui", Role.UI, handlers=(f"vault.{handler}",), peers=("vault",))
    vault = broker.open("vault", Role.ENCLAVE, peers=("ui",))
    broker.begin()
    ui.join()
    vault.join().publish(**{handler: bytes(32)})
    broker.seal()
    return ui, vault


def call_header(
    sender: str, uid: bytes, *, receiver: str = "vault", sequence: int = 0, body: bytes = bytes(32)
) -> Routed:
    """Return the header of a call with this body."""
    return Routed(Kind.CALL, sender, receiver, uid, sequence, 0, b"", len(body), body[-16:])
