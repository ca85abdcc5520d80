"""The record: everything that was ready for a link when it was sent; sealed headers, then the bodies as they are.

May import: `msgspec`, our messages. Invariant: a record's length is the sum of its parts to the byte, and each body
ends with the tag that its sealed header names; so a header cannot be put to another body.

    0            4                4+s             …
    | s, u32     | sealed items   | body 1 | body 2 | …
"""

from __future__ import annotations

from hmac import compare_digest
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import msgspec

from trollbridge.messages import aead
from trollbridge.messages.codec import Codec
from trollbridge.messages.envelope import Envelope
from trollbridge.messages.errors import Malformed, UsageError
from trollbridge.messages.ids import HandlerUID, MemberId, Microseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.messages.noise import Split

MOST_BODIES: Final = 48 * 1024
"""Bytes of bodies after which a sender starts the next record (one body may be longer)."""
UID_BYTES = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
Unsigned = Annotated[int, msgspec.Meta(ge=0)]


class Routed(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False, tag=1):
    """An envelope's header, for one hop.

    `route` belongs to this hop alone: the handler's address on the way to an enclave, the UID that replaces the used
    one on the way back to the client, else empty.
    """

    kind: Unsigned
    sender: str
    receiver: str
    uid: UID_BYTES
    sequence: Unsigned
    deadline: Unsigned
    route: bytes
    length: Unsigned
    tag: UID_BYTES


class Request(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """A member asks for a lease of UIDs for one handler."""

    handler: str


class Lease(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """The broker's answer: UIDs of 16 bytes each, one after the other; none if there is no grant.

    `member`: which replica they are good for; empty: the member that the handler's full name names.
    """

    handler: str
    uids: bytes
    member: str = ""


class Refusal(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """The broker did not carry the envelope with this UID. The same for every cause."""

    uid: UID_BYTES


class PublishedHandler(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A handler as the broker knows it: its method's name and the seed of its address ratchet."""

    name: str
    seed: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]

    def __repr__(self) -> str:
        """Show the name, not the seed."""
        return f"PublishedHandler({self.name!r})"


class Publish(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """An enclave publishes its handlers, once."""

    handlers: tuple[PublishedHandler, ...]


class Credit(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=6):
    """The broker has passed on this many PARTs that the member sent to `peer`."""

    peer: str
    parts: Unsigned


class Left(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=7):
    """The broker tells whoever serves a member, or calls a host, that it has left: nothing more comes from it.

    Who calls a host says it back: nothing more goes to it.
    """

    member: str


Item: TypeAlias = Routed | Request | Lease | Refusal | Publish | Credit | Left

_ITEMS: Final[Codec[tuple[Item, ...]]] = Codec(tuple[Item, ...])


def route(envelope: Envelope, via: bytes) -> Routed:
    """Return the header of `envelope` for one hop."""
    body = envelope.body
    return Routed(
        envelope.kind,
        envelope.sender,
        envelope.receiver,
        envelope.uid,
        envelope.sequence,
        envelope.deadline,
        via,
        len(body),
        body[-16:],
    )


def envelope_of(item: Routed, body: bytes) -> Envelope:
    """Return the envelope that a header and its body make."""
    return Envelope(
        item.kind,
        MemberId(item.sender),
        MemberId(item.receiver),
        HandlerUID(item.uid),
        item.sequence,
        Microseconds(item.deadline),
        body,
    )


class Link:
    """Both directions of the encrypted hop between one process and the broker. Founded by a finished handshake."""

    __slots__ = ("_in", "_out")

    def __init__(self, split: Split) -> None:
        """Take the keys of the handshake."""
        self._out: aead.CounterCipher | None = aead.CounterCipher(split.send_key)
        self._in: aead.CounterCipher | None = aead.CounterCipher(split.receive_key)

    def seal(self, items: Sequence[Item]) -> bytes:
        """Return the start of the next record; the bodies of its `Routed` items follow in their order."""
        if self._out is None:
            msg = "this link has ended"
            raise UsageError(msg)
        sealed = self._out.seal(_ITEMS.encode(tuple(items)))
        return len(sealed).to_bytes(4, "big") + sealed

    def open(self, record: memoryview) -> list[tuple[Item, bytes]]:
        """Return the items of the next record, each with its body (empty for all but `Routed`).

        Raises `AuthenticationFailed` for a forged, repeated or reordered record, `Malformed` for one that is not laid
        out as above.
        """
        end = 4 + int.from_bytes(record[:4], "big")
        if end > len(record) or self._in is None:
            raise Malformed
        items = _ITEMS.decode(self._in.open(record[4:end]))
        found: list[tuple[Item, bytes]] = []
        for item in items:
            body = b""
            if type(item) is Routed:
                start, end = end, end + item.length
                body = bytes(record[start:end])
                if len(body) != item.length or not compare_digest(body[-16:], item.tag):
                    raise Malformed
            found.append((item, body))
        if end != len(record):
            raise Malformed
        return found

    def drop(self) -> None:
        """Forget both keys; nothing can be sealed or opened any more."""
        self._out = self._in = None

    def __repr__(self) -> str:
        """Show no key."""
        return "<Link>"
