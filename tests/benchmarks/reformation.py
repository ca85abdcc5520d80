"""What very many re-formations of the ring leave behind in the processes that stay: memory and descriptors.

Start it with `python tests/benchmarks/reformation.py [--falls N] [--json FILE]`. It is the soak of the rings, with few
calls: half of the falls are new keys, half a SIGKILL of the enclave; it fails where a descriptor or memory is leaked.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.machine_facts import machine_facts
from tests.benchmarks.process_tree import adopt_orphans
from tests.soak.soaking import SETTLED, Soaked, soak

FALLS: Final = 1_000
CALLS_EACH: Final = 10


def report(soaked: Soaked) -> str:
    """Write the table."""
    each_ms = 1e3 * soaked.seconds / soaked.falls
    lines = [
        f"{soaked.falls:,} re-formations in {soaked.seconds:.0f} s, {each_ms:.0f} ms each",
        f"{soaked.rekeyed:,} by new keys, {soaked.killed:,} by SIGKILL; {soaked.calls:,} calls, all answered",
        f"{'':<14}{'descriptors':>26}{'memory, MiB':>34}",
        f"{'':<14}{'first':>10}{'last':>8}{'most':>8}{'first':>10}{f'{SETTLED}th':>8}{'last':>8}{'most':>8}",
    ]
    for name, held in soaked.held.items():
        descriptors = [each.descriptors or 0 for each in held]
        memory = [each.memory_kib / 1024 for each in held]
        tenth = memory[min(SETTLED, len(memory) - 1)]
        lines.append(
            f"{name:<14}{descriptors[0]:>10}{descriptors[-1]:>8}{max(descriptors):>8}"
            f"{memory[0]:>10.1f}{tenth:>8.1f}{memory[-1]:>8.1f}{max(memory):>8.1f}"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--falls", type=int, default=FALLS)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    adopt_orphans()
    soaked = soak(CALLS_EACH * (options.falls + 1), options.falls, lambda text: print(text, file=sys.stderr))
    print(report(soaked), flush=True)
    if options.json is not None:
        held = {name: [(each.descriptors, each.memory_kib) for each in found] for name, found in soaked.held.items()}
        written = {"machine": machine_facts(), "seconds": soaked.seconds, "falls": soaked.falls, "held": held}
        options.json.write_text(json.dumps(written, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
