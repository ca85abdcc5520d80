"""The stage: the attacked application in a process tree of its own, its log line by line, and its hostile members.

May import: `actors`, `messages`, the cast. Invariants: whatever waits here has a deadline; when the stage is left, no
process of it exists.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

import msgspec

from trollbridge.actors import exits
from trollbridge.actors.isolation import kernel
from trollbridge.actors.operations.log import Line
from trollbridge.messages.errors import BootFailed, DeclarationError, NotIsolated, TrollbridgeError
from trollbridge.ui_adapter.attack.hostile_orders import Answer, Order, answer_of, encode, line_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from trollbridge.messages.ids import MemberId
    from trollbridge.ui_adapter.attack.ring_cast import Cast

BOOT: Final = 30.0
"""Seconds that the application may take to form its first ring."""
PATIENCE: Final = 20.0
"""Seconds that a hostile member may take for one act; longer than its own patience with an enclave."""
GLANCE: Final = 0.002
"""Seconds between two looks for an extension's answer."""
END: Final = 10.0
"""Seconds that the application may take to end by itself."""
_PR_SET_CHILD_SUBREAPER: Final = 36
_PR_GET_CHILD_SUBREAPER: Final = 37
_ROOM: Final = 1 << 20
"""Bytes of log that may wait while nobody reads."""


class Lost(Exception):
    """A hostile member, or the application, has gone or does not answer."""


class Met(Exception):
    """An act ended with an error: `kind` is its class."""

    def __init__(self, kind: str, text: str) -> None:
        """Take what the hostile member met."""
        super().__init__(f"{kind}: {text}")
        self.kind: Final = kind


