"""A second implementation of an enclave: it joins, publishes, welcomes, serves calls. No code of ours."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from cryptography.exceptions import InvalidTag

from tests.spec.keys import Handshake, asked, fingerprint, prologue, ratchet, sealed_result
from tests.spec.packing import NotCanonicalError, Value, fields, pack, unpack
from tests.spec.wire import (
    FIRST_CREDIT,
    HANDSHAKE,
    ITEM,
    LARGEST_CONTENT,
    LARGEST_RECORD,
    LONG,
    LONGEST_LAST,
    NO_UID,
    PART,
    PART_SIZE,
    PUBLISH,
    REFUSAL,
    REPLY,
    SESSION,
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


class FaultError(Exception):
    """What a handler raises to answer with a fault."""

    def __init__(self, code: int, name: str, text: str) -> None:
        """Take the fields of the fault."""
        super().__init__(text)
        self.payload = b"\x04" + pack([code, name, text])


class Function(Protocol):
    """What a handler does."""

    def __call__(self, *arguments: Value) -> Value:
        """Return the result."""


@dataclass(frozen=True)
class Export:
    """One handler: what it does, and the rest of its line in the manifest after name and code."""

    function: Function
    parameters: list[Value]
    result: Value
    sensitive: bool = False
    max_bytes: int = 1 << 20
    item: Value = None
    """Of a stream, the type of what it has; its function returns the list of it, and the result is nil."""


@dataclass
class Outgoing:
    """A reply on its way."""

    uid: bytes
    answers: int
    rest: bytes
    total: int
    kind: int = REPLY
    first: int | None = None


@dataclass
class Stream:
    """A stream, what it still has, and what of it was asked for."""

    answers: int
    items: list[Value]
    credit: int = FIRST_CREDIT
    given: int = 0


def _list(value: Value) -> list[Value]:
    assert isinstance(value, list)
    return value


class Enclave:
    """One enclave in one epoch, with the UI as its only client."""

    def __init__(self, end: socket.socket, member: str, epoch: int, exports: dict[str, Export]) -> None:
        """Take the end of the link, who this is, and what it exports."""
        self.end, self.member, self.epoch, self.exports = end, member, epoch, exports
        self.answered: list[str] = []
        self.refused = 0
        self._codes = {os.urandom(16): name for name in exports}
        self._addresses: dict[bytes, tuple[str, bytes]] = {}
        self._assembly: tuple[bytes, bytes] = NO_UID, b""
        self._first = 0
        self._window = WINDOW
        self._outgoing: list[Outgoing] = []
        self._streams: dict[bytes, Stream] = {}
        self.halted = 0
        self._items: list[Item] = []

    def join(self, token: bytes) -> None:
        """Found the link and publish."""
        names = (self.member, "enclave"), ("broker", "broker")
        handshake = Handshake(token, prologue(self.epoch, *names), initiator=True)
        self.end.send(handshake.write())
        handshake.read(self.end.recv(LARGEST_RECORD))
        self._link = Link(handshake)
        seeds = {name: os.urandom(32) for name in self.exports}
        for name, seed in seeds.items():
            self._expect(name, seed)
        self._send([PUBLISH, [[name, seed] for name, seed in seeds.items()]])

    def _expect(self, name: str, seed: bytes) -> None:
        seed, address = ratchet(seed)
        self._addresses[address] = name, seed

    def _send(self, *items: Item) -> None:
        self.end.send(self._link.seal(*items))

    def _next(self) -> Item:
        while not self._items:
            record = self.end.recv(LARGEST_RECORD)
            if not record:
                raise EOFError
            self._items = self._link.open(record)
        return self._items.pop(0)

    def _next_envelope(self, kind: int) -> Envelope:
        item = self._next()
        assert isinstance(item, Envelope)
        assert item.kind == kind
        return item

    def welcome(self, client: str, token: bytes) -> bytes:
        """Found the session with the UI, tell it the manifest, take the ring key; return its fingerprint."""
        first = self._next_envelope(HANDSHAKE)
        assert (first.sender, first.receiver, first.uid) == (client, self.member, NO_UID)
        names = (client, "ui"), (self.member, "enclave")
        handshake = Handshake(token, prologue(self.epoch, *names), initiator=False)
        handshake.read(first.body)
        answer = Envelope(HANDSHAKE, self.member, client, NO_UID, 0, 0, handshake.write())
        self._session = Session(handshake, self.epoch, self.member, client, client=False)
        self._send(answer, self._session.seal(SESSION, NO_UID, b"\x05" + pack([self._manifest(), ["another"]])))
        offer = self._session.open(self._next_envelope(SESSION))
        match offer[:1], fields(offer[1:], bytes):
            case b"\x06", [bytes(key)]:
                self._ring_key = key
            case _:
                raise AssertionError
        mark = fingerprint(self._ring_key, self.epoch)
        self._send(self._session.seal(SESSION, NO_UID, b"\x07" + pack([mark])))
        return mark

    def _manifest(self) -> list[Value]:
        entries: list[Value] = []
        for code, name in self._codes.items():
            export = self.exports[name]
            entries.append(
                [name, code, export.parameters, export.result, export.sensitive, False, export.max_bytes, export.item]
            )
        return entries

    def serve(self, last: str) -> None:
        """Answer calls until one of the handler `last` is answered."""
        while last not in self.answered or self._outgoing:
            match self._next():
                case Envelope(kind=5) as part:
                    uid, held = self._assembly
                    assert uid in {NO_UID, part.uid}
                    self._first = part.sequence if uid == NO_UID else self._first
                    self._assembly = part.uid, held + self._session.open(part)
                case Envelope(kind=3) as call:
                    self._call(call)
                case Envelope(kind=7) as steer:
                    self._steer(steer)
                case [6, str(), int(parts)]:
                    self._window += parts
                    self._drain()
                case other:
                    raise AssertionError(other)

    def _call(self, call: Envelope) -> None:
        try:
            name, seed = self._addresses.pop(call.route)
            self._expect(name, seed)
            content = self._session.open(call)
            if self._assembly[0] == call.uid:
                content, self._assembly = whole(self._assembly[1], self._first, content), (NO_UID, b"")
            if content[0] != 1 or self._codes[content[1:17]] != name:
                raise NotCanonicalError
        except (KeyError, InvalidTag, NotCanonicalError):
            self.refused += 1
            self._send([REFUSAL, call.uid])
            return
        if self.exports[name].item is not None:
            items = self.exports[name].function(*_list(unpack(content[17:])))
            self._streams[call.uid] = Stream(call.sequence, _list(items))
            self._flow(call.uid)
            return
        answer = self._answer(name, content[17:])
        self._outgoing.append(Outgoing(call.uid, call.sequence, answer, len(answer)))
        self.answered.append(name)
        self._drain()

    def _steer(self, steer: Envelope) -> None:
        content = self._session.open(steer)
        stream = self._streams.get(steer.uid)
        if stream is None:
            return
        assert steer.deadline == stream.answers
        match content[:1], fields(content[1:], *([int] if content[0] == 11 else [])):
            case b"\x0b", [int(items)]:
                assert items > 0
                stream.credit += items
                assert stream.credit <= FIRST_CREDIT
                self._flow(steer.uid)
            case b"\x0c", []:
                del self._streams[steer.uid]
                self.halted += 1
                self._put(steer.uid, stream.answers, FaultError(7, "", "cancelled").payload, REPLY)
            case other:
                raise AssertionError(other)

    def _flow(self, uid: bytes) -> None:
        stream = self._streams[uid]
        while stream.items and stream.credit:
            number = stream.given.to_bytes(8, "big")
            stream.credit, stream.given = stream.credit - 1, stream.given + 1
            self._put(uid, stream.answers, b"\x08" + number + pack(stream.items.pop(0)), ITEM)
        if not stream.items:
            del self._streams[uid]
            self._put(uid, stream.answers, b"\x02" + stream.given.to_bytes(8, "big") + pack(None), REPLY)

    def _put(self, uid: bytes, answers: int, content: bytes, kind: int) -> None:
        self._outgoing.append(Outgoing(uid, answers, content, len(content), kind))
        self._drain()

    def _answer(self, name: str, encoded: bytes) -> bytes:
        export = self.exports[name]
        try:
            arguments = unpack(encoded)
            assert isinstance(arguments, list)
            result = pack(export.function(*arguments))
        except FaultError as fault:
            return fault.payload
        if not export.sensitive:
            return b"\x02" + result
        salt, handler = os.urandom(32), f"{self.member}.{name}"
        ciphertext = sealed_result(self._ring_key, self.epoch, handler, salt, asked(encoded), result)
        return b"\x03" + pack([self.epoch, handler, salt, ciphertext])

    def _drain(self) -> None:
        while self._outgoing:
            first = self._outgoing[0]
            part = len(first.rest) > (LARGEST_CONTENT if first.first is None else LONGEST_LAST)
            if not self._window and (part or len(first.rest) > LONG // 2):  # half of it is never a long body
                return
            piece = first.rest[:PART_SIZE] if part else last_piece(first.rest, first.total, first.first)
            envelope = self._session.seal(PART if part else first.kind, first.uid, piece, first.answers)
            self._window -= envelope.long
            self._send(envelope)
            if part:
                first.first = envelope.sequence if first.first is None else first.first
                first.rest = first.rest[PART_SIZE:]
            else:
                self._outgoing.pop(0)
