"""What the runner is asked to do, and what it answers: values that travel as JSON over its standard input and output.

May import: our messages, `attempt`. Invariant: the runner gets no code and no name of code, only what stands here.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox
from trollbridge.ui_adapter.attack.attempt import Layers
from trollbridge.ui_adapter.attack.catalogue import Position

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.ui_adapter.attack.attempt import Attempt


class Pass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All attacks of one position, once."""

    position: Position
    layers: Layers
    """From inside: the attacker's. From outside: the victim's; an extension is always under all layers itself."""


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one runner does."""

    passes: tuple[Pass, ...]
    token: str
    """What the folder and the shared names of this run are called by, so that they can be found and removed."""
    role: Role = Role.ENCLAVE
    """What the attacker inside is, and what the victim of one outside is."""
    sandbox: Sandbox = NOTHING
    """What it may reach, resolved."""
    only: frozenset[str] = frozenset()
    """The attempts to make, by name. Empty: all of them."""
    vault: bool = False
    """Whether the ground's vault is added to the sandbox even if that reaches no file."""


class State(enum.StrEnum):
    """What came of one attack in one pass."""

    WORKED = "worked"
    STOPPED = "stopped"
    NOT_TRIED = "not tried"


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One attack in one pass."""

    name: str
    state: State
    happened: str


Records = tuple[tuple[Record, ...], ...]
"""For each pass, in order: its records."""


def chosen(attempts: Sequence[Attempt], only: frozenset[str]) -> tuple[Attempt, ...]:
    """Return those of `attempts` that `only` names; all if it names none."""
    return tuple(each for each in attempts if not only or each.name in only)
