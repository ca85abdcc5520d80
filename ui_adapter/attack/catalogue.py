"""What an attack is, and what came of it: values only.

May import: `msgspec`. Invariant: an attack says before it runs what must happen; a result says what did.
"""

from __future__ import annotations

import enum

import msgspec


class Position(enum.StrEnum):
    """From where an attack is made."""

    INSIDE = "inside an enclave"
    """Code that has broken into a confined process and runs there."""
    EXTENSION = "extension"
    HOSTILE_UI = "hostile UI"
    OUTSIDER = "another process of the same user"


class Attack(msgspec.Struct, frozen=True):
    """One attack of the catalogue."""

    name: str
    """Unique and stable: `K3.ptrace-attach`. Up to the first dot, the row of the catalogue."""
    position: Position
    title: str
    """What is tried, as a person reads it."""
    expected: str
    """What must happen instead."""


class Outcome(enum.StrEnum):
    """What came of an attack."""

    STOPPED = "stopped"
    THROUGH = "got through"
    HARMLESS = "harmless"
    """It works, and the documents say why that harms nothing (`enclave/THREATS.md`)."""
    NOT_TRIED = "not tried"
    """It could not be tried here; `happened` says why."""


class Result(msgspec.Struct, frozen=True):
    """An attack after it was tried."""

    attack: Attack
    outcome: Outcome
    happened: str
    """What was seen: `EACCES`, `killed by SIGSYS`, `refused, and logged as uid.refused`."""
