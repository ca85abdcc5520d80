"""The supervisor: spawns, watches, reaps; has rings formed and dismantled; ends the application. It has no message key.

May import: our messages, the other actors modules. Invariant: when `run` returns no child is left.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Final

from trollbridge.actors import exits
from trollbridge.actors.children import Children
from trollbridge.actors.ends import end_of
from trollbridge.actors.errands import Errands
from trollbridge.actors.hangup import Terminal
from trollbridge.actors.heartbeat import Heartbeat
from trollbridge.actors.isolation.lock import harden
from trollbridge.actors.log import Log, to_stderr
from trollbridge.actors.notices import Notices
from trollbridge.actors.postures import Postures
from trollbridge.actors.reactor import Reactor, Recurrent
from trollbridge.actors.rings import Rings
from trollbridge.actors.signals import Signals
from trollbridge.actors.spawn import occupy_standard
from trollbridge.actors.starting import Starting, demand, hold
from trollbridge.messages import control
from trollbridge.messages.control import FailureKind
from trollbridge.messages.errors import ProtocolError, UsageError
from trollbridge.messages.ids import SUPERVISOR, Role
from trollbridge.messages.vault import printable

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.actors.spawn import Process
    from trollbridge.messages.posture import Evidence


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
        self._reactor = Reactor()
        self._processes = Children(self._reactor, self._receive, self._gone)
        self.postures: Final = Postures(app) if postures is None else postures
        self._starting = Starting(app, self._processes, self._log, self.postures.learn)
        self._errands = Errands(self._processes, self.postures, self._log)
        self._notices = Notices(app, self._processes, self._log)
        self._heartbeat = Heartbeat()
        self._terminal, self._signals = Terminal(), Signals()
        self._reactor.timers.append(Recurrent(lambda: self._processes.next_limit, self._overdue))
        self.rings: Final = Rings(app, self, self._processes, self._starting, self.postures, self._log, self._reactor)
        self._reactor.timers.append(Recurrent(lambda: self._heartbeat.due, self._beat))
        self.stopping = False
        self._failure, self._exit = "", 0

    def run(self) -> int:
        """Run the application to its end; return the exit code. See `exits` for what the codes mean."""
        harden()
        hold(self._app.ui.descriptors)
        with self._reactor, self._signals:
            self._reactor.watch(self._signals.descriptor, self._obey_all)
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
        if self._failure:
            to_stderr(f"trollbridge: {self._failure}\n")
        self._log.line(
            "application.stopped", self.rings.epoch, member=SUPERVISOR, why=self.rings.reason, exit_code=self._exit
        )
        return self._exit

    # Signals and times.

    def _obey_all(self, _events: int) -> None:
        for number in self._signals.take():
            self._obey(number)

    def _obey(self, number: int) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGHUP and not self._terminal.gone:
            if self.rings.sealed:
                self.rings.dismantle(f"{name}: new keys")
        elif self.stopping and number == signal.SIGINT:
            self._processes.stop_all(0)
        else:
            self._stop(128 + number, name)

    def _overdue(self, now: float) -> None:
        for process in self._processes.overdue(now):
            self._log.line("process.killed", self.rings.epoch, **process.identity, why="it did not end in time")
            process.kill()

    def _beat(self, now: float) -> None:
        for process, why in self._heartbeat.beat(now, self._processes):
            self._log.line("process.hung", self.rings.epoch, **process.identity, why=why, next="it is killed")
            process.kill()

    # What children say.

    def _receive(self, process: Process) -> None:
        try:
            message = self._processes.hear(process)
            if message is not None:
                self._take(process, message)
        except (ProtocolError, UsageError) as error:
            self._log.line("process.refused", self.rings.epoch, **process.identity, why=str(error), next="it is killed")
            process.kill()

    def _gone(self, process: Process) -> None:
        """Take what a process said before it ended, then its end."""
        with contextlib.suppress(ProtocolError, UsageError):
            while (message := self._processes.hear(process)) is not None:
                self._take(process, message)
        self._ended(process)

    def _take(self, process: Process, message: control.FromChild) -> None:
        process.permit(message)
        match message:
            case control.Hello(evidence):
                self._hello(process, evidence)
            case control.Ready():
                self.rings.ready(process, message)
            case control.Failed(kind, text):
                self._failed(process, kind, text)
            case control.Dismantled():
                self.rings.released(process)
            case control.Pong(number):
                self._heartbeat.heard(process.pid, number)
            case control.Notice():
                self._notices.take(process, message, self.rings.epoch, standing=self.rings.standing)
            case control.CloseWindow():
                self._close_window(process)
            case control.Errand() | control.Statement():
                self._serve(process, message)

    def _hello(self, process: Process, evidence: tuple[Evidence, ...]) -> None:
        if process.role is Role.ERRAND:
            self._errands.locked(process, evidence, self.rings.epoch)
        else:
            self.rings.hello(process, evidence)

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

    def _failed(self, process: Process, kind: FailureKind, said: str) -> None:
        text = printable(said[:4096])
        self._log.line("process.failed", self.rings.epoch, **process.identity, why=kind.name.lower().replace("_", " "))
        if process.role in (Role.EXTENSION, Role.ERRAND):
            to_stderr(f"trollbridge: {process.member}: {text}\n")
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
        if process.role is Role.UI:
            self._terminal.reclaim(process.pid)
        rings = self.rings
        ran = process is rings.ran and (rings.standing or self.stopping or not process.foreign)
        end = end_of(process.role, status, standing=rings.standing, ran=ran)
        event = "errand.ended" if process.role is Role.ERRAND else "process.ended"
        self._log.line(event, rings.epoch, **process.identity, **end.fields)
        cause = f"{process.member} ended ({end.how})"
        if process.role is Role.ERRAND:
            self._errands.ended(process)
        elif process.role is Role.EXTENSION:
            rings.left(process.member)
        elif end.leaves:
            self._stop(end.code or 0, f"{process.member} has finished")
        elif rings.first:
            self.abort(f"{cause} before the ring was sealed")
        elif end.ring_falls:
            rings.dismantle(cause, process.member)
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
