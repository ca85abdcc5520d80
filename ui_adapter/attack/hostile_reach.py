"""How far the code of a hostile member reaches: its own client, with its keys, UIDs, sessions and sockets.

May import: `actors`, `messages`. Invariant: what is done here, any code in such a process could do; nothing here
belongs to another process.
"""

# pyright: reportPrivateUsage=false
# ruff: noqa: SLF001  # an attacker does not ask what is private

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Any, Final

import pykka

from trollbridge.actors.calling.membership import Membership, Pending, Settled
from trollbridge.actors.calling.promise import Promise
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import RingDismantled
from trollbridge.messages.ids import HandlerName, HandlerUID, MemberId
from trollbridge.messages.record import Item, Lease, Request, Routed, route

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from trollbridge.actors.calling.client import Client
    from trollbridge.actors.processes.endpoint import Endpoint

PATIENCE: Final = 8.0
"""Seconds that an answer may take; an attack that nobody answers has met silence."""
VALUE: Final = "value"
"""The fate of a call that was carried out."""


class Reach:
    """One hostile member's reach, whatever the epoch."""

    def __init__(self, client: Client, name: str, target: str) -> None:
        """Take the client, the member's own name and the target's."""
        self.client: Final = client
        self.name: Final = name
        self.target: Final = target
        self.promises: Final[dict[str, Promise[Any]]] = {}
        self.replies: Final[list[tuple[Routed, bytes]]] = []
        """Replies that arrived while `hear_replies` was on."""

    @property
    def membership(self) -> Membership:
        """What the client holds of this epoch; raises `RingDismantled` while there is no ring."""
        found = self.client._membership
        if found is None:
            raise RingDismantled
        return found

    @property
    def endpoint(self) -> Endpoint:
        """The near end of the link."""
        return self.membership.endpoint

    @property
    def socket(self) -> socket.socket:
        """The link's socket."""
        return self.endpoint.socket

    def named(self, method: str) -> HandlerName:
        """Return the full name of a handler of the target."""
        return HandlerName(f"{self.target}.{method}")

    # Sending.

    def say(self, *items: tuple[Item, bytes]) -> None:
        """Send items of one's own making, in one record if they fit."""
        with self.client._lock:
            endpoint = self.endpoint
            for item, body in items:
                endpoint.put(item, body)
            endpoint.flush()

    def record(self, items: Sequence[Item], bodies: bytes = b"") -> bytes:
        """Return a record under the link's key, ready to be sent."""
        with self.client._lock:
            return self.endpoint._link.seal(items) + bodies

    def sealed_record(self, plaintext: bytes) -> bytes:
        """Return a record under the link's key, whatever stands in it."""
        with self.client._lock:
            cipher = self.endpoint._link._out
            if cipher is None:
                raise RingDismantled
            sealed = cipher.seal(plaintext)
        return len(sealed).to_bytes(4, "big") + sealed

    def throw(self, packets: Sequence[bytes]) -> int:
        """Send packets as they are until the link is cut; return how many went."""
        for number, packet in enumerate(packets):
            try:
                self.socket.send(packet)
            except OSError:
                return number
        return len(packets)

    # UIDs.

    def lease(self, name: HandlerName) -> list[bytes]:
        """Return the UIDs held for a handler; ask for some if there are none, and return none if none are given."""
        membership = self.membership
        if not membership.leases.get(name):
            self.request(name)
        return [bytes(each) for each in membership.leases.get(name, ())]

    def request(self, name: str) -> int:
        """Ask the broker for UIDs of any handler; return how many it gave. Raises `TimeoutError` without an answer."""
        membership, answers = self.membership, list[Lease]()
        original = membership._lease

        def noticed(item: Lease) -> Sequence[Settled]:
            if item.handler == name:
                answers.append(item)
            return original(item)

        vars(membership)["_lease"] = noticed
        try:
            self.say((Request(name), b""))
            self.pump(lambda: bool(answers))
        finally:
            del vars(membership)["_lease"]
        return len(answers[0].uids) // 16

    def take(self, method: str) -> HandlerUID:
        """Take one UID for a handler of the target; raises `PermissionError` if the broker gives none."""
        name = self.named(method)
        if not self.lease(name):
            raise PermissionError
        found = self.membership.leases[name].take(self.membership.peers)
        if found is None:
            raise PermissionError
        return found[1]

    def pump(self, done: Callable[[], bool]) -> None:
        """Read the link until `done()`; raises `TimeoutError`, or `ConnectionError` once the link is gone."""
        until = time.monotonic() + PATIENCE
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLIN)
        while not done():
            if time.monotonic() > until:
                raise TimeoutError
            poll.poll(20)
            if not self.client.poll():
                raise ConnectionError

    def header(self, kind: int, body: bytes) -> Routed:
        """Return a header for the target that nobody has sealed."""
        return Routed(kind, self.name, self.target, bytes(16), 0, 0, b"", len(body), body[-16:])

    # Calls.

    def seal(self, content: bytes, uid: bytes, kind: int = Kind.CALL, deadline: int = 0) -> tuple[Routed, bytes]:
        """Seal any content for the target under any UID; return the item and its body."""
        session = self.membership.peers[MemberId(self.target)].session
        with self.client._lock:
            envelope = session.seal(kind, HandlerUID(uid), deadline, content)  # type: ignore[arg-type]
        return route(envelope, b""), envelope.body

    def content(self, method: str, *arguments: object) -> bytes:
        """Return the content of a call of a granted handler."""
        return self.membership.routes[self.named(method)].content(arguments, {})

    def pending(self, method: str, uid: bytes, sequence: int) -> Promise[Any]:
        """Wait from now on for the reply to a call that is sent by hand, and return its promise."""
        membership = self.membership
        promise: Promise[Any] = Promise(self.client)
        pending = Pending(promise, membership.routes[self.named(method)], b"", 0, None)
        pending.sequence, pending.sent = sequence, True
        with self.client._lock:
            membership.pending[HandlerUID(uid)] = pending
        return promise

    def call_under(self, method: str, uid: bytes, *arguments: object, inside: str = "", deadline: int = 0) -> str:
        """Call under any UID, with the content of `inside` if that is another handler; return the call's fate."""
        item, body = self.seal(self.content(inside or method, *arguments), uid, deadline=deadline)
        promise = self.pending(method, uid, item.sequence)
        self.say((item, body))
        return fate(promise)

    def hear_replies(self) -> None:
        """Keep what arrives as a reply from now on, in this epoch."""
        membership = self.membership
        original = membership.take

        def keeping(item: Item, body: bytes) -> Sequence[Settled]:
            if isinstance(item, Routed) and item.kind == Kind.REPLY:
                self.replies.append((item, bytes(body)))
            return original(item, body)

        vars(membership)["take"] = keeping


def fate(promise: Promise[Any]) -> str:
    """Return what became of a call: `value`, the class of its error, or that nothing came."""
    try:
        promise.get(timeout=PATIENCE)
    except pykka.Timeout:
        return "silence"
    except RingDismantled as fallen:
        return f"RingDismantled, {fallen.outcome.value}"
    except Exception as error:  # noqa: BLE001  # its class is the fate
        return type(error).__name__
    return VALUE
