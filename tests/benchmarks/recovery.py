"""How soon a call is answered again: after SIGKILL and SIGSTOP, beside Erlang/OTP, supervisord and Ray, in one run.

Start it with `python tests/benchmarks/recovery.py [--rounds N] [--json FILE]`. Everybody's server is a Python process
that says who it is; the contenders take turns, each alone on the machine. Peers install themselves, as elsewhere.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Final, cast

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks.block import START_SECONDS, start
from tests.benchmarks.conversation import ContenderFailedError
from tests.benchmarks.environments import CannotInstallError, interpreter_for
from tests.benchmarks.machine_facts import machine_facts
from tests.benchmarks.process_tree import adopt_orphans
from tests.benchmarks.roster import Entry
from tests.benchmarks.sample_statistics import Setting

if TYPE_CHECKING:
    from tests.benchmarks.conversation import Conversation, Reply

KILLS: Final = 10
"""Of each contender, one after the other, in each round."""
BACK: Final = 20.0
"""Seconds within which somebody must be back after SIGKILL."""
NOTICED: Final = 15.0
"""Seconds after which a stopped process counts as not noticed."""
HUNG: Final = "process.hung"

ROSTER: Final = (
    Entry("recovery-enclave", "trollbridge, enclave: a new ring, new keys", "recovery_ours.py", arguments=("enclave",)),
    Entry("recovery-host", "trollbridge, host: replaced within the ring", "recovery_ours.py", arguments=("host",)),
    Entry("recovery-erlang", "Erlang/OTP, program at a port", "peers/erlang_supervisor.py", arguments=("port",)),
    Entry("recovery-inside", "Erlang/OTP, process of the VM", "peers/erlang_supervisor.py", arguments=("inside",)),
    Entry("recovery-supervisord", "supervisord", "peers/supervisord_program.py", "supervisor", "4.3.0"),
    Entry("recovery-ray", "Ray actor", "peers/ray_restart.py", "ray", "2.60.0"),
)
NEEDS: Final = {"peers/erlang_supervisor.py": "erlc"}
"""Programs that no environment of Python's holds."""


@dataclass(slots=True)
class Found:
    """Of one contender."""

    title: str
    killed: list[float] = field(default_factory=list)
    """Milliseconds from SIGKILL to the first answer of another process."""
    noticed: list[float] = field(default_factory=list)
    """Milliseconds from SIGSTOP until the supervisor says that it has noticed."""
    stopped: list[float | None] = field(default_factory=list)
    """Milliseconds from SIGSTOP to the first answer of another process; None: not within `NOTICED`."""
    told: dict[str, int] = field(default_factory=dict)
    """What calls in flight were told as their server was killed."""
    note: str = ""


def _since(reply: Reply, earlier: Reply) -> float:
    return (cast("int", reply["at"]) - cast("int", earlier["at"])) / 1e6


def _kill(contender: Conversation, found: Found) -> None:
    contender.tell({"ask": "crash", "signal": signal.SIGKILL})
    sent = contender.expect({"sent"}, BACK)
    found.killed.append(_since(contender.expect({"back"}, BACK), sent))


def _stop(contender: Conversation, found: Found, *, ours: bool) -> None:
    contender.tell({"ask": "crash", "signal": signal.SIGSTOP})
    sent = contender.expect({"sent"}, BACK)
    if ours:
        found.noticed.append(_since(contender.expect({HUNG}, NOTICED), sent))
    try:
        found.stopped.append(_since(contender.expect({"back"}, NOTICED), sent))
    except ContenderFailedError:
        found.stopped.append(None)


def measure(entry: Entry, found: Found, kills: int) -> None:
    """Run one contender once; what goes wrong is a note. Who has not noticed a stopped process is not asked again."""
    if entry.driver in NEEDS and shutil.which(NEEDS[entry.driver]) is None:
        found.note = f"needs {NEEDS[entry.driver]}"
        return
    ours = entry.requirement is None and entry.driver not in NEEDS
    try:
        with start(entry, interpreter_for(entry), Setting.FREE) as contender:
            if ours:
                told = contender.expect({"told"}, START_SECONDS)
                for name, count in told.items():
                    if isinstance(count, int):
                        found.told[name] = found.told.get(name, 0) + count
            contender.expect({"answered"}, START_SECONDS)
            for _ in range(kills):
                _kill(contender, found)
            if "inside" not in entry.arguments and None not in found.stopped:
                _stop(contender, found, ours=ours)
    except (ContenderFailedError, CannotInstallError) as problem:
        found.note = str(problem)


def report(results: list[Found]) -> str:
    """Write the table."""
    lines = [f"{'a call is answered again, ms':<46}{'SIGKILL p50':>12}{'worst':>8}{'SIGSTOP seen':>14}{'answered':>10}"]
    for each in results:
        cells = ["–"] * 4
        if each.killed:
            cells[0], cells[1] = f"{statistics.median(each.killed):.0f}", f"{max(each.killed):.0f}"
            if cells[0] == "0":
                cells[0] = f"{statistics.median(each.killed):.2f}"
        if each.noticed:
            cells[2] = f"{statistics.median(each.noticed):.0f}"
        if each.stopped:
            back = [one for one in each.stopped if one is not None]
            cells[3] = f"{statistics.median(back):.0f}" if back else f"> {NOTICED:.0f} s"
        lines.append(f"{each.title:<46}{cells[0]:>12}{cells[1]:>8}{cells[2]:>14}{cells[3]:>10}  {each.note}".rstrip())
    for each in results:
        if each.told:
            ends = ", ".join(f"{count} {name}" for name, count in sorted(each.told.items()))
            lines.append(f"calls in flight at a SIGKILL, {each.title.partition(':')[0]}: {ends}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender takes its turn")
    parser.add_argument("--kills", type=int, default=KILLS, help="of each contender in a round")
    parser.add_argument("--only", nargs="+", default=[], help="names of contenders, such as recovery-host")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    options = parser.parse_args(arguments)
    adopt_orphans()
    began = monotonic_ns()
    entries = [entry for entry in ROSTER if not options.only or entry.name in options.only]
    results = {entry: Found(entry.title) for entry in entries}
    for _ in range(options.rounds):
        for entry, found in results.items():
            measure(entry, found, options.kills)
    print(report(list(results.values())), flush=True)
    if options.json is not None:
        written = {"machine": machine_facts(), "seconds": (monotonic_ns() - began) / 1e9}
        written["results"] = {entry.name: asdict(found) for entry, found in results.items()}
        options.json.write_text(json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
