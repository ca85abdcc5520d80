"""What the lock costs: the same application locked, unlocked, and without one layer each, in turns.

Imports blocks, layers and the statistics. It owns one rule: the variants of a round run side by side and are asked by
turns, in an order that changes, so that a slow moment of the machine hits all of them alike.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from tests.benchmarks.block import (
    ANSWER_SECONDS,
    HERE,
    IN_FLIGHT,
    START_SECONDS,
    environment,
    milliseconds,
    processors,
    start,
)
from tests.benchmarks.contender import LARGE, Limit, unrecorded
from tests.benchmarks.conversation import ContenderFailedError
from tests.benchmarks.layers import ALONE, PAIR, TELLING
from tests.benchmarks.process_tree import confined_to, descendants, processor_nanoseconds
from tests.benchmarks.sample_statistics import (
    Metric,
    Results,
    Setting,
    latency_figures,
    megabytes_per_second,
    per_second,
)
from tests.benchmarks.syscall_cost import measured_in_turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.benchmarks.conversation import Conversation, Reply
    from tests.benchmarks.roster import Entry
    from tests.benchmarks.syscall_cost import Timings


@dataclass(frozen=True, slots=True)
class LockPlan:
    """How often everything is started and asked, and how long each measure lasts at most."""

    starts: int
    instances: int
    turns: int
    latency: Limit
    pipelined: Limit
    bulk: Limit
    syscall_rounds: int


FULL = LockPlan(20, 6, 8, Limit(600, 0.15), Limit(4_000, 0.2), Limit(40, 0.15), 7)
QUICK = LockPlan(4, 1, 4, Limit(300, 0.08), Limit(2_000, 0.1), Limit(20, 0.08), 2)

Laid = dict[str, dict[str, list[int]]]
"""Role, mechanism, and the nanoseconds of each process."""


@dataclass(slots=True)
class LockRun:
    """A run: its plan, its figures, what must be said."""

    plan: LockPlan
    tell: Callable[[str], None]
    results: Results = field(default_factory=Results)
    laid: Laid = field(default_factory=dict)
    syscalls: dict[str, Timings] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def variants(setting: Setting) -> tuple[Entry, ...]:
    """Who takes part: pinned, where figures are steadiest, those that lack one layer too."""
    return (*PAIR, *ALONE) if setting is Setting.PINNED else PAIR


def turned(entries: Sequence[Entry], number: int) -> list[Entry]:
    """Give the order of a turn: backwards every other time, each time with another one first."""
    first = number // 2 % len(entries)
    order = [*entries[first:], *entries[:first]]
    return order[::-1] if number % 2 else order


def started(entry: Entry, setting: Setting, stack: ExitStack) -> tuple[Conversation, dict[Metric, float], list[Reply]]:
    """Start a variant; give the conversation, how long it took, and what its processes tell of the lock."""
    contender = stack.enter_context(start(entry, sys.executable, setting))
    told: list[Reply] = []
    while (reply := contender.expect({"laid", "sealed"}, START_SECONDS))["event"] == "laid":
        told.append(reply)
    answered = contender.expect({"answered"}, START_SECONDS)
    began = contender.began
    took = {Metric.SEALED: milliseconds(reply, began), Metric.START: milliseconds(answered, began)}
    return contender, took, told


def measure_starts(setting: Setting, run: LockRun) -> None:
    """Start every variant again and again, one at a time."""
    for number in range(run.plan.starts):
        for entry in turned(variants(setting), number):
            with ExitStack() as stack:
                contender, took, _ = started(entry, setting, stack)
                contender.tell({"ask": "stop"})
                spent = contender.expect({"spent"}, ANSWER_SECONDS)
                took[Metric.LIFE_CPU] = cast("float", spent["seconds"]) * 1e3
            run.results.record(setting, entry.name, number, took)


def measure_durations(run: LockRun) -> None:
    """Have processes time their own lock."""
    for _ in range(run.plan.starts):
        with ExitStack() as stack:
            _, _, told = started(TELLING, Setting.PINNED, stack)
        for reply in told:
            mechanisms = run.laid.setdefault(str(reply["role"]), {})
            for name, took in cast("dict[str, int]", reply["nanoseconds"]).items():
                mechanisms.setdefault(name, []).append(took)


def calls_of(contender: Conversation, plan: LockPlan) -> dict[Metric, float]:
    """Ask for one short measure of each kind. Raises ContenderFailedError."""

    def ask(what: str, limit: Limit) -> Reply:
        return contender.ask(what, limit, in_flight=IN_FLIGHT, seconds=ANSWER_SECONDS)

    pids = [contender.pid, *descendants(contender.pid)]
    before = processor_nanoseconds(pids)
    samples = cast("list[int]", ask("latency", plan.latency)["samples"])
    used = processor_nanoseconds(pids) - before
    figures = latency_figures(samples) | {Metric.CALL_CPU: used / 1e3 / (len(samples) + unrecorded(plan.latency))}
    many, bulk = ask("pipelined", plan.pipelined), ask("bulk", plan.bulk)
    figures[Metric.PIPELINED] = per_second(cast("int", many["calls"]), cast("float", many["seconds"]))
    calls, seconds = cast("int", bulk["calls"]), cast("float", bulk["seconds"])
    figures[Metric.BULK] = megabytes_per_second(calls, seconds, len(LARGE))
    return figures


def measure_calls(setting: Setting, run: LockRun) -> None:
    """Keep all variants running side by side, and ask one after the other."""
    for instance in range(run.plan.instances):
        with ExitStack() as stack:
            entries = variants(setting)
            contenders = {entry.name: started(entry, setting, stack)[0] for entry in turned(entries, instance)}
            for turn in range(run.plan.turns):
                for entry in turned(entries, turn):
                    number = instance * run.plan.turns + turn
                    run.results.record(setting, entry.name, number, calls_of(contenders[entry.name], run.plan))


def measure_syscalls(run: LockRun) -> None:
    """Add what single system calls cost with a filter and without."""
    command = [sys.executable, str(HERE / "syscall_cost.py")]
    with confined_to(processors(Setting.PINNED)):
        run.syscalls = measured_in_turns(run.plan.syscall_rounds, command, environment())


def run_lock_cost(plan: LockPlan, tell: Callable[[str], None]) -> LockRun:
    """Measure everything; what fails is noted, and the rest goes on."""
    run = LockRun(plan, tell)
    for setting in Setting:
        for what, measure in (("starts", measure_starts), ("calls", measure_calls)):
            tell(f"what the lock costs, {setting}: {what}")
            try:
                measure(setting, run)
            except ContenderFailedError as failure:
                run.notes.append(f"{setting}, {what}: {failure}")
    tell("what the lock costs: each mechanism, each system call")
    try:
        measure_durations(run)
        measure_syscalls(run)
    except (ContenderFailedError, subprocess.SubprocessError) as failure:
        run.notes.append(f"mechanisms and system calls: {type(failure).__name__}")
    return run
