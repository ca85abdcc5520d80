"""The order of the benchmark: rounds of blocks, every contender in both settings in each, within a time limit.

Imports blocks, environments and the roster. It owns two rules: contenders take turns, and whoever cannot be
installed, crashes or no longer fits into the time is left out with a note.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.block import START_SECONDS, Plan, environment, measure, processors, trial
from tests.benchmarks.conversation import ContenderFailedError
from tests.benchmarks.environments import LOGS, CannotInstallError, interpreter_for
from tests.benchmarks.process_tree import confined_to
from tests.benchmarks.sample_statistics import Metric, Results, Setting
from tests.benchmarks.targets import REFERENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.roster import Entry

IMPORTS = "import cryptography, pykka, msgspec, nacl"


@dataclass(slots=True)
class Run:
    """A run of the benchmark: its plan, what it found, what must be said."""

    plan: Plan
    tell: Callable[[str], None]
    results: Results = field(default_factory=Results)
    notes: dict[str, list[str]] = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)
    until: float = 0.0
    """When the measures must be over, on the monotonic clock; installing is not counted."""

    def note(self, contender: str, text: str) -> None:
        """Keep a remark on a contender, once."""
        remarks = self.notes.setdefault(contender, [])
        if text not in remarks:
            remarks.append(text)


def prepare(entries: Sequence[Entry], run: Run) -> list[tuple[Entry, str]]:
    """Give those contenders that can be installed, each with its interpreter."""
    ready: list[tuple[Entry, str]] = []
    for entry in entries:
        try:
            ready.append((entry, interpreter_for(entry)))
        except CannotInstallError as problem:
            run.note(entry.name, f"left out: {problem}")
    return ready


def warm_up(contenders: Sequence[tuple[Entry, str]], run: Run) -> list[tuple[Entry, str]]:
    """Start each contender once, unrecorded, and give those that came up; the slow ones are trusted to."""
    alive: list[tuple[Entry, str]] = []
    for entry, python in contenders:
        if entry.every > 1:
            alive.append((entry, python))
            continue
        run.tell(f"warm-up: {entry.title}")
        try:
            trial(entry, python)
        except ContenderFailedError as failure:
            run.note(entry.name, f"left out: {failure} at start")
        else:
            alive.append((entry, python))
    return alive


def import_milliseconds(setting: Setting) -> float | None:
    """Time one fresh interpreter that imports what every member needs; None where those are not installed."""
    command = [sys.executable, "-c", IMPORTS]
    with confined_to(processors(setting)):
        began = perf_counter()
        try:
            subprocess.run(command, check=True, capture_output=True, env=environment(), timeout=START_SECONDS)
        except subprocess.SubprocessError:
            return None
        return (perf_counter() - began) * 1e3


def run_reference(setting: Setting, number: int, run: Run) -> None:
    """Add the time that the imports alone take, thrice for each round."""
    for _ in range(3):
        took = import_milliseconds(setting)
        if took is None:
            run.note(REFERENCE, "the packages of the project are not installed")
            return
        run.results.record(setting, REFERENCE, number, {Metric.START: took})


def run_block(entry: Entry, python: str, setting: Setting, number: int, run: Run) -> bool:
    """Run one block and keep its figures; false where the contender must not be tried again."""
    began = monotonic()
    if began + run.expected.get(entry.name, entry.block_seconds) > run.until:
        run.note(entry.name, "fewer rounds: the time was up")
        return True
    run.tell(f"round {number + 1} of {run.plan.rounds}, {setting}: {entry.title}")
    try:
        result = measure(entry, python, setting, run.plan)
    except ContenderFailedError as failure:
        run.note(entry.name, f"{setting}: {failure}")
        return False
    run.results.record(setting, entry.name, number, result.figures)
    for text in result.notes:
        run.note(entry.name, text)
    run.expected[entry.name] = monotonic() - began
    return True


def run_rounds(contenders: Sequence[tuple[Entry, str]], run: Run) -> None:
    """Run every round; who goes first changes from round to round, so that no place in the row is favoured."""
    dropped: set[str] = set()
    for number in range(run.plan.rounds):
        first = number % max(1, len(contenders))
        for setting in Setting:
            run_reference(setting, number, run)
            for entry, python in [*contenders[first:], *contenders[:first]]:
                due = number % entry.every == 0 and entry.name not in dropped
                if due and not run_block(entry, python, setting, number, run):
                    dropped.add(entry.name)


def run_benchmark(entries: Sequence[Entry], plan: Plan, tell: Callable[[str], None]) -> Run:
    """Install, warm up and measure; nothing that a peer does wrong is fatal."""
    shutil.rmtree(LOGS, ignore_errors=True)
    run = Run(plan, tell)
    contenders = prepare(entries, run)
    run.until = monotonic() + plan.total_seconds
    run_rounds(warm_up(contenders, run), run)
    return run
