"""Our application with layers left out: `ours_layers.py [LAYER …] [timed]`. For the benchmark alone; nothing ships.

Imports trollbridge's actors layer. Every process is started through `layers_child`, whether anything is left out or
not, so that the way in costs all variants the same.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Self

from tests.benchmarks.contender import say
from tests.benchmarks.layers import TIMED, Layer
from tests.benchmarks.layers_child import MARK
from tests.harness.replacing import replace
from trollbridge.actors.app import App, Child
from trollbridge.actors.isolation import interpreter, outside
from trollbridge.actors.isolation.interpreter import Interpreter
from trollbridge.actors.operations.log import Log, to_stderr
from trollbridge.actors.supervision import spawn, supervisor
from trollbridge.actors.supervision.postures import Postures
from trollbridge.messages.posture import Evidence, Level, Mechanism, State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trollbridge.actors.supervision.spawn import Process
    from trollbridge.messages.posture import Posture

CHECKOUT = str(Path(__file__).resolve().parents[2])
OWN_ENTRY = "from trollbridge.actors.entry.child import main; main()"


class EntryChangedError(Exception):
    """The supervisor starts its children by other words than this program knows how to replace."""


class PlainInterpreter(Interpreter):
    """The interpreter as it is installed, which anybody of its user may read."""

    @classmethod
    def prepare(cls) -> Self:
        """Make no copy."""
        return cls(-1, {}, Evidence(Mechanism.EXECUTE_ONLY, State.MISSING, "left out by the benchmark"))


class Telling(Postures):
    """Passes on what a timed process tells beside its evidence."""

    def take(self, process: Process, reported: tuple[Evidence, ...]) -> Posture:
        """Write the durations to standard output, one JSON line for a process."""
        for each in reported:
            if each.evidence.startswith(MARK):
                say(event="laid", role=process.role.value, nanoseconds=json.loads(each.evidence.removeprefix(MARK)))
        return super().take(process, reported)


def announce(line: str) -> None:
    """Write the supervisor's log, and say on standard output when a ring was sealed."""
    if '"ring.sealed"' in line:
        say(event="sealed", at=monotonic_ns())
    to_stderr(line)


def nobody(_: int) -> list[dict[str, str]]:
    """Look at no process."""
    return []


def leave_out(layers: Iterable[str]) -> None:
    """Have the supervisor of this process, and the children that it starts, leave these layers out."""
    words = ",".join(layers)
    entry = f"sys.path.append({CHECKOUT!r}); from tests.benchmarks.layers_child import enter; enter({words!r})"
    if OWN_ENTRY not in spawn._ENTRY:
        raise EntryChangedError
    replace(spawn, _ENTRY=spawn._ENTRY.replace(OWN_ENTRY, entry))
    if Layer.START in layers:
        replace(interpreter, Interpreter=PlainInterpreter)
    if Layer.REST in layers:
        replace(outside, statuses=nobody)


def main(arguments: list[str]) -> int:
    """Run the application without the layers that the arguments name; return its exit code."""
    leave_out(arguments)
    app = App(
        ui=Child("tests.benchmarks.ours_console:Console"),
        enclaves=[Child("tests.benchmarks.ours_enclave:Echo")],
        grants={"console": ["echo.echo", "echo.pid", "echo.die"]},
        least=Level.PROCESS_ONLY,
    )
    postures = Telling(app) if TIMED in arguments else None
    code = supervisor.Supervisor(app, Log(announce), postures).run()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    say(event="spent", seconds=sum(each.ru_utime + each.ru_stime for each in used))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
