"""Laying on one layer of the lock alone, or all of them, in an attacker or a victim.

May import: our actors' isolation, `attempt`. Invariant: `Layers.ALL` is the very lock that an application's processes
get, in its order, with nothing left out and nothing added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.actors.isolation import capabilities, landlock, lock, seccomp
from trollbridge.ui_adapter.attack.attempt import Layers

if TYPE_CHECKING:
    from trollbridge.messages.ids import Role
    from trollbridge.messages.sandbox import Sandbox


def lay_on(layers: Layers, role: Role, sandbox: Sandbox) -> None:
    """Lock this process, as far as `layers` says; raises what the lock raises."""
    match layers:
        case Layers.NONE:
            pass
        case Layers.NON_DUMPABLE:
            lock.harden()
        case Layers.LANDLOCK:
            capabilities.no_new_privileges()
            landlock.restrict(sandbox)
        case Layers.SECCOMP:
            capabilities.no_new_privileges()
            seccomp.install(role, sandbox)
        case Layers.ALL:
            lock.harden()
            lock.lock(role, sandbox)
