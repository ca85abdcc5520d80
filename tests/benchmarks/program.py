"""The command line of the benchmark: measure trollbridge beside its peers, in one run.

Imports everything else in this folder. It owns one rule: however the run ends, by itself, by a signal or by an error,
no process that it started is left.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks import lock_cost
from tests.benchmarks.block import FULL, QUICK
from tests.benchmarks.bridge_streams import MIB, ROUNDS, run_streams, show_streams
from tests.benchmarks.lock_cost import run_lock_cost
from tests.benchmarks.lock_report import lock_as_json, show_lock
from tests.benchmarks.process_tree import adopt_orphans, end_descendants
from tests.benchmarks.report import as_json, show_run
from tests.benchmarks.roster import ROSTER
from tests.benchmarks.schedule import run_benchmark

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.benchmarks.bridge_streams import Streams
    from tests.benchmarks.lock_cost import LockRun
    from tests.benchmarks.schedule import Run

LOCK = "lock"
"""What `--only` calls the part that measures what the lock costs."""
STREAMS = "streams"
"""What it calls the part that streams a long file through the hosts."""
MEBIBYTES, QUICK_MEBIBYTES = 1024, 256


def parsed(arguments: Sequence[str] | None, names: Sequence[str]) -> argparse.Namespace:
    """Read the command line. Exits with 2 where it makes no sense."""
    parser = argparse.ArgumentParser(description="Measure trollbridge beside its peers, in one run.")
    parser.add_argument("--quick", action="store_true", help="one short round, under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--seconds", type=float, metavar="N", help="begin no block that would end later than that")
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"some of: {', '.join(names)}")
    return parser.parse_args(arguments)


def stop(number: int, _: object) -> None:
    """Turn a signal into an orderly end."""
    raise SystemExit(128 + number)


def measured(options: argparse.Namespace) -> tuple[Run | None, LockRun | None, Streams | None]:
    """Run the three parts of the benchmark, as far as they are wanted, and leave no process behind."""
    chosen = [entry for entry in ROSTER if options.only is None or entry.name in options.only]
    adopt_orphans()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)
    try:
        lock = None
        if options.only is None or LOCK in options.only:
            lock = run_lock_cost(lock_cost.QUICK if options.quick else lock_cost.FULL, tell)
        streams = None
        if options.only is None or STREAMS in options.only:
            size, rounds = (QUICK_MEBIBYTES, 1) if options.quick else (MEBIBYTES, ROUNDS)
            streams = run_streams(size * MIB, tell, rounds)
        plan = QUICK if options.quick else FULL
        if options.seconds is not None:
            plan = replace(plan, total_seconds=options.seconds)
        return run_benchmark(chosen, plan, tell) if chosen else None, lock, streams
    finally:
        end_descendants()


def tell(text: str) -> None:
    """Show progress."""
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, show, write; exits with 0 when there are figures, whatever they are, and with 1 when there are none."""
    options = parsed(arguments, [*(entry.name for entry in ROSTER), LOCK, STREAMS])
    run, lock, streams = measured(options)
    written: dict[str, object] = {}
    if run is not None:
        show_run(run)
        written |= as_json(run)
    if lock is not None:
        show_lock(lock)
        written[LOCK] = lock_as_json(lock)
    if streams is not None:
        show_streams(streams)
        written[STREAMS] = streams._asdict()
    if options.json is not None:
        options.json.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    measures = any(part is not None and part.results.contenders() for part in (run, lock))
    return 0 if measures or streams is not None else 1


if __name__ == "__main__":
    sys.exit(main())
