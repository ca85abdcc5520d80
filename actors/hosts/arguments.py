"""Which arguments a program may be given: alternatives, position by position, each matched whole.

May import: `msgspec`, our messages. Invariants: an argument that begins with `-` passes only where a literal says
exactly that; nothing is dropped, replaced or reordered: a list of arguments is passed as it came, or refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias, TypeGuard

import msgspec

from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.grants import Matching
from trollbridge.messages.pattern import Pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST: Final = 4096
"""Bytes of one argument."""
MOST: Final = 256
"""Arguments of one run."""


class Several(msgspec.Struct, frozen=True):
    """The last position of a row: from `least` to `most` arguments, each of which matches."""

    pattern: str
    least: int = 0
    most: int = 64


Position: TypeAlias = "str | Matching | Several"
"""A literal, a pattern for the whole of one argument, or several of those at the end."""


class Literal(msgspec.Struct, frozen=True, tag="literal"):
    """Exactly this argument."""

    text: str


class Matched(msgspec.Struct, frozen=True, tag="matched"):
    """One argument that matches, and does not begin with `-`."""

    pattern: str


class Rest(msgspec.Struct, frozen=True, tag="rest"):
    """The arguments that are left: as many as that, each of which matches, and none of which begins with `-`."""

    pattern: str
    least: int
    most: int


Part: TypeAlias = Literal | Matched | Rest
Row: TypeAlias = tuple[Part, ...]


def _is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def rows(declared: object, where: str) -> tuple[Row, ...]:
    """Return declared alternatives in the form that travels; raises `DeclarationError`. `where` is for the sentence."""
    if not _is_sequence(declared) or not all(_is_sequence(each) for each in declared):
        msg = f'{where}: args is a list of alternatives, each a tuple: [("status",), ("log", Matching(r"…"))]'
        raise DeclarationError(msg)
    return tuple(_row(each, where) for each in declared if _is_sequence(each))


def _row(declared: Sequence[object], where: str) -> Row:
    found = tuple(_part(each, where) for each in declared)
    if any(isinstance(each, Rest) for each in found[:-1]):
        msg = f"{where}: Several(…) stands last, where it takes what is left"
        raise DeclarationError(msg)
    return found


def _part(declared: object, where: str) -> Part:
    match declared:
        case str(text):
            if not fits(text):
                msg = f"{where}: {text!r} cannot be an argument"
                raise DeclarationError(msg)
            return Literal(text)
        case Matching(pattern):
            return Matched(pattern)
        case Several(pattern, least, most):
            Pattern(pattern)
            if not 0 <= least <= most <= MOST:
                msg = f"{where}: Several(…) takes from least to most arguments, {MOST} of them at most"
                raise DeclarationError(msg)
            return Rest(pattern, least, most)
        case _:
            msg = f"{where}: {declared!r} is no argument: write a string, Matching(r'…') or Several(r'…')"
            raise DeclarationError(msg)


def fits(argument: str) -> bool:
    """Return whether a string can be an argument of a program at all."""
    try:
        encoded = argument.encode()
    except UnicodeEncodeError:
        return False
    return b"\0" not in encoded and len(encoded) <= LONGEST


class Arguments:
    """The alternatives of one program, ready to match."""

    def __init__(self, alternatives: Iterable[Row]) -> None:
        """Take the rows; none at all lets nothing pass, not even no arguments."""
        self._rows: Final = tuple(alternatives)
        patterns = {each.pattern for row in self._rows for each in row if not isinstance(each, Literal)}
        self._patterns: Final = {each: Pattern(each) for each in patterns}

    def allow(self, given: Sequence[str]) -> bool:
        """Return whether one of the rows lets exactly these arguments pass."""
        if len(given) > MOST or not all(map(fits, given)):
            return False
        return any(self._row(row, given) for row in self._rows)

    def _row(self, row: Row, given: Sequence[str]) -> bool:
        last = row[-1] if row else None
        if isinstance(last, Rest):
            fixed = len(row) - 1
            rest = given[fixed:]
            if len(given) < fixed or not last.least <= len(rest) <= last.most:
                return False
            return self._fixed(row[:-1], given) and all(self._matches(last.pattern, each) for each in rest)
        return len(row) == len(given) and self._fixed(row, given)

    def _fixed(self, row: Row, given: Sequence[str]) -> bool:
        return all(
            each == part.text if isinstance(part, Literal) else self._matches(part.pattern, each)
            for part, each in zip(row, given, strict=False)  # what is left over is the rest
        )

    def _matches(self, pattern: str, argument: str) -> bool:
        return not argument.startswith("-") and self._patterns[pattern].matches(argument)
