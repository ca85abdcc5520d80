"""Types as values: what a handler's annotations become, and that nothing a peer sends becomes anything else."""

from __future__ import annotations

import sys
from typing import Any, Final, Optional

import msgspec
import pytest

from trollbridge.messages.codec import Codec
from trollbridge.messages.errors import DeclarationError, Malformed
from trollbridge.messages.signature import (
    DEEPEST,
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


class Point(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record type that may be sent."""

    x: int
    y: float | None


class Line(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One that holds others."""

    ends: tuple[Point, Point]


class Loose(msgspec.Struct):
    """Not frozen, by names, taking unknown fields."""

    x: int


class Tagged(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """Tagged, which is for the unions of the protocol itself."""

    x: int


class Endless(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Holds itself."""

    inner: Endless | None


class Reserved(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One with a field that Python's classes have a use for."""

    __doc__: str


INT: Final = Scalar("int")
UNREADABLE: Final = ("\N{LATIN SMALL LIGATURE FI}", "\N{MATHEMATICAL BOLD SMALL I}f")
NO_NAMES: Final = ("__slots__", "__annotations__", "__weakref__", "__dict__", "__post_init__", "__proto__", *UNREADABLE)
"""What Python's classes give a meaning to, and what its parser would make another name of."""
POINT: Final = StructOf("Point", (Field("x", INT), Field("y", OneOf((Scalar("float"), Scalar("none"))))))
CASES: Final[list[tuple[object, TypeSpec, str]]] = [
    (bytes, Scalar("bytes"), "bytes"),
    (str, Scalar("str"), "str"),
    (int, INT, "int"),
    (float, Scalar("float"), "float"),
    (bool, Scalar("bool"), "bool"),
    (None, Scalar("none"), "None"),
    (type(None), Scalar("none"), "None"),
    (tuple[int, ...], SequenceOf(INT), "tuple[int, ...]"),
    (tuple[int, str], TupleOf((INT, Scalar("str"))), "tuple[int, str]"),
    (dict[str, bytes], MapOf(Scalar("bytes")), "dict[str, bytes]"),
    (str | None, OneOf((Scalar("str"), Scalar("none"))), "str | None"),
    (Optional[int], OneOf((INT, Scalar("none"))), "int | None"),  # noqa: UP045  # the older way to say it
    (Point, POINT, "Point"),
    (tuple[dict[str, Point], ...], SequenceOf(MapOf(POINT)), "tuple[dict[str, Point], ...]"),
    (Line, StructOf("Line", (Field("ends", TupleOf((POINT, POINT))),)), "Line"),
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "spec", "words"), CASES, ids=[words for _, _, words in CASES])
def test_an_annotation_becomes_a_value_and_a_type_again(annotation: object, spec: TypeSpec, words: str) -> None:
    """A17: described, realised with the same vocabulary, described again: the same; and as Python writes it."""
    assert describe(annotation) == spec
    assert sentence(spec) == words
    realised = realise(spec, {"Point": Point, "Line": Line})
    assert describe(realised) == spec
    assert realised == (type(None) if annotation is None else annotation)


@pytest.mark.parametrize(
    "annotation",
    [
        *(object, Any, type, callable, complex, set[int], list[int], bytearray, memoryview),
        *(dict[int, str], dict, tuple, tuple[()], Loose, Tagged, Endless, Reserved, "int", 7, ...),
        *(tuple[object, ...], str | list[int], BaseException, sys),
    ],
    ids=repr,
)
def test_a_type_that_cannot_be_sent_is_refused_where_it_is_declared(annotation: object) -> None:
    """A10, A57: functions, classes, modules, mutable containers and anything open: not in an annotation either."""
    with pytest.raises(DeclarationError):
        describe(annotation)


def nested(depth: int) -> TypeSpec:
    """Return a type of so many levels."""
    spec: TypeSpec = INT
    for _ in range(depth):
        spec = SequenceOf(spec)
    return spec


def test_nesting_ends_somewhere() -> None:
    """P3: sixteen levels are realised, seventeen are malformed, in the annotation as on the wire."""
    assert describe(realise(nested(DEEPEST), {})) == nested(DEEPEST)
    with pytest.raises(Malformed):
        realise(nested(DEEPEST + 1), {})
    deep: Any = int
    for _ in range(DEEPEST + 1):
        deep = tuple[deep, ...]
    with pytest.raises(DeclarationError):
        describe(deep)


def test_a_spec_that_describes_no_type_is_malformed() -> None:
    """P5: an unknown scalar, a name that is no name, two fields of one name, a name that no class could be made with.

    One of `__slots__`, `__annotations__` and `__weakref__` would end the UI that takes the manifest by another error.
    """
    wrong: list[TypeSpec] = [
        *(Scalar("object"), Scalar("os"), Scalar(""), Scalar("int "), Scalar("NoneType"), SequenceOf(Scalar("type"))),
        *(StructOf("os.path", ()), StructOf("", ()), StructOf("A", (Field("a b", INT),)), StructOf("A;", ())),
        StructOf("A", (Field("x", INT), Field("x", INT))),
        *(StructOf("A", (Field(each, INT),)) for each in NO_NAMES),
        *(StructOf(each, ()) for each in NO_NAMES),
    ]
    for each in wrong:
        with pytest.raises(Malformed):
            realise(each, {})


@pytest.mark.parametrize("name", ["Popen", "os", "Endless", "Loose", "TrollbridgeError", "Point"])
def test_a_name_that_a_peer_sends_is_looked_up_nowhere(name: str) -> None:
    """P5, A56: a record type of an unknown name or another shape is a new class, whatever that name means elsewhere."""
    before = set(sys.modules)
    made = realise(StructOf(name, (Field("x", INT),)), {"Point": Point, "Line": Line})
    assert isinstance(made, type)
    assert issubclass(made, msgspec.Struct)
    assert made not in (Point, Loose, Endless)
    assert (made.__name__, made.__struct_fields__, made.__mro__[1]) == (name, ("x",), msgspec.Struct)
    assert set(sys.modules) == before


def test_a_made_record_type_is_as_strict_as_a_written_one() -> None:
    """P4: frozen, by position, without unknown fields."""
    made = realise(StructOf("Made", (Field("x", INT), Field("y", Scalar("str")))), {})
    assert isinstance(made, type)
    codec: Codec[Any] = Codec(made)
    value = codec.decode(b"\x92\x07\xa1a")
    assert (value.x, value.y, codec.encode(value)) == (7, "a", b"\x92\x07\xa1a")
    with pytest.raises(AttributeError):
        value.x = 8
    for wrong in (b"\x93\x07\xa1a\x07", b"\x91\x07", b"\x82\xa1x\x07\xa1y\xa1a"):
        with pytest.raises(Malformed):
            codec.decode(wrong)
