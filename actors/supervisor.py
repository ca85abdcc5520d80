"""The supervisor: spawns, watches, reaps; forms the ring, dismantles it, forms it again. It holds no message key.

May import: our messages, the other actors modules. Invariants: a ring is formed only when every process of the last
one that must not survive is reaped; the first secret goes to a process only after its Hello; when `run` returns no
child is left.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Final

from trollbridge.actors import exits
from trollbridge.actors.admission import Admission, open_link
from trollbridge.actors.children import Children
from trollbridge.actors.ends import end_of
from trollbridge.actors.errands import Errands
from trollbridge.actors.formation import Place, next_epoch
from trollbridge.actors.hangup import Terminal
from trollbridge.actors.heartbeat import Heartbeat
from trollbridge.actors.intensity import Restarts, delay
from trollbridge.actors.isolation.lock import harden
from trollbridge.actors.log import Log, to_stderr
from trollbridge.actors.notices import Notices
from trollbridge.actors.postures import Postures
from trollbridge.actors.ring import STANDING, Ring, RingEvent, RingState
from trollbridge.actors.signals import Signals
from trollbridge.actors.spawn import occupy_standard
from trollbridge.actors.starting import Starting, demand, hold
from trollbridge.messages import control
from trollbridge.messages.control import FailureKind
from trollbridge.messages.errors import ProtocolError, UsageError
from trollbridge.messages.ids import BROKER, SUPERVISOR, Epoch, MemberId, Role
from trollbridge.messages.vault import printable

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.actors.spawn import Process
    from trollbridge.messages.posture import Evidence

GRACE: Final = 2.0
"""Seconds that a process has to end by itself once it is told to."""
UI_GRACE: Final = 5.0
BOOT_LIMIT: Final = 30.0
"""Seconds within which a ring must be sealed."""


class Supervisor:
    """Runs one application."""

    def __init__(self, app: App, log: Log | None = None, postures: Postures | None = None) -> None:
        """Take the declaration, where the log goes (standard error without one), and who judges how all are kept.

        Raises `DeclarationError` if a descriptor that the UI is to be given is not open.
        """
        demand(app.ui.descriptors)
        occupy_standard()
        self._app = app
        self._log = log or Log(to_stderr)
        self._admission = Admission(app)
        self._ring = Ring(Epoch(0), frozenset())
        self._ring.state = RingState.DISMANTLED
        self._epoll = select.epoll()
        self._processes = Children(self._epoll)
        self.postures: Final = Postures(app) if postures is None else postures
        self._starting = Starting(app, self._processes, self._log, self.postures.learn)
        self._errands = Errands(self._processes, self.postures, self._log)
        self._notices = Notices(app, self._processes, self._log, GRACE)
        self._restarts, self._heartbeat = Restarts(app.intensity), Heartbeat()
        self._terminal, self._signals = Terminal(), Signals()
        self._released: set[MemberId] = set()
        self._reason = self._failure = ""
        self._counts = False
        """Whether the ring's last fall was a failure, which the restart intensity counts."""
        self._ran: Process | None = None
        """The UI whose code has run: when it ends, so does the application."""
        self._stopping, self._exit = False, 0
        self._form_at: float | None = None
        self._boot_until: float | None = None

    def run(self) -> int:
        """Run the application to its end; return the exit code. See `exits` for what the codes mean."""
        harden()
        hold(self._app.ui.descriptors)
        with self._epoll, self._signals:
            self._epoll.register(self._signals.descriptor, select.EPOLLIN)
            self._log.line("application.started", 0, member=SUPERVISOR, pid=os.getpid())
            try:
                self._form()
                while not (self._stopping and not self._processes and self._ring.state is RingState.DISMANTLED):
                    self._turn()
            except OSError as error:
                self._failure = f"a process could not be started: {error.strerror or type(error).__name__}"
                self._exit = exits.BOOT_FAILED
            finally:
                self._processes.end_all()
        if self._failure:
            to_stderr(f"trollbridge: {self._failure}\n")
        self._log.line(
            "application.stopped", self._ring.epoch, member=SUPERVISOR, why=self._reason, exit_code=self._exit
        )
        return self._exit

    # The loop.

    def _turn(self) -> None:
        for descriptor, _ in self._epoll.poll(self._timeout()):
            if descriptor == self._signals.descriptor:
                for number in self._signals.take():
                    self._obey(number)
                continue
            process = self._processes.at(descriptor)
            if process is None:
                continue
            if descriptor == process.pidfd:
                self._drain(process)
                self._ended(process)
            else:
                self._receive(process)
        self._timers()

    def _timeout(self) -> float:
        known = (self._form_at, self._boot_until, self._heartbeat.due, self._processes.next_limit)
        times = [each for each in known if each is not None]
        return max(0.0, min(times) - time.monotonic()) if times else -1

    def _timers(self) -> None:
        now = time.monotonic()
        for process in self._processes.overdue(now):
            self._log.line("process.killed", self._ring.epoch, **process.identity, why="it did not end in time")
            process.kill()
        if self._form_at is not None and now >= self._form_at:
            self._form_at = None
            self._form()
        if self._boot_until is not None and now >= self._boot_until:
            self._abort("the ring was not sealed in time")
        for process, why in self._heartbeat.beat(now, self._processes):
            self._log.line("process.hung", self._ring.epoch, **process.identity, why=why, next="it is killed")
            process.kill()

    def _obey(self, number: int) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGHUP and not self._terminal.gone:
            if self._ring.state is RingState.SEALED:
                self._dismantle(f"{name}: new keys")
        elif self._stopping and number == signal.SIGINT:
            self._processes.stop_all(0)
        else:
            self._stop(128 + number, name)

    # Forming.

    def _form(self) -> None:
        if self._ring.state is not RingState.DISMANTLED:
            msg = "a ring must be dismantled before the next is formed"
            raise UsageError(msg)
        epoch = next_epoch(self._ring.epoch)
        admitted = self._admission.form()
        self._ring = Ring(epoch, frozenset({BROKER, *(place.member for place, _ in admitted)}))
        self._log.line("ring.forming", epoch, member=SUPERVISOR)
        self._boot_until = time.monotonic() + BOOT_LIMIT
        self._released.clear()
        self._starting.start(BROKER, Role.BROKER, None, epoch)
        for place, theirs in admitted:
            process = self._processes.get(place.member)
            if process is None:
                self._starting.start(place.member, place.role, theirs, epoch)
            else:
                self._processes.tell(process, place.join(epoch), theirs.fileno())
                theirs.close()

    def _hello(self, process: Process, evidence: tuple[Evidence, ...]) -> None:
        if process.role is Role.ERRAND:
            self._errands.locked(process, evidence, self._ring.epoch)
            return
        epoch, place = self._ring.epoch, self._admission.place(process.member)
        if (place is None and process.role is not Role.BROKER) or not self._kept(process, evidence):
            return
        if place is None:
            for each in self._admission.places:
                self._open_link(each)
            self._processes.tell(process, control.Join(epoch, bytes(32), (), ()))
            return
        if process.role is Role.EXTENSION:
            self._open_link(place)
            for ticket in place.tickets:
                self._processes.tell(MemberId(ticket.server), control.Admit(ticket))
        self._processes.tell(process, place.join(epoch))

    def _kept(self, process: Process, evidence: tuple[Evidence, ...]) -> bool:
        """Return whether the kernel keeps a process as well as is asked for; without that it gets no secret."""
        posture = self.postures.take(process, evidence)
        refusal = self.postures.refusal(posture)
        self._log.line("process.locked", self._ring.epoch, **process.identity, level=posture.level.value, why=refusal)
        if not refusal:
            if process.role is Role.EXTENSION:
                self._processes.tell(self._app.ui.member, control.Kept(posture))
            return True
        process.kill()
        if process.role is not Role.EXTENSION:
            self._abort(f"{process.member}: {refusal}", exits.NOT_ISOLATED)
        return False

    def _open_link(self, place: Place) -> None:
        process = self._processes.get(place.member)
        with self._admission.take_end(place) as end:
            message = open_link(self._ring.epoch, place, process.pid if process else 0)
            self._processes.tell(BROKER, message, end.fileno())

    def _ready(self, process: Process, message: control.Ready) -> None:
        if self._ring.state not in STANDING:
            return
        if message.epoch != self._ring.epoch:
            raise ProtocolError
        if process.role is Role.EXTENSION:
            self._log.line("extension.joined", self._ring.epoch, **process.identity)
            self._processes.tell(process, control.Seal(()))
            return
        self._log.line("member.joined", self._ring.epoch, **process.identity)
        if self._ring.joined(process.member, message.fingerprint):
            self._seal()

    def _seal(self) -> None:
        self._ring.move(RingEvent.ALL_READY)
        self._boot_until = None
        self._admission.seal()
        records = self._processes.records()
        for process in self._processes:
            if process.role not in (Role.UI, Role.ERRAND):
                self._processes.tell(process, control.Seal(records))
        self._log.line("ring.sealed", self._ring.epoch, member=SUPERVISOR, fingerprint=self._ring.fingerprint)
        self._ran = self._processes.get(self._app.ui.member)
        message = control.Seal(records, self.postures.all())
        self._processes.tell(self._app.ui.member, message)  # enclaves know before the UI can call
        for child in self._app.extensions:
            self._start_extension(child.member)

    def _start_extension(self, member: MemberId) -> None:
        if self._ring.state is not RingState.SEALED:
            msg = "an extension starts only once the ring is sealed"
            raise UsageError(msg)
        self._starting.start(member, Role.EXTENSION, self._admission.extension(member), self._ring.epoch)

    # What children say.

    def _receive(self, process: Process) -> None:
        try:
            message = self._processes.hear(process, GRACE)
            if message is not None:
                self._take(process, message)
        except (ProtocolError, UsageError) as error:
            self._log.line("process.refused", self._ring.epoch, **process.identity, why=str(error), next="it is killed")
            process.kill()

    def _drain(self, process: Process) -> None:
        """Take what a process said before it ended."""
        with contextlib.suppress(ProtocolError, UsageError):
            while (message := self._processes.hear(process, GRACE)) is not None:
                self._take(process, message)

    def _take(self, process: Process, message: control.FromChild) -> None:
        process.permit(message)
        match message:
            case control.Hello(evidence):
                self._hello(process, evidence)
            case control.Ready():
                self._ready(process, message)
            case control.Failed(kind, text):
                self._failed(process, kind, text)
            case control.Dismantled():
                if self._ring.state is RingState.DISMANTLING and not self._stopping:
                    self._released.add(process.member)
                    self._processes.excuse(process)
                self._reaped()
            case control.Pong(number):
                self._heartbeat.heard(process.pid, number)
            case control.Notice():
                self._notices.take(process, message, self._ring.epoch, standing=self._ring.state in STANDING)
            case control.CloseWindow():
                self._close_window(process)
            case control.Errand() | control.Statement():
                self._serve(process, message)

    def _close_window(self, ui: Process) -> None:
        self._log.line("window.closed", self._ring.epoch, **ui.identity, why="it loads foreign code")
        if self._ring.state is RingState.SEALED:
            self._processes.tell(ui, control.WindowClosed())
        else:  # it may have been given tokens of the next ring, before it said so
            ui.kill()

    def _serve(self, enclave: Process, message: control.Errand | control.Statement) -> None:
        if isinstance(message, control.Statement):
            posture = self.postures.testify(enclave.member, message.evidence)
            if self._ring.state is RingState.SEALED:  # else the UI gets it with the Seal
                self._processes.tell(self._app.ui.member, control.Kept(posture))
        elif self._ring.state in STANDING:
            self._errands.start(enclave, message.kind, enclave.channel.given(), self._ring.epoch)

    def _failed(self, process: Process, kind: FailureKind, said: str) -> None:
        text = printable(said[:4096])
        self._log.line("process.failed", self._ring.epoch, **process.identity, why=kind.name.lower().replace("_", " "))
        if process.role in (Role.EXTENSION, Role.ERRAND):
            to_stderr(f"trollbridge: {process.member}: {text}\n")
            if kind is not FailureKind.WORK_FAILED:  # else it ends by itself
                process.kill()
            return
        code = exits.DECLARATION if kind in control.WRONG_DECLARATION else exits.BOOT_FAILED
        if self._ring.state is RingState.FORMING and (self._ring.epoch == 1 or kind is FailureKind.NOT_LOADABLE):
            self._abort(f"{process.member}: {text}", code)

    def _abort(self, failure: str, code: int = exits.BOOT_FAILED) -> None:
        if not self._stopping:
            self._failure = failure
            self._stop(code, "the boot failed")

    # Ends.

    def _ended(self, process: Process) -> None:
        status = self._processes.reap(process)
        if status is None:
            return
        self._heartbeat.forget(process.pid)
        if process.role is Role.UI:
            self._terminal.reclaim(process.pid)
        standing = self._ring.state in STANDING
        ran = process is self._ran and (standing or self._stopping or not process.foreign)
        end = end_of(process.role, status, standing=standing, ran=ran)
        event = "errand.ended" if process.role is Role.ERRAND else "process.ended"
        self._log.line(event, self._ring.epoch, **process.identity, **end.fields)
        cause = f"{process.member} ended ({end.how})"
        if process.role is Role.ERRAND:
            self._errands.ended(process)
        elif process.role is Role.EXTENSION:
            self._admission.remove(process.member)
        elif end.leaves:
            self._stop(end.code or 0, f"{process.member} has finished")
        elif self._ring.state is RingState.FORMING and self._ring.epoch == 1:
            self._abort(f"{cause} before the ring was sealed")
        elif end.ring_falls:
            self._dismantle(cause, process.member)
        self._reaped()

    def _dismantle(self, reason: str, died: str = "") -> None:
        if self._ring.state in (RingState.DISMANTLING, RingState.DISMANTLED):
            return
        self._ring.move(RingEvent.DISMANTLE)
        self._reason, self._counts = reason, bool(died)
        self._boot_until = None
        self._log.line("ring.dismantling", self._ring.epoch, member=SUPERVISOR, why=reason)
        self._admission.close()
        self._processes.let_fall(reason, died, (GRACE, UI_GRACE), stopping=self._stopping)
        self._reaped()

    def _reaped(self) -> None:
        """Go on once every process that must not survive is reaped and the UI, if it stays, has let go of its keys."""
        if self._ring.state is not RingState.DISMANTLING:
            return
        ui = self._app.ui.member
        stays = not self._stopping and ui in self._released
        if any(process.member != ui or not stays for process in self._processes):
            return
        self._ring.move(RingEvent.ALL_REAPED)
        self._log.line(
            "ring.dismantled", self._ring.epoch, member=SUPERVISOR, why=self._reason, fingerprint=self._ring.fingerprint
        )
        if not self._stopping:
            self._again()

    def _again(self) -> None:
        number = self._restarts.allow(time.monotonic()) if self._counts else 0
        if number is None:
            self._failure = f"the ring fell too often, last because {self._reason}; the log tells why"
            self._log.line("application.gave_up", self._ring.epoch, member=SUPERVISOR, why=self._reason)
            self._stop(exits.RING_LOST, "restart intensity reached")
            return
        wait = delay(number, os.urandom(1)[0] / 255)
        self._log.line("ring.restarting", self._ring.epoch, member=SUPERVISOR, restart=number, delay=round(wait, 3))
        self._form_at = time.monotonic() + wait

    def _stop(self, code: int, why: str) -> None:
        if self._stopping:
            return
        self._stopping, self._exit, self._form_at = True, code, None
        self._log.line("application.stopping", self._ring.epoch, member=SUPERVISOR, why=why)
        if self._ring.state in STANDING:
            self._dismantle(why)
        else:
            self._processes.stop_all(UI_GRACE)
            self._reaped()
