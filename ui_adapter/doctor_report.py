"""The doctor's report for people: what was found, how well that is, and what to change. JSON is one call of msgspec.

May import: the doctor's values, our screen and wrapping. Invariant: words say everything; symbols and colours only
repeat it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TextIO

from trollbridge.messages.ids import SUPERVISOR, Role
from trollbridge.messages.posture import KEPT, NEEDED, Level, Mechanism, State
from trollbridge.ui_adapter.doctor_machine import Verdict
from trollbridge.ui_adapter.screen import Screen
from trollbridge.ui_adapter.wrapping import rows, width, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.ui_adapter.doctor import Found, Kept, Report
    from trollbridge.ui_adapter.doctor_machine import Fact

_STYLES: Final = {"✓": "good", "✗": "bad", "!": "heading", "·": "faint"}
_VERDICTS: Final = {Verdict.GOOD: "✓", Verdict.WEAK: "!", Verdict.BAD: "✗", Verdict.INFORMATION: "·"}
_LEVELS: Final = {Level.FULL: "✓", Level.PARTIAL: "!", Level.PROCESS_ONLY: "✗"}
_NEEDED: Final = frozenset(each.value for each in NEEDED)
BY_DESIGN: Final = "by design"
UNDECLARED: Final = "it declares no sandbox"
"""How the remedy of a UI begins that asks for no confinement."""
_LEFT_OFF: Final = frozenset(
    {
        Mechanism.EXECUTE_ONLY.value,
        Mechanism.NO_NEW_PRIVILEGES.value,
        Mechanism.NO_CAPABILITIES.value,
        Mechanism.LANDLOCK.value,
        Mechanism.SECCOMP.value,
    }
)
"""What the doctor's supervisor goes without: it keeps no secret, and the rest would be inherited."""
_OWN_START: Final = "the doctor has no secret, and does not start itself again from a copy as `trollbridge run` does"
_MANY: Final = re.compile(r"\breads (/[^,;]*(?:, /[^,;]*){4,})")
"""A list of paths that is longer than a person wants to read."""

Row = tuple[str, str, str, str, str]
"""A symbol, its word, a name, what was found, and what to change."""


def show(report: Report, stream: TextIO) -> None:
    """Write it, as wide as the stream; raises `OSError` if nobody takes it."""
    screen, columns = Screen(stream), width(stream)
    symbol = _LEVELS[Level(report.level)]
    first, *more = wrapped(
        f"Enclaves, broker and extensions on {report.platform} are kept: {report.level}", columns - 2
    )
    _lines(screen, [f"{screen.paint(symbol, _STYLES[symbol])} {first}", *(f"  {each}" for each in more)])
    if report.failure:
        _lines(screen, wrapped(report.failure, columns, first="  ", rest="  "))
    for process in report.processes:
        screen.heading(f"{process.member} ({process.role}, PID {process.pid}): {process.level}")
        _table(screen, columns, [*_mechanisms(process)])
    screen.heading("This machine")
    _table(screen, columns, [*map(_fact, report.machine)])
    screen.heading("What to change" if not report.sound else "Nothing has to be changed for applications to start here")
    if not report.sound:
        for text in advice(report):
            _lines(screen, wrapped(text, columns, first="  ", rest="    "))


def _lines(screen: Screen, lines: list[str]) -> None:
    for line in lines:
        screen.line(line)


def advice(report: Report) -> tuple[str, ...]:
    """Return what keeps the application from `full`, each with its remedy, in one line each."""
    lacking = [
        f"{found.mechanism}: {found.evidence}{f'; {found.remedy}' if found.remedy else ''}"
        for process in report.processes
        if process.role in KEPT
        for found in process.evidence
        if found.mechanism in _NEEDED and found.state not in (State.IN_FORCE, State.NOT_NEEDED)
    ]
    bad = [f"{each.name}: {each.found}; {each.remedy}" for each in report.machine if each.verdict is Verdict.BAD]
    accept = f"or accept less, with least={str(report.level)!r} in App(…)"
    return tuple(dict.fromkeys([*lacking, *bad, accept]))


def _mechanisms(process: Kept) -> Iterator[Row]:
    for each in process.evidence:
        if each.state in (State.IN_FORCE, State.NOT_NEEDED):
            yield "✓", each.state, each.mechanism, _short(each.evidence), each.remedy
        elif _by_design(process, each):
            why = _OWN_START if each.mechanism == Mechanism.EXECUTE_ONLY else each.remedy
            yield "·", BY_DESIGN, each.mechanism, f"{each.evidence}: {why}", ""
        else:
            bad = each.mechanism in _NEEDED and process.role != SUPERVISOR and each.state == State.MISSING
            yield "✗" if bad else "!", each.state, each.mechanism, _short(each.evidence), each.remedy


def _by_design(process: Kept, found: Found) -> bool:
    """Tell whether a process goes without a mechanism because it is meant to."""
    if found.state != State.MISSING:
        return False
    if process.role == SUPERVISOR:
        return found.mechanism in _LEFT_OFF
    return process.role == Role.UI.value and found.remedy.startswith(UNDECLARED)


def _short(evidence: str) -> str:
    """Return it with a number in the place of a long list of paths: the members of the doctor read nothing but code."""
    return _MANY.sub(
        lambda match: f"reads {match[1].count(', ') + 1} folders and files of code (--json has them)", evidence
    )


def _fact(fact: Fact) -> Row:
    return _VERDICTS[fact.verdict], fact.verdict.value, fact.name, fact.found, fact.remedy


def _table(screen: Screen, columns: int, table: list[Row]) -> None:
    cells = [(f"{symbol} {word}", name, found) for symbol, word, name, found, _ in table]
    for (symbol, *_, remedy), lines in zip(table, rows(cells, columns), strict=True):
        _lines(screen, [lines[0].replace(symbol, screen.paint(symbol, _STYLES[symbol]), 1), *lines[1:]])
        if remedy:
            _lines(screen, wrapped(remedy, columns, first="      → ", rest="        "))
