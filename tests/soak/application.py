"""The application of the soak: a confined user interface that calls as often as it is told, and an enclave under lock.

Imports trollbridge's ui_adapter and actors layers; the enclave is named, so that only its own process imports it.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import TYPE_CHECKING, Final

from trollbridge.actors.app import App, Child
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.messages.errors import HandlerFailed
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter.bridge import Bridge, UiActor

if TYPE_CHECKING:
    from trollbridge.actors.calling.promise import Promise

IN_FLIGHT: Final = 64
PATIENCE: Final = 20.0
SMALL: Final = b"\x5a" * 64
LARGE: Final = b"\xa5" * 100_000
"""More than fits into one record."""
EVERY: Final = 250
"""Of so many calls one is large, one is sensitive and one fails."""
WORD: Final = b"for the core user interface alone"


class WrongReplyError(Exception):
    """A reply is not what was asked for."""


class Caller:
    """Makes the calls and checks each reply."""

    def __init__(self, bridge: Bridge) -> None:
        """Call over `bridge`; a handler's proxy is good for every epoch."""
        self._keeper = bridge.keeper
        self._outstanding: deque[tuple[int, Promise[bytes]]] = deque()

    def make(self, count: int) -> None:
        """Make so many calls, a few at a time. Raises what a call raises, and WrongReplyError."""
        for number in range(count):
            if len(self._outstanding) == IN_FLIGHT:
                self._check()
            self._outstanding.append((number, self._call(number)))
        while self._outstanding:
            self._check()

    def _call(self, number: int) -> Promise[bytes]:
        promise: Promise[bytes]
        match number % EVERY:
            case 1:
                promise = self._keeper.echo(LARGE)
            case 2:
                promise = self._keeper.whisper()
            case 3:
                promise = self._keeper.fail()
            case _:
                promise = self._keeper.echo(SMALL)
        return promise

    def _check(self) -> None:
        number, promise = self._outstanding.popleft()
        kind = number % EVERY
        try:
            reply = promise.get(timeout=PATIENCE)
        except HandlerFailed:
            if kind == 3:
                return
            raise
        if reply != {1: LARGE, 2: WORD, 3: None}.get(kind, SMALL):
            raise WrongReplyError


class Console(UiActor):
    """For each line of standard input, a number, makes so many calls in the ring of that moment and says so."""

    sandbox = Sandbox()

    def main(self, bridge: Bridge) -> int | None:
        """Call until standard input ends."""
        caller = Caller(bridge)
        for line in iter(sys.stdin.readline, ""):
            bridge.wait_sealed(PATIENCE)
            caller.make(int(line))
            sys.stdout.write(f"{int(line)} {bridge.epoch}\n")
            sys.stdout.flush()
        return 0


APP: Final = App(
    ui=Child("tests.soak.application:Console"),
    enclaves=[Child("tests.soak.keeper:Keeper")],
    grants={"console": ["keeper.echo", "keeper.whisper", "keeper.fail"]},
    intensity=Intensity(5, 0.001),  # the soak kills on purpose, and as often as it likes
)
