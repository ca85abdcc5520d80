"""Records, items, envelopes and sessions, as SPEC sections 5 to 8 lay them out. No code of ours."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.spec.keys import Handshake, derive, direction, number, padded, step
from tests.spec.packing import NotCanonicalError, Value, pack, shaped, unpack

HANDSHAKE, SESSION, CALL, REPLY, PART, ITEM, STEER = 1, 2, 3, 4, 5, 6, 7
FIRST_CREDIT: Final = 32
ROUTED, REQUEST, LEASE, REFUSAL, PUBLISH, CREDIT, LEFT = 1, 2, 3, 4, 5, 6, 7
NO_UID: Final = bytes(16)
LARGEST_RECORD: Final = 196_608
LARGEST_CONTENT: Final = 130_560
PART_SIZE: Final = 129_004
LONG: Final = 16_384
LONGEST_LAST: Final = LARGEST_CONTENT - 17
WINDOW: Final = 16
WIDEST_GAP: Final = 4096
_SHAPES: Final[dict[int, tuple[type, ...]]] = {
    ROUTED: (int, int, str, str, bytes, int, int, bytes, int, bytes),
    REQUEST: (int, str),
    LEASE: (int, str, bytes, str),
    REFUSAL: (int, bytes),
    PUBLISH: (int, list),
    CREDIT: (int, str, int),
    LEFT: (int, str),
}


@dataclass(frozen=True)
class Envelope:
    """One envelope with the route of the hop that it is on."""

    kind: int
    sender: str
    receiver: str
    uid: bytes
    sequence: int
    deadline: int
    body: bytes
    route: bytes = b""

    def item(self) -> list[Value]:
        """Return the header as it stands in a record."""
        head: list[Value] = [ROUTED, self.kind, self.sender, self.receiver, self.uid, self.sequence, self.deadline]
        return [*head, self.route, len(self.body), self.body[-16:]]

    @property
    def long(self) -> bool:
        """Whether the body needs credit."""
        return self.kind == PART or (self.kind in {CALL, REPLY, ITEM} and len(self.body) > LONG)

    def associated(self, context: bytes) -> bytes:
        """Return the associated data of the body."""
        return context + struct.pack(">BQQ", self.kind, self.sequence, self.deadline) + self.uid


Item = Envelope | list[Value]


def _envelope(item: list[Value], body: bytes) -> Envelope:
    match item:
        case [
            1,
            int(kind),
            str(sender),
            str(receiver),
            bytes(uid),
            int(no),
            int(until),
            bytes(route),
            int(),
            bytes(tag),
        ]:
            if len(body) < 16 or body[-16:] != tag or len(uid) != 16:
                raise NotCanonicalError
            return Envelope(kind, sender, receiver, uid, no, until, body, route)
        case _:
            raise NotCanonicalError


def last_piece(piece: bytes, total: int, first: int | None) -> bytes:
    """Return what the last envelope of a content of `total` bytes holds, whose first PART had the sequence `first`."""
    return piece if first is None else b"\0" + number(total, 8) + number(first, 8) + piece


def whole(pieces: bytes, first: int, last: bytes) -> bytes:
    """Return the content of these pieces, the first under the sequence `first`, and of the last envelope's `last`."""
    if not pieces:
        return last
    content = pieces + last[17:]
    if last[:17] != b"\0" + number(len(content), 8) + number(first, 8):
        raise NotCanonicalError
    return content


class Link:
    """Both directions of a link, once its handshake is done."""

    def __init__(self, handshake: Handshake) -> None:
        """Take the finished handshake."""
        self._out, self._in = AESGCM(handshake.send_key), AESGCM(handshake.receive_key)
        self.sent = self.received = 0

    def seal(self, *items: Item) -> bytes:
        """Return the next record."""
        heads = pack([item.item() if isinstance(item, Envelope) else item for item in items])
        sealed = self._out.encrypt(number(self.sent, 12), heads, b"")
        self.sent += 1
        return number(len(sealed), 4) + sealed + b"".join(each.body for each in items if isinstance(each, Envelope))

    def open(self, record: bytes) -> list[Item]:
        """Return the items of the next record; raises `InvalidTag` or `NotCanonicalError`."""
        end = 4 + int.from_bytes(record[:4], "big")
        heads = unpack(self._in.decrypt(number(self.received, 12), record[4:end], b""))
        self.received += 1
        if not isinstance(heads, list):
            raise NotCanonicalError
        items: list[Item] = []
        for head in heads:
            if not isinstance(head, list) or not head or not isinstance(head[0], int):
                raise NotCanonicalError
            item = shaped(head, *_SHAPES[head[0]])
            if item[0] != ROUTED:
                items.append(item)
                continue
            length = item[8]
            assert isinstance(length, int)
            items.append(_envelope(item, record[end : end + length]))
            end += length
        if end != len(record):
            raise NotCanonicalError
        return items


class Session:
    """Both directions of a session between two members, once its handshake is done."""

    def __init__(self, handshake: Handshake, epoch: int, me: str, peer: str, *, client: bool) -> None:
        """Take the finished handshake; `client`: this side was the initiator."""
        self.me, self.peer = me, peer
        self.chain = derive("tb1 session", handshake.send_key)
        self._receive_chain = derive("tb1 session", handshake.receive_key)
        self._send_context = direction(epoch, me, peer, forward=client)
        self._receive_context = direction(epoch, peer, me, forward=not client)
        self.sent = self.received = 0

    def seal(self, kind: int, uid: bytes, content: bytes, deadline: int = 0, salt: bytes | None = None) -> Envelope:
        """Return the next envelope; a fixed salt only for the worked example."""
        assert len(content) <= LARGEST_CONTENT
        head = (os.urandom(16) if salt is None else salt) + number(len(content), 4)
        plaintext = (head + content).ljust(padded(20 + len(content)), b"\0")
        self.chain, key = step(self.chain)
        bare = Envelope(kind, self.me, self.peer, uid, self.sent, deadline, b"")
        self.sent += 1
        body = AESGCM(key).encrypt(bytes(12), plaintext, bare.associated(self._send_context))
        return Envelope(kind, self.me, self.peer, uid, bare.sequence, deadline, body)

    def pass_over(self, messages: int) -> None:
        """Use keys up without sending anything under them."""
        for _ in range(messages):
            self.chain, _unused = step(self.chain)
        self.sent += messages

    def open(self, envelope: Envelope) -> bytes:
        """Return the content; raises `InvalidTag` for a forgery."""
        assert (envelope.sender, envelope.receiver) == (self.peer, self.me)
        assert 0 <= envelope.sequence - self.received <= WIDEST_GAP
        chain = self._receive_chain
        for _ in range(envelope.sequence - self.received):
            chain, _unused = step(chain)
        chain, key = step(chain)
        plaintext = AESGCM(key).decrypt(bytes(12), envelope.body, envelope.associated(self._receive_context))
        self._receive_chain, self.received = chain, envelope.sequence + 1
        end = 20 + int.from_bytes(plaintext[16:20], "big")
        assert len(plaintext) == padded(end)
        assert not any(plaintext[end:])
        return plaintext[20:end]
