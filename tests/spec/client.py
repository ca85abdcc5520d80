"""A second implementation of a client: it joins, founds sessions, gives the ring key, calls. No code of ours."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.spec.keys import Handshake, asked, fingerprint, open_result, prologue
from tests.spec.packing import Value, fields, pack, shaped, unpack
from tests.spec.wire import (
    CALL,
    FIRST_CREDIT,
    HANDSHAKE,
    LARGEST_CONTENT,
    LARGEST_RECORD,
    LONGEST_LAST,
    NO_UID,
    PART,
    PART_SIZE,
    REQUEST,
    SESSION,
    STEER,
    WINDOW,
    Envelope,
    Item,
    Link,
    Session,
    last_piece,
    whole,
)

if TYPE_CHECKING:
    import socket

BROKER = ("broker", "broker")


class RefusedError(Exception):
    """The broker sent a Refusal."""


class FaultError(Exception):
    """The enclave answered with a fault."""

    def __init__(self, code: int, name: str, text: str) -> None:
        """Take the fields of the fault."""
        super().__init__(text)
        self.code, self.name, self.text = code, name, text


@dataclass(frozen=True)
class Handler:
    """One line of a manifest."""

    enclave: str
    name: str
    code: bytes
    parameters: list[Value]
    result: Value
    sensitive: bool
    idempotent: bool
    max_bytes: int
    item: Value = None

    def __str__(self) -> str:
        """Return the full name."""
        return f"{self.enclave}.{self.name}"


class Peer:
    """A session with an enclave, and what is under way in it."""

    def __init__(self, session: Session) -> None:
        """Take the founded session."""
        self.session = session
        self.window = WINDOW
        self.assembly: dict[bytes, bytearray] = {}
        self.withheld: list[Value] = []


class Client:
    """One client in one epoch."""

    def __init__(self, end: socket.socket, member: str, role: str, epoch: int) -> None:
        """Take the end of the link and who this is."""
        self.end, self.member, self.role, self.epoch = end, member, role, epoch
        self.peers: dict[str, Peer] = {}
        self.handlers: dict[str, Handler] = {}
        self.uids: dict[str, list[bytes]] = {}
        self.seen: list[bytes] = []
        self.ring_key = os.urandom(32) if role == "ui" else b""
        self._calls: dict[bytes, Handler] = {}
        self._asked: dict[bytes, bytes] = {}
        self._sequences: dict[bytes, int] = {}
        self._firsts: dict[bytes, int] = {}
        self._replies: dict[bytes, bytes] = {}
        self._refused: set[bytes] = set()
        self.items: dict[bytes, list[Value]] = {}
        self.asked: dict[bytes, int] = {}
        """Of a stream, the items and the reports asked for so far, with the first credit."""
        self._items: deque[Item] = deque()

    # The link.

    def join(self, token: bytes) -> None:
        """Found the link."""
        handshake = Handshake(token, prologue(self.epoch, (self.member, self.role), BROKER), initiator=True)
        self.end.send(handshake.write())
        answer = self.end.recv(LARGEST_RECORD)
        if not answer:
            raise EOFError
        handshake.read(answer)
        self.link = Link(handshake)

    def send(self, *items: Item) -> bytes:
        """Send one record, and return it."""
        record = self.link.seal(*items)
        self.end.send(record)
        return record

    def next(self) -> Item:
        """Return the next item that arrives."""
        while not self._items:
            record = self.end.recv(LARGEST_RECORD)
            if not record:
                raise EOFError
            self._items.extend(self.link.open(record))
        return self._items.popleft()

    def next_envelope(self, kind: int) -> Envelope:
        """Return the next item, which must be an envelope of this kind."""
        item = self.next()
        assert isinstance(item, Envelope)
        assert item.kind == kind
        return item

    # Sessions.

    def found(self, enclave: str, token: bytes, role: str = "enclave") -> None:
        """Found the session with a server and take its manifest; as the UI, give an enclave the ring key."""
        names = (self.member, self.role), (enclave, role)
        handshake = Handshake(token, prologue(self.epoch, *names), initiator=True)
        self.send(Envelope(HANDSHAKE, self.member, enclave, NO_UID, 0, 0, handshake.write()))
        handshake.read(self.next_envelope(HANDSHAKE).body)
        peer = self.peers[enclave] = Peer(Session(handshake, self.epoch, self.member, enclave, client=True))
        self._welcome(peer, peer.session.open(self.next_envelope(SESSION)))
        if self.ring_key and role == "enclave":
            offer = b"\x06" + pack([self.ring_key])
            self.send(peer.session.seal(SESSION, NO_UID, offer))
            accepted = peer.session.open(self.next_envelope(SESSION))
            assert accepted == b"\x07" + pack([self.fingerprint])

    def _welcome(self, peer: Peer, content: bytes) -> None:
        assert content[0] == 5
        match fields(content[1:], list, list):
            case [list(entries), list(withheld)]:
                peer.withheld = withheld
            case _:
                raise AssertionError
        for entry in entries:
            assert isinstance(entry, list)
            item = entry.pop()
            assert item is None or isinstance(item, list)
            match shaped(entry, str, bytes, list, list, bool, bool, int):
                case [str(name), bytes(code), list(parameters), result, bool(sensitive), bool(idempotent), int(most)]:
                    assert len(code) == 16
                    found = Handler(
                        peer.session.peer, name, code, parameters, result, sensitive, idempotent, most, item
                    )
                    self.handlers[f"{found.enclave}.{name}"] = found
                case _:
                    raise AssertionError

    @property
    def fingerprint(self) -> bytes:
        """The ring key's fingerprint."""
        return fingerprint(self.ring_key, self.epoch)

    # Calls.

    def lease(self, handler: str) -> list[bytes]:
        """Ask for a lease and return its UIDs."""
        self.send([REQUEST, handler])
        match self.next():
            case [3, str(name), bytes(uids), ""]:
                assert name == handler
                return self._leased(name, uids)
            case other:
                raise AssertionError(other)

    def _leased(self, handler: str, uids: bytes) -> list[bytes]:
        found = [uids[at : at + 16] for at in range(0, len(uids), 16)]
        self.uids.setdefault(handler, []).extend(found)
        self.seen += found
        return found

    def start(self, handler: str, *arguments: Value, deadline: int = 0) -> bytes:
        """Send a call under the next UID of the handler's lease, and return the UID."""
        if handler not in self.uids:
            self.lease(handler)
        uid = self.uids[handler].pop()
        entry = self.handlers[handler]
        encoded = pack(list(arguments))
        self._calls[uid], self._asked[uid] = entry, asked(encoded)
        self.send_content(uid, entry.enclave, b"\x01" + entry.code + encoded, deadline)
        return uid

    def send_content(self, uid: bytes, enclave: str, content: bytes, deadline: int = 0) -> None:
        """Send the content of a call, in PARTs if it is long."""
        peer, total, first = self.peers[enclave], len(content), None
        while len(content) > (LARGEST_CONTENT if first is None else LONGEST_LAST):
            first = peer.session.sent if first is None else first
            self._send_body(peer, peer.session.seal(PART, uid, content[:PART_SIZE], deadline))
            content = content[PART_SIZE:]
        self._sequences[uid] = peer.session.sent
        self._send_body(peer, peer.session.seal(CALL, uid, last_piece(content, total, first), deadline))

    def _send_body(self, peer: Peer, envelope: Envelope) -> None:
        if envelope.long:
            while not peer.window:
                self.take()
            peer.window -= 1
        self.send(envelope)

    def take(self) -> None:
        """Take one item that belongs to calls in flight."""
        match self.next():
            case Envelope(kind=5) as part:
                peer = self.peers[part.sender]
                assert part.uid in self._calls
                assert part.deadline == self._sequences[part.uid]
                self._firsts.setdefault(part.uid, part.sequence)
                peer.assembly.setdefault(part.uid, bytearray()).extend(peer.session.open(part))
                assert list(peer.assembly) == [part.uid], "parts of two contents interleave"
            case Envelope(kind=4) as reply:
                handler, peer = self._calls[reply.uid], self.peers[reply.sender]
                assert handler.enclave == reply.sender
                assert reply.deadline == self._sequences[reply.uid]
                last = peer.session.open(reply)
                pieces = bytes(peer.assembly.pop(reply.uid, bytearray()))
                self._replies[reply.uid] = whole(pieces, self._firsts.pop(reply.uid, 0), last)
                assert len(reply.route) == 16
                self.uids[f"{handler.enclave}.{handler.name}"].append(reply.route)
                self.seen.append(reply.route)
            case Envelope(kind=6) as item:
                self._item(item)
            case [4, bytes(uid)]:
                self._refused.add(uid)
            case [3, str(name), bytes(uids), ""]:
                self._leased(name, uids)
            case [6, str(name), int(parts)]:
                self.peers[name].window += parts
                assert self.peers[name].window <= WINDOW
            case other:
                raise AssertionError(other)

    # Streams.

    def _item(self, envelope: Envelope) -> None:
        handler, peer = self._calls[envelope.uid], self.peers[envelope.sender]
        assert handler.enclave == envelope.sender
        assert envelope.deadline == self._sequences[envelope.uid]
        pieces = bytes(peer.assembly.pop(envelope.uid, bytearray()))
        content = whole(pieces, self._firsts.pop(envelope.uid, 0), peer.session.open(envelope))
        items = self.items.setdefault(envelope.uid, [])
        assert content[1:9] == len(items).to_bytes(8, "big")
        match content[0], content[9:]:
            case 8, value:
                assert not handler.sensitive
                items.append(unpack(value))
            case 9, sealed:
                assert handler.sensitive
                items.append(self._unseal(f"{handler}[{len(items)}]", sealed, self._asked[envelope.uid]))
            case 10, progress:
                items.append(fields(progress, int, int, str))
            case _:
                raise AssertionError(content[0])
        assert len(items) <= self.asked.get(envelope.uid, FIRST_CREDIT)

    def pull(self, uid: bytes, items: int) -> None:
        """Ask for so many more items of a stream."""
        self.asked[uid] = self.asked.get(uid, FIRST_CREDIT) + items
        self.steer(uid, b"\x0b" + pack([items]))

    def halt(self, uid: bytes) -> None:
        """Want no more of a stream."""
        self.steer(uid, b"\x0c" + pack([]))

    def steer(self, uid: bytes, content: bytes) -> None:
        """Say something about a stream."""
        peer = self.peers[self._calls[uid].enclave]
        self.send(peer.session.seal(STEER, uid, content, self._sequences[uid]))

    def all(self, handler: str, *arguments: Value) -> tuple[list[Value], Value]:
        """Call a handler that is a stream; return all of its items, and its result."""
        uid = self.start(handler, *arguments)
        while uid not in self._replies and uid not in self._refused:
            self.take()
            if len(self.items.get(uid, ())) == self.asked.get(uid, FIRST_CREDIT):
                self.pull(uid, FIRST_CREDIT)
        result = self.finish(uid)
        return self.items.pop(uid, []), result

    def finish(self, uid: bytes) -> Value:
        """Wait for a call's reply and return its value; raises `FaultError` or `RefusedError`."""
        while uid not in self._replies and uid not in self._refused:
            self.take()
        if uid in self._refused:
            raise RefusedError
        handler, content = self._calls.pop(uid), self._replies.pop(uid)
        if handler.item is not None and content[0] != 4:
            assert content[1:9] == len(self.items.get(uid, ())).to_bytes(8, "big")
            content = content[:1] + content[9:]
        return self.value(handler, content, self._asked.pop(uid))

    def value(self, handler: Handler, content: bytes, what: bytes = b"") -> Value:
        """Return the value of a reply's content; raises `FaultError`."""
        match content[0], content[1:]:
            case 2, value:
                assert not handler.sensitive
                return unpack(value)
            case 3, sealed:
                assert handler.sensitive
                return self._unseal(str(handler), sealed, what)
            case 4, fault:
                match fields(fault, int, str, str):
                    case [int(code), str(name), str(text)]:
                        raise FaultError(code, name, text)
                    case _:
                        raise AssertionError
            case _:
                raise AssertionError(content[0])

    def _unseal(self, called: str, sealed: bytes, what: bytes) -> Value:
        match fields(sealed, int, str, bytes, bytes):
            case [int(epoch), str(name), bytes(salt), bytes(ciphertext)]:
                assert (epoch, name) == (self.epoch, called)
                found, value = open_result(self.ring_key, epoch, name, salt, ciphertext)
                assert found == what
                return unpack(value)
            case _:
                raise AssertionError

    def call(self, handler: str, *arguments: Value, deadline: int = 0) -> Value:
        """Call a handler and return its result."""
        return self.finish(self.start(handler, *arguments, deadline=deadline))
