"""What `trollbridge doctor` finds: how the kernel keeps a real application here, and what the machine adds to it.

May import: our actors and messages, the other parts of the doctor. Invariants: a level is measured on processes that
were started and locked as any application's are; what cannot be measured is told as such, never assumed.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import Final

import msgspec

from trollbridge.actors.app import App, Child
from trollbridge.actors.operations.log import Line, Log
from trollbridge.messages.posture import Evidence, Level, Posture, lowest
from trollbridge.ui_adapter import doctor_keychain, doctor_machine
from trollbridge.ui_adapter.doctor_machine import Fact

FORMAT: Final = 1
"""Of the report as JSON. It grows when a key goes or changes its meaning; a new key does not count."""
LINUX: Final = "linux"
ELSEWHERE: Final = (
    "only Linux can isolate processes as Trollbridge needs it; applications ask for the level full unless they say "
    "otherwise, and refuse to start here"
)


class Found(msgspec.Struct, frozen=True):
    """One mechanism of one process."""

    mechanism: str
    state: str
    evidence: str
    remedy: str


class Kept(msgspec.Struct, frozen=True):
    """How one process was kept."""

    member: str
    role: str
    pid: int
    level: str
    evidence: tuple[Found, ...]


class Report(msgspec.Struct, frozen=True):
    """Everything that was found; as JSON, the names are the keys."""

    format: int
    platform: str
    level: str
    """How well the kernel keeps the worst of enclave, broker and extension here."""
    failure: str
    """Why no application could be looked at, or nothing."""
    processes: tuple[Kept, ...]
    machine: tuple[Fact, ...]

    @property
    def sound(self) -> bool:
        """Whether an application with the default declaration starts here."""
        return self.level == Level.FULL and not self.failure


def application() -> App:
    """Return the declaration of what is started: one of each role, confined to nothing, whatever level they reach."""
    cast = "trollbridge.ui_adapter.doctor_cast"
    return App(
        ui=Child(f"{cast}:Patient", name="ui"),
        enclaves=[Child("trollbridge.enclave.target:Target", name="target")],
        extensions=[Child(f"{cast}:Visitor", name="extension")],
        grants={"ui": ["target.count"], "extension": ["target.mark"]},
        least=Level.PROCESS_ONLY,
    )


def measure() -> tuple[tuple[Posture, ...], str]:
    """Run the application; return the posture of each process, and why it failed if it did. Writes to no terminal."""
    from trollbridge.actors.supervision.supervisor import Supervisor  # noqa: PLC0415  # it cannot even be imported elsewhere

    lines: list[Line] = []
    try:
        supervisor = Supervisor(application(), Log(lambda line: lines.append(msgspec.json.decode(line, type=Line))))
        code = supervisor.run()
    except OSError as error:
        return (), f"the application could not be started: {error.strerror or error}"
    whys = [each.why for each in lines if each.why and each.event in ("process.failed", "ring.dismantling")]
    why = "; ".join(dict.fromkeys(whys)) or "standard error says why"
    failure = f"the application ended with {code}: {why}" if code else ""
    return supervisor.postures.all(), failure


def examine() -> Report:
    """Return what is found on this machine."""
    if sys.platform != LINUX:
        return Report(FORMAT, sys.platform, Level.PROCESS_ONLY, ELSEWHERE, (), doctor_machine.elsewhere())
    postures, failure = measure()
    level = lowest(postures)
    named = f"{platform.system()} {os.uname().release} {os.uname().machine}"
    machine = (*doctor_machine.facts(), doctor_keychain.fact())
    return Report(FORMAT, named, level, failure, tuple(map(_kept, postures)), machine)


def _kept(posture: Posture) -> Kept:
    found = tuple(map(_found, posture.evidence))
    return Kept(posture.member, posture.role, posture.pid, posture.level.value, found)


def _found(evidence: Evidence) -> Found:
    return Found(evidence.mechanism.value, evidence.state.value, evidence.evidence, evidence.remedy)
