"""Types of handlers and values of these types, for tests by properties."""

from __future__ import annotations

import keyword
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from trollbridge.messages.signature import (
    Field,
    MapOf,
    OneOf,
    Scalar,
    SequenceOf,
    StructOf,
    TupleOf,
    TypeSpec,
    realise,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

WORDS = (
    "bytes",
    "str",
    "new",
    "default",
    "Promise",
    "Map",
    "constructor",
    "valueOf",
    "_x",
    "größe",
    "match",
    "a",
    "b",
)
"""Identifiers of Python's, some of which mean more in a text of ours or in JavaScript."""
SCALARS = st.sampled_from([Scalar(name) for name in ("bytes", "str", "int", "float", "bool", "none")])
NAMES = st.sampled_from(WORDS)


def _nested(inner: SearchStrategy[TypeSpec]) -> SearchStrategy[TypeSpec]:
    fields = st.lists(st.builds(Field, NAMES, inner), max_size=3, unique_by=lambda each: each.name).map(tuple)
    return st.one_of(
        st.builds(SequenceOf, inner),
        st.builds(TupleOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(MapOf, inner),
        st.builds(StructOf, NAMES, fields),
        st.sampled_from([Scalar("bytes"), Scalar("str"), Scalar("int"), Scalar("float")]).map(
            lambda each: OneOf((Scalar("none"), each))
        ),
        st.just(OneOf((Scalar("float"), Scalar("int"), Scalar("bool")))),
    )


KINDS: SearchStrategy[TypeSpec] = st.recursive(SCALARS, _nested, max_leaves=6)
_OF_SCALAR: dict[str, SearchStrategy[Any]] = {
    "bytes": st.binary(max_size=40),
    "str": st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    "int": st.integers(-(2**63), 2**64 - 1),
    "float": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "none": st.none(),
}


def values(kind: TypeSpec) -> SearchStrategy[Any]:
    """Return values of a type; records are of a class that is made for them."""
    match kind:
        case Scalar(name):
            return _OF_SCALAR[name]
        case SequenceOf(item):
            return st.lists(values(item), max_size=3).map(tuple)
        case TupleOf(items):
            return st.tuples(*map(values, items))
        case MapOf(value):
            return st.dictionaries(_OF_SCALAR["str"] | st.just("__proto__"), values(value), max_size=3)
        case OneOf(options):
            return st.one_of(*map(values, options))
        case StructOf(_, fields):
            record: Any = realise(kind, {})
            return st.tuples(*(values(each.kind) for each in fields)).map(lambda held: record(*held))


def is_word(name: str) -> bool:
    """Return whether a name is one of Python's own words."""
    return keyword.iskeyword(name)
