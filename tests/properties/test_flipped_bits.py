"""Any flipped bit of anything that is sealed is refused, and the true thing still opens afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.messages.sessions import CLIENT, ENCLAVE, UID, links, pair
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import AuthenticationFailed, Malformed, OutOfSequence, ProtocolError
from trollbridge.messages.ids import Epoch, HandlerUID, MemberId, Microseconds
from trollbridge.messages.noise import Split
from trollbridge.messages.record import Link, Refusal, Request, Routed, envelope_of, route
from trollbridge.messages.ring_key import SEALED, RingKey, asked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.messages.record import Item

CONTENTS = st.binary(max_size=400)
KEY: Final = bytes(range(32))


def flipped(data: bytes) -> Iterator[bytes]:
    """Yield `data` with each of its bits flipped in turn."""
    whole = int.from_bytes(data, "big")
    for bit in range(8 * len(data)):
        yield (whole ^ (1 << bit)).to_bytes(len(data), "big")


def flip(data: bytes, bit: int) -> bytes:
    """Return `data` with one bit flipped, counted around."""
    place, mask = divmod(bit % (8 * len(data)), 8)
    return data[:place] + bytes((data[place] ^ (1 << mask),)) + data[place + 1 :]


def test_every_bit_of_a_body() -> None:
    """A46, F4: all 1152 of them, and then the body itself."""
    client, enclave = pair()
    envelope = client.seal(Kind.CALL, UID, Microseconds(7), b"content")
    forgeries = list(flipped(envelope.body))
    assert len(forgeries) == 8 * 144
    for body in forgeries:
        with pytest.raises(AuthenticationFailed):
            enclave.open(msgspec.structs.replace(envelope, body=body))
    assert bytes(enclave.open(envelope)) == b"content"


HEADER_BITS: Final = {"kind": 8, "sequence": 64, "deadline": 64, "uid": 128}


@given(content=CONTENTS, field=st.sampled_from(sorted(HEADER_BITS)), bit=st.integers(0, 127), warm=st.integers(0, 3))
def test_every_bit_of_a_header(content: bytes, field: str, bit: int, warm: int) -> None:
    """A46, I2: a number of the header with one bit flipped, after some messages or none."""
    client, enclave = pair()
    for _ in range(warm):
        enclave.open(client.seal(Kind.PART, UID, Microseconds(0), b""))
    envelope = client.seal(Kind.CALL, UID, Microseconds(7), content)
    value = getattr(envelope, field)
    bit %= HEADER_BITS[field]
    changed = HandlerUID(flip(value, bit)) if field == "uid" else value ^ (1 << bit)
    with pytest.raises((AuthenticationFailed, OutOfSequence)):
        enclave.open(msgspec.structs.replace(envelope, **{field: changed}))
    assert bytes(enclave.open(envelope)) == content


@given(
    name=st.sampled_from(["sender", "receiver"]), other=st.text("abcdefghijklmnopqrstuvwxyz0123456789_", max_size=10)
)
def test_any_other_name_in_a_header(name: str, other: str) -> None:
    """A46, I2: of the sender and of the receiver."""
    client, enclave = pair()
    envelope = client.seal(Kind.CALL, UID, Microseconds(7), b"content")
    changed = msgspec.structs.replace(envelope, **{name: MemberId(other)})
    if changed != envelope:
        with pytest.raises(AuthenticationFailed):
            enclave.open(changed)
    assert bytes(enclave.open(envelope)) == b"content"


def fresh_links() -> tuple[Link, Link]:
    """Return both ends of a link with the same keys each time."""
    ours, theirs = bytes(range(32)), bytes(range(32, 64))
    return Link(Split(ours, theirs, b"")), Link(Split(theirs, ours, b""))


def test_every_bit_of_a_record() -> None:
    """A46, F4: the link refuses what it seals, the session what it does not: no bit is without an owner."""
    client, enclave = pair()
    envelope = client.seal(Kind.CALL, UID, Microseconds(7), b"content")
    items: list[Item] = [Request("vault.sign"), route(envelope, b""), Refusal(UID)]
    record = fresh_links()[0].seal(items) + envelope.body
    by_link = by_session = 0
    for forgery in flipped(record):
        try:
            found = fresh_links()[1].open(memoryview(forgery))
        except ProtocolError:
            by_link += 1
            continue
        [(item, body)] = [(item, body) for item, body in found if isinstance(item, Routed)]
        with pytest.raises(AuthenticationFailed):
            enclave.open(envelope_of(item, body))
        by_session += 1
    in_body_alone = len(envelope.body) - 16  # the tag at its end is in the sealed header too
    assert (by_session, by_link) == (8 * in_body_alone, 8 * (len(record) - in_body_alone))
    assert bytes(enclave.open(envelope)) == b"content"


@given(st.data())
def test_any_cut_or_splice_of_records(data: st.DataObject) -> None:
    """F9, F4: the head of one record before the tail of another, at any place."""
    member, broker = links()
    first, second = (bytes(member.seal([Request(name)])) for name in ("vault.sign", "vault.list"))
    head = data.draw(st.integers(0, len(first)), label="head")
    tail = data.draw(st.integers(0, len(second)), label="tail")
    spliced = first[:head] + second[tail:]
    if spliced == first:
        return
    with pytest.raises((AuthenticationFailed, Malformed)):
        broker.open(memoryview(spliced))


def test_every_bit_of_a_sealed_result() -> None:
    """A46, A41: in its encoded form, as an extension would hand it on: it does not decode, or does not open."""
    key = RingKey(KEY, Epoch(1))
    encoded = SEALED.encode(key.seal("vault.secret", b"value", asked(b"\x90")))
    refused = 0
    for forgery in flipped(encoded):
        try:
            sealed = SEALED.decode(forgery)
        except Malformed:
            refused += 1
            continue
        with pytest.raises(AuthenticationFailed):
            key.open(sealed)
        refused += 1
    assert (refused, key.open(SEALED.decode(encoded), asked(b"\x90"))) == (8 * len(encoded), b"value")


@given(content=CONTENTS, bits=st.sets(st.integers(0, 8 * 144 - 1), min_size=1, max_size=40))
def test_any_set_of_flipped_bits(content: bytes, bits: set[int]) -> None:
    """A46: not only one at a time."""
    client, enclave = pair()
    envelope = client.seal(Kind.CALL, UID, Microseconds(7), content)
    body = envelope.body
    for bit in bits:
        body = flip(body, bit)
    if body == envelope.body:  # two bits may have met in one place, counted around
        return
    with pytest.raises(AuthenticationFailed):
        enclave.open(msgspec.structs.replace(envelope, body=body))


def test_a_body_of_another_envelope_does_not_fit() -> None:
    """F3: each of twelve bodies under each other header."""
    client, enclave = pair()
    sent = [client.seal(Kind.CALL, UID, Microseconds(0), b"%d" % number) for number in range(12)]
    for one in sent:
        for other in sent:
            if one is not other:
                with pytest.raises((AuthenticationFailed, OutOfSequence)):
                    enclave.open(msgspec.structs.replace(one, body=other.body))
    assert [bytes(enclave.open(each)) for each in sent] == [b"%d" % number for number in range(12)]
    assert {(each.sender, each.receiver) for each in sent} == {(CLIENT, ENCLAVE)}
