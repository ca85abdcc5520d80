"""The lock: every mechanism in its order, in the process that is to be kept. What is not in force is said, not hidden.

May import: `messages`, the other modules of this folder. Invariants: no mechanism is laid on before one that it would
forbid, and seccomp is the last; when `lock` returns, nothing of it can be taken back.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import capabilities, denials, imports, kernel, landlock, seccomp, secret_memory
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import Role
from trollbridge.messages.posture import Evidence, Mechanism, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trollbridge.messages.sandbox import Sandbox

KEY_HOLDERS: Final = frozenset({Role.ENCLAVE, Role.UI})
"""Who holds long-lived keys, and so needs secret memory."""
COMPLETE: Final = frozenset({Role.ENCLAVE, Role.HOST, Role.BROKER, Role.ERRAND})
"""Whose code is loaded whole before the lock."""
_UNDECLARED: Final = "it declares no sandbox; give its class or its Child(…) a Sandbox(…)"


def harden() -> None:
    """Do what comes first in every process: nobody looks into it, and it leaves no core file."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def lock(role: Role, sandbox: Sandbox, readable: Sequence[str] = (), *, errands: bool = False) -> tuple[Evidence, ...]:
    """Lock this process for good; return what is in force.

    `sandbox` is resolved. `readable`: folders that the process must read besides, to load its code. `errands`: whether
    it is an enclave that has one-shot processes. Raises `DeclarationError` for what cannot be locked as declared,
    before anything is locked.
    """
    landlock.prepare(sandbox)
    _check_threads()
    evidence = [_threads(), *standing()]
    if role in KEY_HOLDERS:
        secret_memory.prepare()
        evidence.append(secret_memory.arena().evidence())
    if role in COMPLETE:
        evidence.append(imports.seal(network=bool(sandbox.network)))
    settle()
    evidence += [capabilities.no_new_privileges(), capabilities.drop()]
    evidence.append(landlock.restrict(sandbox, readable))
    evidence.append(seccomp.install(role, sandbox, errands=errands))
    denials.watch(sandbox)
    return tuple(evidence)


def settle() -> None:
    """Leave what is loaded out of every later collection, and let the collector work from here on.

    A child starts with it disabled (`spawn`): while modules are loaded it finds next to nothing, and costs 8 ms.
    """
    gc.freeze()
    gc.enable()


def unlocked() -> tuple[Evidence, ...]:
    """Return what is in force in a process that declares no sandbox."""
    settle()
    secret_memory.prepare()
    missing = (Mechanism.NO_NEW_PRIVILEGES, Mechanism.NO_CAPABILITIES, Mechanism.LANDLOCK, Mechanism.SECCOMP)
    return (
        *standing(),
        secret_memory.arena().evidence(),
        *(Evidence(each, State.MISSING, "not asked for", _UNDECLARED) for each in missing),
    )


def standing() -> Iterator[Evidence]:
    """Yield what `harden` has left: whether the process can be looked into, and whether it leaves a core file."""
    dumpable = kernel.prctl(kernel.PR_GET_DUMPABLE)
    state, remedy = (State.MISSING, "prctl(2) was refused") if dumpable else (State.IN_FORCE, "")
    yield Evidence(Mechanism.NON_DUMPABLE, state, f"PR_GET_DUMPABLE: {dumpable}", remedy)
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    state = State.IN_FORCE if limits == (0, 0) else State.MISSING
    remedy = "" if state is State.IN_FORCE else "the limit could not be set"
    yield Evidence(Mechanism.NO_CORE, state, f"RLIMIT_CORE: {limits[0]}, {limits[1]}", remedy)


def _thread_count() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208  # names only


def _children() -> str:
    """Return the PIDs of this process's children, if there are any and the kernel lists them."""
    with contextlib.suppress(OSError), open("/proc/thread-self/children", encoding="ascii") as file:  # noqa: PTH123
        return file.read()
    return ""


def _check_threads() -> None:
    count = _thread_count()
    if count != 1:
        msg = f"{count} threads run where one must: start threads in on_start, not while a module is imported"
        raise DeclarationError(msg)
    if _children():
        msg = "a process was started before the lock, which would not bind it: start it in on_start"
        raise DeclarationError(msg)


def _threads() -> Evidence:
    return Evidence(Mechanism.ONE_THREAD, State.IN_FORCE, "one entry in /proc/self/task")
