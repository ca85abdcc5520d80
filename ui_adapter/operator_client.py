"""The operator's end of a supervisor's socket: what a person's commands ask of a running application.

May import: our actors and messages. Invariant: whoever answers is a process of this user (SO_PEERCRED), and what it
says is in the closed union of answers.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Self, TypeVar

from trollbridge.actors.operations import runtime_folder
from trollbridge.messages import operator
from trollbridge.messages.errors import Malformed, TrollbridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE: Final = 10.0
"""Seconds that an answer may take."""
_LOOK: Final = 1.0
"""Seconds after which whoever waits for an answer is told that there is none yet."""
T = TypeVar("T")


class NotRunning(TrollbridgeError):
    """No such application runs."""


class NoAnswer(TrollbridgeError):
    """The application's supervisor did not answer in time; it is stopped, or busy."""


class OperatorRefused(TrollbridgeError):
    """The application's supervisor refused what was asked."""


class ConnectionEnded(TrollbridgeError):
    """The application's supervisor has closed the connection: it has ended, or its lines were not read in time."""


class OtherVersion(TrollbridgeError):
    """The application runs another version of trollbridge; ask it with the command of that version."""


class OperatorClient:
    """A connection to one running application; close it, or use it as a context manager."""

    def __init__(self, name: str, seconds: float = PATIENCE) -> None:
        """Connect to the application of this name; `seconds`: how long each answer may take.

        Raises `NotRunning`, `NoAnswer`, or `NotSafe` for a socket that is not only this user's.
        """
        self.name: Final = name
        self._seconds = seconds
        try:
            self._end, peer = runtime_folder.connect(name, seconds)
        except (FileNotFoundError, ConnectionRefusedError):
            msg = f"no application {name} runs here as this user"
            raise NotRunning(msg) from None
        except OSError as error:
            msg = f"the application {name} takes no connection: {error.strerror or 'it does not answer'}"
            raise NoAnswer(msg) from None
        self.pid: Final = peer.pid
        """The supervisor's, by the kernel's word."""
        self._pidfd: int | None = None
        with contextlib.suppress(OSError):  # it has ended
            self._pidfd = os.pidfd_open(self.pid)
        self.silent: Callable[[float], object] | None = None
        """What is called each second in which an answer is waited for, with how many seconds it is by then."""
        self._lines: deque[operator.LogLine] = deque()
        """What was followed and came before the answer to something else."""

    @property
    def descriptor(self) -> int:
        """What becomes readable when something has come."""
        return self._end.fileno()

    def ask(self, request: operator.Request, kind: type[T]) -> T:
        """Return the answer to a request, which must be of that kind.

        Raises `OperatorRefused` with the supervisor's reason, `NoAnswer`, `ConnectionEnded`, `OtherVersion`.
        """
        self._say(request)
        asked = time.monotonic()
        until = asked + self._seconds
        while True:
            answer = self._hear(min(_LOOK, until - time.monotonic()))
            if isinstance(answer, kind):
                return answer
            if answer is None and (now := time.monotonic()) < until:
                if self.silent is not None:
                    self.silent(now - asked)
                continue
            if not isinstance(answer, operator.LogLine):
                raise NoAnswer if answer is None else OtherVersion
            self._lines.append(answer)

    def status(self) -> operator.Snapshot:
        """Return how the application is."""
        return self.ask(operator.Status(), operator.Snapshot)

    def measures(self) -> operator.Measures:
        """Return what the broker has counted in this epoch."""
        return self.ask(operator.Measure(), operator.Measures)

    def recent(self, limit: int = operator.MOST_RECENT) -> list[str]:
        """Return the last lines of the log, the oldest first, as JSON."""
        self._say(operator.Recent(limit))
        found: list[str] = []
        until = time.monotonic() + self._seconds
        while True:
            answer = self._hear(until - time.monotonic())
            match answer:
                case operator.LogLine(line):
                    found.append(line)
                case operator.Done():
                    return found
                case None:
                    raise NoAnswer
                case _:
                    raise OtherVersion

    def follow(self, recent: int = 0) -> int:
        """Have the last lines of the log, and from then on each that is written, come to `line`.

        Return how many of them are from before.
        """
        self.ask(operator.Follow(recent), operator.Done)
        return len(self._lines)

    def line(self, seconds: float | None = None) -> str | None:
        """Return the next line that is followed, as JSON; None if none comes within `seconds`.

        Raises `ConnectionEnded` if no other will come.
        """
        if self._lines:
            return self._lines.popleft().line
        answer = self._hear(seconds)
        if answer is None:
            return None
        if not isinstance(answer, operator.LogLine):
            raise OtherVersion
        return answer.line

    def lines(self) -> Iterator[str]:
        """Return every line that is followed, as JSON, until the application has ended or cuts us off."""
        with contextlib.suppress(ConnectionEnded):
            while (line := self.line()) is not None:
                yield line

    def restart(self, member: str = "") -> None:
        """Have a member started anew, or the whole ring."""
        self.ask(operator.Restart(member), operator.Done)

    def rekey(self) -> None:
        """Have the ring formed anew under new keys."""
        self.ask(operator.Rekey(), operator.Done)

    def stop(self) -> None:
        """Have the application stopped in good order."""
        self.ask(operator.Stop(), operator.Done)

    def ended(self, seconds: float) -> bool:
        """Wait for the end of the supervisor, at most `seconds`; return whether it has ended."""
        if self._pidfd is None:
            return True
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(max(0.0, seconds) * 1000))

    def _say(self, request: operator.Request) -> None:
        try:
            self._end.send(operator.REQUEST.encode(request))
        except TimeoutError:
            raise NoAnswer from None
        except OSError:
            while isinstance(answer := self._hear(0.0), operator.LogLine):  # it may have said why behind these
                self._lines.append(answer)
            raise ConnectionEnded from None

    def _hear(self, seconds: float | None) -> operator.Answer | None:
        """Return what comes next, None if nothing does in time.

        Raises `OperatorRefused` for a refusal, `OtherVersion` for what is no answer.
        """
        poll = select.poll()
        poll.register(self._end, select.POLLIN)
        if not poll.poll(None if seconds is None else max(0.0, seconds) * 1000):
            return None
        try:
            data = self._receive()
        except OSError:
            raise ConnectionEnded from None
        if not data:
            raise ConnectionEnded
        try:
            answer = operator.ANSWER.decode(data)
        except Malformed:
            raise OtherVersion from None
        if isinstance(answer, operator.Denied):
            raise OperatorRefused(answer.why + self._remedy(answer.why))
        return answer

    def _receive(self) -> bytes:
        """Receive a packet; if the other end was closed before it read ours, what it said comes behind that."""
        try:
            return self._end.recv(operator.LARGEST_ANSWER)
        except ConnectionResetError:
            return self._end.recv(operator.LARGEST_ANSWER)

    def _remedy(self, why: str) -> str:
        """Return what a person does about a refusal for want of a place; nothing for any other."""
        if why == operator.NO_PLACE:
            return f"; end one, such as a `trollbridge logs --follow`, and try again, or end PID {self.pid} by SIGTERM"
        if why == operator.FOLLOWED:
            return "; end one and try again, or do not wait for the end of a command: --wait 0"
        return ""

    def close(self) -> None:
        """Close the connection; what runs is not touched."""
        self._end.close()
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection."""
        self.close()
