"""What a command reports: lines for people, or one JSON document for programs.

May import: our screen, `messages`. Invariants: nothing that is shown can steer a terminal; JSON has names for every
field, and hexadecimal digits for bytes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

import msgspec

from trollbridge.messages.vault import printable
from trollbridge.ui_adapter.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def plain(value: object) -> Json:
    """Return a value of the vault's vocabulary as JSON has it."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return value.hex()
        case tuple() | list():
            return [plain(each) for each in cast("Sequence[object]", value)]
        case dict():
            return {name: plain(each) for name, each in cast("dict[str, object]", value).items()}
        case msgspec.Struct():
            return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        case _:
            raise TypeError(type(value).__name__)


def _in_one_line(text: str) -> str:
    return printable(" ".join(text.split()))


class Reporter:
    """Where the report goes, and in which form."""

    def __init__(self, *, as_json: bool, stream: TextIO | None = None) -> None:
        """Take the form and the stream, standard output without one."""
        self.as_json = as_json
        self._screen = Screen(stream or sys.stdout)

    def give(self, value: object, lines: Sequence[str]) -> None:
        """Write the report, as JSON from the value, or as the lines."""
        if self.as_json:
            self._screen.line(msgspec.json.format(msgspec.json.encode(plain(value))).decode())
            return
        for line in lines:
            self._screen.line(printable(line))

    def table(self, value: object, rows: Sequence[Sequence[str]]) -> None:
        """Write the report, as JSON from the value, or as a table whose first row is its head."""
        if self.as_json:
            self.give(value, ())
        else:
            self._screen.table([[printable(cell) for cell in row] for row in rows], headed=True)


def tell(text: str, listed: Sequence[str] = ()) -> None:
    """Tell a person something that is no result, on standard error: one line, and one for each of a list."""
    lines = [f"trollbridge: {_in_one_line(text)}", *(f"  {_in_one_line(each)}" for each in listed)]
    sys.stderr.write("".join(f"{each}\n" for each in lines))
    sys.stderr.flush()
