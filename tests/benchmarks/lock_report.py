"""What the lock costs, as tables and as JSON: in figures, in differences, by mechanism and by system call.

Imports the statistics and the report. It owns one rule: what the lock adds is the median over the turns of the
difference, or of the ratio, between two variants that were asked in the same turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from tests.benchmarks.layers import ALONE, LOCKED, PAIR, UNLOCKED
from tests.benchmarks.report import SAID, SETTINGS, figure, show
from tests.benchmarks.sample_statistics import Metric, Setting
from tests.benchmarks.syscall_cost import FILTERED, NONE

if TYPE_CHECKING:
    from tests.benchmarks.lock_cost import LockRun
    from tests.benchmarks.report import Rows
    from tests.benchmarks.sample_statistics import Results

HEADS = {
    Metric.SEALED: "sealed ms",
    Metric.START: "first reply ms",
    Metric.LIFE_CPU: "start to end, CPU ms",
    Metric.LATENCY: "64 B µs",
    Metric.CALL_CPU: "64 B, CPU µs",
    Metric.PIPELINED: "calls/s",
    Metric.BULK: "1 MiB MB/s",
}
STARTS = frozenset({Metric.SEALED, Metric.START, Metric.LIFE_CPU})
RATES = frozenset({Metric.PIPELINED, Metric.BULK})
START_BOUND, CALL_BOUND = 10.0, 3.0
"""Milliseconds that the lock may add to a start, and per cent to a call."""

ROUND_TRIP = {
    "broker": {"epoll_wait": 2, "recvmsg": 2, "sendto": 2},
    "enclave": {"epoll_wait": 1, "recvfrom": 2, "sendto": 2},
}
"""The system calls of one 64 B call, as strace counts them; under the enclave stand the user interface's too."""


@dataclass(frozen=True, slots=True)
class Added:
    """What one variant adds to another in one metric: milliseconds for a start, per cent for a call."""

    metric: Metric
    less: float
    more: float
    value: float

    @property
    def unit(self) -> str:
        """The unit of the value."""
        return "ms" if self.metric in STARTS else "%"

    @property
    def bound(self) -> float:
        """What the value may be."""
        return START_BOUND if self.metric in STARTS else CALL_BOUND

    @property
    def reached(self) -> bool:
        """Whether the value keeps to its bound."""
        return self.value <= self.bound


def added(results: Results, setting: Setting, metric: Metric, more: str = LOCKED, less: str = UNLOCKED) -> Added | None:
    """Compare two variants turn by turn; None where they share none. Positive is worse for `more`."""
    above, below = results.by_round(setting, more, metric), results.by_round(setting, less, metric)
    shared = [number for number in above if below.get(number) and above[number]]
    if not shared:
        return None
    if metric in STARTS:
        each = [above[number] - below[number] for number in shared]
    elif metric in RATES:
        each = [100 * (below[number] / above[number] - 1) for number in shared]
    else:
        each = [100 * (above[number] / below[number] - 1) for number in shared]
    return Added(metric, median(below.values()), median(above.values()), median(each))


def signed(value: float, unit: str) -> str:
    """Write a difference with its sign."""
    return f"{value:+.1f} {unit}"


def pair_table(run: LockRun, setting: Setting) -> Rows:
    """Give the rows of locked against unlocked, the head first."""
    rows = [["", "unlocked", "locked", "the lock adds", "bound", ""]]
    for metric, head in HEADS.items():
        found = added(run.results, setting, metric)
        if found is not None:
            bound = f"≤ {found.bound:g} {found.unit}"
            shown = signed(found.value, found.unit)
            rows.append([head, figure(found.less), figure(found.more), shown, bound, SAID[found.reached]])
    return rows


def layers_table(run: LockRun) -> Rows:
    """Give the rows that say what each layer adds: the whole against all but that one."""
    rows = [["what is left out, and costs", *HEADS.values()]]
    for entry in (*ALONE, PAIR[1]):
        cells = [entry.title]
        for metric in HEADS:
            found = added(run.results, Setting.PINNED, metric, LOCKED, entry.name)
            cells.append("–" if found is None else signed(found.value, found.unit))
        rows.append(cells)
    return rows


def durations_table(run: LockRun) -> Rows:
    """Give the rows of what each mechanism takes to lay on, in each kind of process."""
    roles = list(run.laid)
    names = dict.fromkeys(name for role in roles for name in run.laid[role])
    rows = [["ms of processor time", *roles]]
    for name in names:
        taken = [run.laid[role].get(name) for role in roles]
        rows.append([name, *(figure(None if each is None else median(each) / 1e6) for each in taken)])
    return rows


def syscalls_table(run: LockRun) -> Rows:
    """Give the rows of single system calls, timed from Python."""
    rows = [["ns of one call", "no filter", *(f"{role} adds" for role in FILTERED)]]
    bare = run.syscalls.get(NONE, {})
    for name, without in bare.items():
        found = [run.syscalls.get(role, {}).get(name) for role in FILTERED]
        rows.append([name, figure(without), *("–" if each is None else f"{each - without:+.0f}" for each in found)])
    if bare:
        rows.append(round_trip(run))
    return rows


def round_trip(run: LockRun) -> list[str]:
    """Give the row that adds up what the filters cost one call: steadier than to time the calls."""
    bare = run.syscalls[NONE]
    cells: list[str] = []
    for role, counts in ROUND_TRIP.items():
        filtered = run.syscalls.get(role, {})
        missing = any(name not in filtered or name not in bare for name in counts)
        added_up = 0.0 if missing else sum(times * (filtered[name] - bare[name]) for name, times in counts.items())
        cells.append("–" if missing else f"{added_up:+.0f}")
    whole = sum(times * bare.get(name, 0.0) for counts in ROUND_TRIP.values() for name, times in counts.items())
    return ["the 11 of a round trip", figure(whole), *cells]


def show_lock(run: LockRun) -> None:
    """Print everything that a person wants to know."""
    for setting, meaning in SETTINGS.items():
        show(f"What the lock costs, {meaning}; medians over turns taken side by side", pair_table(run, setting))
    show("What each layer costs, all processes on one processor", layers_table(run))
    if run.laid:
        show("What each mechanism takes to lay on", durations_table(run))
    if run.syscalls:
        show("What the filter adds to a system call", syscalls_table(run))
    for note in run.notes:
        print(f"note: what the lock costs: {note}")


def lock_as_json(run: LockRun) -> dict[str, object]:
    """Give the run as values that JSON can write."""
    names = [entry.name for entry in (*PAIR, *ALONE)]
    return {
        "medians": {
            setting.value: {
                name: {metric.value: run.results.median(setting, name, metric) for metric in HEADS} for name in names
            }
            for setting in Setting
        },
        "added": {
            setting.value: {
                found.metric.value: {"value": found.value, "unit": found.unit, "reached": found.reached}
                for found in (added(run.results, setting, metric) for metric in HEADS)
                if found is not None
            }
            for setting in Setting
        },
        "laid_ms": {
            role: {name: median(each) / 1e6 for name, each in mechanisms.items()}
            for role, mechanisms in run.laid.items()
        },
        "syscall_ns": run.syscalls,
        "notes": run.notes,
    }
