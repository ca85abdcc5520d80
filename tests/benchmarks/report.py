"""What a run of the benchmark shows: a table for each setting, the targets, and the same as JSON.

Imports the statistics, the targets, the roster and rich. It owns one rule: nothing of the
machine but its facts (see `machine_facts`) is written down, no host name and no path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from tests.benchmarks.machine_facts import machine_facts
from tests.benchmarks.roster import FRAMEWORKS, OURS, ROSTER
from tests.benchmarks.sample_statistics import Metric, Setting
from tests.benchmarks.targets import REFERENCE, verdicts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.schedule import Run
    from tests.benchmarks.targets import Verdict

TITLES = {entry.name: entry.title for entry in ROSTER} | {REFERENCE: "one interpreter, imports only"}
HEADS = {
    Metric.LATENCY: "64 B µs",
    Metric.LATENCY_P99: "p99 µs",
    Metric.PIPELINED: "calls/s",
    Metric.BULK: "1 MiB MB/s",
    Metric.START: "start ms",
    Metric.RECOVERY: "SIGKILL ms",
    Metric.BROKER_MEMORY: "broker MiB",
    Metric.ALL_MEMORY: "all MiB",
}
SETTINGS = {Setting.PINNED: "all processes on one processor", Setting.FREE: "not pinned"}
SAID = {True: "reached", False: "NOT reached", None: "no figure"}

Rows = list[list[str]]


def figure(value: float | None) -> str:
    """Write a figure with as many digits as mean something."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def figures_table(run: Run, setting: Setting) -> Rows:
    """Give the rows of one setting, the head first."""
    return [
        ["", *HEADS.values()],
        *(
            [title, *(figure(run.results.median(setting, name, metric)) for metric in HEADS)]
            for name, title in TITLES.items()
            if name in run.results.contenders()
        ),
    ]


def ratios_table(run: Run, setting: Setting) -> Rows:
    """Give the rows that say how many times better we are than each peer; below 1 means worse."""
    rows = [["times better than", "64 B", "calls/s", "1 MiB", "start", "SIGKILL"]]
    for name in [name for name in TITLES if name in run.results.contenders() and name not in (OURS, REFERENCE)]:
        cells = [TITLES[name]]
        for metric in (Metric.LATENCY, Metric.PIPELINED, Metric.BULK, Metric.START, Metric.RECOVERY):
            ours, theirs = (OURS, metric), (name, metric)
            more_is_better = metric in (Metric.PIPELINED, Metric.BULK)
            over, under = (ours, theirs) if more_is_better else (theirs, ours)
            cells.append(figure(run.results.ratio(setting, over, under)))
        rows.append(cells)
    return rows


def targets_table(judged: Sequence[Verdict]) -> Rows:
    """Give the rows of the targets, the head first."""
    rows = [["target", "bound", "setting", "measured", ""]]
    for verdict in judged:
        bound = f"{'≥' if verdict.target.at_least else '≤'} {verdict.target.limit:g} {verdict.target.unit}"
        rows.append([verdict.target.text, bound, verdict.setting, figure(verdict.value), SAID[verdict.reached]])
    return rows


def plain(title: str, rows: Rows) -> str:
    """Lay a table out with spaces."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    return "\n".join([title, *lines, ""])


def show(title: str, rows: Rows) -> None:
    """Print a table: drawn on a terminal, laid out with spaces elsewhere."""
    console = Console()
    if not console.is_terminal:
        print(plain(title, rows))
        return
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column, head in enumerate(rows[0]):
        table.add_column(head, justify="right" if column else "left", no_wrap=True)
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table, highlight=False, soft_wrap=True)


def show_run(run: Run) -> None:
    """Print everything that a person wants to know of a run."""
    for setting, meaning in SETTINGS.items():
        show(f"UI → broker → enclave and back, {meaning}; medians over the rounds", figures_table(run, setting))
        if OURS in run.results.contenders():
            show(f"Ratios, {meaning}; medians of the ratios of each round", ratios_table(run, setting))
    if OURS in run.results.contenders():
        show("Targets", targets_table(verdicts(run.results)))
    for name, remarks in run.notes.items():
        for remark in remarks:
            print(f"note: {TITLES.get(name, name)}: {remark}")


def as_json(run: Run) -> dict[str, object]:
    """Give the run as values that JSON can write."""
    return {
        "machine": machine_facts(),
        "peers": {entry.requirement: entry.version for entry in ROSTER if entry.requirement is not None},
        "frameworks": list(FRAMEWORKS),
        "medians": {
            setting.value: {
                name: {metric.value: run.results.median(setting, name, metric) for metric in HEADS}
                for name in run.results.contenders()
            }
            for setting in Setting
        },
        "rounds": run.results.as_rounds(),
        "targets": [
            {
                "target": verdict.target.text,
                "bound": verdict.target.limit,
                "at_least": verdict.target.at_least,
                "setting": verdict.setting.value,
                "measured": verdict.value,
                "reached": verdict.reached,
            }
            for verdict in verdicts(run.results)
        ],
        "notes": run.notes,
    }
