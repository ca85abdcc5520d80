"""An attack on the kernel's isolation as code: what it does, and how its success is told from its own claim.

May import: our actors' isolation and messages, `needs`, `ground`. Invariant: an attempt counts as successful only if
its act ended without an error *and* its proof holds, which is judged by the runner and not by the attacker.
"""

from __future__ import annotations

import enum
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from trollbridge.actors.isolation import kernel
from trollbridge.ui_adapter.attack.needs import Need

if TYPE_CHECKING:
    from trollbridge.ui_adapter.attack.ground import Ground

Act: TypeAlias = Callable[["Ground"], bytes | None]
Proof: TypeAlias = Callable[["Ground", bytes], bool]
Before: TypeAlias = Callable[["Ground"], None]

NO_NEEDS: Final[frozenset[Need]] = frozenset()
ROOT: Final = frozenset({Need.ROOT})
X86: Final = frozenset({Need.X86})
BUILD: Final = frozenset({Need.BUILD})
NEVER_DECLARED: Final[frozenset[str]] = frozenset()


class Layers(enum.StrEnum):
    """How much of the lock an attacker, or a victim, is under."""

    NONE = "no lock"
    NON_DUMPABLE = "non-dumpable only"
    LANDLOCK = "Landlock only"
    SECCOMP = "seccomp only"
    ALL = "all layers"


class Failed(Exception):
    """The attack ended without an error and without its aim."""


def claimed(ground: Ground, found: bytes) -> bool:
    """Take the attacker's word: the kernel's answer to the call is all there is to see."""
    del ground, found
    return True


def shows_canary(ground: Ground, found: bytes) -> bool:
    """Tell whether the attacker brought the canary out."""
    return ground.canary in found


def nothing(ground: Ground) -> None:
    """Prepare nothing."""
    del ground


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attack on the kernel's isolation."""

    name: str
    """The row of the catalogue, a dot, and what is done: `K3.ptrace-peek`."""
    title: str
    act: Act
    """Runs in the attacker after its lock; raises, or returns what it brings out."""
    proof: Proof = claimed
    """Runs in the runner afterwards, with what the act returned."""
    needs: frozenset[Need] = NO_NEEDS
    declared: frozenset[str] = NEVER_DECLARED
    """What a sandbox may declare that makes this no attack: `exec`, `threads`, or an entry of `network`."""
    before: Before = nothing
    """Runs in the attacker before its lock: what a process may have at hand from its honest days."""
    victim: bool = False
    """Whether it aims at another process."""


def reached(name: str, *arguments: kernel.Argument, errors: tuple[int, ...]) -> Act:
    """Return an act that makes a call with arguments that do no harm, so that one of `errors` shows it was reached."""

    def act(_ground: Ground) -> None:
        try:
            kernel.syscall(name, *arguments)
        except OSError as error:
            if error.errno not in errors:
                raise

    return act


def called(name: str, *arguments: kernel.Argument) -> Act:
    """Return an act that makes one system call, which must succeed."""

    def act(_ground: Ground) -> None:
        kernel.syscall(name, *arguments)

    return act


def contents(descriptor: int) -> bytes:
    """Return the first 4 KiB of what can be read from `descriptor`."""
    return os.read(descriptor, 4096)


def forgotten(_thing: object) -> None:
    """Forget what a call returned: that it returned is the point."""


def on_victim(  # noqa: PLR0913  # the columns of a table
    slug: str,
    title: str,
    act: Act,
    proof: Proof = claimed,
    *,
    needs: frozenset[Need] = NO_NEEDS,
    before: Before = nothing,
) -> Attempt:
    """Return an attempt on another process: row K3 of the catalogue."""
    return Attempt(f"K3.{slug}", title, act, proof, needs, before=before, victim=True)
