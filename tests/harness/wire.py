"""What tests and puppets say to each other: JSON lines in which octets stand as `{"hex": …}`.

Imports nothing of ours.
"""

from __future__ import annotations

import json
from typing import TypeAlias, cast

Value: TypeAlias = "bool | int | float | str | bytes | list[Value] | tuple[Value, ...] | dict[str, Value] | None"


def _plain(value: object) -> object:
    if isinstance(value, bytes | bytearray):
        return {"hex": value.hex()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in cast("tuple[object, ...]", value)]
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in cast("dict[object, object]", value).items()}
    return value


def _octets(found: dict[str, Value]) -> Value:
    match found:
        case {"hex": str(text)} if len(found) == 1:
            return bytes.fromhex(text)
        case _:
            return found


def encode(value: object) -> str:
    """Return `value` as one line without its end; raises `TypeError` for what has no JSON form."""
    return json.dumps(_plain(value))


def decode(line: str) -> Value:
    """Return what `encode` was given; tuples come back as lists."""
    value: Value = json.loads(line, object_hook=_octets)
    return value
