"""The rings of one application, one after the other: formed, sealed, dismantled.

May import: our messages, the other actors modules. Invariants: a ring is formed only when every process of the last
one that must not survive is reaped; the first secret goes to a process only after its Hello, and only if the kernel
keeps it as well as the application asks for.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, Protocol

from trollbridge.actors import exits
from trollbridge.actors.processes.reactor import Alarm
from trollbridge.actors.supervision.intensity import delay
from trollbridge.actors.supervision.keeping import Keeping
from trollbridge.actors.supervision.stopping import Stopping
from trollbridge.actors.trust_ring.admission import Admission, open_link
from trollbridge.actors.trust_ring.formation import Place, next_epoch
from trollbridge.actors.trust_ring.introductions import Introductions
from trollbridge.actors.trust_ring.ring import STANDING, Ring, RingEvent, RingState
from trollbridge.messages import control
from trollbridge.messages.errors import ProtocolError, UsageError
from trollbridge.messages.ids import BROKER, SUPERVISOR, Epoch, MemberId, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trollbridge.actors.app import App
    from trollbridge.actors.operations.log import Log
    from trollbridge.actors.processes.reactor import Reactor
    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.postures import Postures
    from trollbridge.actors.supervision.spawn import Process
    from trollbridge.actors.supervision.starting import Starting
    from trollbridge.messages.posture import Evidence

BOOT_LIMIT: Final = 30.0
"""Seconds within which a ring must be sealed."""


class Owner(Protocol):
    """The application, as its rings see it."""

    @property
    def stopping(self) -> bool:
        """Whether it is to end, so that no ring follows."""
        ...

    def abort(self, failure: str, code: int = exits.BOOT_FAILED) -> None:
        """End it: a ring could not be formed."""

    def give_up(self, why: str) -> None:
        """End it: rings fall too often."""


class Rings:
    """Forms them, and has them fall."""

    def __init__(  # noqa: PLR0913, PLR0917  # made once, by the supervisor
        self,
        app: App,
        owner: Owner,
        processes: Children,
        starting: Starting,
        postures: Postures,
        log: Log,
        reactor: Reactor,
    ) -> None:
        """Take the declaration, who owns this, the processes, who starts them, and who judges how they are kept."""
        self._app = app
        self._owner = owner
        self._processes = processes
        self._starting = starting
        self._postures = postures
        self._log = log
        self._admission = Admission(app)
        self._introductions = Introductions(app, processes)
        self.ring = Ring(Epoch(0), frozenset())
        self.ring.state = RingState.DISMANTLED
        self._released: set[MemberId] = set()
        self.reason = ""
        """Why the last ring fell."""
        self._counts = False
        """Whether its fall was a failure, which the restart intensity counts."""
        self.ran: Process | None = None
        """The UI whose code has run: when it ends, so does the application."""
        self._next = Alarm(self.form)
        self._boot = Alarm(self._too_late)
        self.keeping: Final = Keeping(app, self, processes, log)
        """Who restarts the hosts and extensions of a sealed ring."""
        self._orderly: Final = Stopping(app, processes)
        reactor.timers.extend((self._next, self._boot, self.keeping))

    @property
    def epoch(self) -> Epoch:
        """The epoch of the ring that there is, or was last."""
        return self.ring.epoch

    @property
    def standing(self) -> bool:
        """Whether a ring is whole, or is to become so."""
        return self.ring.state in STANDING

    @property
    def sealed(self) -> bool:
        """Whether a ring is whole."""
        return self.ring.state is RingState.SEALED

    @property
    def fallen(self) -> bool:
        """Whether there is none, and the next may be formed."""
        return self.ring.state is RingState.DISMANTLED

    @property
    def forming(self) -> bool:
        """Whether one is being formed."""
        return self.ring.state is RingState.FORMING

    @property
    def first(self) -> bool:
        """Whether it is the first that is being formed: what fails then is not tried again."""
        return self.forming and self.epoch == 1

    # Forming.

    def form(self) -> None:
        """Start the next ring; raises `UsageError` while there is one, `OSError` if a process cannot be started."""
        if not self.fallen:
            msg = "a ring must be dismantled before the next is formed"
            raise UsageError(msg)
        epoch = next_epoch(self.epoch)
        admitted = self._admission.form()
        self.ring = Ring(epoch, frozenset({BROKER, *(place.member for place, _ in admitted)}))
        self._log.line("ring.forming", epoch, member=SUPERVISOR)
        self._boot.set(BOOT_LIMIT)
        self._released.clear()
        self._starting.start(BROKER, Role.BROKER, None, epoch)
        for place, theirs in admitted:
            process = self._processes.get(place.member)
            if process is None:
                self._starting.start(place.member, place.role, theirs, epoch)
            else:
                self._processes.tell(process, place.join(epoch), theirs.fileno())
                theirs.close()

    def _too_late(self) -> None:
        """Say who has not joined in time, and give up."""
        for process in self._processes:
            if process.member in self.ring.missing:
                self._log.line("start.timeout", self.epoch, **process.identity, next="the application stops")
        self._owner.abort("the ring was not sealed in time")

    def hello(self, process: Process, evidence: tuple[Evidence, ...]) -> None:
        """Let a process that says it is locked have its first secret, if it is kept well enough."""
        place = self._admission.place(process.member)
        if (place is None and process.role is not Role.BROKER) or not self._kept(process, evidence):
            return
        if place is None:
            for each in self._admission.places:
                self._open_link(each)
            self._processes.tell(process, control.Join(self.epoch, bytes(32), (), ()))
            return
        if self.sealed:
            if not self._introductions.waits(process):
                self._admit(process, place)
            return
        self._processes.tell(process, place.join(self.epoch, *self._starting.verdicts.quarantine(place.member)))

    def _admit(self, process: Process, place: Place) -> None:
        """Let an extension, or a host that comes in the place of another, join the sealed ring."""
        place = self._introductions.admitted(process, place)
        self._open_link(place)
        self._processes.tell(process, place.join(self.epoch, *self._starting.verdicts.quarantine(place.member)))

    def _admit_those(self, processes: Iterable[Process]) -> None:
        for process in processes:
            place = self._admission.place(process.member)
            if place is not None:
                self._admit(process, place)

    def _kept(self, process: Process, evidence: tuple[Evidence, ...]) -> bool:
        """Return whether the kernel keeps a process as well as is asked for; without that it gets no secret."""
        posture = self._postures.take(process, evidence)
        refusal = self._postures.refusal(posture)
        self._log.line("process.locked", self.epoch, **process.identity, level=posture.level.value, why=refusal)
        if not refusal:
            if self.sealed:
                self._processes.tell(self._app.ui.member, control.Kept(posture))
            return True
        process.kill()
        if not self.sealed:
            self._owner.abort(f"{process.member}: {refusal}", exits.NOT_ISOLATED)
        return False

    def _open_link(self, place: Place) -> None:
        process = self._processes.get(place.member)
        with self._admission.take_end(place) as end:
            message = open_link(self.epoch, place, process.pid if process else 0)
            self._processes.tell(BROKER, message, end.fileno())

    def ready(self, process: Process, message: control.Ready) -> None:
        """Note that a process has joined; raises `ProtocolError` for another epoch, `UsageError` as `Ring.joined`."""
        if not self.standing:
            return
        if message.epoch != self.epoch:
            raise ProtocolError
        if self.sealed:
            self._joined_sealed(process, message)
            return
        self._log.line("member.joined", self.epoch, **process.identity)
        if self.ring.joined(process.member, message.fingerprint):
            self._seal()

    def _joined_sealed(self, process: Process, message: control.Ready) -> None:
        may = process.role in (Role.EXTENSION, Role.HOST) and self.linked(process.member)
        if message.fingerprint or not may:
            raise ProtocolError
        event = "extension.joined" if process.role is Role.EXTENSION else "member.joined"
        self._log.line(event, self.epoch, **process.identity)
        self._processes.tell(process, control.Seal(()))
        self._admission.remove(process.member)
        self._admit_those(self._introductions.ready(process))
        self.keeping.ready(process)

    def _seal(self) -> None:
        self.ring.move(RingEvent.ALL_READY)
        self._boot.clear()
        self._admission.seal()
        records = self._processes.records()
        for process in self._processes:
            if process.role not in (Role.UI, Role.ERRAND):
                self._processes.tell(process, control.Seal(records))
        self._log.line("ring.sealed", self.epoch, member=SUPERVISOR, fingerprint=self.ring.fingerprint)
        self.ran = self._processes.get(self._app.ui.member)
        message = control.Seal(records, self._postures.all())
        self._processes.tell(self._app.ui.member, message)  # enclaves know before the UI can call
        self._introductions.begin()
        self.keeping.launch()

    def start_extension(self, member: MemberId) -> None:
        """Start an extension's process; raises `UsageError` without a sealed ring, `OSError` if the system cannot."""
        if not self.sealed:
            msg = "an extension starts only once the ring is sealed"
            raise UsageError(msg)
        self._starting.start(member, Role.EXTENSION, self._admission.extension(member), self.epoch)

    def replace(self, member: MemberId) -> None:
        """Start a host's process in the place of one that has ended; raises `UsageError` and `OSError` as above."""
        if not self.sealed:
            msg = "a host is replaced only in a sealed ring"
            raise UsageError(msg)
        self._introductions.returns(member)
        self._starting.start(member, Role.HOST, self._admission.host(member), self.epoch)

    def withdraw(self, member: MemberId) -> None:
        """Tell whoever calls a host that it does not come back in this ring."""
        self._admit_those(self._introductions.withdraw(member))

    def linked(self, member: str) -> bool:
        """Return whether it is the process that a member has now whose link the broker can have cut."""
        return not self.sealed or self._introductions.linked(member)

    # Falling.

    def left(self, member: MemberId) -> None:
        """Note that an extension or a host of the sealed ring has been reaped; take its place back."""
        self._admission.remove(member)
        self._introductions.ended(member)

    def released(self, process: Process) -> None:
        """Note that the UI, which stays, has let go of its keys."""
        if self.ring.state is RingState.DISMANTLING and not self._owner.stopping:
            self._released.add(process.member)
            self._processes.excuse(process)
        self.reaped()

    def dismantle(self, reason: str, died: str = "") -> None:
        """Have the ring fall, if one stands. `died`: the member whose unexpected end it was, which counts."""
        if not self.standing:
            return
        whole = self.sealed
        self.ring.move(RingEvent.DISMANTLE)
        self.reason, self._counts = reason, bool(died)
        self._boot.clear()
        self._log.line("ring.dismantling", self.epoch, member=SUPERVISOR, why=reason)
        self._admission.close()
        self.keeping.forget()
        if whole and self._owner.stopping:
            self._orderly.begin()
        else:
            self._processes.let_fall(reason, died, stopping=self._owner.stopping)
        self.reaped()

    def reaped(self) -> None:
        """Go on once every process that must not survive is reaped and the UI, if it stays, has let go of its keys."""
        if self.ring.state is not RingState.DISMANTLING:
            return
        self._orderly.go_on()
        ui = self._app.ui.member
        stays = not self._owner.stopping and ui in self._released
        if any(process.member != ui or not stays for process in self._processes):
            return
        self.ring.move(RingEvent.ALL_REAPED)
        self._log.line(
            "ring.dismantled", self.epoch, member=SUPERVISOR, why=self.reason, fingerprint=self.ring.fingerprint
        )
        if not self._owner.stopping:
            self._again()

    def _again(self) -> None:
        number = self.keeping.lasting.rings.allow(time.monotonic()) if self._counts else 0
        if number is None:
            self._log.line("application.gave_up", self.epoch, member=SUPERVISOR, why=self.reason)
            self._owner.give_up(f"the ring fell too often, last because {self.reason}; the log tells why")
            return
        wait = delay(number, os.urandom(1)[0] / 255)
        limit = self._app.intensity
        within = f"{number} of {limit.restarts} within {limit.period:g} s" if number else ""
        self._log.line(
            "ring.restarting", self.epoch, member=SUPERVISOR, restart=number, detail=within, delay=round(wait, 3)
        )
        self._next.set(wait)

    def end(self) -> None:
        """Form no other ring."""
        self._next.clear()
