"""What others notice of an extension that floods: the latency of the core's calls, and how soon an offender is gone.

Start it with `python tests/benchmarks/bridge_flood.py [--seconds N] [--json FILE]`. Quiet and flood take turns of half
a second in one ring, so that both meet the same machine. Prints two tables: latency, and calls a second of extensions.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.sample_statistics import percentile
from trollbridge.actors.app import App, Child
from trollbridge.actors.isolation.limits import MEMORY

CALLING: Final = (1, 4, 16)
"""Extensions that call at once."""
MODES: Final = {
    "1 extension, calls of 64 B": {"mode": "calls"},
    "1 extension, calls of 64 KiB": {"mode": "calls", "size": "65000"},
    "1 extension, invalid frames": {"mode": "frames"},
    "1 extension, lease requests": {"mode": "leases"},
}
RATE_SECONDS: Final = 2.0


class Latency(NamedTuple):
    """Of the core's calls, in microseconds; how many milliseconds an offender had until it was removed."""

    quiet_p50: float
    quiet_p99: float
    flood_p50: float
    flood_p99: float
    removed: float | None


def app(console: dict[str, str], extensions: list[dict[str, str]]) -> App:
    """Return an application with extensions of these settings."""
    guests = [
        Child("tests.benchmarks.flood_extension:Flooder", name=name, settings={"name": name, **settings}, memory=MEMORY)
        for name, settings in ((f"flooder{number}", each) for number, each in enumerate(extensions))
    ]
    return App(
        ui=Child("tests.benchmarks.flood_console:Console", settings=console),
        enclaves=["tests.benchmarks.flood_enclave:Target"],
        extensions=guests,
        grants={
            "console": ["target.echo", "target.told"],
            **{each.member: ["target.echo", "target.tell"] for each in guests},
        },
    )


def run(console: dict[str, str], extensions: list[dict[str, str]]) -> tuple[Any, list[dict[str, Any]]]:
    """Run the application in a process of its own; return what its console found, and its log."""
    asked = json.dumps([console, extensions])
    done = subprocess.run(
        [sys.executable, __file__, "--run", asked], capture_output=True, check=True, text=True, timeout=600
    )
    return json.loads(done.stdout), [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]


def latency(settings: dict[str, str], seconds: float) -> Latency:
    """Measure one way to flood."""
    found, log = run({"seconds": str(seconds)}, [settings])
    removed = None
    if settings["mode"] != "calls":
        times = {each["event"]: each["time"] for each in reversed(log) if each.get("member") == "flooder0"}
        first = min(time for event, time in times.items() if event.endswith("refused"))
        removed = 1e3 * (times["process.ended"] - first)
    quiet, flood = ([each / 1e3 for each in found[turn]] for turn in ("quiet", "flood"))
    return Latency(percentile(quiet, 50), percentile(quiet, 99), percentile(flood, 50), percentile(flood, 99), removed)


def rate(extensions: int, seconds: float) -> float:
    """Return the calls a second that so many extensions had answered together."""
    settings = [{"mode": "calls", "seconds": str(seconds)}] * extensions
    found, _ = run({"extensions": str(extensions)}, settings)
    return float(sum(found.values()) / seconds)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each way to flood")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.run:
        return app(*json.loads(options.run)).run()
    written: dict[str, object] = {}
    print(f"{'a call of the core, µs':<30}{'quiet p50':>10}{'p99':>8}{'flood p50':>11}{'p99':>8}{'p99 ×':>7}")
    for name, settings in MODES.items():
        each = latency(settings, options.seconds)
        gone = "" if each.removed is None else f"  (removed after {each.removed:.1f} ms)"
        print(
            f"{name:<30}{each.quiet_p50:>10.0f}{each.quiet_p99:>8.0f}{each.flood_p50:>11.0f}{each.flood_p99:>8.0f}"
            f"{each.flood_p99 / each.quiet_p99:>7.1f}{gone}",
            flush=True,
        )
        written[name] = each._asdict()
    print("\nextensions that call at once: calls a second, all together")
    for number in CALLING:
        written[f"{number} extensions, calls a second"] = found = rate(number, RATE_SECONDS)
        print(f"{number:>4}{found:>10,.0f}", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
