"""The doctor's report for people: what was found, how well that is, and what to change. JSON is one call of msgspec.

May import: the doctor's values, our screen. Invariant: words say everything; symbols and colours only repeat it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.ids import SUPERVISOR, Role
from trollbridge.messages.posture import NEEDED, Level, State
from trollbridge.ui_adapter.doctor_machine import Verdict
from trollbridge.ui_adapter.screen import columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trollbridge.ui_adapter.doctor import Kept, Report
    from trollbridge.ui_adapter.doctor_machine import Fact
    from trollbridge.ui_adapter.screen import Screen

_STYLES: Final = {"✓": "good", "✗": "bad", "!": "heading", "·": "faint"}
_VERDICTS: Final = {Verdict.GOOD: "✓", Verdict.WEAK: "!", Verdict.BAD: "✗", Verdict.INFORMATION: "·"}
_LEVELS: Final = {Level.FULL: "✓", Level.PARTIAL: "!", Level.PROCESS_ONLY: "✗"}
_NEEDED: Final = frozenset(each.value for each in NEEDED)

Row = tuple[str, str, str, str, str]
"""A symbol, its word, a name, what was found, and what to change."""


def show(report: Report, screen: Screen) -> None:
    """Write it; raises `OSError` if nobody takes it."""
    symbol = _LEVELS[Level(report.level)]
    screen.line(f"{screen.paint(symbol, _STYLES[symbol])} Enclaves on {report.platform} are kept: {report.level}")
    if report.failure:
        screen.line(f"  {report.failure}")
    for process in report.processes:
        screen.heading(f"{process.member} ({process.role}, PID {process.pid}): {process.level}")
        _table(screen, [*_mechanisms(process)])
    screen.heading("This machine")
    _table(screen, [*map(_fact, report.machine)])
    screen.heading("What to change" if not report.sound else "Nothing has to be changed for applications to start here")
    if not report.sound:
        for line in advice(report):
            screen.line(f"  {line}")


def advice(report: Report) -> tuple[str, ...]:
    """Return what keeps the enclaves from `full`, each with its remedy, in one line each."""
    lacking = [
        f"{found.mechanism}: {found.evidence}{f'; {found.remedy}' if found.remedy else ''}"
        for process in report.processes
        if process.role == Role.ENCLAVE.value
        for found in process.evidence
        if found.mechanism in _NEEDED and found.state not in (State.IN_FORCE, State.NOT_NEEDED)
    ]
    bad = [f"{each.name}: {each.found}; {each.remedy}" for each in report.machine if each.verdict is Verdict.BAD]
    accept = f"or accept less, with least={str(report.level)!r} in App(…)"
    return tuple(dict.fromkeys([*lacking, *bad, accept]))


def _mechanisms(process: Kept) -> Iterator[Row]:
    for each in process.evidence:
        if each.state in (State.IN_FORCE, State.NOT_NEEDED):
            symbol = "✓"
        else:
            needed = each.mechanism in _NEEDED and process.role != SUPERVISOR
            symbol = "✗" if needed and each.state == State.MISSING else "!"
        yield symbol, each.state, each.mechanism, each.evidence, each.remedy


def _fact(fact: Fact) -> Row:
    return _VERDICTS[fact.verdict], fact.verdict.value, fact.name, fact.found, fact.remedy


def _table(screen: Screen, rows: Sequence[Row]) -> None:
    for row, text in zip(rows, columns([row[1:4] for row in rows]), strict=True):
        screen.line(f"  {screen.paint(row[0], _STYLES[row[0]])} {text}")
        if row[4]:
            screen.line(f"      → {row[4]}")
