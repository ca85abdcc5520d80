"""How each process of an application is kept: what it reports, what the supervisor sees, and whether that is enough.

May import: `msgspec`, our messages, `isolation`. Invariant: a process gets its first secret only once its posture has
been taken and reaches the level that the application asks for.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from trollbridge.actors.isolation import interpreter, lock, outside
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import SUPERVISOR, Role
from trollbridge.messages.posture import TESTIFIED, Evidence, Level, Mechanism, Posture, State
from trollbridge.messages.vault import printable

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.actors.supervision.spawn import Process
    from trollbridge.messages.ids import MemberId


class Postures:
    """The postures of one application's processes, the supervisor's included."""

    learn: str = ""
    """In learn mode (`learning.Recorder`), a folder for the files of those that must not meet real ones."""

    def __init__(self, app: App) -> None:
        """Take the declaration, which says what is the least."""
        self._app = app
        self._of: dict[MemberId, Posture] = {}

    def take(self, process: Process, reported: tuple[Evidence, ...]) -> Posture:
        """Look at a process that says it is locked; return its posture."""
        evidence = outside.look(process.pid, process.start_evidence, reported)
        posture = outside.posture(process.member, process.role.value, process.pid, evidence)
        self._of[process.member] = posture
        return posture

    def refusal(self, posture: Posture) -> str:
        """Return why the application must not go on with this process, in one sentence; empty if it may."""
        least = self._app.least(posture.member, Role(posture.role))  # type: ignore[arg-type]  # made from a member's id
        if posture.level.rank >= least.rank:
            return ""
        causes = "; ".join(f"{each.mechanism}: {each.evidence}{_remedy(each)}" for each in posture.lacking)
        accept = f"or accept less, with least={posture.level.value!r} in its Child(…) or in App(…)"
        return f"the kernel keeps it {posture.level}, and {least} is asked for. {printable(causes)}; {accept}"

    def errand(self, process: Process, enclave: MemberId, reported: tuple[Evidence, ...]) -> tuple[Level, str]:
        """Look at an enclave's errand that says it is locked: it must be kept as well as the enclave.

        Return its level, and why it must not go on: empty if it may.
        """
        evidence = outside.look(process.pid, process.start_evidence, reported)
        posture = outside.posture(enclave, Role.ENCLAVE.value, process.pid, evidence)
        return posture.level, Postures.refusal(self, posture)

    def testify(self, member: MemberId, testimony: tuple[Evidence, ...]) -> Posture:
        """Add to an enclave's posture what it says of itself; return it. Its level was measured, and stays.

        Raises `Malformed` for one whose posture was not taken.
        """
        before = self._of.get(member)
        if before is None:
            raise Malformed
        evidence = (*(each for each in before.evidence if each.mechanism not in TESTIFIED), *testimony)
        self._of[member] = posture = msgspec.structs.replace(before, evidence=evidence)
        return posture

    def level(self, member: str) -> Level | None:
        """Return how well the last process of a member that was looked at is kept."""
        posture = self._of.get(member)  # type: ignore[call-overload]  # any name may be asked for
        return None if posture is None else posture.level

    def all(self) -> tuple[Posture, ...]:
        """Return the supervisor's posture and the last one of each member."""
        return (_own(), *self._of.values())


def _remedy(evidence: Evidence) -> str:
    return f" ({evidence.remedy})" if evidence.remedy else ""


def _own() -> Posture:
    reason = "the supervisor starts the others, and they would inherit it"
    inherited = (Mechanism.NO_NEW_PRIVILEGES, Mechanism.NO_CAPABILITIES, Mechanism.LANDLOCK, Mechanism.SECCOMP)
    evidence = (
        interpreter.of_this_process(),
        *lock.standing(),
        *(Evidence(each, State.MISSING, "not laid on", reason) for each in inherited),
    )
    return Posture(SUPERVISOR, "supervisor", os.getpid(), Level.PROCESS_ONLY, evidence)
