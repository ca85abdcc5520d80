"""The second implementation's own encoding: it agrees with the shipped one, and refuses what SPEC section 3 refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spec.packing import NotCanonicalError, Value, fields, pack, unpack
from trollbridge.messages.codec import encode

SCALARS: st.SearchStrategy[Value] = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.floats(allow_nan=False), st.text(), st.binary()
)


def _nested(inner: st.SearchStrategy[Value]) -> st.SearchStrategy[Value]:
    return st.one_of(st.lists(inner), st.dictionaries(st.text(), inner))


VALUES = st.recursive(SCALARS, _nested)


@given(VALUES)
def test_both_encodings_are_one(value: Value) -> None:
    """P4: every value has the same bytes, and they decode to it."""
    assert pack(value) == encode(value)
    assert unpack(pack(value)) == value


@pytest.mark.parametrize("size", [31, 32, 255, 256, 65_535, 65_536])
def test_headers_change_where_the_shipped_ones_do(size: int) -> None:
    """P4: text, bytes, arrays and maps at the edges of their headers."""
    nothing: list[Value] = [None]
    values: list[Value] = ["a" * size, bytes(size), nothing * size, {str(number): None for number in range(size)}]
    for value in values:
        assert pack(value) == encode(value)
        assert unpack(pack(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        *("", "cc01", "cd0001", "d0ff", "ce00000001", "d1ff80", "cf0000000000000001"),
        *("d90161", "da000161", "c50000", "dc000100", "de0000", "a1ff", "a3eda080"),
        *("ca00000000", "c1", "c7", "d40000", "d6ff00000000", "9100ff", "92c0", "a261"),
        *("8101c0", "82a161c0a161c0", "81c0c0", "c0c0"),
    ],
)
def test_another_form_is_refused(data: str) -> None:
    """P4: longer than needed, cut short, trailing, doubled keys, keys that are no text, extensions, halves of text."""
    with pytest.raises(NotCanonicalError):
        unpack(bytes.fromhex(data))


def test_a_record_has_exactly_its_fields() -> None:
    """P4: number and types; true is no integer."""
    assert fields(pack([1, "a"]), int, str) == [1, "a"]
    for wrong in ([1], [1, "a", None], ["a", 1], [True, "a"], {"a": 1}):
        with pytest.raises(NotCanonicalError):
            fields(encode(wrong), int, str)


@pytest.mark.parametrize("value", [1 << 64, -(1 << 63) - 1])
def test_an_integer_out_of_range_has_no_encoding(value: int) -> None:
    """P4: neither has the shipped one."""
    with pytest.raises(NotCanonicalError):
        pack(value)
    with pytest.raises(OverflowError):
        encode(value)
