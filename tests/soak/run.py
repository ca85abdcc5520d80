"""Runs the soak: `python tests/soak/run.py [--calls N] [--falls N] [--mebibytes N] [--accidents N]`; 1 is a failure.

Imports the standard library only, until the checkout is importable, which a program in a folder of its own is not.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from importlib import import_module
from pathlib import Path

CALLS, FALLS, MEBIBYTES, ACCIDENTS = 1_000_000, 1_000, 10_240, 200


def parsed() -> argparse.Namespace:
    """Read the command line. Exits with 2 where it makes no sense."""
    parser = argparse.ArgumentParser(description="A storm of accidents; many calls and rings; one very long document.")
    parser.add_argument("--calls", type=int, default=CALLS, metavar="N", help=f"calls in all ({CALLS:,})")
    parser.add_argument("--falls", type=int, default=FALLS, metavar="N", help=f"dismantlings ({FALLS:,})")
    parser.add_argument("--mebibytes", type=int, default=MEBIBYTES, metavar="N", help=f"a document's ({MEBIBYTES:,})")
    parser.add_argument("--accidents", type=int, default=ACCIDENTS, metavar="N", help=f"of the storm ({ACCIDENTS:,})")
    parser.add_argument("--seed", type=int, default=None, metavar="N", help="the order of the accidents; else any")
    return parser.parse_args()


def tell(text: str) -> None:
    """Show progress."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Soak, and say what was found."""
    options = parsed()
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    import_module("tests.benchmarks.process_tree").adopt_orphans()
    try:
        if options.accidents:
            storm(options.accidents, secrets.randbelow(1 << 32) if options.seed is None else options.seed)
        if options.mebibytes:
            documents(options.mebibytes)
        if options.falls:
            rings(options.calls, options.falls)
    except AssertionError as failure:
        tell(f"FAILED: {failure}")
        tell("\n".join(line[:300] for note in getattr(failure, "__notes__", ()) for line in note.splitlines()[-40:]))
        return 1
    return 0


def storm(accidents: int, seed: int) -> None:
    """Have accidents happen to an application under load. Raises AssertionError."""
    tell(f"{accidents} accidents, --seed {seed}")
    module = import_module("tests.soak.storm")
    weather = module.rage(module.season(accidents, seed), tell)
    ends = ", ".join(f"{count:,} {end}" for end, count in sorted(weather.ends.items()))
    tell(f"{weather.accidents.total()} accidents in {weather.seconds:.0f} s; calls: {ends}")
    memory = [f"{each / 1024:.1f}" for each in (weather.memory_kib[0], max(weather.memory_kib), weather.memory_kib[-1])]
    tell(f"the slowest call took {weather.slowest:.1f} s; supervisor: {' / '.join(memory)} MiB (first / most / last)")
    if not weather.small_disk:
        tell("no disk could be made that fills: mounting is not allowed here")


def documents(mebibytes: int) -> None:
    """Carry one document through a vault and back. Raises AssertionError."""
    carried = import_module("tests.soak.documents").carry(mebibytes, tell)
    speed = carried.mebibytes / carried.seconds
    tell(
        f"{carried.mebibytes:,} MiB encrypted and decrypted in {carried.seconds:.0f} s, {speed:.0f} MiB/s; none stored"
    )
    for name, peak in sorted(carried.peaks.items()):
        tell(f"{name}: at most {peak / 1024:.1f} MiB")


def rings(calls: int, falls: int) -> None:
    """Make calls in very many rings. Raises AssertionError."""
    soaked = import_module("tests.soak.soaking").soak(calls, falls, tell)
    tell(f"{soaked.calls:,} calls and {soaked.falls:,} dismantlings under the lock in {soaked.seconds:.0f} s")
    tell(f"{soaked.rekeyed:,} by new keys, {soaked.killed:,} by SIGKILL of the enclave; nobody else was killed")
    tell(f"broker and enclaves kept: {', '.join(sorted(soaked.levels))}")
    for name, held in soaked.held.items():
        first, last = held[0], held[-1]
        memory = " → ".join(f"{each.memory_kib / 1024:.1f}" for each in (first, held[min(10, len(held) - 1)], last))
        tell(f"{name}: descriptors {first.descriptors} → {last.descriptors}, memory {memory} MiB (first, 10th, last)")


if __name__ == "__main__":
    sys.exit(main())
