"""Types that travel as values: described, realised and described again they are the same, and so are their values."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.messages.codec import BUILTIN, Codec, encode
from trollbridge.messages.errors import Malformed
from trollbridge.messages.signature import (
    Field,
    MapOf,
    OneOf,
    Scalar,
    SequenceOf,
    StructOf,
    TupleOf,
    TypeSpec,
    describe,
    realise,
    sentence,
)

NAMES: Final = st.sampled_from(["alpha", "beta", "gamma", "delta", "int_", "class_", "x1"])
SCALARS: Final = st.sampled_from(["bytes", "str", "int", "float", "bool", "none"]).map(Scalar)
SPEC: Final[Codec[TypeSpec]] = Codec(TypeSpec)


def _holding(inner: st.SearchStrategy[TypeSpec]) -> st.SearchStrategy[TypeSpec]:
    fields = st.dictionaries(NAMES, inner, max_size=3).map(
        lambda found: tuple(Field(name, kind) for name, kind in found.items())
    )
    return st.one_of(
        inner.map(SequenceOf),
        st.lists(inner, min_size=1, max_size=3).map(lambda items: TupleOf(tuple(items))),
        inner.map(MapOf),
        st.builds(StructOf, st.sampled_from(["Point", "Note", "Key"]), fields),
    )


def _optional(kinds: st.SearchStrategy[TypeSpec]) -> st.SearchStrategy[TypeSpec]:
    """Also `a | None` and unions of scalars: those that Python does not simplify and msgspec can tell apart."""
    few = st.lists(SCALARS, min_size=2, max_size=4, unique=True)
    unions = few.filter(lambda options: not {Scalar("str"), Scalar("bytes")} <= set(options)).map(
        lambda options: OneOf(tuple(options))
    )
    maybe = kinds.filter(lambda kind: kind != Scalar("none") and not isinstance(kind, OneOf)).map(
        lambda kind: OneOf((kind, Scalar("none")))
    )
    return st.one_of(kinds, unions, maybe)


SPECS: Final[st.SearchStrategy[TypeSpec]] = st.recursive(
    SCALARS, lambda inner: _holding(_optional(inner)), max_leaves=6
)


def value_of(spec: TypeSpec, data: st.DataObject) -> Any:  # noqa: ANN401  # of whatever type the spec says
    """Draw a plain value that fits `spec`."""
    match spec:
        case Scalar(name):
            return data.draw(
                {
                    "bytes": st.binary(max_size=20),
                    "str": st.text(max_size=20),
                    "int": st.integers(-(2**63), 2**64 - 1),
                    "float": st.floats(allow_nan=False),
                    "bool": st.booleans(),
                    "none": st.none(),
                }[name]
            )
        case SequenceOf(item):
            return [value_of(item, data) for _ in range(data.draw(st.integers(0, 3)))]
        case TupleOf(items):
            return [value_of(item, data) for item in items]
        case MapOf(kind):
            return {name: value_of(kind, data) for name in data.draw(st.sets(st.text(max_size=3), max_size=3))}
        case OneOf(options):
            return value_of(data.draw(st.sampled_from(options)), data)
        case StructOf(_, fields):
            return [value_of(field.kind, data) for field in fields]


def ordered(spec: TypeSpec) -> TypeSpec:
    """Return `spec` with its unions in one order: Python keeps equal types once, in the order of the first it met."""
    match spec:
        case Scalar():
            return spec
        case SequenceOf(item):
            return SequenceOf(ordered(item))
        case TupleOf(items):
            return TupleOf(tuple(map(ordered, items)))
        case MapOf(kind):
            return MapOf(ordered(kind))
        case OneOf(options):
            return OneOf(tuple(sorted(map(ordered, options), key=repr)))
        case StructOf(name, fields):
            return StructOf(name, tuple(Field(field.name, ordered(field.kind)) for field in fields))


@given(SPECS)
def test_a_type_that_travels_comes_back_as_itself(spec: TypeSpec) -> None:
    """A17, P4: as a value on the wire, as a type, as its description; its words are Python's."""
    assert SPEC.decode(SPEC.encode(spec)) == spec
    assert ordered(describe(realise(spec, {}))) == ordered(spec)
    assert sentence(spec)


@given(SPECS, st.data())
def test_a_value_of_a_type_has_one_encoding_there_and_back(spec: TypeSpec, data: st.DataObject) -> None:
    """A10, P4: what a client encodes by the manifest, the enclave decodes to the same value and the same bytes."""
    kind: Any = realise(spec, {})
    plain = value_of(spec, data)
    value = msgspec.convert(plain, kind, builtin_types=BUILTIN)
    encoded = encode(value)
    codec: Codec[Any] = Codec(kind)
    assert (codec.decode(encoded) == value, codec.encode(codec.decode(encoded))) == (True, encoded)


@given(SPECS, SPECS, st.data())
def test_a_value_of_another_type_is_refused_or_is_one_of_both(
    spec: TypeSpec, other: TypeSpec, data: st.DataObject
) -> None:
    """A10, P4: nothing is converted on the way."""
    encoded = encode(msgspec.convert(value_of(spec, data), realise(spec, {}), builtin_types=BUILTIN))
    codec: Codec[Any] = Codec(realise(other, {}))
    try:
        value = codec.decode(encoded)
    except Malformed:
        return
    assert codec.encode(value) == encoded


@given(st.binary(max_size=120))
def test_noise_describes_no_type_or_a_real_one(data: bytes) -> None:
    """P2, P5: whatever decodes as a description is realised, or is malformed; nothing else is raised."""
    try:
        spec = SPEC.decode(data)
        kind = realise(spec, {})
    except Malformed:
        return
    assert kind is not None


ODD: Final = st.sampled_from(["os", "", "a b", "__class__", "__init__", "None", "x" * 300, "é", "import", "a\0", "int"])


def _odd(inner: st.SearchStrategy[TypeSpec]) -> st.SearchStrategy[TypeSpec]:
    many = st.lists(inner, max_size=3).map(tuple)
    fields = st.lists(st.builds(Field, ODD, inner), max_size=3).map(tuple)
    return st.one_of(
        st.builds(OneOf, many), st.builds(TupleOf, many), st.builds(StructOf, ODD, fields), inner.map(SequenceOf)
    )


@given(st.recursive(SCALARS | ODD.map(Scalar), _odd, max_leaves=8))
def test_a_hostile_description_is_malformed_or_a_plain_type(spec: TypeSpec) -> None:
    """P5, P4: odd names, empty unions, unions of everything: never another exception than `Malformed`."""
    try:
        kind = realise(spec, {})
    except Malformed:
        return
    assert kind is not None
