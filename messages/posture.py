"""Posture: the hardening of one process that is truly in force, measured and not configured, and what it amounts to.

May import: `msgspec`, our ids. Invariant: the level follows from the evidence by one rule, `level_of`; nobody sets it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.messages.ids import Role

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


class Level(enum.StrEnum):
    """How well the kernel keeps a process, in one word."""

    FULL = "full"
    """Every mechanism that the level needs is in force."""
    PARTIAL = "partial"
    """Landlock or seccomp is in force, and something else is missing."""
    PROCESS_ONLY = "process-only"
    """An address space of its own, and no more."""

    @property
    def rank(self) -> int:
        """A number that grows with the level."""
        return (Level.PROCESS_ONLY, Level.PARTIAL, Level.FULL).index(self)


class Mechanism(enum.StrEnum):
    """One thing that can stand between a process and the rest of the machine."""

    EXECUTE_ONLY = "execute-only start"
    NON_DUMPABLE = "non-dumpable"
    NO_CORE = "no core file"
    NO_NEW_PRIVILEGES = "no new privileges"
    NO_CAPABILITIES = "no capabilities"
    ONE_THREAD = "one thread at the lock"
    LANDLOCK = "Landlock"
    SECCOMP = "seccomp"
    SEALED_IMPORTS = "no imports after the lock"
    SECRET_MEMORY = "secret memory"  # noqa: S105  # a name, not a password
    VAULT_LAYERS = "vault layers"


TESTIFIED: Final = frozenset({Mechanism.VAULT_LAYERS})
"""What only the actor itself can tell: nothing that the kernel does, and so nothing that a level depends on."""
NEEDED: Final = frozenset(Mechanism) - {Mechanism.SEALED_IMPORTS, Mechanism.SECRET_MEMORY} - TESTIFIED
"""What `full` needs. The others are reported: the first is for clear errors, the second depends on limits."""
WALLS: Final = frozenset({Mechanism.LANDLOCK, Mechanism.SECCOMP})
KEPT: Final = (Role.ENCLAVE, Role.HOST, Role.BROKER, Role.EXTENSION)
"""Whom an application asks the kernel to keep. A UI is confined if it declares so; the supervisor starts the others."""


class State(enum.StrEnum):
    """Whether a mechanism is there."""

    IN_FORCE = "in force"
    WEAKER = "weaker"
    """In force in a form that stops less; counts as missing for `full`."""
    MISSING = "missing"
    NOT_NEEDED = "not needed"
    """It could not make a difference here; `evidence` says why. Counts as in force."""


class Evidence(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One mechanism as it was found."""

    mechanism: Mechanism
    state: State
    evidence: str
    """What was seen, and where: `Seccomp: 2 in /proc/PID/status`."""
    remedy: str = ""
    """If it is weaker or missing: why, and what to change."""

    @property
    def holds(self) -> bool:
        """Whether it counts as there."""
        return self.state in (State.IN_FORCE, State.NOT_NEEDED)


def level_of(evidence: Iterable[Evidence]) -> Level:
    """Return what the evidence amounts to. A mechanism without evidence is missing."""
    holding = {each.mechanism for each in evidence if each.holds}
    present = {each.mechanism for each in evidence if each.state in (State.IN_FORCE, State.WEAKER)}
    if holding >= NEEDED:
        return Level.FULL
    return Level.PARTIAL if present & WALLS else Level.PROCESS_ONLY


class Posture(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How one process is kept."""

    member: str
    role: str
    pid: int
    level: Level
    evidence: tuple[Evidence, ...]

    @property
    def lacking(self) -> tuple[Evidence, ...]:
        """What keeps it from being `full`."""
        return tuple(each for each in self.evidence if not each.holds and each.mechanism in NEEDED)

    def __str__(self) -> str:
        """Return it in one line: `vault: partial; missing: Landlock; weaker: seccomp`."""
        found = {each.mechanism: each for each in self.evidence}
        weaker = [each for each in Mechanism if each in found and found[each].state is State.WEAKER]
        missing = [each for each in Mechanism if each in NEEDED and (each not in found or not found[each].holds)]
        words = [("missing", [each for each in missing if each not in weaker]), ("weaker", weaker)]
        return "; ".join([f"{self.member}: {self.level}", *(f"{word}: {', '.join(of)}" for word, of in words if of)])

    def __repr__(self) -> str:
        """Return the same, marked as a posture: the evidence is read as `evidence`."""
        return f"<Posture of {self}>"


def lowest(postures: Iterable[Posture], roles: Collection[str] = KEPT) -> Level:
    """Return how well an application is kept, in one word: the lowest level of its processes of these roles.

    Without any such process: `process-only`, since nothing better was seen.
    """
    levels = (each.level for each in postures if each.role in roles)
    return min(levels, key=lambda each: each.rank, default=Level.PROCESS_ONLY)
