"""Patterns for strings that strangers choose: a regular subset of Python's `re`, matched whole, in bounded time.

May import: the standard library, our errors. Invariant: matching takes at most `MOST_POSITIONS` steps for each of at
most `LONGEST_MATCHED` characters, whatever the pattern and whatever the text: nothing is ever tried a second way. The
method is Glushkov's (The abstract theory of automata, 1961): each atom of the pattern is one bit of a set.
"""

from __future__ import annotations

import re
import warnings
from typing import Final, NamedTuple, NoReturn, TypeAlias

from trollbridge.messages.errors import DeclarationError

LONGEST_PATTERN: Final = 1000
"""Characters of a pattern."""
LONGEST_MATCHED: Final = 4096
"""Characters of a text; a longer one never matches."""
MOST_POSITIONS: Final = 512
"""Atoms of a pattern, once its repetitions are written out."""
_DEEPEST: Final = 16
_MOST_BUILT: Final = 8 * MOST_POSITIONS
_MOST_CACHED: Final = 1024
_CLASSES: Final = frozenset("dDwWsS")
_CONTROL: Final = frozenset("ntrfva")
_CODES: Final = {"x": 2, "u": 4, "U": 8}
"""Escapes by a character's number, and how many digits they have."""
_REPEATED: Final = {"*": (0, None), "+": (1, None), "?": (0, 1)}
_BRACES: Final = re.compile(r"\{([0-9]*)(,?)([0-9]*)\}")


class _Atom(NamedTuple):
    """One character, as `re` writes what it may be."""

    text: str


class _Row(NamedTuple):
    """One after the other; none at all is the empty text."""

    parts: tuple[_Node, ...]


class _Choice(NamedTuple):
    """One of these."""

    options: tuple[_Node, ...]


class _Repeat(NamedTuple):
    """From `low` to `high` times; None: without an end."""

    part: _Node
    low: int
    high: int | None


_Node: TypeAlias = _Atom | _Row | _Choice | _Repeat


