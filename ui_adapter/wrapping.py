"""How wide what people read may be, and lines that are no wider.

May import: the standard library. Invariants: a word is never broken, so a name or a path can be copied whole; what goes
into a file or a pipe has the same lines whatever terminal stands behind it.
"""

from __future__ import annotations

import os
import textwrap
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

PIPE: Final = 100
"""Columns where the output is no terminal."""
_UNKNOWN: Final = 80
"""Columns of a terminal that does not say how wide it is."""
_LEAST: Final = 40
"""Columns below which lines are left to the terminal to break."""
_LAST: Final = 24
"""Columns that the last cell of a row gets at least, however wide the others are."""


def width(stream: TextIO) -> int:
    """Return how many columns a line in the stream may have."""
    if not stream.isatty():
        return PIPE
    try:
        found = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # no real terminal: io.UnsupportedOperation is both
        found = 0
    return max(found or _UNKNOWN, _LEAST)


def wrapped(text: str, columns: int, *, first: str = "", rest: str = "") -> list[str]:
    """Return the text as lines of at most `columns`; `first` begins the first one, `rest` the others."""
    return textwrap.wrap(
        text,
        columns,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    ) or [first.rstrip()]


def rows(table: Sequence[Sequence[str]], columns: int, *, indent: str = "  ") -> list[list[str]]:
    """Return each row as lines: cells aligned and two spaces apart, the last one wrapped within its own column."""
    if not table:
        return []
    widths = [max(len(row[number]) for row in table) for number in range(len(table[0]) - 1)]
    found: list[list[str]] = []
    for *cells, last in table:
        first = indent + "".join(f"{cell:<{wide}}  " for cell, wide in zip(cells, widths, strict=True))
        found.append(wrapped(last, max(columns, len(first) + _LAST), first=first, rest=" " * len(first)))
    return found