class Stage:
    """One run of the attacked application. Enter it to start, leave it to end."""

    def __init__(self, cast: Cast) -> None:
        """Take who plays."""
        self.cast: Final = cast
        self.log: Final[list[Line]] = []
        self.said: Final[list[str]] = []
        """What came on standard error and is no log line."""
        self.supervisor = 0
        self.exit_code: int | None = None
        self._numbers = 0
        self._answers: list[Answer] = []
        self._commands = self._heard = self._errors = -1
        self._adopted = False
        self._partial = {"answers": b"", "errors": b""}

    def __enter__(self) -> Self:
        """Start the application and wait for its first ring; raises `BootFailed` or `DeclarationError`."""
        inside, self._commands = os.pipe2(os.O_CLOEXEC)
        self._heard, outside = os.pipe2(os.O_CLOEXEC)
        self._errors, errors = os.pipe2(os.O_CLOEXEC)
        fcntl.fcntl(self._errors, fcntl.F_SETPIPE_SZ, _ROOM)
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # else the fork would write it again
        self._adopted = adopt_orphans(adopt=True)
        self.supervisor = os.fork()
        if not self.supervisor:
            for descriptor in (self._commands, self._heard, self._errors):
                os.close(descriptor)
            _supervise(self.cast, inside, outside, errors)
        for descriptor in (inside, outside, errors):
            os.close(descriptor)
        try:
            self.await_line("ring.sealed", seconds=BOOT)
            self.settle(1)
        except Lost:
            self.close()
            raise self._failure() from None
        except BaseException:
            self.close()
            raise
        return self

    def _failure(self) -> TrollbridgeError:
        last = f"the application did not start; the last it did was {self.log[-1].event}" if self.log else ""
        said = " ".join(each.removeprefix("trollbridge: ") for each in self.said)
        text = said or last or "the application did not start"
        kinds = {exits.DECLARATION: DeclarationError, exits.NOT_ISOLATED: NotIsolated}
        return kinds.get(self.exit_code or 0, BootFailed)(text)

    # The log.

    @property
    def epoch(self) -> int:
        """The epoch of the last ring that was sealed."""
        return next((each.epoch for each in reversed(self.log) if each.event == "ring.sealed"), 0)

    def lines(self, event: str, *, start: int = 0, member: str = "", epoch: int = 0) -> list[Line]:
        """Return log lines of an event, about a member and of an epoch if they are named."""
        return [
            each
            for each in self.log[start:]
            if each.event == event and member in ("", each.member) and epoch in (0, each.epoch)
        ]

    def await_line(
        self, event: str, *, start: int = 0, member: str = "", epoch: int = 0, seconds: float = PATIENCE
    ) -> Line:
        """Return the first such line, waiting for it; raises `Lost` if it does not come."""
        self.pump(lambda: bool(self.lines(event, start=start, member=member, epoch=epoch)), seconds)
        return self.lines(event, start=start, member=member, epoch=epoch)[0]

    def pid(self, member: str) -> int:
        """Return the PID of a member's youngest process."""
        return self.lines("process.started", member=member)[-1].pid

    # The hostile members.

    def ui(self, act: str, **arguments: object) -> Any:  # noqa: ANN401  # whatever the act returned
        """Have the hostile UI do something; raises `Met` for its error, `Lost` if it is gone."""
        order = self._order(act, arguments)
        return self._value(self._told(order))

    def by(self, member: MemberId, act: str, **arguments: object) -> Any:  # noqa: ANN401  # as above
        """Have an extension do something; raises as `ui`."""
        order, start, until = self._order(act, arguments), len(self.log), time.monotonic() + PATIENCE
        self.ui("post", reader=f"{member} orders", letter=encode(order))
        while time.monotonic() < until:
            letter: bytes = self.ui("collect", reader=f"{member} answers")
            if not letter:
                if self.lines("process.ended", start=start, member=member):
                    break
                self.look(GLANCE)
            elif (answer := answer_of(letter)).number == order.number:
                return self._value(answer)
        msg = f"{member} does not answer"
        raise Lost(msg)

    def extension(self, act: str, **arguments: object) -> Any:  # noqa: ANN401  # as above
        """Have the first extension do something."""
        return self.by(self.cast.extension, act, **arguments)

    def accomplice(self, act: str, **arguments: object) -> Any:  # noqa: ANN401  # as above
        """Have the second extension do something."""
        return self.by(self.cast.accomplice, act, **arguments)

    def tell_extension(self, act: str, **arguments: object) -> None:
        """Have the first extension do something after which it cannot answer."""
        self.ui("post", reader=f"{self.cast.extension} orders", letter=encode(self._order(act, arguments)))

    def tell_ui(self, act: str, **arguments: object) -> None:
        """Have the hostile UI do something after which it cannot answer."""
        self._write(self._order(act, arguments))

    def _order(self, act: str, arguments: dict[str, object]) -> Order:
        self._numbers += 1
        return Order(self._numbers, act, arguments)

    def _write(self, order: Order) -> None:
        text = line_of(order)
        try:
            while text:
                text = text[os.write(self._commands, text) :]
        except OSError:
            raise Lost from None

    def _told(self, order: Order) -> Answer:
        start = len(self.log)
        self._write(order)

        def settled() -> bool:
            gone = self.lines("process.ended", start=start, member=self.cast.ui)
            return bool(gone) or any(each.number == order.number for each in self._answers)

        self.pump(settled, PATIENCE)
        found = next((each for each in self._answers if each.number == order.number), None)
        self._answers.clear()
        if found is None:
            msg = "the hostile UI has ended"
            raise Lost(msg)
        return found

    @staticmethod
    def _value(answer: Answer) -> object:
        if answer.error:
            raise Met(answer.error, answer.text)
        return answer.value

    # The ring.

    def settle(self, epoch: int) -> None:
        """Wait until a ring of `epoch` or later stands, with the UI and both extensions in it."""
        self.pump(lambda: self.epoch >= epoch and self._whole(self.epoch), PATIENCE)
        until = time.monotonic() + PATIENCE
        while self.ui("epoch") != self.epoch:
            if time.monotonic() > until:
                msg = f"the UI does not take part in epoch {self.epoch}"
                raise Lost(msg)

    def _whole(self, epoch: int) -> bool:
        """Return whether the ring of an epoch stands, and both extensions have joined it."""
        extensions = (self.cast.extension, self.cast.accomplice)
        return not self.lines("ring.dismantling", epoch=epoch) and all(
            self.lines("extension.joined", epoch=epoch, member=each) for each in extensions
        )

    def rekey(self) -> int:
        """Have the supervisor dismantle the ring and form the next under new keys; return the new epoch."""
        before = self.epoch
        os.kill(self.supervisor, signal.SIGHUP)
        self.settle(before + 1)
        return self.epoch

    # Waiting.

    def pump(self, done: Callable[[], bool], seconds: float) -> None:
        """Read log and answers until `done()`; raises `Lost` after so long, or once the application has ended."""
        until = time.monotonic() + seconds
        poll = select.poll()
        for descriptor in (self._heard, self._errors):
            poll.register(descriptor, select.POLLIN)
        while not done():
            left = until - time.monotonic()
            if left <= 0:
                msg = f"nothing came within {seconds:.0f} s"
                raise Lost(msg)
            for descriptor, _ in poll.poll(1e3 * left):
                if not self._read(descriptor):
                    poll.unregister(descriptor)
                    if descriptor == self._errors and not done():
                        msg = "the application has ended"
                        raise Lost(msg)

    def look(self, seconds: float) -> None:
        """Read what comes within so long."""
        with contextlib.suppress(Lost):
            self.pump(lambda: False, seconds)

    def _read(self, descriptor: int) -> bool:
        """Take what one pipe has; return whether more can come."""
        data = os.read(descriptor, 1 << 16)
        name = "answers" if descriptor == self._heard else "errors"
        *lines, self._partial[name] = (self._partial[name] + data).split(b"\n")
        for line in lines:
            if name == "answers":
                self._answers.append(answer_of(bytes.fromhex(line.decode())))
                continue
            try:
                self.log.append(msgspec.json.decode(line, type=Line))
            except msgspec.DecodeError:
                self.said.append(line.decode(errors="replace"))
        return bool(data)

    @staticmethod
    def wait(seconds: float) -> None:
        """Let so much time pass."""
        select.poll().poll(1e3 * seconds)

    # The end.

    def finish(self) -> int:
        """Have the application end by itself; return its exit code. Raises `Lost` if it does not."""
        os.close(self._commands)
        self._commands = -1
        with contextlib.suppress(Lost):
            self.pump(lambda: bool(self.lines("application.stopped")), END)
        self._reap(END)
        if self.exit_code is None:
            msg = "the application does not end"
            raise Lost(msg)
        return self.exit_code

    def _reap(self, seconds: float) -> None:
        if self.exit_code is not None or not self.supervisor:
            return
        descriptor = os.pidfd_open(self.supervisor)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if poll.poll(1e3 * seconds):
                self.exit_code = os.waitstatus_to_exitcode(os.waitpid(self.supervisor, 0)[1])
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """End what still runs: in order if that is possible, else by force."""
        if self._commands >= 0:
            os.close(self._commands)
            self._commands = -1
        for number, seconds in ((None, 1.0), (signal.SIGTERM, END), (signal.SIGKILL, END)):
            if self.exit_code is None and number is not None:
                os.kill(self.supervisor, number)  # its children die with it
            self._reap(seconds)
        for descriptor in (self._heard, self._errors):
            if descriptor >= 0:
                while descriptor == self._errors and self._read(descriptor):
                    pass
                os.close(descriptor)
        self._heard = self._errors = -1
        self._bury()
        adopt_orphans(adopt=self._adopted)

    def _bury(self) -> None:
        """Take the exit status of what a supervisor that was killed has left to this process."""
        until = time.monotonic() + END
        for pid in {each.pid for each in self.lines("process.started")}:
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < until:
                    self.wait(GLANCE)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Leave no process behind."""
        self.close()


def adopt_orphans(*, adopt: bool) -> bool:
    """Have orphans below this process become its children, or not; return what was so before (prctl(2))."""
    before = ctypes.c_int()
    kernel.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.addressof(before))
    kernel.prctl(_PR_SET_CHILD_SUBREAPER, int(adopt))
    return bool(before.value)


def _supervise(cast: Cast, inside: int, outside: int, errors: int) -> NoReturn:
    """Be the supervisor, in a session of its own, so that no terminal and no Ctrl-C is meant for it."""
    code = exits.BOOT_FAILED
    try:
        os.setsid()
        for number, descriptor in enumerate((inside, outside, errors)):
            os.dup2(descriptor, number)
            os.close(descriptor)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        from trollbridge.actors.supervision.supervisor import Supervisor  # noqa: PLC0415  # the command itself supervises nothing

        code = Supervisor(cast.app).run()
    except TrollbridgeError as error:
        sys.stderr.write(f"trollbridge: {error}\n")
        code = exits.DECLARATION if isinstance(error, DeclarationError) else exits.BOOT_FAILED
    finally:
        sys.stderr.flush()
        os._exit(code)  # nothing of the command's own is to run twice