class _Parser:
    """Reads a pattern, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def parse(self) -> _Node:
        if len(self._text) > LONGEST_PATTERN:
            self.refuse(f"it is longer than {LONGEST_PATTERN} characters")
        node = self._choice(0)
        if self._at < len(self._text):
            self.refuse("it closes a group that it does not open")
        return node

    def refuse(self, why: str) -> NoReturn:
        msg = f"the pattern {self._text!r} cannot be used: {why}"
        raise DeclarationError(msg)

    def _next(self, start: str) -> bool:
        """Go past `start` if that comes next; return whether it does."""
        found = self._text.startswith(start, self._at)
        self._at += len(start) if found else 0
        return found

    def _choice(self, depth: int) -> _Node:
        if depth > _DEEPEST:
            self.refuse(f"its groups are nested more than {_DEEPEST} deep")
        options = [self._row(depth)]
        while self._next("|"):
            options.append(self._row(depth))
        return options[0] if len(options) == 1 else _Choice(tuple(options))

    def _row(self, depth: int) -> _Node:
        parts: list[_Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            parts.append(self._repeated(self._part(depth)))
        return parts[0] if len(parts) == 1 else _Row(tuple(parts))

    def _part(self, depth: int) -> _Node:
        start = self._at
        self._at += 1
        match self._text[start]:
            case "(":
                if self._next("?") and not self._next(":"):
                    self.refuse("of groups that begin with (? only (?: is known")
                node = self._choice(depth + 1)
                if not self._next(")"):
                    self.refuse("it does not close a group")
                return node
            case "^" if start == 0:
                return _Row(())  # the whole text is matched anyway
            case "$" if start == len(self._text) - 1:
                return _Row(())
            case "*" | "+" | "?" | "{":
                self.refuse("it repeats nothing, or what is repeated already; write \\{ for a brace")
            case "^" | "$":
                self.refuse("it speaks of a beginning or an end in its middle")
            case "[":
                self._to_bracket()
            case "\\":
                self._to_escape()
            case _:
                return _Atom(re.escape(self._text[start]) if self._text[start] != "." else ".")
        return self._atom(self._text[start : self._at])

    def _to_bracket(self) -> None:
        self._next("^")
        self._next("]")
        while not self._next("]"):
            self._at += 2 if self._text.startswith("\\", self._at) else 1
            if self._at >= len(self._text):
                self.refuse("it does not close a bracket")

    def _to_escape(self) -> None:
        kind = self._text[self._at : self._at + 1]
        known = kind in _CLASSES or kind in _CONTROL or kind in _CODES
        if not known and (not kind or (kind.isascii() and kind.isalnum())):
            self.refuse(f"it has \\{kind}, which is not known here")
        self._at += 1 + _CODES.get(kind, 0)

    def _atom(self, text: str) -> _Atom:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # `re` only warns of what it will read in another way one day
                re.compile(text, re.ASCII)
        except (re.error, FutureWarning) as error:
            self.refuse(f"{text} in it: {error}")
        return _Atom(text)

    def _repeated(self, node: _Node) -> _Node:
        sign = self._text[self._at : self._at + 1]
        low, high = 0, None
        if sign in _REPEATED:
            low, high = _REPEATED[sign]
            self._at += 1
        elif sign == "{":
            low, high = self._braces()
        else:
            return node
        self._next("?")  # the shortest or the longest way: the whole text is the same
        return _Repeat(node, low, high)

    def _braces(self) -> tuple[int, int | None]:
        found = _BRACES.match(self._text, self._at)
        if found is None or found[0] in {"{}", "{,}"}:
            self.refuse("a brace in it holds no number; write \\{ for the brace itself")
        self._at = found.end()
        low = int(found[1] or 0)
        high = (int(found[3]) if found[3] else None) if found[2] else low
        if max(low, high or 0) > MOST_POSITIONS or (high is not None and high < low):
            self.refuse(f"it repeats something more than {MOST_POSITIONS} times, or from more to fewer times")
        return low, high


class _Piece(NamedTuple):
    """A part of the automaton: whether it may be empty; the positions, as bits, that it may begin and end with."""

    empty: bool
    first: int
    last: int


_NOTHING: Final = _Piece(empty=True, first=0, last=0)


class _Builder:
    """Makes the automaton."""

    def __init__(self, parser: _Parser) -> None:
        self._refuse = parser.refuse
        self._built = 0
        self.atoms: list[str] = []
        self.follow: list[int] = []

    def build(self, node: _Node) -> _Piece:
        self._built += 1
        if len(self.atoms) >= MOST_POSITIONS or self._built > _MOST_BUILT:
            self._refuse(f"with its repetitions written out it has more than {MOST_POSITIONS} parts")
        match node:
            case _Atom(text):
                bit = 1 << len(self.atoms)
                self.atoms.append(text)
                self.follow.append(0)
                return _Piece(empty=False, first=bit, last=bit)
            case _Row(parts):
                return self._row([self.build(each) for each in parts])
            case _Choice(options):
                return self._choice([self.build(each) for each in options])
            case _Repeat(part, low, high):
                return self._repeat(part, low, high)

    def _row(self, pieces: list[_Piece]) -> _Piece:
        found = _NOTHING
        for each in pieces:
            found = self._then(found, each)
        return found

    @staticmethod
    def _choice(pieces: list[_Piece]) -> _Piece:
        first, last = 0, 0
        for each in pieces:
            first, last = first | each.first, last | each.last
        return _Piece(any(each.empty for each in pieces), first, last)

    def _then(self, one: _Piece, two: _Piece) -> _Piece:
        self._link(one.last, two.first)
        return _Piece(
            one.empty and two.empty,
            one.first | (two.first if one.empty else 0),
            two.last | (one.last if two.empty else 0),
        )

    def _link(self, last: int, first: int) -> None:
        for number in _bits(last):
            self.follow[number] |= first

    def _repeat(self, part: _Node, low: int, high: int | None) -> _Piece:
        piece = _NOTHING
        for _ in range(low if high is not None else max(low - 1, 0)):
            piece = self._then(piece, self.build(part))
        if high is None:
            again = self.build(part)
            self._link(again.last, again.first)
            return self._then(piece, again if low else again._replace(empty=True))
        for _ in range(high - low):
            piece = self._then(piece, self.build(part)._replace(empty=True))
        return piece


def _bits(positions: int) -> list[int]:
    """Return the numbers of the bits that are set."""
    found: list[int] = []
    while positions:
        lowest = positions & -positions
        found.append(lowest.bit_length() - 1)
        positions ^= lowest
    return found


class Pattern:
    r"""A pattern, ready to match.

    It has literals, `.`, `[...]`, `\d \w \s` and their opposites, groups, `|`, and `* + ? {m} {m,} {m,n}`, with the
    meaning that `re.fullmatch` gives them under `re.ASCII`. It has no look-around, no references and no boundaries.
    """

    __slots__ = ("_after", "_follow", "_masks", "_sets", "_whole", "text")

    def __init__(self, text: str) -> None:
        """Read the pattern; raises `DeclarationError`, saying what of it cannot be used."""
        self.text: Final = text
        parser = _Parser(text)
        builder = _Builder(parser)
        self._whole = builder.build(parser.parse())
        self._follow = builder.follow
        sets: dict[str, int] = {}
        for number, atom in enumerate(builder.atoms):
            sets[atom] = sets.get(atom, 0) | 1 << number
        self._sets = [(re.compile(atom, re.ASCII), positions) for atom, positions in sets.items()]
        self._masks: dict[str, int] = {}
        """For a character, the positions that take it: as many as fit."""
        self._after: dict[int, int] = {}
        """For a set of positions, those that may come next."""

    def matches(self, text: str) -> bool:
        """Return whether the whole of `text` matches; one longer than `LONGEST_MATCHED` never does."""
        if len(text) > LONGEST_MATCHED:
            return False
        if not text:
            return self._whole.empty
        here, possible = 0, self._whole.first
        for character in text:
            here = possible & self._takers(character)
            if not here:
                return False
            possible = self._next(here)
        return bool(here & self._whole.last)

    def _takers(self, character: str) -> int:
        found = self._masks.get(character)
        if found is None:
            found = 0
            for atom, positions in self._sets:
                if atom.fullmatch(character):
                    found |= positions
            if len(self._masks) < _MOST_CACHED:
                self._masks[character] = found
        return found

    def _next(self, here: int) -> int:
        found = self._after.get(here)
        if found is None:
            found = 0
            for number in _bits(here):
                found |= self._follow[number]
            if len(self._after) < _MOST_CACHED:
                self._after[here] = found
        return found
