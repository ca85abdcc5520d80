"""What a person types, as arguments; and values as a person can read them.

May import: our documents, `messages`. Invariants: what is typed is data, never run; nothing that is shown can steer a
terminal.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final, cast

import msgspec

from trollbridge.messages.errors import UsageError
from trollbridge.messages.vault import printable
from trollbridge.ui_adapter import documents

LONGEST: Final = 2000
"""Characters of one value that are shown."""
_WORD: Final = re.compile(
    r"""\s*((?:[A-Za-z_]\w*=)?)((?:b?"(?:\\.|[^"\\])*"|b?'(?:\\.|[^'\\])*'|[(\[{].*?[)\]}](?=\s|$)|\S)+)"""
)


class NotUnderstood(UsageError):
    """The line cannot be understood; help lists what to type."""


def _value(text: str) -> object:
    """Return what a word stands for: the content of a file, a Python literal, or itself."""
    if text.startswith("@") and len(text) > 1:
        return documents.read(Path(text[1:]).expanduser())
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        if text[:1] in "\"'([{" or text[:2] in ('b"', "b'"):
            msg = f"{text[:80]} is not closed, or is no plain value"
            raise NotUnderstood(msg) from None
        return text
    return value


def arguments(line: str) -> tuple[tuple[object, ...], dict[str, object]]:
    """Return the positional and the named arguments of a line; raises `NotUnderstood`, and as `documents.read` does."""
    positional: list[object] = []
    named: dict[str, object] = {}
    for match in _WORD.finditer(line.rstrip()):
        name, value = match[1].rstrip("="), _value(match[2])
        if name and name in named:
            msg = f"{name} is given twice"
            raise NotUnderstood(msg)
        if name:
            named[name] = value
        elif named:
            msg = "arguments with a name come after those without"
            raise NotUnderstood(msg)
        else:
            positional.append(value)
    return tuple(positional), named


def plain(text: str) -> str:
    """Return text on one line, harmless for a terminal."""
    return printable(" ".join(text.split()))


def shown(value: object) -> str:
    """Return a value for people: text as it is, printable bytes as text, records with their fields' names."""
    text = "\n".join(printable(line) for line in _text(value).split("\n"))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"


def _text(value: object) -> str:
    match value:
        case None:
            return "done"
        case str():
            return value
        case bytes():
            return _bytes(value)
        case tuple():
            items = cast("tuple[object, ...]", value)
            records = items and all(isinstance(each, msgspec.Struct) for each in items)
            return "\n".join(map(_text, items)) if records else repr(items)
        case msgspec.Struct():
            names = value.__struct_fields__
            return f"{type(value).__name__}({', '.join(f'{name}={_field(getattr(value, name))}' for name in names)})"
        case _:
            return repr(value)


def _field(value: object) -> str:
    return _text(value) if isinstance(value, msgspec.Struct) else repr(value)


def _bytes(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return f"{len(value)} bytes: {value[:32].hex(' ')}{' …' if len(value) > 32 else ''}"  # noqa: PLR2004  # two groups of 16
    return text.rstrip("\n")
