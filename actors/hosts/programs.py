"""The programs host: runs what an application declares, with arguments that it declares, and streams what they write.

May import: our actors and messages, this folder. Invariants: a caller chooses among what is declared and adds nothing;
each program has a clean environment, no descriptor but its three pipes, and walls of its own inside its host's; when a
run ends, whichever way, everything that it started has been killed, and so it is when the host ends, by its guard.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator  # a handler's annotations are read at run time
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.actors.hosts.arguments import Arguments
from trollbridge.actors.hosts.confining import Confinement
from trollbridge.actors.hosts.guard import Guard
from trollbridge.actors.hosts.program import Spec
from trollbridge.actors.hosts.running import Run, reap
from trollbridge.actors.hosts.values import Exit, NotDeclared, Output
from trollbridge.actors.isolation import kernel, landlock
from trollbridge.actors.serving.streaming import Pause
from trollbridge.messages.errors import DeclarationError, Overloaded

if TYPE_CHECKING:
    from trollbridge.messages.ids import MemberId

_PR_SET_CHILD_SUBREAPER: Final = 36
_SOON: Final = 0.05
"""Seconds after which it is looked again for what was killed and has not ended yet."""


class Ready(msgspec.Struct, frozen=True):
    """A declared program, ready to be run."""

    spec: Spec
    arguments: Arguments
    walls: Confinement
    cwd: str


class ProgramsHost(HostActor):
    """Runs the programs that `Programs(…)` declares."""

    def __init__(self, programs: str, most: str) -> None:
        """Take what is declared (`program.Spec` by name, in JSON), and how many each member may run at a time."""
        super().__init__()
        self._specs: Final = msgspec.json.decode(programs, type=dict[str, Spec])
        self._most: Final = int(most)
        self._ready: dict[str, Ready] = {}
        self._runs: dict[Run, MemberId] = {}
        """What runs, or has ended and was not told yet, and who runs it."""
        self._dying: set[int] = set()
        """Groups that were killed, and whose processes have not all been reaped."""
        self._guard: Guard | None = None

    def warm_up(self) -> None:
        """Make the walls of each program; raises `DeclarationError`."""
        home = os.path.expanduser("~")  # noqa: PTH111  # a string, as the declaration has it
        kernel.prctl(_PR_SET_CHILD_SUBREAPER, 1)
        for name, spec in self._specs.items():
            landlock.prepare(spec.sandbox.resolved({}, home))
            try:
                walls = Confinement(spec, home)
            except OSError as error:
                msg = f"Programs: the walls of {name} cannot be made: {error.strerror}"
                raise DeclarationError(msg) from None
            cwd = os.path.join(home, spec.cwd[2:]) if spec.cwd.startswith("~/") else spec.cwd  # noqa: PTH118
            if not os.path.isdir(cwd):  # noqa: PTH112  # as above
                msg = f"Programs: {name} is to run in {cwd}, which is no folder"
                raise DeclarationError(msg)
            self._ready[name] = Ready(spec, Arguments(spec.args), walls, cwd)

    def on_start(self) -> None:
        """Start the guard, which needs the walls and no key, if a program may start others."""
        if any(spec.starts for spec in self._specs.values()):
            self._guard = Guard()

    def on_stop(self) -> None:
        """Leave nothing running."""
        for run in tuple(self._runs):
            run.close()
        if self._guard is not None:
            self._guard.dismiss()

    def on_wake(self) -> None:
        """End what has run for too long, and reap what has ended."""
        now = time.monotonic()
        for run in self._runs:
            if now >= run.deadline:
                run.kill("time")
        self._dying = {group for group in self._dying if not reap(group)}
        self._set_alarm()

    def _guarded(self) -> Guard | None:
        """Return the guard, if there is to be one: another one, if somebody has killed it."""
        if self._guard is not None and self._guard.has_ended():
            self._guard.close()
            self._guard = Guard(*(run.group for run in self._runs))
        return self._guard

    def _set_alarm(self) -> None:
        now = time.monotonic()
        times = [run.deadline for run in self._runs if now < run.deadline]
        self.wake_at(min((*times, now + _SOON) if self._dying else times, default=None))

    @handler
    def run(
        self,
        program: str,
        arguments: tuple[str, ...] = (),
        input: bytes = b"",  # noqa: A002  # its everyday name
    ) -> Generator[Output | Pause, None, Exit]:
        """Run a declared program, and stream what it writes; the result is how it ended.

        Of what it writes to one of its two streams nothing is reordered; between the two, the order is not kept.

        Raises `NotDeclared` for another program or arguments that no alternative lets pass, `Overloaded` if the
        caller runs as many as it may. To cancel the stream ends the program.
        """
        ready = self._ready.get(program)
        if ready is None or not ready.arguments.allow(arguments) or (input and not ready.spec.input):
            raise NotDeclared
        member = self.caller.member
        if sum(each == member for each in self._runs.values()) >= self._most:
            msg = f"{self._most} programs run already; take all that one of them writes, or cancel it"
            raise Overloaded(msg)
        run = Run(ready.spec, ready.walls, ready.cwd, arguments, input, self._guarded())
        self._runs[run] = member
        self._set_alarm()
        try:
            while not run.over:
                found = run.step()
                yield from found
                if not found and not run.over:
                    yield Pause(readable=run.readable)
            return run.result()
        finally:
            del self._runs[run]
            run.close()
            if not reap(run.group):
                self._dying.add(run.group)
            self._set_alarm()
