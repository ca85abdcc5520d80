"""What the lock costs: the variants differ in what they leave out and in nothing else, and the arithmetic is right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.block import environment
from tests.benchmarks.layers import ALONE, LOCKED, PAIR, TELLING, UNLOCKED
from tests.benchmarks.lock_cost import QUICK, LockRun, turned
from tests.benchmarks.lock_report import added, pair_table, syscalls_table
from tests.benchmarks.process_tree import processor_nanoseconds
from tests.benchmarks.sample_statistics import Metric, Results, Setting
from tests.benchmarks.syscall_cost import measured_in_turns
from trollbridge.messages.posture import Level

if TYPE_CHECKING:
    from tests.benchmarks.roster import Entry

FOLDER = Path(__file__).resolve().parent
PINNED = Setting.PINNED
WITHOUT_THE_COPY = Level.FULL if os.geteuid() == 0 else Level.PARTIAL
"""Root reads every interpreter, so nothing is lost without a copy that nobody may read."""
LEVELS = {
    LOCKED: Level.FULL,
    UNLOCKED: Level.PROCESS_ONLY,
    "no-start": WITHOUT_THE_COPY,
    "no-landlock": Level.PARTIAL,
    "no-seccomp": Level.PARTIAL,
    "no-memory": Level.FULL,
}


def run_once(entry: Entry) -> subprocess.CompletedProcess[str]:
    """Start a variant, have it answer one call and end it."""
    return subprocess.run(
        [sys.executable, str(FOLDER / entry.driver), *entry.arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
        timeout=240,
    )


@pytest.mark.parametrize("entry", [*PAIR, *ALONE], ids=lambda entry: entry.name)
def test_a_variant_leaves_out_what_it_says_and_keeps_the_rest(entry: Entry) -> None:
    """A3: the same program, in the same steps; the kernel's word for how each of its processes is kept differs."""
    run = run_once(entry)
    assert [json.loads(line)["event"] for line in run.stdout.splitlines()] == ["sealed", "answered", "spent"]
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    levels = {line["role"]: line["level"] for line in lines if line["event"] == "process.locked"}
    assert levels == dict.fromkeys(("broker", "enclave", "ui"), LEVELS[entry.name])


def test_a_timed_application_tells_what_each_mechanism_took() -> None:
    """A3: every process tells, and of every mechanism that it has."""
    said = [json.loads(line) for line in run_once(TELLING).stdout.splitlines()]
    told = {line["role"]: line["nanoseconds"] for line in said if line["event"] == "laid"}
    assert set(told) == {"broker", "enclave", "ui"}
    for role, took in told.items():
        assert {"Landlock", "seccomp", "capabilities", "the lock as a whole"} <= set(took)
        assert ("secret memory" in took) is (role != "broker")
        assert all(nanoseconds > 0 for nanoseconds in took.values())


def test_single_system_calls_are_timed_with_a_filter_and_without() -> None:
    """Every role makes the calls that carry a record; an enclave makes no recvmsg."""
    found = measured_in_turns(1, [sys.executable, str(FOLDER / "syscall_cost.py")], environment())
    assert set(found) == {"none", "broker", "enclave"}
    assert set(found["none"]) == set(found["broker"]) == {*found["enclave"], "recvmsg"}


def test_everybody_is_first_and_last_as_often_as_the_others() -> None:
    """Turns go forwards and backwards, from each place."""
    orders = [turned(ALONE, number) for number in range(2 * len(ALONE))]
    assert all(sorted(each, key=ALONE.index) == list(ALONE) for each in orders)
    for place in (0, -1):
        assert set(Counter(order[place].name for order in orders).values()) == {2}


def test_the_lock_adds_milliseconds_to_a_start_and_per_cent_to_a_call() -> None:
    """Compared turn by turn; what is slower under the lock is positive, whatever the metric."""
    results = Results()
    for number, slow in enumerate((1.0, 2.0)):  # in the second turn the machine is half as fast
        for name, start, latency, rate in ((UNLOCKED, 100, 50, 1000), (LOCKED, 104, 51, 800)):
            figures = {Metric.SEALED: start * slow, Metric.LATENCY: latency * slow, Metric.PIPELINED: rate / slow}
            results.record(PINNED, name, number, figures)
    found = {metric: added(results, PINNED, metric) for metric in (Metric.SEALED, Metric.LATENCY, Metric.PIPELINED)}
    values = {metric: None if each is None else (each.value, each.unit, each.reached) for metric, each in found.items()}
    assert values == {
        Metric.SEALED: (6.0, "ms", True),
        Metric.LATENCY: (pytest.approx(2.0), "%", True),
        Metric.PIPELINED: (pytest.approx(25.0), "%", False),
    }
    assert added(results, PINNED, Metric.BULK) is None


def test_the_tables_publish_both_numbers() -> None:
    """Locked and unlocked stand beside the difference; what was not measured is left out."""
    run = LockRun(QUICK, lambda _: None)
    for name, value in ((UNLOCKED, 100.0), (LOCKED, 102.0)):
        run.results.record(PINNED, name, 0, {Metric.LATENCY: value})
    bare = {"recvmsg": 200.0, "epoll_wait": 100.0, "sendto": 300.0, "recvfrom": 250.0}
    run.syscalls = {"none": bare, "broker": {name: value + 50.4 for name, value in bare.items()}, "enclave": {}}
    assert pair_table(run, PINNED)[1:] == [["64 B µs", "100", "102", "+2.0 %", "≤ 3 %", "reached"]]
    assert syscalls_table(run)[1] == ["recvmsg", "200", "+50", "–"]
    assert syscalls_table(run)[-1] == ["the 11 of a round trip", "2,400", "+302", "–"]


def test_the_processor_time_of_a_process_grows() -> None:
    """As the scheduler counts it, in nanoseconds."""
    before = processor_nanoseconds([os.getpid()])
    assert before > 0
    sum(range(100_000))
    assert processor_nanoseconds([os.getpid()]) >= before
