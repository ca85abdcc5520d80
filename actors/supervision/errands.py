"""The errands of all enclaves, in the supervisor: starts them, bounds them, hands on what their enclave sends along.

May import: our messages, `errand`, `intensity`, `spawn`. Invariants: nothing is ever read from a descriptor that passes
through here, and none is kept once the errand is locked or has ended; an errand's end never ends a ring; what an
enclave asks for in vain, however often, fills no log.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.actors.entry.errand import TERMS
from trollbridge.actors.supervision.intensity import Intensity, Restarts
from trollbridge.actors.supervision.spawn import Besides
from trollbridge.messages import control
from trollbridge.messages.control import ErrandKind
from trollbridge.messages.ids import MemberId, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.actors.operations.log import Log
    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.postures import Postures
    from trollbridge.actors.supervision.spawn import Process
    from trollbridge.messages.posture import Evidence

MOST: Final = 8
"""Errands of one kind of one enclave at a time: many of one kind leave room for the others."""
PIPE: Final = 1 << 20
"""Bytes that a pipe on its way to an errand is made to hold, if the system lets it: an enclave may not ask for it."""
START_LIMIT: Final = 30.0
"""Seconds within which an errand must be locked."""
_MINUTE: Final = 60.0


class _Errand:
    """One errand that lives, and the descriptors that wait for it."""

    __slots__ = ("descriptors", "enclave", "kind")

    def __init__(self, enclave: MemberId, kind: ErrandKind, descriptors: Sequence[int]) -> None:
        self.enclave: Final = enclave
        self.kind: Final = kind
        self.descriptors = tuple(descriptors)

    def widen(self) -> None:
        """Let the pipes among what waits hold more; it only saves time."""
        for each in self.descriptors:
            with contextlib.suppress(OSError):
                fcntl.fcntl(each, fcntl.F_SETPIPE_SZ, PIPE)

    def let_go(self) -> None:
        """Close what waits for it: where it goes to nobody, the enclave sees the end of the file."""
        for each in self.descriptors:
            os.close(each)
        self.descriptors = ()


class _Refused(NamedTuple):
    """When an enclave was last refused a kind of errand, and how often in a row."""

    last: float
    times: int


class Errands:
    """Every errand of one application."""

    def __init__(self, processes: Children, postures: Postures, log: Log) -> None:
        """Take the table of processes, in which errands stand too, who judges how they are kept, and the log."""
        self._processes = processes
        self._postures = postures
        self._log = log
        self._living: dict[Process, _Errand] = {}
        self._asked: dict[tuple[MemberId, ErrandKind], Restarts] = {}
        self._refused: dict[tuple[MemberId, ErrandKind], _Refused] = {}

    def start(self, enclave: Process, kind: ErrandKind, descriptors: Sequence[int], epoch: int) -> None:
        """Start what an enclave asks for, or refuse it by closing what came with the request."""
        errand = _Errand(enclave.member, kind, descriptors)
        refusal = self._refusal(errand)
        if not refusal:
            try:
                process = self._processes.start(self._free_name(errand), Role.ERRAND, Besides(TERMS[kind].environment))
            except OSError as error:
                refusal = f"it could not be started: {error.strerror or type(error).__name__}"
            else:
                self._started(process, errand, epoch)
                return
        errand.let_go()
        if self._is_news(errand):
            self._log.line("errand.refused", epoch, **enclave.identity, why=refusal, detail=kind.value)

    def _is_news(self, errand: _Errand) -> bool:
        """Count a refusal; return whether the log gets it: the 1st, 2nd, 4th, 8th … in a row without a quiet minute."""
        now = time.monotonic()
        last, count = self._refused.get((errand.enclave, errand.kind), (0.0, 0))
        count = count + 1 if now - last < _MINUTE else 1
        self._refused[errand.enclave, errand.kind] = _Refused(now, count)
        return count & (count - 1) == 0

    def _refusal(self, errand: _Errand) -> str:
        if self._postures.learn and errand.kind is ErrandKind.KEYCHAIN:
            return "learn mode keeps away from the real keychain"
        alike = ((each.enclave, each.kind) == (errand.enclave, errand.kind) for each in self._living.values())
        if sum(alike) >= MOST:
            return f"{MOST} such errands of this enclave run already"
        rate = Intensity(TERMS[errand.kind].a_minute, _MINUTE)
        asked = self._asked.setdefault((errand.enclave, errand.kind), Restarts(rate))
        return "" if asked.allow(time.monotonic()) else f"it was asked for {rate.restarts} times within a minute"

    def _free_name(self, errand: _Errand) -> MemberId:
        """Return a name that no member can have, and no errand has now: `vault.keychain.0`."""
        names = (MemberId(f"{errand.enclave}.{errand.kind}.{number}") for number in range(MOST))
        return next(name for name in names if self._processes.get(name) is None)

    def _started(self, process: Process, errand: _Errand, epoch: int) -> None:
        self._living[process] = errand
        errand.widen()
        self._log.line("errand.started", epoch, **process.identity)
        home = os.path.expanduser("~")  # noqa: PTH111  # as for everybody (`formation.boot`)
        boot = control.Boot(errand.enclave, Role.ERRAND.value, errand.kind.value, (), (), None, home)
        self._processes.tell(process, boot)
        self._processes.expect_end(process, TERMS[errand.kind].seconds or START_LIMIT)

    def locked(self, process: Process, evidence: tuple[Evidence, ...], epoch: int) -> None:
        """Let an errand that is locked begin, if it is kept as well as its enclave must be; else kill it."""
        errand = self._living[process]
        level, refusal = self._postures.errand(process, errand.enclave, evidence)
        self._log.line("process.locked", epoch, **process.identity, level=level.value, why=refusal)
        if refusal:
            process.kill()
            return
        if TERMS[errand.kind].seconds is None:
            self._processes.excuse(process)
        self._processes.tell(process, control.Begin(), *errand.descriptors)
        errand.let_go()

    def ended(self, process: Process) -> None:
        """Forget an errand that has ended."""
        self._living.pop(process).let_go()
