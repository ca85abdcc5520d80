"""The runner: a process of its own, executed anew, warmed and with one thread, that makes the attacks of a plan.

May import: our actors' isolation and messages, the other modules of this folder. Invariants: it aims at its own ground
only; it ends by itself; when it has ended, no process and no file of it is left.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.actors.isolation import kernel
from trollbridge.actors.isolation.interpreter import Interpreter
from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox
from trollbridge.ui_adapter.attack.attempt import Layers
from trollbridge.ui_adapter.attack.catalogue import Position
from trollbridge.ui_adapter.attack.ground import Site, place_outside
from trollbridge.ui_adapter.attack.inside import INSIDE
from trollbridge.ui_adapter.attack.layers import lay_on
from trollbridge.ui_adapter.attack.needs import unmet
from trollbridge.ui_adapter.attack.one_try import try_once
from trollbridge.ui_adapter.attack.outside import OUTSIDE
from trollbridge.ui_adapter.attack.plan import Pass, Plan, Record, State, chosen
from trollbridge.ui_adapter.attack.victim import Victim, be_victim
from trollbridge.ui_adapter.attack.zygote import Zygote

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.attack.attempt import Attempt
    from trollbridge.ui_adapter.attack.ground import Ground

_PR_SET_CHILD_SUBREAPER: Final = 36


def scope(ground: Ground, plan: Plan) -> Sandbox:
    """Return the sandbox without what does not exist; with the ground's vault in it, if it is to reach any file."""
    there = {
        name: tuple(each for each in getattr(plan.sandbox, name) if os.path.exists(each))  # noqa: PTH110  # strings
        for name in ("read", "write", "exec")
    }
    if plan.vault or plan.sandbox.write:
        there["write"] = (*there["write"], str(ground.vault))
    elif plan.sandbox.read:
        there["read"] = (*there["read"], str(ground.vault))
    return msgspec.structs.replace(plan.sandbox, **there)


def declared(attempt: Attempt, sandbox: Sandbox) -> str:
    """Return which declaration makes an attack none; empty if nothing does."""
    entries = {*sandbox.network, *(("exec",) if sandbox.exec else ()), *(("threads",) if sandbox.threads else ())}
    return ", ".join(sorted(attempt.declared & entries))


class Runner:
    """Makes the attacks of one plan."""

    def __init__(self, plan: Plan, site: Site, undo: ExitStack) -> None:
        """Start a zygote of each kind if there are attacks from outside."""
        self._plan: Final = plan
        self._site: Final = site
        self._zygotes: dict[bool, Zygote] = {}
        if any(each.position is not Position.INSIDE for each in plan.passes):
            interpreter = copy_of_interpreter()
            undo.callback(interpreter.close)
            for execute_only in (False, True):
                self._zygotes[execute_only] = zygote = Zygote(interpreter if execute_only else None)
                undo.callback(zygote.close)
        self._spared: Final = frozenset(each.pid for each in self._zygotes.values())

    def records(self, each: Pass) -> tuple[Record, ...]:
        """Make one pass."""
        attempts = INSIDE if each.position is Position.INSIDE else OUTSIDE
        return tuple(self._record(attempt, each) for attempt in chosen(attempts, self._plan.only))

    def _record(self, attempt: Attempt, each: Pass) -> Record:
        if missing := unmet(attempt.needs):
            return Record(attempt.name, State.NOT_TRIED, f"needs: {'; '.join(missing)}")
        if each.position is Position.INSIDE and (by := declared(attempt, self._plan.sandbox)):
            return Record(attempt.name, State.NOT_TRIED, f"the sandbox declares it: {by}")
        found = try_once(attempt, self._site, self._lock(each), self._bring(each), self._spared)
        if not found.prepared:
            return Record(attempt.name, State.NOT_TRIED, found.happened)
        return Record(attempt.name, State.WORKED if found.worked else State.STOPPED, found.happened)

    def _lock(self, each: Pass) -> Callable[[Ground], Callable[[], None]]:
        plan = self._plan
        match each.position:
            case Position.INSIDE:
                return lambda ground: lambda: lay_on(each.layers, plan.role, scope(ground, plan))
            case Position.EXTENSION:
                return lambda _ground: lambda: lay_on(Layers.ALL, Role.EXTENSION, NOTHING)
            case _:
                return lambda _ground: lambda: None

    def _bring(self, each: Pass) -> Callable[[Ground], None]:
        if each.position is Position.INSIDE:
            return fork_victim
        zygote = self._zygotes[each.layers is Layers.ALL]
        return lambda ground: zygote.bring(ground, each.layers, self._plan.role, scope(ground, self._plan))


def fork_victim(ground: Ground) -> None:
    """Give the ground an ordinary process of the same user as its victim."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        be_victim(theirs.fileno(), ground.canary, str(ground.home), lambda: None)
    theirs.close()
    ground.victim = Victim(pid, ours)


def copy_of_interpreter() -> Interpreter:
    """Make the execute-only copy; from the kernel's own link, where this user cannot see the interpreter's folder."""
    path = sys.executable
    if not os.access(path, os.R_OK):
        sys.executable = "/proc/self/exe"
    try:
        return Interpreter.prepare()
    finally:
        sys.executable = path


def main() -> None:
    """Read a plan from standard input, carry it out, write the records to standard output."""
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    kernel.prctl(_PR_SET_CHILD_SUBREAPER, 1)
    os.umask(0o077)
    with ExitStack() as undo:
        site = undo.enter_context(Site(place_outside(plan.sandbox), plan.token))
        runner = Runner(plan, site, undo)
        gc.collect()
        gc.freeze()
        records = [runner.records(each) for each in plan.passes]
    sys.stdout.buffer.write(msgspec.json.encode(records))
