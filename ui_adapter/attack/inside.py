"""Every attack from inside a confined process: what code that has broken into an enclave can still do.

May import: the tables of attacks, `launch`, `verdict`. Invariant: names are unique, and each attack from inside stands
in `INSIDE`.
"""

from __future__ import annotations

import secrets
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox
from trollbridge.ui_adapter.attack.attempt import Layers
from trollbridge.ui_adapter.attack.catalogue import Position, Result
from trollbridge.ui_adapter.attack.inside_kernel import KERNEL
from trollbridge.ui_adapter.attack.inside_network import NETWORK
from trollbridge.ui_adapter.attack.inside_reading import READING
from trollbridge.ui_adapter.attack.inside_running import RUNNING
from trollbridge.ui_adapter.attack.inside_self import SELF
from trollbridge.ui_adapter.attack.inside_writing import WRITING
from trollbridge.ui_adapter.attack.launch import RunnerFailed, carry_out
from trollbridge.ui_adapter.attack.on_process import ON_PROCESS
from trollbridge.ui_adapter.attack.plan import Pass, Plan
from trollbridge.ui_adapter.attack.verdict import attack, judge, not_tried

if TYPE_CHECKING:
    from collections.abc import Collection

    from trollbridge.ui_adapter.attack.catalogue import Attack

INSIDE: Final = (*READING, *WRITING, *RUNNING, *NETWORK, *ON_PROCESS, *KERNEL, *SELF)
ATTACKS: Final = tuple(attack(each, Position.INSIDE) for each in INSIDE)

_LOOKING: Final = (
    "no layer hides sizes and times of files, and an enclave needs the call for its own; contents stay shut"
)
KNOWN: Final = MappingProxyType(
    {
        "S5.stat": _LOOKING,
        "S5.stat-no-follow": _LOOKING,
        "S1.hard-link-planted": (
            "whoever can plant a link in the declared folder can read and write the file it leads to; "
            "the vault refuses files that have more than one name"
        ),
    }
)
"""What works under all layers, and why that harms nothing (`enclave/THREATS.md`)."""


def run(
    sandbox: Sandbox = NOTHING,
    *,
    role: Role = Role.ENCLAVE,
    vault: bool = False,
    only: Collection[Attack] = (),
) -> list[Result]:
    """Try every attack from inside a process of that role and sandbox; takes a few seconds.

    `sandbox` is resolved; paths in it that do not exist are left out. `vault`: let the process reach a folder of the
    suite's own, as an enclave with a vault would, even if the sandbox declares no file. `only`: some of `ATTACKS`.
    """
    attempts = tuple(each for each in INSIDE if not only or attack(each, Position.INSIDE) in only)
    names = frozenset(each.name for each in attempts)
    passes = (Pass(Position.INSIDE, Layers.NONE), Pass(Position.INSIDE, Layers.ALL))
    try:
        unlocked, locked = carry_out(Plan(passes, secrets.token_hex(8), role, sandbox, names, vault))
    except RunnerFailed as error:
        return not_tried(attempts, Position.INSIDE, str(error))
    return judge(attempts, Position.INSIDE, unlocked, locked, KNOWN)
