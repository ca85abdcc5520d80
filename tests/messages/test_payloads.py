"""Payloads: a closed union, one leading byte each, there and back exactly or not at all."""

from __future__ import annotations

from typing import Final, get_args

import pytest

from trollbridge.messages import payloads
from trollbridge.messages.codec import encode as packed
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import SessionCode
from trollbridge.messages.payloads import (
    Call,
    Fault,
    Halt,
    HandlerEntry,
    Parameter,
    Payload,
    Progress,
    Pull,
    Result,
    RingKeyAccepted,
    RingKeyOffer,
    SealedItem,
    SealedResult,
    StreamItem,
    StreamProgress,
    Welcome,
    decode,
    encode,
)
from trollbridge.messages.signature import Scalar, SequenceOf

CODE: Final = SessionCode(bytes(range(16)))
ENTRY: Final = HandlerEntry(
    "sign", CODE, (Parameter("document", Scalar("bytes"), None), Parameter("mode", Scalar("str"), b"\xa1x")),
    SequenceOf(Scalar("int")), sensitive=True, idempotent=False, max_bytes=1024,
)  # fmt: skip
EVERY: Final[tuple[Payload, ...]] = (
    Call(CODE, b"\x91\x01"),
    Result(b"\x01"),
    SealedResult(b"sealed"),
    Fault(2, "", "no"),
    Welcome((ENTRY,), ("die",)),
    RingKeyOffer(b"k" * 32),
    RingKeyAccepted(b"12345678"),
    StreamItem(3, b"\x01"),
    SealedItem(2**64 - 1, b"sealed"),
    StreamProgress(0, Progress(1, 2, "half")),
    Pull(16),
    Halt(),
)


def test_every_payload_of_the_union_is_looked_at() -> None:
    """A11: the corpus of these tests is whole, in the order of the table."""
    assert tuple(type(each) for each in EVERY) == get_args(Payload)


@pytest.mark.parametrize("payload", EVERY, ids=lambda payload: type(payload).__name__)
def test_a_payload_arrives_as_it_was(payload: Payload) -> None:
    """P4: from bytes, from a bytearray and from a view of a longer buffer."""
    data = encode(payload)
    assert data[0] == EVERY.index(payload) + 1
    window = memoryview(b"before" + data + b"after")[6 : 6 + len(data)]
    assert [decode(each) for each in (data, bytearray(data), window)] == [payload] * 3


@pytest.mark.parametrize("payload", EVERY, ids=lambda payload: type(payload).__name__)
def test_a_payload_is_frozen_and_owns_its_bytes(payload: Payload) -> None:
    """A53: neither a field nor the buffer that it came in changes it later."""
    buffer = bytearray(encode(payload))
    arrived = decode(buffer)
    buffer[:] = bytes(len(buffer))
    assert arrived == payload
    with pytest.raises(AttributeError):
        setattr(arrived, (*type(payload).__struct_fields__, "more")[0], None)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00", id="kind 0"),
        pytest.param(b"\x0d" + bytes(32), id="kind 13"),
        pytest.param(b"\x08" + bytes(7), id="an item with a short number"),
        pytest.param(b"\x09" + bytes(7), id="a sealed item with a short number"),
        pytest.param(b"\x0a" + bytes(8) + packed([-1, 2, ""]), id="progress below nothing"),
        pytest.param(b"\x0a" + bytes(8) + packed([1, 2]), id="progress without a note"),
        pytest.param(b"\x0a" + packed([1, 2, ""]), id="progress without a number"),
        pytest.param(b"\x0b" + packed([0]), id="a pull of nothing"),
        pytest.param(b"\x0b" + packed([-1]), id="a pull of less"),
        pytest.param(b"\x0b" + packed([2**64 - 1]) + b"\0", id="a pull and a byte"),
        pytest.param(b"\x0c", id="a halt without a body"),
        pytest.param(b"\x0c" + packed([1]), id="a halt that says more"),
        pytest.param(b"\xff", id="kind 255"),
        pytest.param(b"\x01", id="call of nothing"),
        pytest.param(b"\x01" + bytes(15), id="call with a short code"),
        pytest.param(b"\x04", id="fault without a body"),
        pytest.param(b"\x04" + packed([2, ""]), id="fault without a text"),
        pytest.param(b"\x04" + packed([2, "", "", ""]), id="fault with a field more"),
        pytest.param(b"\x04" + packed({"code": 2, "name": "", "text": ""}), id="fault by names"),
        pytest.param(b"\x04" + packed(["2", "", ""]), id="fault with a code in words"),
        pytest.param(b"\x04\x93\xcc\x02\xa0\xa2no", id="fault with a code in two bytes"),
        pytest.param(b"\x05" + packed([[], [], []]), id="welcome with a field more"),
        pytest.param(b"\x05" + packed([[["sign", bytes(15), [], [1, "int"], False, False, 1]], []]), id="short code"),
        pytest.param(b"\x05" + packed([[["sign", CODE, [], [9, "int"], False, False, 1]], []]), id="unknown type tag"),
        pytest.param(b"\x05" + packed([[["sign", CODE, [], [1, "int"], 0, False, 1]], []]), id="number for truth"),
        pytest.param(b"\x06" + packed([bytes(31)]), id="ring key of 31 bytes"),
        pytest.param(b"\x06" + packed([bytes(33)]), id="ring key of 33 bytes"),
        pytest.param(b"\x06" + bytes(32), id="ring key without its frame"),
        pytest.param(b"\x07" + packed([]), id="accepted without a fingerprint"),
        pytest.param(b"\x07" + packed([bytes(8)]) + b"\0", id="trailing byte"),
    ],
)
def test_what_encode_does_not_make_is_malformed(data: bytes) -> None:
    """P4, A10: unknown kinds, missing, extra and mistyped fields."""
    with pytest.raises(Malformed):
        decode(data)


def test_no_payload_that_carries_a_key_shows_it() -> None:
    """I6: the ring key offer has a quiet repr."""
    assert repr(RingKeyOffer(b"k" * 32)) == "RingKeyOffer(…)"


def test_the_size_of_a_code_is_that_of_its_type() -> None:
    """A5: 128 bits."""
    assert payloads.CODE_SIZE * 8 == 128
