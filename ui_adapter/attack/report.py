"""How the suite's report is shown: what is not in order for people, or every attack; one JSON document for programs.

May import: the suite's values, our screen and wrapping. Invariants: every attack that is not stopped is told in each
form, with its reason; a verdict speaks only of what was tried.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, TextIO

import msgspec

from trollbridge.ui_adapter.attack.catalogue import Outcome, Position
from trollbridge.ui_adapter.attack.suite import POSITIONS
from trollbridge.ui_adapter.screen import Screen
from trollbridge.ui_adapter.wrapping import rows, width, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trollbridge.ui_adapter.attack.catalogue import Attack, Result
    from trollbridge.ui_adapter.attack.suite import Report

GROUPS: Final = {
    "F": "freshness and single use",
    "R": "ring life cycle",
    "I": "identity and routing",
    "P": "parsing and resources",
    "S": "scopes: files, programs, network",
    "K": "keys, processes, supervision",
    "A": "what applications are promised",
}
"""The parts of the catalogue, by the letter that the names of their attacks begin with."""
OPTIONS: Final = {position: word for word, position in POSITIONS.items()}
"""Each position as `--position` writes it."""
_COLOURS: Final = {Outcome.THROUGH: "bad", Outcome.HARMLESS: "faint", Outcome.NOT_TRIED: "faint"}
_OUTCOME: Final = max(map(len, Outcome)) + 2
_ON_AN_UNLOCKED_ONE: Final = "it does not work here without the lock either"


class _Row(msgspec.Struct, frozen=True):
    """One result as programs read it."""

    name: str
    row: str
    position: str
    option: str
    title: str
    expected: str
    outcome: str
    happened: str


class _Listed(msgspec.Struct, frozen=True):
    """One attack as programs read it."""

    name: str
    row: str
    position: str
    option: str
    title: str
    expected: str


def _listed(attack: Attack) -> _Listed:
    row, option = attack.name.partition(".")[0], OPTIONS[attack.position]
    return _Listed(attack.name, row, attack.position.value, option, attack.title, attack.expected)


def _row(result: Result) -> _Row:
    return _Row(
        **msgspec.structs.asdict(_listed(result.attack)), outcome=result.outcome.value, happened=result.happened
    )


def _document(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n"


def as_json(report: Report) -> str:
    """Return the report as one JSON document, indented, with its end of line."""
    return _document(
        {
            "application": report.application,
            "passed": report.passed,
            "root": report.root,
            "seconds": report.seconds,
            "counts": {outcome.value: report.count(outcome) for outcome in Outcome},
            "honest": [{"name": each.attack.name, "works": each.outcome is Outcome.STOPPED} for each in report.honest],
            "results": [_row(each) for each in report.results],
            "broken": report.broken,
            "not_tried": report.untried,
        }
    )


def listed_as_json(attacks: Iterable[Attack]) -> str:
    """Return what would be tried as one JSON document: a list, with its end of line."""
    return _document([_listed(each) for each in attacks])


def list_attacks(stream: TextIO, attacks: Iterable[Attack]) -> None:
    """Write what would be tried: name, position and title, in a pipe a line for each. Raises `OSError`."""
    table = [(each.name, OPTIONS[each.position], each.title) for each in attacks]
    screen = Screen(stream)
    if not screen.terminal:
        for row in table:
            screen.line("  ".join(row))
        return
    for lines in rows(table, width(stream), indent=""):
        for line in lines:
            screen.line(line)


def show(stream: TextIO, report: Report, *, verbose: bool = False) -> None:
    """Write the report for people; `verbose`: with every attack. Raises `OSError`.

    By position and part of the catalogue how many attacks came to what; those that were not stopped; the verdict.
    """
    page = _Page(stream)
    for position in Position:
        results = [each for each in report.results if each.attack.position is position]
        if results:
            page.heading(_named(position))
            (page.every if verbose else page.parts)(results)
    if not verbose:
        page.open_ones(report.results)
    page.untried(report, verbose=verbose)
    page.verdict(report)


def _named(position: Position) -> str:
    word = OPTIONS[position]
    return word if word == position.value else f"{word}: {position}"


def _counts(results: Iterable[Result]) -> str:
    found = Counter(each.outcome for each in results)
    return ", ".join(f"{found[outcome]} {outcome.value}" for outcome in Outcome if found[outcome])


def _reason(result: Result) -> str:
    """Return why, without what differs between attacks that share the reason."""
    return _ON_AN_UNLOCKED_ONE if _ON_AN_UNLOCKED_ONE in result.happened else result.happened


class _Page:
    """Lines as wide as the stream, with colour where it takes it."""

    def __init__(self, stream: TextIO) -> None:
        self._screen = Screen(stream)
        self._width = width(stream)

    def heading(self, text: str) -> None:
        self._screen.heading(text)

    def _lines(self, lines: Iterable[str], style: str = "") -> None:
        for line in lines:
            self._screen.line(self._screen.paint(line, style) if style else line)

    def _text(self, text: str, style: str = "", *, indent: str = "") -> None:
        self._lines(wrapped(text, self._width, first=indent, rest=indent), style)

    def parts(self, results: Sequence[Result]) -> None:
        """Write a line for each part of the catalogue."""
        letters = {each.attack.name[0] for each in results}
        table = [
            (letter, title, _counts(each for each in results if each.attack.name.startswith(letter)))
            for letter, title in GROUPS.items()
            if letter in letters
        ]
        for lines in rows(table, self._width):
            self._lines(lines)

    def every(self, results: Sequence[Result]) -> None:
        """Write every attack: its outcome, its name, what it tries, what must happen and what did."""
        deep = " " * (2 + _OUTCOME)
        for each in results:
            attack, style = each.attack, _COLOURS.get(each.outcome, "")
            first = f"  {each.outcome.value:<{_OUTCOME}}"
            self._lines(wrapped(f"{attack.name}  {attack.title}", self._width, first=first, rest=deep), style)
            for word, text in (("expected", attack.expected), ("happened", each.happened)):
                self._lines(wrapped(text, self._width, first=f"{deep}{word}: ", rest=f"{deep}  "))

    def open_ones(self, results: Sequence[Result]) -> None:
        """Write every attack that was not stopped: what got through one by one, the others by their reasons."""
        through = [each for each in results if each.outcome is Outcome.THROUGH]
        if through:
            self._screen.heading("Got through")
        for each in through:
            where = f"{each.attack.name} ({OPTIONS[each.attack.position]}): {each.attack.title}"
            self._lines(wrapped(where, self._width, first="  ", rest="      "), "bad")
            self._text(each.happened, indent="      ")
        self._by_reason("Harmless: it works, and no secret is reached", results, Outcome.HARMLESS)
        self._by_reason("Not tried", results, Outcome.NOT_TRIED)

    def _by_reason(self, title: str, results: Sequence[Result], outcome: Outcome) -> None:
        found: dict[tuple[Position, str], list[str]] = {}
        for each in results:
            if each.outcome is outcome:
                found.setdefault((each.attack.position, _reason(each)), []).append(each.attack.name)
        if not found:
            return
        self._screen.heading(title)
        table = [(f"{len(names):>3}", OPTIONS[at], why) for (at, why), names in found.items()]
        deep = " " * (2 + sum(max(len(row[number]) for row in table) + 2 for number in range(2)))
        for names, lines in zip(found.values(), rows(table, self._width), strict=True):
            self._lines(lines)
            few = outcome is Outcome.HARMLESS and len(names) > 1
            self._text(f"{names[0]} and {len(names) - 1} more" if few else ", ".join(names), "faint", indent=deep)

    def untried(self, report: Report, *, verbose: bool) -> None:
        """Write which rows of the catalogue have no attack here."""
        if not report.untried:
            return
        self._screen.heading("Rows of the catalogue that no attack here belongs to")
        if not verbose:
            self._text(f"{', '.join(each.row for each in report.untried)}; --verbose says why", indent="  ")
            return
        for lines in rows([(each.row, each.why) for each in report.untried], self._width):
            self._lines(lines)

    def verdict(self, report: Report) -> None:
        """Write the end: in numbers, whether the application still works, what got through, what is left to try."""
        count = len(report.results)
        self._screen.line()
        self._text(f"{count} attack{'' if count == 1 else 's'} in {report.seconds:.1f} s: {_counts(report.results)}.")
        if report.works and report.honest:
            self._text("Honest calls before and after are answered as they should be.")
        elif report.honest:
            self._text("Honest calls before and after are answered NOT AS THEY SHOULD BE.", "bad")
        if report.broken:
            self._text(f"Not brought to their end: {', '.join(report.broken)}.", "bad")
        self._text(_through(report), "good" if report.passed and report.tried else "bad")
        if report.left_to_users:
            self._text(
                f"As root, {report.left_to_users} outsider attacks on the running application were not tried: "
                "run it as an ordinary user for those.",
                "heading",
            )


def _through(report: Report) -> str:
    names = [each.attack.name for each in report.results if each.outcome is Outcome.THROUGH]
    if names:
        return f"GOT THROUGH, {len(names)} of {report.tried}: {', '.join(names)}."
    left = report.count(Outcome.NOT_TRIED)
    said = f"Nothing of {report.tried} got through" if report.tried else "Nothing was tried"
    return f"{said}; {left} not tried." if left else f"{said}."
