"""MessagePack as SPEC section 3 restricts it: one encoding for each value, and nothing else is accepted.

Like everything here that speaks to the shipped processes, it shares no code with them.
"""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

Value: TypeAlias = "bool | int | float | str | bytes | list[Value] | dict[str, Value] | None"


class NotCanonicalError(Exception):
    """The bytes are not the one encoding of a value."""


def _sized(size: int, short: int, below: int, wide: tuple[int, ...]) -> bytes:
    """Return the head of a string, an array or a map; `wide` has the bytes for 8, 16 and 32 bits, 0 for none."""
    if size < below:
        return bytes([short | size])
    for kind, width in zip(wide, (1, 2, 4), strict=True):
        if kind and size < 1 << 8 * width:
            return bytes([kind]) + size.to_bytes(width, "big")
    raise NotCanonicalError


def _integer(value: int) -> bytes:
    if -32 <= value < 128:
        return struct.pack(">b", value)
    for kind, width in ((0xCC, 1), (0xCD, 2), (0xCE, 4), (0xCF, 8)):
        if 0 <= value < 1 << 8 * width:
            return bytes([kind]) + value.to_bytes(width, "big")
    for kind, width in ((0xD0, 1), (0xD1, 2), (0xD2, 4), (0xD3, 8)):
        if -(1 << 8 * width - 1) <= value < 0:
            return bytes([kind]) + value.to_bytes(width, "big", signed=True)
    raise NotCanonicalError


def pack(value: Value) -> bytes:  # noqa: PLR0911  # one return for each type
    """Return the one encoding of `value`."""
    match value:
        case None:
            return b"\xc0"
        case bool():
            return b"\xc3" if value else b"\xc2"
        case int():
            return _integer(value)
        case float():
            return b"\xcb" + struct.pack(">d", value)
        case str():
            data = value.encode()
            return _sized(len(data), 0xA0, 32, (0xD9, 0xDA, 0xDB)) + data
        case bytes():
            return _sized(len(value), 0, 0, (0xC4, 0xC5, 0xC6)) + value
        case list():
            return _sized(len(value), 0x90, 16, (0, 0xDC, 0xDD)) + b"".join(map(pack, value))
        case dict():
            pairs = (pack(key) + pack(each) for key, each in value.items())
            return _sized(len(value), 0x80, 16, (0, 0xDE, 0xDF)) + b"".join(pairs)


_CONSTANTS: Final[dict[int, Value]] = {0xC0: None, 0xC2: False, 0xC3: True}


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            raise NotCanonicalError
        return self.data[start : self.at]

    def number(self, width: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(width), "big", signed=signed)

    def text(self, size: int) -> Value:
        return self.take(size).decode()

    def array(self, size: int) -> Value:
        return [self.value() for _ in range(size)]

    def map(self, size: int) -> Value:
        pairs = [(self.value(), self.value()) for _ in range(size)]
        return {key: each for key, each in pairs if isinstance(key, str)}

    def value(self) -> Value:
        first = self.number(1)
        if first in _CONSTANTS:
            return _CONSTANTS[first]
        if first < 0x80 or first >= 0xE0:
            return first if first < 0x80 else first - 0x100
        if first < 0xC0:
            short = {8: self.map, 9: self.array}.get(first >> 4, self.text)
            return short(first & (31 if first >= 0xA0 else 15))
        return self.long(first)

    def long(self, first: int) -> Value:  # noqa: PLR0911  # one return for each type
        match first:
            case 0xC4 | 0xC5 | 0xC6:
                return self.take(self.number(1 << first - 0xC4))
            case 0xCB:
                number: float = struct.unpack(">d", self.take(8))[0]
                return number
            case 0xCC | 0xCD | 0xCE | 0xCF:
                return self.number(1 << first - 0xCC)
            case 0xD0 | 0xD1 | 0xD2 | 0xD3:
                return self.number(1 << first - 0xD0, signed=True)
            case 0xD9 | 0xDA | 0xDB:
                return self.text(self.number(1 << first - 0xD9))
            case 0xDC | 0xDD:
                return self.array(self.number(2 << first - 0xDC))
            case 0xDE | 0xDF:
                return self.map(self.number(2 << first - 0xDE))
            case _:
                raise NotCanonicalError


def unpack(data: bytes) -> Value:
    """Return the value that `data` is the encoding of; raises `NotCanonicalError` for anything else."""
    reader = _Reader(data)
    try:
        value = reader.value()
    except UnicodeDecodeError:
        raise NotCanonicalError from None
    if pack(value) != data:  # trailing bytes, a longer form, a key that came twice or is no string
        raise NotCanonicalError
    return value


def fields(data: bytes, *kinds: type) -> list[Value]:
    """Return the fields of a record: an array of exactly `kinds`; raises `NotCanonicalError` for another shape."""
    return shaped(unpack(data), *kinds)


def shaped(value: Value, *kinds: type) -> list[Value]:
    """Return the fields of a decoded record if it is an array of exactly `kinds`."""
    if not isinstance(value, list) or [type(each) for each in value] != list(kinds):
        raise NotCanonicalError
    return value
