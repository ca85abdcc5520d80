"""The supervisor: spawns, watches, reaps; has rings formed and dismantled; ends the application. It has no message key.

May import: our messages, the other actors modules. Invariant: when `run` returns no child is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Final

from trollbridge.actors import exits
from trollbridge.actors.isolation.lock import harden
from trollbridge.actors.operations import metrics, notify
from trollbridge.actors.operations.desk import Desk
from trollbridge.actors.operations.log import Log, tell
from trollbridge.actors.operations.measuring import Measuring
from trollbridge.actors.operations.operator import operating
from trollbridge.actors.processes.failures import cause, fell
from trollbridge.actors.processes.reactor import Reactor, Recurrent
from trollbridge.actors.processes.signals import Signals
from trollbridge.actors.supervision.children import Children
from trollbridge.actors.supervision.ends import end_of
from trollbridge.actors.supervision.errands import Errands
from trollbridge.actors.supervision.hangup import Terminal
from trollbridge.actors.supervision.heartbeat import Heartbeat
from trollbridge.actors.supervision.notices import Notices
from trollbridge.actors.supervision.postures import Postures
from trollbridge.actors.supervision.rekeying import Rekeying
from trollbridge.actors.supervision.spawn import occupy_standard
from trollbridge.actors.supervision.starting import Starting, demand, hold
from trollbridge.actors.trust_ring.rings import Rings
from trollbridge.messages import control
from trollbridge.messages.control import FailureKind
from trollbridge.messages.errors import AlreadyRunning, BootFailed, ProtocolError, UsageError
from trollbridge.messages.ids import SUPERVISOR, Role
from trollbridge.messages.vault import printable

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.actors.operations.metrics import Publish
    from trollbridge.actors.supervision.spawn import Process
    from trollbridge.messages.posture import Evidence


class Supervisor:
    """Runs one application."""

    def __init__(
        self,
        app: App,
        log: Log | None = None,
        postures: Postures | None = None,
        *,
        name: str = "",
        publish: Publish | None = None,
    ) -> None:
        """Take the declaration, where the log goes (standard error without one), and who judges how all are kept.

        `name`: by which an operator finds it, and by which it runs once; without one, no operator does.
        `publish`: where its figures go, every 15 seconds.
        Raises `DeclarationError` if a descriptor that the UI is to be given is not open.
        """
        demand(app.ui.descriptors)
        occupy_standard()
        self._app = app
        self._log = log or Log()
        self._reactor = Reactor()
        self._reactor.timers.append(self._log)
        self._notify = notify.attach(self._log, self._reactor)
        shutdowns = {child.member: child.shutdown for child, _ in app.children if child.shutdown is not None}
        self._processes = Children(self._reactor, self._receive, self._gone, shutdowns)
        self.postures: Final = Postures(app) if postures is None else postures
        self._starting = Starting(app, self._processes, self._log, self.postures.learn)
        self._errands = Errands(self._processes, self.postures, self._log)
        self._notices = Notices(app, self._processes, self._log)
        self._reactor.timers.append(self._notices)
        self.verdicts: Final = self._starting.verdicts
        self._heartbeat = Heartbeat(self.verdicts.running)
        self._terminal, self._signals = Terminal(), Signals()
        self._reactor.timers.append(Recurrent(lambda: self._processes.next_limit, self._overdue))
        self.rings: Final = Rings(app, self, self._processes, self._starting, self.postures, self._log, self._reactor)
        self._reactor.timers.append(Recurrent(lambda: self._heartbeat.due, self._beat))
        self._measuring = Measuring(self._processes, [child.member for child, _ in app.children])
        self._unpublish = metrics.attach(publish, self._log, self._reactor, self._processes, self._measuring)
        self.rekeying: Final = Rekeying(app.rekey, self.rings, self._processes, self._measuring, self._log)
        self._reactor.timers.append(self.rekeying)
        self._name: Final = name
        self._desk = Desk(app, self, self.rings, self._processes, self.postures, self._measuring, self._log)
        self.stopping = False
        self._failure, self._exit = "", 0
        self._failing: set[Process] = set()
        """Those whose own code has ended by an error, by their own word."""

    def run(self) -> int:
        """Run the application to its end; return the exit code. See `exits` for what the codes mean."""
        harden()
        hold(self._app.ui.descriptors)
        try:
            with self._reactor, self._signals, operating(self._name, self._reactor, self._log, self._desk):
                self._reactor.watch(self._signals.descriptor, self._obey_all)
                return self._run()
        except BootFailed as error:  # nothing has been started
            tell(f"trollbridge: {error}\n", 1.0)
            return exits.RUNNING if isinstance(error, AlreadyRunning) else exits.BOOT_FAILED

    def _run(self) -> int:
        self._log.line("application.started", 0, member=SUPERVISOR, pid=os.getpid())
        try:
            self.rings.form()
            while not (self.stopping and not self._processes and self.rings.fallen):
                self._reactor.turn()
        except OSError as error:
            self._failure = f"a process could not be started: {error.strerror or type(error).__name__}"
            self._exit = exits.BOOT_FAILED
        finally:
            self._processes.end_all()
            self.verdicts.close()
            self._notices.close()
        if self._failure:
            tell(f"trollbridge: {self._failure}\n", 1.0)
        self._log.line(
            "application.stopped", self.rings.epoch, member=SUPERVISOR, why=self.rings.reason, exit_code=self._exit
        )
        self._unpublish()
        self._notify.close()
        self._log.close()
        return self._exit

    # Signals and times.

    def _obey_all(self, _events: int) -> None:
        for number in self._signals.take():
            self._obey(number)

    def _obey(self, number: int) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGHUP and not self._terminal.gone:
            self.rekeying.begin(f"{name}: new keys")
        elif self.stopping and number == signal.SIGINT:
            self._processes.stop_all(0)
        else:
            self._stop(128 + number, name)

    # What an operator asks.

    def restart(self, member: str) -> None:
        """Have a member started anew; the ring falls with one that is bound to it, and so it does if none is named.

        Its calls that are in quarantine may be run again.
        """
        self.verdicts.clear(member, self.rings.epoch)
        if self.rings.keeping.restart(member):
            return
        if member == self._app.ui.member and (ui := self._processes.get(member)) is not None:
            ui.foreign = True  # so that its process does not outlive the ring
        self.rings.dismantle(f"the operator asked for a restart{f' of {member}' if member else ''}")

    def rekey(self, why: str) -> None:
        """Have the ring formed anew, under new keys, once the calls in flight have ended."""
        self.rekeying.begin(why)

    def stop(self, why: str) -> None:
        """End the application in good order, as by SIGTERM."""
        self._stop(0, why)

    def _overdue(self, now: float) -> None:
        for process in self._processes.overdue(now):
            self._log.line("process.killed", self.rings.epoch, **process.identity, why="it did not end in time")
            process.kill()

    def _beat(self, now: float) -> None:
        for process, why in self._heartbeat.beat(now, self._processes):
            self._log.line("process.hung", self.rings.epoch, **process.identity, why=why, next="it is killed")
            self.rings.keeping.hung(process)
            process.kill()

    # What children say.

    def _receive(self, process: Process) -> None:
        try:
            message = self._processes.hear(process)
            if message is not None:
                self._take(process, message)
        except (ProtocolError, UsageError) as error:
            self._log.line("process.refused", self.rings.epoch, **process.identity, why=str(error), next="it is killed")
            self._processes.refuse(process)

    def _gone(self, process: Process) -> None:
        """Take what a process said before it ended, then its end."""
        with contextlib.suppress(ProtocolError, UsageError):
            while (message := self._processes.hear(process)) is not None:
                self._take(process, message)
        self._ended(process)

    def _take(self, process: Process, message: control.FromChild) -> None:
        process.permit(message, self.rings.epoch)
        match message:
            case control.Hello(evidence):
                self._hello(process, evidence)
            case control.Ready():
                self.rings.ready(process, message)
            case control.Failed():
                self._failed(process, message)
            case control.Dismantled():
                self.rings.released(process)
            case control.Pong() | control.Measures() | control.Drained():
                self._answered(process, message)
            case control.Notice():
                standing = self.rings.standing and self.rings.linked(message.about)
                self._notices.take(process, message, self.rings.epoch, standing=standing)
            case control.CloseWindow():
                self._close_window(process)
            case control.Errand() | control.Statement():
                self._serve(process, message)

    def _hello(self, process: Process, evidence: tuple[Evidence, ...]) -> None:
        if process.role is Role.ERRAND:
            self._errands.locked(process, evidence, self.rings.epoch)
        else:
            self.rings.hello(process, evidence)

    def _answered(self, process: Process, message: control.Pong | control.Measures | control.Drained) -> None:
        match message:
            case control.Pong(number):
                self._heartbeat.heard(process.pid, number)
            case control.Measures():
                self._measuring.heard(process, message)
            case control.Drained():
                self.rekeying.drained(process, message)

    def _close_window(self, ui: Process) -> None:
        self._log.line("window.closed", self.rings.epoch, **ui.identity, why="it loads foreign code")
        if self.rings.sealed:
            self._processes.tell(ui, control.WindowClosed())
        else:  # it may have been given tokens of the next ring, before it said so
            ui.kill()

    def _serve(self, enclave: Process, message: control.Errand | control.Statement) -> None:
        if isinstance(message, control.Statement):
            posture = self.postures.testify(enclave.member, message.evidence)
            if self.rings.sealed:  # else the UI gets it with the Seal
                self._processes.tell(self._app.ui.member, control.Kept(posture))
        elif self.rings.standing:
            self._errands.start(enclave, message.kind, enclave.channel.given(), self.rings.epoch)

    def _failed(self, process: Process, said: control.Failed) -> None:
        kind, text = said.kind, printable(said.text[:4096])
        if not self.rings.standing and (kind is FailureKind.JOIN_FAILED or fell(process.role, said)):
            return  # it is its ring that fell, before it had joined or under its calls
        why = kind.name.lower().replace("_", " ")
        self._log.line("process.failed", self.rings.epoch, **process.identity, why=why, detail=cause(said))
        if kind is FailureKind.WORK_FAILED:
            self._failing.add(process)
            if process.role is Role.UI and not self.rings.first:  # it has told its terminal, and ends by itself
                return
        if process.role in (Role.EXTENSION, Role.ERRAND) or (process.role is Role.HOST and self.rings.sealed):
            tell(f"trollbridge: {process.member}: {text}\n")
            if kind is not FailureKind.WORK_FAILED:  # else it ends by itself
                process.kill()
            return
        code = exits.DECLARATION if kind in control.WRONG_DECLARATION else exits.BOOT_FAILED
        if self.rings.first or (self.rings.forming and kind is FailureKind.NOT_LOADABLE):
            self.abort(f"{process.member}: {text}", code)

    # Ends.

    def _ended(self, process: Process) -> None:
        status = self._processes.reap(process)
        if status is None:
            return
        self._heartbeat.forget(process.pid)
        self._measuring.gone(process)
        if process.role is Role.UI:
            self._terminal.reclaim(process.pid)
        rings, standing = self.rings, self.rings.standing
        ran = process is rings.ran and (standing or self.stopping or not process.foreign)
        hung, behind = rings.keeping.hangs(process), self.verdicts.behind(process)
        fate = rings.keeping.ended(process, status)
        failed = process in self._failing
        self._failing.discard(process)
        end = end_of(process.role, status, standing=standing, ran=ran, fate=fate, failed=failed)
        event = "errand.ended" if process.role is Role.ERRAND else "process.ended"
        self._log.line(event, rings.epoch, **process.identity, **end.fields)
        reason = f"{process.member} ended ({end.how})"
        if process.role is Role.ERRAND:
            self._errands.ended(process)
        elif fate is not None or process.role is Role.EXTENSION:
            rings.left(process.member)
            rings.keeping.carry_out()
        elif end.leaves:
            self._obey_all(0)  # a signal that came before counts: a closed terminal ends the UI's input, too
            self._stop(end.code or 0, f"{process.member} {end.farewell}")
        elif rings.first:
            self.abort(f"{reason} before the ring was sealed")
        elif end.ring_falls:
            rings.dismantle(reason, process.member)
        died = standing and not end.expected
        to_blame = self.verdicts.ended(process, status, rings.epoch, standing=rings.standing, died=died, hung=hung)
        if to_blame and behind is not None:
            rings.keeping.blame(behind, process.member)
        rings.reaped()

    def abort(self, failure: str, code: int = exits.BOOT_FAILED) -> None:
        """End the application: a ring could not be formed."""
        if not self.stopping:
            self._failure = failure
            self._stop(code, "the boot failed")

    def give_up(self, why: str) -> None:
        """End the application: rings fall too often."""
        self._failure = why
        self._stop(exits.RING_LOST, "restart intensity reached")

    def _stop(self, code: int, why: str) -> None:
        if self.stopping:
            return
        self.stopping, self._exit = True, code
        self.rings.end()
        self._log.line("application.stopping", self.rings.epoch, member=SUPERVISOR, why=why)
        if self.rings.standing:
            self.rings.dismantle(why)
        else:
            self._processes.stop_all()
            self.rings.reaped()
