"""Canonical MessagePack: one encoding for each value, and nothing but `Malformed` for everything else."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from trollbridge.messages import payloads
from trollbridge.messages.codec import BUILTIN, Codec, encode
from trollbridge.messages.errors import Malformed
from trollbridge.messages.signature import TypeSpec, realise

if TYPE_CHECKING:
    from collections.abc import Callable


class Pair(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A struct as all of ours are."""

    name: str
    number: int


PAIR: Codec[Pair] = Codec(Pair)
ENCODED = b"\x92\xa2hi\x07"


def test_a_value_has_the_one_encoding() -> None:
    """P4: a fixed answer, and the way back."""
    assert PAIR.encode(Pair("hi", 7)) == encode(Pair("hi", 7)) == ENCODED
    assert [PAIR.decode(wrap(ENCODED)) for wrap in (bytes, bytearray, memoryview)] == [Pair("hi", 7)] * 3


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(ENCODED[:-1], id="truncated"),
        pytest.param(ENCODED + b"\xc0", id="trailing byte"),
        pytest.param(b"\x91\xa2hi", id="a field too few"),
        pytest.param(b"\x93\xa2hi\x07\xc0", id="a field too many"),
        pytest.param(b"\x82\xa4name\xa2hi\xa6number\x07", id="by names instead of by position"),
        pytest.param(b"\x92\xa2hi\xcc\x07", id="integer in two bytes that fits in one"),
        pytest.param(b"\x92\xa2hi\xcf" + bytes(7) + b"\x07", id="integer in nine bytes"),
        pytest.param(b"\x92\xa2hi\xd0\x07", id="signed form of a small integer"),
        pytest.param(b"\x92\xd9\x02hi\x07", id="text with a length byte that it does not need"),
        pytest.param(b"\xdc\x00\x02\xa2hi\x07", id="array with a length of two bytes"),
        pytest.param(b"\xdd\x00\x00\x00\x02\xa2hi\x07", id="array with a length of four bytes"),
        pytest.param(b"\x92\xc4\x02hi\x07", id="octets for text"),
        pytest.param(b"\x92\xa2hi\xa17", id="text for a number"),
        pytest.param(b"\x92\xa2hi\xcb" + struct.pack(">d", 7.0), id="floating point for an integer"),
        pytest.param(b"\x92\xa2hi\xc3", id="truth for a number"),
        pytest.param(b"\x92\xa2\xff\xfe\x07", id="text that is no UTF-8"),
        pytest.param(b"\x92\xa3\xed\xa0\x80\x07", id="a lone surrogate"),
        pytest.param(b"\xc1", id="the byte that MessagePack never uses"),
        pytest.param(b"\xd4\x01\x00", id="an extension type"),
    ],
)
def test_anything_but_the_one_encoding_is_malformed(data: bytes) -> None:
    """P4: the exact schema only, in the exact bytes only."""
    with pytest.raises(Malformed) as refusal:
        PAIR.decode(data)
    assert str(refusal.value) == "A message is not exactly what its type says."
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None  # the parser's words quote the data


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        pytest.param(dict[str, int], b"\x82\xa1a\x01\xa1a\x02", id="a key twice"),
        pytest.param(dict[str, int], b"\x82\xa1a\x01\xa1a\x01", id="a key twice with one value"),
        pytest.param(dict[str, int], b"\x81\x01\x01", id="a key that is no text"),
        pytest.param(float, b"\x07", id="an integer for floating point"),
        pytest.param(float, b"\xca" + struct.pack(">f", 1.5), id="floating point of half the width"),
        pytest.param(bytes, b"\xa2hi", id="text for octets"),
        pytest.param(bool, b"\x01", id="a number for a truth"),
        pytest.param(type(None), b"\xc2", id="no for nothing"),
        pytest.param(tuple[int, str], b"\x92\xa1a\x01", id="items exchanged"),
    ],
)
def test_a_second_way_to_say_it_is_malformed(kind: object, data: bytes) -> None:
    """P4: what a lenient parser would take."""
    with pytest.raises(Malformed):
        Codec[Any](kind).decode(data)


@pytest.mark.parametrize("kind", [tuple[int, ...], tuple[bytes, ...], dict[str, int], bytes, str, Pair])
@pytest.mark.parametrize("head", [b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9"])
def test_a_giant_length_costs_nothing(kind: object, head: bytes) -> None:
    """P3: four gigabytes are announced and none is allocated; `Malformed`, not `MemoryError`."""
    with pytest.raises(Malformed):
        Codec[Any](kind).decode(head + b"\xff\xff\xff\xff")


@pytest.mark.parametrize("depth", [100, 10_000, 1_000_000])
@pytest.mark.parametrize("head", [b"\x91", b"\x81\xa1a", b"\x92\xa2hi"])
def test_deep_nesting_is_malformed_and_nothing_worse(depth: int, head: bytes) -> None:
    """P3: the parser's recursion error does not escape."""
    for codec in (PAIR, Codec[Any](tuple[tuple[int, ...], ...]), Codec[Any](dict[str, dict[str, int]])):
        with pytest.raises(Malformed):
            codec.decode(head * depth)


def _result(welcome: bytes) -> TypeSpec:
    """Return the type that the one handler of a manifest says it returns."""
    found = payloads.decode(welcome)
    assert isinstance(found, payloads.Welcome)
    return found.handlers[0].result


@pytest.mark.parametrize("depth", [15, 200, 5_000, 200_000])
def test_a_type_that_holds_itself_is_decoded_to_no_great_depth(depth: int) -> None:
    """P3: descriptions of types nest; what nests too deep is malformed, there and in a manifest."""
    spec = b"\x92\x02" * depth + b"\x92\x01\xa3int"
    codec: Codec[Any] = Codec(TypeSpec)
    welcome = b"\x05\x92\x91\x98\xa1x\xc4\x10" + bytes(16) + b"\x90" + spec + b"\xc2\xc2\x01\xc0\x90"
    if depth == 15:
        assert codec.encode(codec.decode(spec)) == spec
        assert payloads.encode(payloads.decode(welcome)) == welcome
        return
    if depth > (1_000 if sys.version_info < (3, 12) else 100_000):  # how deep an interpreter lets its parsers go
        with pytest.raises(Malformed):
            codec.decode(spec)
        with pytest.raises(Malformed):
            payloads.decode(welcome)
    with pytest.raises(Malformed):
        realise(codec.decode(spec), {})
    with pytest.raises(Malformed):
        realise(_result(welcome), {})


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_octets_are_octets_and_never_text(wrap: Callable[[bytes], object]) -> None:
    """A10: what a handler takes as bytes comes as bytes, whatever kind of buffer the caller had."""
    assert encode(msgspec.convert(wrap(b"hi"), bytes, builtin_types=BUILTIN)) == b"\xc4\x02hi"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert("aGk=", bytes, builtin_types=BUILTIN)
