"""A real application under test: its own process tree, its log line by line, and the proof that nothing of it is left.

    with Running("tests.harness.stage:puppet_app") as running:
        running.wait_for("ring.sealed", epoch=1)
        …
        assert running.finish() == 0

Invariant: when the block is left, every process that the application started is gone, not even a zombie remains.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from tests.conftest import REPOSITORY, Process, descendants, end_all, outliving
from tests.harness import proc
from tests.harness.streams import NothingCame, Stream
from trollbridge.actors.operations.log import Line

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

PATIENCE: Final = 20.0
"""Seconds that anything here may take on a busy machine; what a row demands is stated in its test."""
AFTER_A_KILL: Final = 2.0
"""Seconds within which the tree of a killed supervisor must be gone (A59)."""


def _parse(text: str) -> Line | str:
    try:
        return msgspec.json.decode(text, type=Line)
    except msgspec.DecodeError:
        return text


class Running:
    """One application, from its start to the proof of its end."""

    def __init__(
        self,
        application: str,
        settings: Mapping[str, object] | None = None,
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        command: tuple[str, ...] = (),
    ) -> None:
        """Start `module:name` (see `launch`), or `command`, in `folder`, whose modules it can import."""
        self._before: Final = descendants()
        launch = (sys.executable, "-m", "tests.harness.launch", application, json.dumps(settings or {}))
        self.popen: Final = subprocess.Popen(
            command or launch,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder or REPOSITORY,
            env={**_environment(), **(environment or {})},
            process_group=0,
        )
        if self.popen.stdin is None or self.popen.stdout is None or self.popen.stderr is None:
            raise AssertionError
        self.stdin: Final = self.popen.stdin
        self.log: Final = Stream(self.popen.stderr, _parse)
        self.output: Final = Stream(self.popen.stdout, str)
        self.supervisor: Final = self.popen.pid
        self._finished = False

    # The log.

    def lines(self, event: str = "", **fields: object) -> list[Line]:
        """Return the log lines so far, of one event if it is named, with these fields."""
        return [each for each in self.log.items if isinstance(each, Line) and _fits(each, event, fields)]

    def wait_for(self, event: str, *, seconds: float = PATIENCE, start: int = 0, **fields: object) -> Line:
        """Return the first log line of `event` with these fields, from item `start` on; waits for it."""
        try:
            found = self.log.wait(
                lambda each: isinstance(each, Line) and _fits(each, event, fields), seconds, start=start
            )
        except NothingCame as error:
            msg = f"no log line {event} {fields}: {error}\n{self.report()}"
            raise NothingCame(msg) from None
        if not isinstance(found, Line):
            raise TypeError
        return found

    def several(self, count: int, event: str, **fields: Any) -> list[Line]:  # noqa: ANN401  # of each its own type
        """Return the log lines of `event` with these fields so far, once there are so many; waits for them."""
        start = 0
        for _ in range(count):
            found = self.wait_for(event, start=start, **fields)
            start = next(number for number, each in enumerate(self.log.items) if each is found) + 1
        return self.lines(event, **fields)

    def said(self) -> list[str]:
        """Return what came on standard error and is no log line: what a person reads."""
        return [each for each in self.log.items if isinstance(each, str)]

    def report(self) -> str:
        """Return log and output so far, for the message of a failure."""
        lines = [each if isinstance(each, str) else _short(each) for each in self.log.items]
        return "\n".join(["log:", *lines, "output:", *self.output.items])

    def pid(self, member: str, epoch: int = 0) -> int:
        """Return the PID of a member's youngest process, or of the one started in `epoch`; waits for its start."""
        fields: dict[str, Any] = {"member": member, "epoch": epoch} if epoch else {"member": member}
        self.wait_for("process.started", **fields)
        return self.lines("process.started", **fields)[-1].pid

    # Signals.

    def interrupt(self, number: int) -> None:
        """Send the supervisor a signal."""
        self.popen.send_signal(number)

    def kill(self, member: str, number: int = signal.SIGKILL) -> int:
        """Send a member's youngest process a signal; return its PID. One that is to stop has stopped then."""
        pid = self.pid(member)
        os.kill(pid, number)
        if number == signal.SIGSTOP:
            proc.await_stopped(pid)
        return pid

    # The end.

    def processes(self) -> frozenset[Process]:
        """Return every process of the tree that exists now, zombies too."""
        return descendants() - self._before

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the supervisor's end; return its exit code, or minus the number of the signal that ended it."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            msg = f"the supervisor still runs after {seconds} s\n{self.report()}"
            raise NothingCame(msg) from None

    def finish(self, seconds: float = PATIENCE) -> int:
        """Wait for the end of the application and prove that nothing of it is left; return the exit code.

        A supervisor that ends by itself has reaped all of its children before; only one that was killed leaves them to
        the kernel.
        """
        code = self.wait(seconds)
        left = self.processes() if code >= 0 else outliving(self._before, AFTER_A_KILL)
        self._close()
        if left:
            end_all(left)
            names = ", ".join(f"{each.name} ({each.pid})" for each in left)
            msg = f"left behind by a supervisor that ended with {code}: {names}\n{self.report()}"
            raise AssertionError(msg)
        return code

    def stop(self) -> int:
        """End the application in good order, and prove it gone; return the exit code."""
        self.interrupt(signal.SIGTERM)
        return self.finish()

    def _close(self) -> None:
        self._finished = True
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        self.log.end(PATIENCE)
        self.output.end(PATIENCE)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop what still runs; a failing test gets the log as a note."""
        if error is not None:
            error.add_note(self.report())
            self.popen.kill()
            self.popen.wait(PATIENCE)
            end_all(outliving(self._before, AFTER_A_KILL))
            self._close()
        elif not self._finished:
            self.stop()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(REPOSITORY)}


def _fits(line: Line, event: str, fields: Mapping[str, object]) -> bool:
    return (not event or line.event == event) and all(getattr(line, name) == wanted for name, wanted in fields.items())


def _short(line: Line) -> str:
    shown = {name: value for name, value in msgspec.structs.asdict(line).items() if value not in ("", 0, None, 0.0)}
    return " ".join(f"{name}={value}" for name, value in shown.items() if name != "time")
