"""New keys for an application that runs: calls are let end, then its ring falls and the next one is formed.

May import: our messages, the other actors modules. Invariants: nobody is waited for longer than `Rekey.drain` seconds,
whatever a member says or keeps back; the ring falls by the one way there is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import structs

from trollbridge.actors.supervision.intensity import seconds
from trollbridge.actors.supervision.permits import CALLING
from trollbridge.messages import control
from trollbridge.messages.errors import DeclarationError, Malformed
from trollbridge.messages.ids import SUPERVISOR, Role

if TYPE_CHECKING:
    from trollbridge.actors.operations.log import Log
    from trollbridge.actors.operations.measuring import Measuring
    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.spawn import Process
    from trollbridge.actors.trust_ring.rings import Rings

DRAIN: Final = 10.0
"""Seconds that the calls in flight have to end in, unless the declaration says otherwise."""
COUNTED_EVERY: Final = 1.0
"""Seconds between two questions to the broker how many calls there were, if that matters."""
SHORTEST: Final = 1.0
"""Seconds that a set of keys stays at least."""


class Rekey(msgspec.Struct, frozen=True):
    """When the keys of an application are changed without being asked for, and how long its calls may delay that.

    After so many `seconds`, or so many `calls` of the UI that have been passed on in one epoch, whichever comes first;
    None: not by that. What extensions call does not count, nor what servers call in their turn: else an extension could
    have the keys changed, and the vault locked, as often as it likes.
    `drain`: the seconds that calls in flight have to end in; a call that takes longer, and any stream, ends by
    `RingDismantled`. What enclaves hold in memory ends with their processes: the shipped vault is locked afterwards.
    """

    seconds: float | None = None
    calls: int | None = None
    drain: float = DRAIN

    def __post_init__(self) -> None:
        """Raise `DeclarationError` for what is no time, or no number of calls."""
        age = None if self.seconds is None else seconds(self.seconds)
        if self.seconds is not None and (age is None or age < SHORTEST):
            msg = f"Rekey: seconds are a finite number from {SHORTEST:g} on, not {self.seconds!r}"
            raise DeclarationError(msg)
        if self.calls is not None and (type(self.calls) is not int or self.calls < 1):
            msg = f"Rekey: calls are a whole number from 1 on, not {self.calls!r}"
            raise DeclarationError(msg)
        drain = seconds(self.drain)
        if drain is None or drain < 0:
            msg = f"Rekey: drain is a finite number of seconds from 0 on, not {self.drain!r}"
            raise DeclarationError(msg)
        structs.force_setattr(self, "seconds", age)
        structs.force_setattr(self, "drain", drain)


def planned(declared: Rekey | None) -> Rekey:
    """Return when keys are changed, by default never; raises `DeclarationError` for what says nothing of that."""
    if declared is None:
        return Rekey()
    if type(declared) is not Rekey:
        msg = f"an application: rekey is a Rekey(seconds=…, calls=…), not {declared!r}"
        raise DeclarationError(msg)
    return declared


class Rekeying:
    """The changes of keys of one application; a timer of its supervisor's loop."""

    def __init__(self, plan: Rekey, rings: Rings, processes: Children, measuring: Measuring, log: Log) -> None:
        """Take the declaration, what falls, who is told, who asks the broker, and the log."""
        self._plan = plan
        self._rings = rings
        self._processes = processes
        self._measuring = measuring
        self._log = log
        self._epoch = 0
        """Of the ring that the times below are about."""
        self._expires: float | None = None
        self._counts_at: float | None = None
        self._waiting: set[Process] | None = None
        """Who still has calls in flight, while there is a change under way."""
        self._limit = 0.0
        self._why = ""

    @property
    def under_way(self) -> bool:
        """Whether calls are being let end."""
        return self._waiting is not None and self._rings.sealed and self._rings.epoch == self._epoch

    @property
    def due(self) -> float | None:
        """The monotonic time at which `tick` has something to do."""
        if not self._rings.sealed:
            return None
        if self._waiting is not None:
            return self._limit
        times = [each for each in (self._expires, self._counts_at) if each is not None]
        return min(times, default=None)

    def begin(self, why: str) -> bool:
        """Have the keys changed once the calls in flight have ended; return whether that begins now.

        It does not while there is no sealed ring, or if it is under way already. `tick` goes on with it.
        """
        if not self._rings.sealed or self.under_way:
            return False
        epoch = self._rings.epoch
        self._log.line("ring.draining", epoch, member=SUPERVISOR, why=why)
        self._epoch, self._why, self._limit = epoch, why, time.monotonic() + self._plan.drain
        callers = [each for each in self._processes if each.role in CALLING]
        self._waiting = set(callers)
        for process in callers:
            self._processes.tell(process, control.Drain(epoch))
        return True

    def drained(self, process: Process, message: control.Drained) -> None:
        """Note that a process has no call in flight; raises `Malformed` if it was not asked, or not in this epoch."""
        if not self._rings.sealed:
            return  # it came too late
        if self._waiting is None or process not in self._waiting or message.epoch != self._rings.epoch:
            raise Malformed
        self._waiting.discard(process)

    def tick(self, now: float) -> None:
        """Note a new ring; begin what is due; have the ring fall when everybody is ready, or the time is over."""
        if not self._rings.sealed:
            return
        if self._rings.epoch != self._epoch:
            self._begin_epoch(now)
        if self._waiting is not None:
            self._go_on(now)
        elif self._expires is not None and now >= self._expires:
            self._is_due(f"these keys are {self._plan.seconds:.10g} seconds old")
        elif self._counts_at is not None and now >= self._counts_at:
            self._counts_at = now + COUNTED_EVERY
            self._measuring.ask(self._counted)

    def _begin_epoch(self, now: float) -> None:
        plan = self._plan
        self._epoch, self._waiting = self._rings.epoch, None
        self._expires = None if plan.seconds is None else now + plan.seconds
        self._counts_at = None if plan.calls is None else now + COUNTED_EVERY

    def _go_on(self, now: float) -> None:
        waiting = {each for each in self._waiting or () if self._processes.get(each.member) is each}
        self._waiting = waiting
        if waiting and now < self._limit:
            return
        names = ", ".join(sorted(each.member for each in waiting))
        why = f"the time is over; these had calls in flight: {names}" if waiting else "no call is in flight"
        self._log.line("ring.drained", self._epoch, member=SUPERVISOR, why=why)
        self._rings.dismantle(self._why)

    def _is_due(self, why: str) -> None:
        self._log.line("rekey.due", self._epoch, member=SUPERVISOR, why=why)
        self.begin(f"{why}: new keys")

    def _counted(self, measures: control.Measures | None) -> None:
        most = self._plan.calls
        if measures is None or most is None or not self._rings.sealed or self._waiting is not None:
            return
        uis = {each.member for each in self._processes if each.role is Role.UI}
        calls = sum(each.calls for each in measures.measures if each.member in uis)
        if calls >= most:
            self._is_due(f"these keys have carried {calls} calls")
