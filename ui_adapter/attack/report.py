"""How the suite's report is shown: a table for people, one JSON document for programs.

May import: `rich`, where there is a terminal; the suite's values, our screen. Invariant: both show every result, those
that got through first in the eye; colour only on a terminal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

import msgspec

from trollbridge.ui_adapter.attack.catalogue import Outcome, Position
from trollbridge.ui_adapter.screen import Screen, columns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trollbridge.ui_adapter.attack.catalogue import Attack, Result
    from trollbridge.ui_adapter.attack.suite import Report

_COLOURS: Final = {
    Outcome.STOPPED: "green",
    Outcome.THROUGH: "bold red",
    Outcome.HARMLESS: "dim",
    Outcome.NOT_TRIED: "dim",
}
_HEAD: Final = ("ATTACK", "OUTCOME", "TRIED", "EXPECTED", "WHAT HAPPENED")


class _Row(msgspec.Struct, frozen=True):
    """One result as programs read it."""

    name: str
    row: str
    position: str
    title: str
    expected: str
    outcome: str
    happened: str


def _row(result: Result) -> _Row:
    attack = result.attack
    catalogue_row = attack.name.partition(".")[0]
    return _Row(
        attack.name,
        catalogue_row,
        attack.position.value,
        attack.title,
        attack.expected,
        result.outcome.value,
        result.happened,
    )


def as_json(report: Report) -> str:
    """Return the report as one JSON document, indented, with its end of line."""
    document = {
        "application": report.application,
        "passed": report.passed,
        "seconds": report.seconds,
        "counts": {outcome.value: report.count(outcome) for outcome in Outcome},
        "honest": [{"name": each.attack.name, "works": each.outcome is Outcome.STOPPED} for each in report.honest],
        "results": [_row(each) for each in report.results],
        "broken": report.broken,
        "not_tried": report.untried,
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


def listed(attacks: Iterable[Attack]) -> str:
    """Return what would be tried, a line for each attack: name, position, title."""
    return "".join(f"{line}\n" for line in columns([(each.name, each.position, each.title) for each in attacks]))


def show(stream: TextIO, report: Report) -> None:
    """Write the report for people: a table for each position, what was not tried, a summary. Raises `OSError`."""
    screen = Screen(stream)
    for position in Position:
        results = [each for each in report.results if each.attack.position is position]
        if results:
            screen.heading(f"From the position: {position}")
            _table(stream, screen, results)
    if report.untried:
        screen.heading("Not tried")
        screen.table([(each.row, each.why) for each in report.untried])
    screen.line(f"\n{_summary(screen, report)}")


def _table(stream: TextIO, screen: Screen, results: list[Result]) -> None:
    if screen.terminal:
        _rich_table(stream, results)
    else:
        screen.table([_HEAD, *(_cells(each) for each in results)], headed=True)


def _cells(result: Result) -> tuple[str, ...]:
    attack = result.attack
    return attack.name, result.outcome.value, attack.title, attack.expected, result.happened


def _rich_table(stream: TextIO, results: list[Result]) -> None:
    from rich import box  # noqa: PLC0415  # only a terminal pays for rich
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="dim")
    for title in _HEAD:
        table.add_column(title, no_wrap=title == "OUTCOME", overflow="fold")
    for each in results:
        name, outcome, *rest = _cells(each)
        table.add_row(name, Text(outcome, style=_COLOURS[each.outcome]), *map(Text, rest))
    Console(file=stream).print(table)


def _summary(screen: Screen, report: Report) -> str:
    parts = [f"{report.count(outcome)} {outcome.value}" for outcome in Outcome if report.count(outcome)]
    text = f"{len(report.results)} attacks in {report.seconds:.1f} s: {', '.join(parts) or 'none'}."
    if report.broken:
        text += f" Not brought to their end: {', '.join(report.broken)}."
    if report.honest:
        right = "as they should be" if report.works else "NOT AS THEY SHOULD BE"
        text += f" Honest calls before and after are answered {right}."
    if report.passed:
        return screen.paint(f"{text} Nothing got through.", "good")
    through = [each.attack.name for each in report.results if each.outcome is Outcome.THROUGH]
    return screen.paint(f"{text} GOT THROUGH: {', '.join(through)}." if through else text, "bad")
