"""The benchmark as a program: it measures real processes, and leaves none behind however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.process_tree import NoWeightError, descendants, parent_of, proportional_kib, weight_mib
from tests.benchmarks.report import HEADS
from tests.benchmarks.sample_statistics import Metric

PROGRAM = Path(__file__).resolve().parent / "run.py"
COMMAND = [sys.executable, str(PROGRAM), "--quick", "--only", "pipe"]
PATIENCE = 240.0
"""Seconds for a run that takes six."""

HIDDEN: set[Metric] = set() if os.geteuid() == 0 else {Metric.BROKER_MEMORY, Metric.ALL_MEMORY}


def test_a_parent_is_found_whatever_the_program_is_called() -> None:
    """The name stands in parentheses and may hold some, and blanks."""
    assert parent_of("12 (a) S 9 (b) x) S 34 12 12 0") == 34


def test_a_roll_up_without_a_weight_is_refused() -> None:
    """A zombie's roll-up is empty."""
    assert proportional_kib("Rss: 10 kB\nPss:      7 kB\nPss_Dirty: 3 kB\n") == 7
    with pytest.raises(NoWeightError):
        proportional_kib("")


def test_a_process_weighs_something_and_a_dead_one_nothing() -> None:
    """A process that has ended in the meantime does not spoil the sum."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert child.pid in descendants(os.getpid())
        assert (weight_mib([os.getpid()]) or 0) > 1
        child.kill()
    assert weight_mib([child.pid]) == 0


def session_members(session: int) -> list[int]:
    """List the processes that run in a session."""
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(stat[3]) == session and stat[0] != "Z":
                found.append(int(folder.name))
    return found


def test_a_run_writes_its_figures_and_nothing_private(tmp_path: Path) -> None:
    """The JSON has every figure of ours and of what a Pipe can do, a note for what it cannot, no host name, no path.

    Only root may weigh our processes, which nobody else can look into.
    """
    target = tmp_path / "figures.json"
    home = tmp_path / "home"
    run = subprocess.run(
        [*COMMAND, "trollbridge", "--seconds", "1e6", "--json", str(target)],
        env=os.environ | {"HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    text = target.read_text()
    written = json.loads(text)
    for setting in ("pinned", "free"):
        medians = written["medians"][setting]
        assert {metric for metric in HEADS if medians["pipe"][metric] is None} == {Metric.RECOVERY}
        assert {metric for metric in HEADS if medians["trollbridge"][metric] is None} == HIDDEN
    hidden = (
        {"trollbridge": [f"{metric}: may not be read" for metric in sorted(HIDDEN, reverse=True)]} if HIDDEN else {}
    )
    assert written["notes"] == {"pipe": ["recovery: does not restart"]} | hidden
    assert "multiprocessing.Pipe relay, plain" in run.stdout
    for private in (str(home), str(PROGRAM.parent), str(tmp_path)):
        assert private not in text
    assert socket.gethostname() not in re.split(r"[^\w.-]+", text)


def test_a_run_that_is_told_to_end_leaves_no_process() -> None:
    """SIGTERM in the middle of a block: the contender, in a session of its own, is gone when the run is."""
    with subprocess.Popen(
        COMMAND, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        assert run.stderr is not None
        while "round 1" not in run.stderr.readline():
            assert run.poll() is None
        started = descendants(run.pid)
        run.send_signal(signal.SIGTERM)
        assert run.wait(PATIENCE) == 128 + signal.SIGTERM
    sessions = {run.pid, *started}
    assert [member for session in sessions for member in session_members(session)] == []
