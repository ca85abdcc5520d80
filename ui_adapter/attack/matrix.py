"""The matrix: how many attacks still work under no lock, under each layer alone, and under all of them.

May import: our messages, `inside`, `launch`, `outside`, `plan`. Invariant: every figure comes with the names it counts.
"""

from __future__ import annotations

import secrets
from typing import Final

import msgspec

from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox
from trollbridge.ui_adapter.attack.attempt import Layers
from trollbridge.ui_adapter.attack.catalogue import Position
from trollbridge.ui_adapter.attack.launch import carry_out
from trollbridge.ui_adapter.attack.plan import Pass, Plan, State

INSIDE: Final = tuple(Pass(Position.INSIDE, layers) for layers in Layers)
OUTSIDE: Final = tuple(
    Pass(position, layers)
    for position in (Position.OUTSIDER, Position.EXTENSION)
    for layers in (Layers.NONE, Layers.NON_DUMPABLE, Layers.ALL)
)
"""Here the layers are the victim's; an extension is always under all layers itself."""


class Row(msgspec.Struct, frozen=True):
    """One pass."""

    position: Position
    layers: Layers
    working: tuple[str, ...]
    """The attacks that still work, by name, in the order of the tables."""
    stopped: tuple[str, ...]
    not_tried: tuple[str, ...]


def measure(
    passes: tuple[Pass, ...],
    sandbox: Sandbox = NOTHING,
    *,
    role: Role = Role.ENCLAVE,
    vault: bool = True,
    ordinary: bool = False,
) -> tuple[Row, ...]:
    """Make the passes, `INSIDE` or `OUTSIDE`; with `ordinary`, never as root. Raises `RunnerFailed`."""
    made = carry_out(Plan(passes, secrets.token_hex(8), role, sandbox, vault=vault), ordinary=ordinary)
    return tuple(
        Row(
            each.position,
            each.layers,
            *(tuple(one.name for one in records if one.state is state) for state in State),
        )
        for each, records in zip(passes, made, strict=True)
    )


def whole(sandbox: Sandbox = NOTHING) -> tuple[Row, ...]:
    """Make every pass: from inside as the user that we are, from outside as an ordinary one."""
    return (*measure(INSIDE, sandbox), *measure(OUTSIDE, sandbox, ordinary=True))


def table(rows: tuple[Row, ...]) -> str:
    """Return the figures as a table for people."""
    head = f"{'position':<33}{'layers':<19}{'still work':>11}{'of':>6}{'not tried':>11}"
    lines = [
        f"{each.position:<33}{each.layers:<19}{len(each.working):>11}"
        f"{len(each.working) + len(each.stopped):>6}{len(each.not_tried):>11}"
        for each in rows
    ]
    return "\n".join((head, *lines))
