"""The test's end of a puppet: calls through a real ring, one at a time or many in flight.

with perform() as puppet:
    assert puppet.result("probe.echo", b"hi") == b"hi"
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
import itertools
import socket
from typing import IO, TYPE_CHECKING, Any, Final, Self

from tests.harness import acts, wire
from tests.harness.running import PATIENCE, Running
from tests.harness.streams import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Told(Exception):
    """An act ended with an exception: its class's name, its text, and for a call what became of it."""

    def __init__(self, kind: str, text: str, outcome: str = "", name: str = "") -> None:
        """Take what the puppet answered."""
        super().__init__(f"{kind}: {text}")
        self.kind: Final = kind
        self.text: Final = text
        self.outcome: Final = outcome
        self.name: Final = name


class Distant:
    """A promise that the puppet holds."""

    def __init__(self, puppet: Hand, name: str) -> None:
        """Take who holds it, and under which name."""
        self._puppet = puppet
        self.name: Final = name

    def get(self, seconds: float | None = PATIENCE) -> Any:  # noqa: ANN401  # whatever the handler returned
        """Return the value, or raise `Told`; the puppet's own waiting ends after `seconds`."""
        return self._puppet.act(acts.get, promise=self.name, seconds=seconds)

    def ask_to_get(self, seconds: float | None = PATIENCE) -> None:
        """Have the puppet wait for it, and do not wait for the puppet: `Hand.answer` does."""
        self._puppet.tell(acts.get, promise=self.name, seconds=seconds)

    def cancel(self) -> bool:
        """Give it up; return whether it was pending."""
        return bool(self._puppet.act(acts.cancel, promise=self.name))

    @property
    def done(self) -> bool:
        """Whether it is resolved."""
        return bool(self._puppet.act(acts.done, promise=self.name))

    def outcome(self) -> str:
        """Wait for its end; return `value`, or the error's class, and for a fallen ring what is known of the call."""
        try:
            self.get()
        except Told as told:
            return f"{told.kind}: {told.outcome}" if told.outcome else told.kind
        return "value"


class Hand:
    """Pulls the strings of one puppet: commands go out through `commands`, answers come back on `output`."""

    def __init__(self, commands: IO[bytes], output: Stream[str], *, skipped: int = 0) -> None:
        """Take both directions; the first `skipped` lines of the output are no answers."""
        self._commands = commands
        self._answers: Final = output
        self._answered = skipped
        self._names = itertools.count()

    def tell(self, act: Callable[..., object], **arguments: object) -> None:
        """Give a command without waiting for its answer."""
        command = {"act": f"{act.__module__}:{act.__name__}", "with": arguments}
        self._commands.write(wire.encode(command).encode() + b"\n")
        self._commands.flush()

    def answer(self, seconds: float = PATIENCE + 5) -> Any:  # noqa: ANN401  # whatever the act returned
        """Return the answer to the oldest command that has none yet; raises `Told` if the act did."""
        line = self._answers.wait(lambda _: True, seconds, start=self._answered)
        self._answered += 1
        match wire.decode(line):
            case {"error": str(kind), "text": str(text), **rest}:
                raise Told(kind, text, str(rest.get("outcome", "")), str(rest.get("name", "")))
            case {"value": value}:
                return value
            case _:
                raise AssertionError(line)

    def act(self, act: Callable[..., object], **arguments: object) -> Any:  # noqa: ANN401  # as above
        """Have the puppet do something; return what it returned."""
        self.tell(act, **arguments)
        return self.answer()

    def call(self, handler: str, *positional: object, within: float | None = None, **named: Any) -> Distant:  # noqa: ANN401  # any argument
        """Have the puppet call a handler; return the promise that it holds now. Raises `Told` if the call did."""
        name = f"promise {next(self._names)}"
        self.act(acts.call, promise=name, handler=handler, positional=list(positional), named=named, within=within)
        return Distant(self, name)

    def send(self, handler: str, *positional: object) -> Distant:
        """Have the puppet call a handler, and see the call leave its process; return the promise."""
        promise = self.call(handler, *positional)
        self.act(acts.send, promise=promise.name, seconds=PATIENCE)
        return promise

    def result(self, handler: str, *positional: object, **named: Any) -> Any:  # noqa: ANN401  # as above
        """Call a handler and return its result; raises `Told`."""
        return self.call(handler, *positional, **named).get()

    @property
    def epoch(self) -> int | None:
        """The epoch that the puppet is in."""
        found = self.act(acts.epoch)
        return None if found is None else int(found)


class Puppeteer(Running, Hand):
    """An application whose user interface is a puppet."""

    def __init__(
        self,
        application: str,
        settings: Mapping[str, object],
        *,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        command: tuple[str, ...] = (),
    ) -> None:
        """Start it; see `Running`."""
        Running.__init__(self, application, settings, folder=folder, environment=environment, command=command)
        Hand.__init__(self, self.stdin, self.output, skipped=1 if settings.get("canary") else 0)

    def await_epoch(self, epoch: int) -> None:
        """Wait until the ring of `epoch` is sealed and the puppet knows."""
        self.wait_for("ring.sealed", epoch=epoch)
        if epoch > 1:
            self.act(acts.wait_dismantled, of=epoch - 1, seconds=PATIENCE)
        if not self.act(acts.wait_sealed, seconds=PATIENCE):
            raise AssertionError(self.report())

    def leave(self, code: int = 0) -> int:
        """Have the user interface end with `code`; return the exit code of the application, which is proven gone."""
        self.act(acts.leave, code=code)
        return self.finish()


class Backstage:
    """Where puppets that run as extensions come for their commands: a socket in a folder of the test's."""

    def __init__(self, folder: Path) -> None:
        """Listen in `folder`."""
        self.path: Final = str(folder / "backstage")
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self._listening.settimeout(PATIENCE)
        self._opened: list[IO[bytes]] = []

    def next_hand(self) -> Hand:
        """Wait for the next puppet that comes; return its strings."""
        end, _ = self._listening.accept()
        with end:
            end.settimeout(None)
            commands = end.makefile("wb")
            self._opened.append(commands)
            return Hand(commands, Stream(end.makefile("rb"), str))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let everybody go."""
        for each in self._opened:
            with contextlib.suppress(BrokenPipeError):
                each.close()
        self._listening.close()


def perform(application: str = "tests.harness.stage:puppet_app", **settings: Any) -> Puppeteer:  # noqa: ANN401  # as above
    """Start the stage's application with these settings, and wait for its first ring. A `Puppeteer` does not wait."""
    puppet = Puppeteer(application, settings)
    puppet.await_epoch(1)
    return puppet
