"""Records and links: headers sealed, counted and bound to their bodies; anything else opens nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_args

import pytest

from tests.messages.sessions import CLIENT, ENCLAVE, UID, links, pair
from trollbridge.messages.codec import Codec
from trollbridge.messages.envelope import Envelope, Kind
from trollbridge.messages.errors import AuthenticationFailed, Malformed
from trollbridge.messages.ids import Microseconds
from trollbridge.messages.record import (
    Credit,
    Item,
    Lease,
    Left,
    Publish,
    PublishedHandler,
    Refusal,
    Request,
    Routed,
    envelope_of,
    route,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BODY: Final = bytes(range(100, 164))
ENVELOPE: Final = Envelope(Kind.CALL, CLIENT, ENCLAVE, UID, 3, Microseconds(5), BODY)
ROUTED: Final = route(ENVELOPE, b"")
EVERY: Final[tuple[Item, ...]] = (
    ROUTED,
    Request("vault.sign"),
    Lease("vault.sign", UID * 2, "vault_2"),
    Refusal(UID),
    Publish((PublishedHandler("sign", bytes(32)),)),
    Credit("vault", 2),
    Left("plugin"),
)
ITEMS: Final[Codec[tuple[Item, ...]]] = Codec(tuple[Item, ...])


def record(*found: tuple[Item, bytes]) -> bytes:
    """Seal one record on a fresh link."""
    return links()[0].seal([item for item, _ in found]) + b"".join(body for _, body in found)


def test_every_item_of_the_union_is_looked_at() -> None:
    """A11: the corpus of these tests is whole, and each keeps its number."""
    assert tuple(type(each) for each in EVERY) == get_args(Item)
    assert [ITEMS.encode((each,))[2] for each in EVERY] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("items", [(), *[(each,) for each in EVERY], EVERY], ids=len)
def test_a_record_arrives_as_it_was(items: tuple[Item, ...]) -> None:
    """A53: every item, with its body beside it, in its order."""
    member, broker = links()
    sent = [(item, BODY if type(item) is Routed else b"") for item in items]
    for _ in range(3):
        packet = member.seal(items) + b"".join(body for _, body in sent)
        assert broker.open(memoryview(packet)) == sent
        assert member.open(memoryview(broker.seal(items) + b"".join(body for _, body in sent))) == sent


def test_a_header_and_a_body_make_the_same_envelope_at_every_hop() -> None:
    """A53: whatever the route of the hop is, nothing but the route differs."""
    assert envelope_of(ROUTED, BODY) == ENVELOPE
    assert envelope_of(route(ENVELOPE, b"a" * 16), BODY) == ENVELOPE
    assert (ROUTED.length, ROUTED.tag, ROUTED.route) == (64, BODY[-16:], b"")


def test_a_repeated_reordered_or_reflected_record_is_refused() -> None:
    """F1, F9: each record opens once, in its turn, at the other end only."""
    member, broker = links()
    first, second = (memoryview(member.seal([each])) for each in EVERY[1:3])
    with pytest.raises(AuthenticationFailed):
        broker.open(second)
    with pytest.raises(AuthenticationFailed):
        member.open(first)
    assert broker.open(first) == [(EVERY[1], b"")]
    with pytest.raises(AuthenticationFailed):
        broker.open(first)
    assert broker.open(second) == [(EVERY[2], b"")]


def test_a_record_of_another_link_is_refused() -> None:
    """F1: two links, two keys."""
    packet = memoryview(links()[0].seal([EVERY[1]]))
    with pytest.raises(AuthenticationFailed):
        links()[1].open(packet)


CHANGES: Final[dict[str, Callable[[bytes], bytes]]] = {
    "body cut short": lambda packet: packet[:-1],
    "a byte more": lambda packet: packet + b"\0",
    "no body": lambda packet: packet[:-64],
    "two bodies for one header": lambda packet: packet + BODY,
    "another tag": lambda packet: packet[:-64] + packet[-32:] + packet[-64:-32],
    "another body": lambda packet: packet[:-64] + bytes(64),
    "cut inside the body": lambda packet: packet[:-48],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_body_that_its_header_does_not_name_is_malformed(change: Callable[[bytes], bytes]) -> None:
    """F3, F4: length and tag of each body are sealed in its header."""
    member, broker = links()
    packet = member.seal([ROUTED]) + BODY
    with pytest.raises(Malformed):
        broker.open(memoryview(change(packet)))


def test_two_bodies_cannot_be_exchanged() -> None:
    """F3: each stands behind its own header."""
    member, broker = links()
    other = BODY[::-1]
    packet = member.seal([ROUTED, route(Envelope(3, CLIENT, ENCLAVE, UID, 4, Microseconds(0), other), b"")])
    with pytest.raises(Malformed):
        broker.open(memoryview(packet + other + BODY))


@pytest.mark.parametrize("packet", [b"", b"\0", b"\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x10" + bytes(15)])
def test_a_length_that_is_not_there_is_malformed(packet: bytes) -> None:
    """P2, P3: before any key is used."""
    with pytest.raises(Malformed):
        links()[1].open(memoryview(packet))


def test_a_length_that_a_header_claims_costs_nothing() -> None:
    """P3: four exabytes are announced and none is allocated."""
    member, broker = links()
    giant = Routed(3, CLIENT, ENCLAVE, UID, 0, 0, b"", 2**62, BODY[-16:])
    with pytest.raises(Malformed):
        broker.open(memoryview(member.seal([giant]) + BODY))


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(Routed(-1, "a", "b", UID, 0, 0, b"", 64, bytes(16)), id="negative kind"),
        pytest.param(Routed(3, "a", "b", UID, -1, 0, b"", 64, bytes(16)), id="negative sequence"),
        pytest.param(Routed(3, "a", "b", UID, 0, -1, b"", 64, bytes(16)), id="negative deadline"),
        pytest.param(Routed(3, "a", "b", UID, 0, 0, b"", -64, bytes(16)), id="negative length"),
        pytest.param(Routed(3, "a", "b", UID[1:], 0, 0, b"", 64, bytes(16)), id="short UID"),
        pytest.param(Routed(3, "a", "b", UID, 0, 0, b"", 64, bytes(15)), id="short tag"),
        pytest.param(Refusal(UID + b"\0"), id="long UID"),
        pytest.param(Credit("a", -1), id="negative credit"),
        pytest.param(Publish((PublishedHandler("sign", bytes(31)),)), id="short seed"),
    ],
)
def test_a_value_out_of_its_range_is_malformed(item: Item) -> None:
    """P4: though it was sealed by the peer."""
    member, broker = links()
    with pytest.raises(Malformed):
        broker.open(memoryview(member.seal([item]) + BODY))


def test_no_repr_shows_a_key_or_a_seed() -> None:
    """I6: of the link and of what an enclave publishes."""
    assert [repr(each) for each in (links()[0], PublishedHandler("sign", b"s" * 32))] == [
        "<Link>",
        "PublishedHandler('sign')",
    ]
    assert "ssss" not in repr(Publish((PublishedHandler("sign", b"s" * 32),)))


def test_a_sealed_envelope_crosses_a_link_and_opens_at_the_far_end() -> None:
    """A54, A53: the link seals the header, the session the body, and neither needs the other's key."""
    client, enclave = pair()
    member, broker = links()
    envelope = client.seal(Kind.CALL, UID, Microseconds(0), b"content")
    [(item, body)] = broker.open(memoryview(member.seal([route(envelope, b"")]) + envelope.body))
    assert type(item) is Routed
    assert bytes(enclave.open(envelope_of(item, body))) == b"content"
