"""MessagePack as a sloppy or hostile sender writes it: the same values in every form that the format allows."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    Choose = Callable[[int], int]

Tree: TypeAlias = "bool | int | float | str | bytes | list[Tree] | Pairs | None"
_INTEGERS: Final = {
    b"\xcc": ">B", b"\xcd": ">H", b"\xce": ">I", b"\xcf": ">Q",
    b"\xd0": ">b", b"\xd1": ">h", b"\xd2": ">i", b"\xd3": ">q",
}  # fmt: skip


@dataclass(frozen=True)
class Pairs:
    """A map as its pairs, in which a key may stand twice."""

    items: tuple[tuple[Tree, Tree], ...]


def unpacked(data: bytes) -> Tree:
    """Return the tree of a canonical encoding."""
    return _tree(msgspec.msgpack.decode(data))


def _tree(value: Any) -> Tree:  # noqa: ANN401  # whatever MessagePack may hold
    match value:
        case list():
            return [_tree(each) for each in msgspec.convert(value, list[Any])]
        case dict():
            fields = msgspec.convert(value, dict[Any, Any])
            return Pairs(tuple((_tree(key), _tree(each)) for key, each in fields.items()))
        case None | bool() | int() | float() | str() | bytes():
            return value
        case _:
            raise TypeError


def _lengths(size: int, fixed: int, most: int, heads: tuple[bytes, ...]) -> list[bytes]:
    forms = [bytes((fixed | size,))] if size <= most else []
    widths = {1: ">B", 2: ">H", 4: ">I"}
    for head, width in zip(heads, (1, 2, 4)[-len(heads) :], strict=True):
        if size < 1 << (8 * width):
            forms.append(head + struct.pack(widths[width], size))
    return forms


def _integer(value: int) -> list[bytes]:
    forms = [struct.pack("b", value)] if -32 <= value < 128 else []
    for head, layout in _INTEGERS.items():
        try:
            forms.append(head + struct.pack(layout, value))
        except struct.error:
            continue
    return forms


def packed(tree: Tree, choose: Choose) -> bytes:  # noqa: PLR0911  # one return for each type of the format
    """Return an encoding of `tree`; `choose(n)` picks one of n ways wherever there are several."""

    def pick(forms: list[bytes]) -> bytes:
        return forms[choose(len(forms))]

    match tree:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if tree else b"\xc2"
        case int():
            return pick(_integer(tree))
        case float():
            return b"\xcb" + struct.pack(">d", tree)
        case str():
            text = tree.encode()
            return pick(_lengths(len(text), 0xA0, 31, (b"\xd9", b"\xda", b"\xdb"))) + text
        case bytes():
            return pick(_lengths(len(tree), 0, -1, (b"\xc4", b"\xc5", b"\xc6"))) + tree
        case Pairs():
            head = pick(_lengths(len(tree.items), 0x80, 15, (b"\xde", b"\xdf")))
            return head + b"".join(packed(key, choose) + packed(each, choose) for key, each in tree.items)
        case _:
            head = pick(_lengths(len(tree), 0x90, 15, (b"\xdc", b"\xdd")))
            return head + b"".join(packed(each, choose) for each in tree)
