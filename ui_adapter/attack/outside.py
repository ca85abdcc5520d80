"""Every attack by another process of the same user on a process that is kept as an enclave is.

May import: the tables of attacks, `launch`, `verdict`. Invariant: names are unique, and each attack from outside stands
in `OUTSIDE`. As root, attacker and victim are ordinary processes of an ordinary user: root itself is trusted.
"""

from __future__ import annotations

import secrets
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox
from trollbridge.ui_adapter.attack.attempt import Layers
from trollbridge.ui_adapter.attack.catalogue import Position, Result
from trollbridge.ui_adapter.attack.launch import RunnerFailed, carry_out
from trollbridge.ui_adapter.attack.on_process import ON_PROCESS
from trollbridge.ui_adapter.attack.outside_vault import EARLY, VAULT
from trollbridge.ui_adapter.attack.plan import Pass, Plan
from trollbridge.ui_adapter.attack.verdict import attack, judge, not_tried

if TYPE_CHECKING:
    from collections.abc import Collection

    from trollbridge.ui_adapter.attack.catalogue import Attack

OUTSIDE: Final = (*ON_PROCESS, *VAULT, *EARLY)
POSITIONS: Final = (Position.OUTSIDER, Position.EXTENSION)
ATTACKS: Final = tuple(attack(each, position) for position in POSITIONS for each in OUTSIDE)

_WHY: Final = {
    "a user may stop or kill what is his: the ring falls, nothing is learned": (
        "kill-nothing kill-stop kill kill-group tkill tgkill sigqueue tgsigqueue pidfd-signal input-signal"
    ),
    "a user may slow down what is his: nothing is learned": "limit affinity scheduler priority io-priority",
    "it says how the process is scheduled and limited, not what it holds": (
        "pidfd-open mrelease limit-read affinity-read session clock"
    ),
    "/proc shows it of every process, and no secret is ever in there": (
        "proc-stat proc-status proc-cmdline proc-comm proc-limits proc-cgroup proc-oom_score proc-mountinfo proc-task "
        "proc-net proc-coredump_filter"
    ),
    "the files belong to the user: what is in them is sealed, and a change is found when it is opened": (
        "vault-read vault-names vault-append vault-truncate vault-replace vault-remove vault-exchange-link vault-link "
        "vault-mode vault-lock vault-watch"
    ),
}
KNOWN: Final = MappingProxyType({f"K3.{name}": why for why, names in _WHY.items() for name in names.split()})
"""What an unconfined process of the same user can still do, and why that harms no secret (`enclave/THREATS.md`)."""
NONE_KNOWN: Final[MappingProxyType[str, str]] = MappingProxyType({})
"""What an extension can still do."""


def run(
    sandbox: Sandbox = NOTHING,
    *,
    role: Role = Role.ENCLAVE,
    vault: bool = True,
    only: Collection[Attack] = (),
) -> list[Result]:
    """Try every attack on a process of that role and sandbox, unconfined and as an extension; takes a few seconds.

    `sandbox`, `vault` and `only` as in `inside.run`.
    """
    wanted = {each.name for each in (only or ATTACKS)}
    attempts = {at: tuple(each for each in OUTSIDE if attack(each, at).name in wanted) for at in POSITIONS}
    names = frozenset(each.name for chosen in attempts.values() for each in chosen)
    passes = (
        Pass(Position.OUTSIDER, Layers.NONE),
        Pass(Position.OUTSIDER, Layers.ALL),
        Pass(Position.EXTENSION, Layers.ALL),
    )
    try:
        records = carry_out(Plan(passes, secrets.token_hex(8), role, sandbox, names, vault), ordinary=True)
    except RunnerFailed as error:
        return [result for at in POSITIONS for result in not_tried(attempts[at], at, str(error))]
    unlocked, outsider, extension = records
    return [
        *judge(attempts[Position.OUTSIDER], Position.OUTSIDER, unlocked, outsider, KNOWN),
        *judge(attempts[Position.EXTENSION], Position.EXTENSION, unlocked, extension, NONE_KNOWN),
    ]
