"""The user interface of the trollbridge contender, which is what measures.

Imports trollbridge's ui_adapter layer. It answers the requests on standard input, as every other contender does.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from time import sleep
from typing import TYPE_CHECKING

import pykka

from tests.benchmarks.contender import LARGE, SMALL, Limit, Rate, in_sequence, one_by_one, serve, windowed_promises
from trollbridge.messages.errors import TrollbridgeError
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter.bridge import Bridge, UiActor

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINE = 20.0
PROBE = 0.001


class Ring:
    """The sealed ring, seen from the user interface."""

    def __init__(self, bridge: Bridge) -> None:
        """Measure over `bridge`; a handler's proxy is good for every epoch."""
        self._call = bridge.echo.echo
        self._pid = bridge.echo.pid
        self._die = bridge.echo.die

    def start(self) -> None:
        """Wait for a first reply; the supervisor has already started all."""
        self._echo(SMALL)

    def roles(self) -> dict[str, int]:
        """Name the processes that the user interface knows of; the broker is the supervisor's other child."""
        return {"ui": os.getpid(), "enclave": self._enclave()}

    def latency(self, limit: Limit) -> list[int]:
        """Echo 64 bytes, one call after the other."""
        return one_by_one(partial(self._echo, SMALL), limit)

    def pipelined(self, limit: Limit, in_flight: int) -> Rate:
        """Echo 64 bytes with many outstanding."""
        return windowed_promises(
            partial(self._call, SMALL), lambda promise: promise.get(timeout=DEADLINE), limit, in_flight
        )

    def bulk(self, limit: Limit) -> Rate:
        """Echo 1 MiB."""
        return in_sequence(partial(self._echo, LARGE), limit)

    def recover(self, killed: Callable[[], None]) -> None:
        """Have the enclave kill itself, which nobody else here may, and call until the next epoch answers.

        Where the supervisor starts the user interface anew, the new one's first reply is what ends the measure.
        """
        old = self._enclave()
        killed()
        with suppress(TrollbridgeError):
            self._die().get(timeout=DEADLINE)
        while True:
            try:
                if self._enclave() != old:
                    return
            except (TrollbridgeError, pykka.Timeout, pykka.ActorDeadError):
                sleep(PROBE)

    def stop(self) -> None:
        """Nothing: when `main` returns, the supervisor ends the application."""

    def _echo(self, data: bytes) -> object:
        return self._call(data).get(timeout=DEADLINE)

    def _enclave(self) -> int:
        return int(self._pid().get(timeout=DEADLINE))


class Console(UiActor):
    """Serves the requests of the benchmark, as confined as a user interface can be."""

    sandbox = Sandbox()

    def main(self, bridge: Bridge) -> int | None:
        """Measure until standard input ends."""
        serve(Ring(bridge))
        return 0
