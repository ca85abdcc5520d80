"""The types that may cross a session, as values: annotations become a `TypeSpec`, which becomes a type again.

May import: `msgspec`, our errors. Invariant: `realise` builds types from the closed grammar below and from the
caller's own vocabulary; no name that a peer sent is ever imported or looked up anywhere else.
"""

from __future__ import annotations

import types
import typing
import unicodedata
from typing import TYPE_CHECKING, Any, Final, TypeAlias, Union, get_args, get_origin

import msgspec

from trollbridge.messages.errors import DeclarationError, Malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

DEEPEST: Final = 16
"""Levels of nesting in one type; a deeper one is refused."""


class Scalar(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """`bytes`, `str`, `int`, `float`, `bool` or `none`."""

    name: str


class SequenceOf(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """`tuple[item, ...]`."""

    item: TypeSpec


class TupleOf(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """`tuple[a, b, c]`, of exactly that length."""

    items: tuple[TypeSpec, ...]


class MapOf(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """`dict[str, value]`."""

    value: TypeSpec


class OneOf(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """`a | b`."""

    options: tuple[TypeSpec, ...]


class Field(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One field of a record type."""

    name: str
    kind: TypeSpec


class StructOf(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=6):
    """A frozen `array_like` struct with these fields in this order."""

    name: str
    fields: tuple[Field, ...]


TypeSpec: TypeAlias = Union[Scalar, SequenceOf, TupleOf, MapOf, OneOf, StructOf]  # noqa: UP007  # msgspec resolves it by name

_SCALARS: Final[dict[str, type]] = {
    "bytes": bytes, "str": str, "int": int, "float": float, "bool": bool, "none": types.NoneType,
}  # fmt: skip
_NAMES: Final = {kind: name for name, kind in _SCALARS.items()}


def _struct(kind: type[msgspec.Struct], depth: int) -> StructOf:
    config = kind.__struct_config__
    if not (config.frozen and config.array_like and config.forbid_unknown_fields) or config.tag is not None:
        msg = (
            f"{kind.__name__} must be frozen=True, array_like=True, forbid_unknown_fields=True and untagged to be sent"
        )
        raise DeclarationError(msg)
    wrong = [each for each in (kind.__name__, *kind.__struct_fields__) if not is_name(each)]
    if wrong:
        msg = f"{kind.__name__}: no record and no field that is to be sent can be named {', '.join(wrong)}"
        raise DeclarationError(msg)
    hints = typing.get_type_hints(kind)
    return StructOf(kind.__name__, tuple(Field(name, describe(hints[name], depth)) for name in kind.__struct_fields__))


def describe(annotation: object, depth: int = 0) -> TypeSpec:  # noqa: PLR0911  # one return for each form of the grammar
    """Return the `TypeSpec` of an annotation; raises `DeclarationError` for a type that cannot be sent."""
    if depth > DEEPEST:
        msg = f"a type nested more than {DEEPEST} levels deep cannot be sent"
        raise DeclarationError(msg)
    if annotation is None:
        return Scalar("none")
    if isinstance(annotation, type) and annotation in _NAMES:
        return Scalar(_NAMES[annotation])
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return _struct(annotation, depth + 1)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004  # tuple[T, ...]
        return SequenceOf(describe(arguments[0], depth + 1))
    if origin is tuple and arguments:
        return TupleOf(tuple(describe(each, depth + 1) for each in arguments))
    if origin is dict and arguments[0] is str:
        return MapOf(describe(arguments[1], depth + 1))
    if origin in (Union, types.UnionType):
        return OneOf(tuple(describe(each, depth + 1) for each in arguments))
    msg = (
        f"{annotation!r} cannot be sent; use bytes, str, int, float, bool, None, X | None, tuple[...], dict[str, ...] "
        "or a frozen array_like struct"
    )
    raise DeclarationError(msg)


def tuple_of(types: tuple[object, ...]) -> Any:  # noqa: ANN401  # a type made at run time is beyond what annotations can say
    """Return the type of a tuple with exactly these items."""
    return tuple[types] if types else tuple[()]  # type: ignore[valid-type]


def realise(spec: TypeSpec, vocabulary: Mapping[str, type[msgspec.Struct]], depth: int = 0) -> object:
    """Return the type that `spec` describes.

    A record type is the class of that name in `vocabulary` if its shape is the same, else a new frozen class.
    Raises `Malformed` for a spec that describes no type.
    """
    if depth > DEEPEST:
        raise Malformed
    match spec:
        case Scalar(name):
            if name not in _SCALARS:
                raise Malformed
            return _SCALARS[name]
        case SequenceOf(item):
            return tuple[realise(item, vocabulary, depth + 1), ...]  # type: ignore[misc]
        case TupleOf(items):
            return tuple_of(tuple(realise(each, vocabulary, depth + 1) for each in items))
        case MapOf(value):
            return dict[str, realise(value, vocabulary, depth + 1)]  # type: ignore[misc]
        case OneOf(options):
            if not options:
                raise Malformed
            return Union[tuple(realise(each, vocabulary, depth + 1) for each in options)]  # noqa: UP007
        case StructOf():
            return _realise_struct(spec, vocabulary, depth)
        case _:
            typing.assert_never(spec)


def is_name(text: str) -> bool:
    """Return whether a peer may call a parameter, a field or a record so: an identifier, as Python's parser leaves it.

    The parser normalises (NFKC), so of two spellings of one name only that one is a name. Names with two underscores at
    both ends are Python's own: as a field, `__slots__` and others keep a class from being made.
    """
    reserved = text.startswith("__") and text.endswith("__")
    return text.isidentifier() and not reserved and unicodedata.normalize("NFKC", text) == text


def _realise_struct(spec: StructOf, vocabulary: Mapping[str, type[msgspec.Struct]], depth: int) -> object:
    known = vocabulary.get(spec.name)
    if known is not None and describe(known) == spec:
        return known
    names = [spec.name, *(field.name for field in spec.fields)]
    if not all(map(is_name, names)) or len(set(names[1:])) != len(spec.fields):
        raise Malformed
    fields = [(field.name, realise(field.kind, vocabulary, depth + 1)) for field in spec.fields]
    return msgspec.defstruct(spec.name, fields, frozen=True, array_like=True, forbid_unknown_fields=True)


def sentence(spec: TypeSpec) -> str:
    """Return `spec` as Python writes it, for error messages and stubs."""
    match spec:
        case Scalar(name):
            return "None" if name == "none" else name
        case SequenceOf(item):
            return f"tuple[{sentence(item)}, ...]"
        case TupleOf(items):
            return f"tuple[{', '.join(map(sentence, items))}]"
        case MapOf(value):
            return f"dict[str, {sentence(value)}]"
        case OneOf(options):
            return " | ".join(map(sentence, options))
        case StructOf(name):
            return name
        case _:
            typing.assert_never(spec)
