"""What operators' tools cost: a line of the log in each place, lines while calls are made, `top` beside a busy ring.

Start it with `python tests/benchmarks/log_cost.py [--rounds N] [--seconds N] [--json FILE]`. The places take turns.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.machine_facts import machine_facts
from tests.benchmarks.process_tree import processor_nanoseconds
from trollbridge.actors.operations import log_key
from trollbridge.actors.operations.chain import Chain
from trollbridge.actors.operations.log import Log
from trollbridge.actors.operations.rotation import LogFile
from trollbridge.actors.operations.sinks import DescriptorSink

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

REPOSITORY: Final = Path(__file__).resolve().parents[2]
LINES: Final = 5_000
COMMAND: Final = str(Path(sys.executable).with_name("trollbridge"))
NAME: Final = "bench-top"
SETTLES: Final = 3.0
"""Seconds until `top` has loaded and drawn itself once."""


def _drained(stack: ExitStack) -> int:
    """Return the end of a pipe that somebody reads as fast as it is written."""
    reads, writes = os.pipe()

    def drain() -> None:
        while os.read(reads, 1 << 16):
            pass
        os.close(reads)

    reader = threading.Thread(target=drain)
    reader.start()
    stack.callback(reader.join)
    stack.callback(os.close, writes)
    return writes


def _logs(folder: Path, stack: ExitStack) -> dict[str, Log]:
    """Return a log for each place."""
    null = os.open(os.devnull, os.O_WRONLY)
    stack.callback(os.close, null)
    key = folder / "key"
    log_key.make(str(key))
    return {
        "/dev/null": Log(DescriptorSink(null)),
        "a pipe that is read": Log(DescriptorSink(_drained(stack))),
        "a file": Log(LogFile(str(folder / "plain.log"))),
        "a file, forward-secure": Log(
            LogFile(str(folder / "keyed.log")), Chain("", "", lambda: log_key.take(str(key)))
        ),
        "a file, turned at 1 MiB": Log(LogFile(str(folder / "turned.log"), size=1 << 20)),
    }


def _write(log: Log) -> float:
    """Return the microseconds of one line."""
    began = time.perf_counter()
    for pid in range(LINES):
        log.line(
            "process.ended", 7, member="notary", role="enclave", pid=pid, incarnation=3, expected=False, signal="9"
        )
    return (time.perf_counter() - began) / LINES * 1e6


def lines(rounds: int) -> dict[str, float]:
    """Return the median microseconds of a line in each place."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        logs = _logs(Path(folder), stack)
        found: dict[str, list[float]] = {name: [] for name in logs}
        for _ in range(rounds):
            for name, log in logs.items():
                found[name].append(_write(log))
        for log in logs.values():
            log.close()
    return {name: statistics.median(each) for name, each in found.items()}


def _screen() -> tuple[int, int]:
    """Return both ends of a terminal of 120 columns and 40 lines."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 40, 120, 0, 0))
    return ours, theirs


def _until_sealed(log: Iterator[bytes]) -> None:
    for line in log:
        if b'"ring.sealed"' in line:
            return
    msg = "the application ended before its ring was sealed"
    raise SystemExit(msg)


class Watched(NamedTuple):
    """What was found beside a busy application."""

    share: float
    """Of a core, in percent, that `top` has used."""
    drawn: int
    """Bytes that it has written to its terminal meanwhile."""
    calls: float
    """A second, of the application."""
    lines: int
    """That its log has got meanwhile."""


class _Screen:
    """What a program draws on, and how much it has drawn."""

    def __init__(self) -> None:
        self._ours, self.theirs = _screen()
        self.drawn = 0
        threading.Thread(target=self._swallow, daemon=True).start()

    def _swallow(self) -> None:
        with suppress(OSError):  # its other end is closed
            while piece := os.read(self._ours, 1 << 16):
                self.drawn += len(piece)
        os.close(self._ours)


def _told(*command: str, environment: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run([COMMAND, *command, "--json"], env=environment, capture_output=True, check=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def beside(seconds: float) -> Watched:
    """Run `top` on a terminal beside a busy application."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        environment = {**os.environ, "XDG_RUNTIME_DIR": folder, "TERM": "xterm-256color"}
        run = [COMMAND, "run", "tests.benchmarks.busy_console:APP", "--name", NAME]
        application = stack.enter_context(
            subprocess.Popen(run, cwd=REPOSITORY, env=environment, stderr=subprocess.PIPE)
        )
        stack.callback(application.terminate)
        if application.stderr is None:
            raise AssertionError
        _until_sealed(iter(application.stderr))
        screen = _Screen()
        there = screen.theirs
        top = stack.enter_context(
            subprocess.Popen([COMMAND, "top", NAME], env=environment, stdin=there, stdout=there, stderr=there)
        )
        stack.callback(top.terminate)
        os.close(screen.theirs)
        time.sleep(SETTLES)
        first = _told("status", NAME, environment=environment)["applications"][0]["seq"]
        before, began, drawn = processor_nanoseconds([top.pid]), time.perf_counter_ns(), screen.drawn
        time.sleep(seconds)
        used = processor_nanoseconds([top.pid]) - before
        share = 100 * used / (time.perf_counter_ns() - began)
        if top.poll() is not None:
            raise AssertionError
        calls = _told("top", NAME, "--once", environment=environment)["calls"]
        last = _told("status", NAME, environment=environment)["applications"][0]["seq"]
        return Watched(share, screen.drawn - drawn, calls, last - first)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each place takes its turn")
    parser.add_argument("--seconds", type=float, default=20.0, help="that `top` is watched")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    costs = lines(options.rounds)
    print(f"{'a line of the log to':<28}{'µs':>8}{'lines a second':>16}")
    for name, cost in costs.items():
        print(f"{name:<28}{cost:>8.1f}{1e6 / cost:>16,.0f}", flush=True)
    watched = beside(options.seconds)
    print(f"\nlines of the log while {watched.calls:,.0f} calls a second are made: {watched.lines}")
    print(f"top, once a second: {watched.share:.2f} % of a core, {watched.drawn:,} bytes drawn")
    if options.json is not None:
        written = {"machine": machine_facts(), "microseconds": costs, "beside": watched._asdict()}
        options.json.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
