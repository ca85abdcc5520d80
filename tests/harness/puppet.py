"""The puppet: a user interface that does what a test tells it on its standard input; it answers on its output.

One that runs as an extension is told over a socket instead. A command is one JSON line: which act to call
(`module:function`, see `acts`) with which arguments. An act gets the `Strings`, which hold everything that lives in
this process, its private parts included: so a test can be a hostile user interface too.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import socket
import sys
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any

from tests.harness import wire
from tests.harness.tap import Tap
from trollbridge.messages.errors import CallError, RingDismantled, ServerLost
from trollbridge.ui_adapter.bridge import Bridge, UiActor

if TYPE_CHECKING:
    from trollbridge.actors.calling.client import Client
    from trollbridge.actors.calling.promise import Promise


class Strings:
    """What an act may pull."""

    def __init__(self, client: Client, tap: Tap) -> None:
        """Take the client of this process, and what the tap has seen of its link."""
        self.client = client
        self.bridge = Bridge(client)
        self.tap = tap
        self.promises: dict[str, Promise[Any]] = {}
        self.kept: dict[str, Any] = {}
        """Whatever acts leave for later ones."""
        self.exit_code: int | None = None
        """Set to end the user interface after this act."""


def obey(strings: Strings, command: dict[str, wire.Value]) -> dict[str, object]:
    """Do one command; return its answer."""
    match command:
        case {"act": str(act), "with": dict(arguments)}:
            module, _, name = act.partition(":")
        case _:
            return {"error": "ValueError", "text": "not a command"}
    try:
        return {"value": getattr(import_module(module), name)(strings, **arguments)}
    except Exception as error:  # noqa: BLE001  # the test is told
        answer: dict[str, object] = {"error": type(error).__name__, "text": str(error)}
        if isinstance(error, RingDismantled | ServerLost):
            answer["outcome"] = error.outcome.value
        if isinstance(error, CallError):
            answer["name"] = getattr(error, "name", "")
        return answer


class Puppet(UiActor):
    """The user interface of a test."""

    def __init__(self, capture: str = "", canary: str = "", strings: str = "") -> None:
        """With `capture`, keep every packet of the link; write `canary` first; obey the socket at `strings`, if any."""
        super().__init__()
        self._tap = Tap(capture=bool(capture))
        self._canary = canary
        self._path = strings
        self._tap.install()

    def run(self, client: Client) -> int | None:
        """Obey until the input ends or an act sets the exit code."""
        if not self._path:
            return self._obey(client, sys.stdin, sys.stdout)
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(self._path)
            with end.makefile("r", encoding="utf-8") as commands, end.makefile("w", encoding="utf-8") as answers:
                return self._obey(client, commands, answers)

    def _obey(self, client: Client, commands: IO[str], answers: IO[str]) -> int:
        strings = Strings(client, self._tap)
        if self._canary:
            print(self._canary, file=answers, flush=True)
        for line in commands:
            command = wire.decode(line)
            answer = obey(strings, command) if isinstance(command, dict) else {"error": "ValueError"}
            print(wire.encode(answer), file=answers, flush=True)
            if strings.exit_code is not None:
                return strings.exit_code
        return 0

    def main(self, bridge: Bridge) -> int | None:
        """Unused: the puppet needs the client itself."""
        raise NotImplementedError
