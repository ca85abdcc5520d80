"""The lines that `trollbridge top` shows: the ring, its processes, and how the calls have gone. Pure.

May import: our messages, `history`, `top_rates`. Invariant: words say everything; a line is as wide as it may be, and
what has no room is left out by columns, the least asked for first.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from trollbridge.messages.ids import SUPERVISOR, Role
from trollbridge.messages.vault import printable
from trollbridge.ui_adapter.history import BLOCKS, History, age, memory, number, plot, span
from trollbridge.ui_adapter.top_rates import TIMED, Look, compared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.ui_adapter.top_rates import MemberTop, Top

PLOT: Final = 24
"""Columns of a member's plot, and so the looks that are remembered for it."""
SHORTEST: Final = 8
"""Columns that a plot keeps, however little room there is."""
ALL: Final = ""
"""The series of all members together; no member has this name."""
_WELL: Final = "running"
"""The state of a process in which nothing is to be looked at."""
_HEAD: Final = (
    *("NAME", "PID", "STATE", "KEPT", "CPU", "MEMORY", "CALLS/S", "SERVED/S", "P50", "P99", "IN FLIGHT", "QUEUE"),
    *("CREDIT", "REFUSED", "RESTARTS", "HISTORY"),
)
_RIGHT: Final = frozenset(_HEAD) - {"NAME", "STATE", "KEPT", "HISTORY"}
"""Columns of numbers, which end at the right."""
_FIRST_TO_GO: Final = (
    *("QUEUE", "PID", "MEMORY", "CREDIT", "RESTARTS", "P50", "IN FLIGHT", "REFUSED", "KEPT", "CPU", "P99", "HISTORY"),
)
"""Columns in the order in which they give way to a narrow terminal."""


class View:
    """The looks at one application, the histories of its members, and the lines that a person sees."""

    def __init__(self, ticks: int, marks: str = BLOCKS) -> None:
        """Take the ticks of a second of processor time, and the characters for plots."""
        self._ticks: Final = ticks
        self._marks: Final = marks
        self._looks: deque[Look] = deque(maxlen=TIMED + 1)
        self._history: Final = History(PLOT)

    def take(self, look: Look) -> Top:
        """Take the next look; return what has happened since the last one."""
        self._looks.append(look)
        top = compared(self._looks, self._ticks)
        if len(self._looks) > 1:
            rates = {each.member: max(each.calls, each.served) for each in top.members}
            self._history.add({**rates, ALL: top.calls})
        return top

    def lines(self, top: Top, now: float, width: int | None = None, silent: float = 0.0) -> list[tuple[str, str]]:
        """Return what a person sees, each line with its style, as `Screen` has them. `now`: seconds since 1970.

        `width`: columns that there are; None: as many as it takes. `silent`: seconds for which the application has not
        answered; what is shown is as old.
        """
        first, *more = self.head(top, now - silent)
        if silent:
            first = f"NO ANSWER for {silent:.0f} s; before: {first}"
        head, *rows = aligned(fitted(self.rows(top), width))
        table = zip(rows, ("" if each.state == _WELL else "bad" for each in top.members), strict=True)
        return [(first, "bad" if silent else "heading"), *((each, "") for each in [*more, ""]), (head, "faint"), *table]

    def head(self, top: Top, now: float) -> list[str]:
        """Return the lines above the table. `now`: seconds since 1970."""
        stands = f"ring {top.epoch} {top.state} for {age(now - top.since)}" if top.since else f"ring {top.epoch}"
        first = f"{printable(top.name)} ({top.pid}): {stands}, kept {top.level or 'unknown'}"
        lines = [first, f"{top.restarts} of {top.most_restarts} restarts"]
        if top.fell:
            lines[1] += f"; the last ring fell: {printable(top.fell)}"
        plotted = plot(self._history.of(ALL), PLOT, marks=self._marks)
        return [*lines, f"{plotted}  {number(top.calls)} calls/s, p50 {span(top.p50)}, p99 {span(top.p99)}"]

    def rows(self, top: Top) -> list[list[str]]:
        """Return the table, its head first."""
        return [[*_HEAD], *([*_cells(each), self._plot(each.member)] for each in top.members)]

    def _plot(self, member: str) -> str:
        return plot(self._history.of(member), PLOT, marks=self._marks)


def fitted(rows: Sequence[Sequence[str]], width: int | None) -> list[list[str]]:
    """Return what of the table has room: the plots are cut at their older end, then columns are left out."""
    table = [[*column] for column in zip(*rows, strict=True)]
    for name in ("", *_FIRST_TO_GO):
        table = [column for column in table if column[0] != name]
        over = _wide(table) - (width if width is not None else _wide(table))
        if over <= 0:
            break
        head, *plots = table[-1]
        if head == _HEAD[-1] and len(plots[0]) - over >= SHORTEST:
            table[-1] = [head, *(each[over:] for each in plots)]
            break
    return [[*row] for row in zip(*table, strict=True)]


def _wide(table: Sequence[Sequence[str]]) -> int:
    return sum(max(map(len, column)) for column in table) + 2 * (len(table) - 1)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as lines with aligned columns: numbers end at the right, words begin at the left."""
    heads, wide = rows[0], [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if head in _RIGHT else cell.ljust(width)
            for head, cell, width in zip(heads, row, wide, strict=True)
        ).rstrip()
        for row in rows
    ]


def _cells(member: MemberTop) -> list[str]:
    linked = member.role not in {Role.BROKER, SUPERVISOR} and member.pid
    traffic = [
        *(number(member.calls), number(member.served), span(member.p50), span(member.p99)),
        *(number(member.in_flight + member.load), memory(member.queued) if member.queued else "0"),
        *(number(member.credit_held), number(member.refusals)),
    ]
    return [
        *(printable(member.member), str(member.pid or "–"), printable(member.state), printable(member.level) or "–"),
        *(f"{100 * member.cpu:.0f} %", memory(member.rss)),
        *(traffic if linked else ["–"] * len(traffic)),
        str(member.restarts),
    ]
