"""Whatever a decoder accepts re-encodes to the same bytes, and nothing but `Malformed` comes out of one otherwise."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.actors.keeper import Keeper, Note
from tests.messages import test_control, test_payloads, test_record
from tests.properties.loose_packing import Pairs, Tree, packed, unpacked
from trollbridge.actors.handlers import exported
from trollbridge.messages import control, payloads, record
from trollbridge.messages.codec import Codec, encode
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import Epoch
from trollbridge.messages.ring_key import SEALED, RingKey

KEEPER: Final = exported(Keeper)
CODECS: Final[dict[str, tuple[Codec[Any], tuple[object, ...]]]] = {
    "to a child": (control.TO_CHILD, test_control.TO),
    "from a child": (control.FROM_CHILD, test_control.FROM),
    "items of a record": (record._ITEMS, (test_record.EVERY, ())),
    "sealed result": (SEALED, (RingKey(bytes(32), Epoch(1)).seal("vault.secret", b"v", bytes(32)),)),
    "fault": (payloads._FAULT, (payloads.Fault(2, "a", "b"),)),
    "welcome": (payloads._WELCOME, (test_payloads.EVERY[4],)),
    "offer": (payloads._OFFER, (payloads.RingKeyOffer(bytes(32)),)),
    "accepted": (payloads._ACCEPTED, (payloads.RingKeyAccepted(b"12345678"),)),
    "arguments of echo": (KEEPER["echo"].arguments, ((b"hi",),)),
    "arguments of add": (KEEPER["add"].arguments, ((1, 300),)),
    "arguments of note": (KEEPER["note"].arguments, ((Note("a", None),),)),
    "a map": (Codec(dict[str, tuple[int, ...]]), ({"a": (1, 2), "b": ()},)),
    "a float": (Codec(tuple[float | None, ...]), ((1.5, None, -0.0, float("inf")),)),
}
VALID: Final = [(codec, codec.encode(value)) for codec, values in CODECS.values() for value in values]
EVERY: Final = st.sampled_from([codec for codec, _ in CODECS.values()])


def accepted(codec: Codec[Any], data: bytes) -> bool:
    """Return whether `data` is decoded; assert that it then re-encodes to itself, and that nothing else is raised."""
    try:
        value = codec.decode(data)
    except Malformed:
        return False
    assert codec.encode(value) == data
    return True


def payload_accepted(content: bytes) -> bool:
    """Do the same for the union of payloads."""
    try:
        value = payloads.decode(content)
    except Malformed:
        return False
    assert payloads.encode(value) == content
    return True


def test_the_corpus_is_whole() -> None:
    """P4: every codec of the program, and every valid value is accepted."""
    assert len(VALID) >= 24
    assert [codec for codec, data in VALID if not accepted(codec, data)] == []


@given(codec=EVERY, data=st.binary(max_size=200))
@example(codec=SEALED, data=b"\x94" * 1_000)
@example(codec=control.TO_CHILD, data=b"\x91" * 100_000)
@example(codec=KEEPER["note"].arguments, data=b"\x81\xa1a" * 50_000)
def test_any_bytes(codec: Codec[Any], data: bytes) -> None:
    """P2, P3: noise and deep nesting."""
    accepted(codec, data)


@given(data=st.binary(max_size=200))
def test_any_bytes_as_a_payload(data: bytes) -> None:
    """P2: through the union's own door."""
    payload_accepted(data)
    for kind in range(9):
        payload_accepted(bytes((kind,)) + data)


@given(st.data())
def test_a_valid_encoding_with_a_few_bytes_changed(data: st.DataObject) -> None:
    """P2, P4: flipped, inserted, left out, doubled."""
    codec, valid = data.draw(st.sampled_from(VALID))
    mutated = bytearray(valid)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(mutated)))
        match data.draw(st.sampled_from(["set", "insert", "drop", "double"])):
            case "set" if place < len(mutated):
                mutated[place] = data.draw(st.integers(0, 255))
            case "insert":
                mutated[place:place] = data.draw(st.binary(min_size=1, max_size=4))
            case "drop":
                del mutated[place : place + data.draw(st.integers(1, 4))]
            case _:
                mutated[place:place] = mutated[place : place + data.draw(st.integers(1, 8))]
    assert accepted(codec, bytes(mutated)) or bytes(mutated) != valid


@given(st.data())
def test_the_same_value_in_another_form(data: st.DataObject) -> None:
    """P4: wider integers, longer lengths: whatever is not the one encoding is malformed."""
    codec, valid = data.draw(st.sampled_from(VALID))
    written = packed(unpacked(valid), lambda ways: data.draw(st.integers(0, ways - 1)))
    assert accepted(codec, written) is (written == valid)


def _changed(tree: Tree, data: st.DataObject) -> Tree:
    match tree:
        case Pairs(pairs) if pairs:
            return Pairs((*pairs, data.draw(st.sampled_from(pairs))))
        case list():
            items = list(tree)
            place = data.draw(st.integers(0, len(items)))
            match data.draw(st.sampled_from(["inside", "more", "less", "other"])):
                case "inside" if place < len(items):
                    items[place] = _changed(items[place], data)
                case "more":
                    items.insert(place, data.draw(st.sampled_from([None, 0, "x", b"x", [], Pairs(())])))
                case "less":
                    del items[place : place + 1]
                case _ if place < len(items):
                    items[place] = data.draw(st.sampled_from([None, -1, 1.0, "x", b"x", [], True, 2**64 - 1]))
                case _:
                    pass
            return items
        case _:
            return tree


@given(st.data())
def test_a_valid_shape_with_fields_more_or_less_or_other(data: st.DataObject) -> None:
    """P4: unknown, missing, duplicate fields and keys, in their canonical form; what is taken is the same again."""
    codec, valid = data.draw(st.sampled_from(VALID))
    accepted(codec, packed(_changed(unpacked(valid), data), lambda _ways: 0))


def test_a_key_that_stands_twice_is_never_taken() -> None:
    """P4: in the only place where maps may be sent, whatever the values."""
    codec: Codec[Any] = Codec(dict[str, tuple[int, ...]])
    values: list[tuple[list[Tree], list[Tree]]] = [([], []), ([1], [2]), ([], [1])]
    for first, second in values:
        twice = Pairs((("a", first), ("a", second)))
        with pytest.raises(Malformed):
            codec.decode(packed(twice, lambda _ways: 0))


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=4) | st.binary(max_size=4)


def _holding(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=3)


@given(st.recursive(SCALARS, _holding, max_leaves=12))
def test_any_value_of_the_format(value: object) -> None:
    """P4: well-formed MessagePack that means something else."""
    data = encode(value)
    for codec, _ in CODECS.values():
        accepted(codec, data)
