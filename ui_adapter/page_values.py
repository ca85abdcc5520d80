"""Values on their way to a page and back, as JSON says them without loss; each is of the type that a manifest names.

May import: `msgspec`, our messages. Invariant: `take` returns a value of the very type that was asked for, or raises;
nothing in a page's message is ever a name of anything here but a field of a record.

    None, bool, str      null, true or false, a string
    int                  a number up to 2^53 - 1, either sign; beyond that {"int": "…"}
    float                a number; {"float": "NaN"}, {"float": "Infinity"}, {"float": "-Infinity"}
    bytes                {"bytes": "base64"}
    tuple                an array
    dict                 {"map": [[key, value], …]}
    record               {"record": {"field": value, …}}
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from types import NoneType
from typing import TYPE_CHECKING, Final, TypeAlias, assert_never

import msgspec

from trollbridge.messages.errors import InvalidArguments
from trollbridge.messages.signature import MapOf, OneOf, Scalar, SequenceOf, StructOf, TupleOf, TypeSpec, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Value: TypeAlias = "bool | int | float | str | bytes | tuple[Value, ...] | dict[str, Value] | msgspec.Struct | None"
"""What a handler takes and returns."""
Tree: TypeAlias = "bool | int | float | str | list[Tree] | dict[str, Tree] | None"
"""What JSON says."""
SAFE: Final = (1 << 53) - 1
"""The largest whole number that a page can hold as a number."""
_WIDEST: Final = 1 << 64
_PLAIN: Final = {"none": NoneType, "bool": bool, "int": int, "float": float, "str": str}
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,19}", re.ASCII)
_FLOATS: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def give(value: Value) -> Tree:  # noqa: PLR0911  # one return for each kind of value
    """Return a result as what JSON can say."""
    match value:
        case None | bool() | str():
            return value
        case int():
            return value if abs(value) <= SAFE else {"int": str(value)}
        case float():
            if math.isfinite(value):
                return value
            return {"float": "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"}
        case bytes():
            return {"bytes": base64.b64encode(value).decode()}
        case tuple():
            return [give(each) for each in value]
        case dict():
            return {"map": [[name, give(each)] for name, each in value.items()]}
        case msgspec.Struct():
            return {"record": {name: give(getattr(value, name)) for name in value.__struct_fields__}}
        case _:
            assert_never(value)


def take(spec: TypeSpec, tree: Tree) -> Value:
    """Return the value of type `spec` that a page has sent, records as tuples; raises `InvalidArguments`."""
    match spec:
        case Scalar(name):
            return _scalar(name, tree)
        case SequenceOf(item):
            return tuple(take(item, each) for each in _array(spec, tree))
        case TupleOf(items):
            return _each(spec, items, _array(spec, tree))
        case MapOf(value):
            pairs = [_pair(spec, each) for each in _array(spec, _held(spec, "map", tree))]
            if len(dict(pairs)) < len(pairs):  # a key that comes twice
                raise _unfit(spec)
            return {key: take(value, each) for key, each in pairs}
        case OneOf(options):
            return _option(spec, options, tree)
        case StructOf(_, fields):
            held = _held(spec, "record", tree)
            if not isinstance(held, dict) or held.keys() != {each.name for each in fields}:
                raise _unfit(spec)
            return tuple(take(each.kind, held[each.name]) for each in fields)
        case _:
            assert_never(spec)


def _unfit(spec: TypeSpec) -> InvalidArguments:
    return InvalidArguments(f"what the page sent is no {sentence(spec)}")


def _array(spec: TypeSpec, tree: Tree) -> list[Tree]:
    if not isinstance(tree, list):
        raise _unfit(spec)
    return tree


def _held(spec: TypeSpec, kind: str, tree: Tree) -> Tree:
    if not isinstance(tree, dict) or tree.keys() != {kind}:
        raise _unfit(spec)
    return tree[kind]


def _each(spec: TypeSpec, kinds: Sequence[TypeSpec], trees: list[Tree]) -> tuple[Value, ...]:
    if len(kinds) != len(trees):
        raise _unfit(spec)
    return tuple(map(take, kinds, trees))


def _pair(spec: TypeSpec, tree: Tree) -> tuple[str, Tree]:
    match tree:
        case [str(key), value]:
            return key, value
        case _:
            raise _unfit(spec)


def _option(spec: TypeSpec, options: Sequence[TypeSpec], tree: Tree) -> Value:
    """Take the first option that fits; a whole number is an integer where it can be either."""
    for option in sorted(options, key=lambda each: each == Scalar("float")):
        try:
            return take(option, tree)
        except InvalidArguments:
            continue
    raise _unfit(spec)


def _scalar(name: str, tree: Tree) -> Value:
    if name in _WRITTEN and isinstance(tree, dict):
        return _WRITTEN[name](_held(Scalar(name), name, tree))
    if name == "float" and type(tree) is int and abs(tree) < _WIDEST:
        return float(tree)
    if isinstance(tree, list | dict) or type(tree) is not _PLAIN.get(name):
        raise _unfit(Scalar(name))
    return tree


def _integer(digits: Tree) -> int:
    if not isinstance(digits, str) or not _INTEGER.fullmatch(digits):
        raise _unfit(Scalar("int"))
    return int(digits)


def _float(word: Tree) -> float:
    if not isinstance(word, str) or word not in _FLOATS:
        raise _unfit(Scalar("float"))
    return _FLOATS[word]


def _bytes(text: Tree) -> bytes:
    if not isinstance(text, str):
        raise _unfit(Scalar("bytes"))
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _unfit(Scalar("bytes")) from None
    if base64.b64encode(found).decode() != text:  # one text for each value
        raise _unfit(Scalar("bytes"))
    return found


_WRITTEN: Final[dict[str, Callable[[Tree], Value]]] = {"int": _integer, "float": _float, "bytes": _bytes}
"""What arrives as an object with the type's name."""
