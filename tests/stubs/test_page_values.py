"""Values on their way to a page and back: nothing is lost, and nothing else gets in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stubs.specs import KINDS, values
from trollbridge.messages.codec import BUILTIN
from trollbridge.messages.errors import InvalidArguments
from trollbridge.messages.signature import Field, MapOf, OneOf, Scalar, SequenceOf, StructOf, TupleOf, TypeSpec, realise
from trollbridge.ui_adapter.page_values import SAFE, give, take

if TYPE_CHECKING:
    from trollbridge.ui_adapter.page_values import Tree

RECORD = StructOf("Label", (Field("text", Scalar("str")), Field("mark", Scalar("bytes"))))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["bytes", "int", "float", "map", "record", "text"]), inner, max_size=2),
    ),
    max_leaves=8,
)


@given(st.data())
def test_every_value_of_every_type_survives_the_way_to_a_page_and_back(data: st.DataObject) -> None:
    """A18: through the JSON text itself; records come back as the tuples that a call takes."""
    kind = data.draw(KINDS)
    value = data.draw(values(kind))
    tree = msgspec.json.decode(msgspec.json.encode(give(value)))
    found: Any = msgspec.convert(take(kind, tree), realise(kind, {}), builtin_types=BUILTIN)
    assert msgspec.to_builtins(found, builtin_types=BUILTIN) == msgspec.to_builtins(value, builtin_types=BUILTIN)


@given(KINDS, JSON)
def test_whatever_a_page_sends_is_of_the_type_or_refused(kind: TypeSpec, tree: Tree) -> None:
    """P1, A56: what is taken fits the type strictly; what does not fit is one error, never another exception."""
    try:
        value = take(kind, tree)
    except InvalidArguments:
        return
    msgspec.convert(value, realise(kind, {}), builtin_types=BUILTIN)


@pytest.mark.parametrize(
    ("kind", "tree"),
    [
        (Scalar("bytes"), "AA=="),
        (Scalar("bytes"), {"bytes": "AB=="}),
        (Scalar("bytes"), {"bytes": "AA"}),
        (Scalar("bytes"), {"bytes": [0]}),
        (Scalar("bytes"), {"bytes": "AA==", "int": "0"}),
        (Scalar("int"), True),
        (Scalar("int"), 1.0),
        (Scalar("int"), {"int": "01"}),
        (Scalar("int"), {"int": "1" * 5000}),
        (Scalar("float"), {"float": "nan"}),
        (Scalar("float"), 10**400),
        (Scalar("bool"), 1),
        (Scalar("none"), 0),
        (Scalar("str"), None),
        (Scalar("eval"), "1"),
        (SequenceOf(Scalar("int")), {"map": []}),
        (TupleOf((Scalar("int"),)), [1, 2]),
        (MapOf(Scalar("int")), {"a": 1}),
        (MapOf(Scalar("int")), {"map": [["a", 1], ["a", 2]]}),
        (MapOf(Scalar("int")), {"map": [["a"]]}),
        (RECORD, {"record": {"text": "a"}}),
        (RECORD, {"record": {"text": "a", "mark": {"bytes": ""}, "more": None}}),
        (RECORD, ["a", {"bytes": ""}]),
        (OneOf((Scalar("none"), Scalar("int"))), "1"),
    ],
)  # fmt: skip
def test_what_is_of_another_type_is_refused(kind: TypeSpec, tree: Tree) -> None:
    """A11: there is one way to say each value, and no conversion."""
    with pytest.raises(InvalidArguments):
        take(kind, tree)


def test_numbers_that_a_page_cannot_hold_are_said_in_another_way() -> None:
    """2^53 - 1 is the last one that a page can tell from its neighbours; infinities and no number have words."""
    assert (give(SAFE), give(SAFE + 1), give(-SAFE)) == (SAFE, {"int": str(SAFE + 1)}, -SAFE)
    words: list[Tree] = [{"float": "NaN"}, {"float": "Infinity"}, {"float": "-Infinity"}]
    assert [give(each) for each in (math.nan, math.inf, -math.inf)] == words
    assert take(OneOf((Scalar("float"), Scalar("int"))), 5) == 5
    assert type(take(Scalar("float"), 5)) is float
