"""Contender of the recovery benchmark: trollbridge; `recovery_ours.py enclave` or `host`: the one that is ended.

Imports trollbridge's actors layer. It is the supervisor, and says beside the console's answers what its log says.
"""

from __future__ import annotations

import sys
from time import monotonic_ns
from typing import TYPE_CHECKING

from tests.benchmarks.crash_driver import say
from trollbridge.actors.app import App, Child
from trollbridge.actors.operations.log import Log
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.actors.supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from trollbridge.actors.operations.log import Line

TELLING = frozenset({"process.hung", "ring.sealed", "member.joined"})
OFTEN = Intensity(5, 0.001)
"""The benchmark kills on purpose, and as often as it likes."""


def told(line: Line) -> None:
    """Say what the log says, with the clock of the measures."""
    if line.event in TELLING:
        say(event=line.event, at=monotonic_ns(), member=line.member)


def app(server: str) -> App:
    """Return a console, an enclave and a host; the console calls the server of that name."""
    return App(
        ui=Child("tests.benchmarks.recovery_console:Console", settings={"server": server}),
        enclaves=[Child("tests.benchmarks.recovery_actors:Enclave")],
        hosts=[Child("tests.benchmarks.recovery_actors:Host")],
        grants={"console": [f"{name}.{handler}" for name in ("enclave", "host") for handler in ("who", "slow")]},
        intensity=OFTEN,
        group_intensity=OFTEN,
    )


if __name__ == "__main__":
    log = Log()
    log.subscribe(told)
    sys.exit(Supervisor(app(sys.argv[1]), log).run())
