"""Contender: multiprocessing.Pipe through a relay process, bytes as they are, nothing sealed.

Imports the standard library only. It is the reference that the targets are multiples of, so it uses the quickest
calls that the module offers: `send_bytes`, `recv_bytes`, and `poll` on bare descriptors in the relay.
"""

from __future__ import annotations

import multiprocessing
import os
import select
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.contender import (
    LARGE,
    SMALL,
    DoesNotRestartError,
    Limit,
    Rate,
    in_sequence,
    one_by_one,
    serve,
    windowed,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection

SPAWN = multiprocessing.get_context("spawn")


def echo_forever(relay: Connection) -> None:
    """Be the enclave: send back what arrives until the relay is gone."""
    try:
        while True:
            relay.send_bytes(relay.recv_bytes())
    except (EOFError, OSError):
        return


def relay_forever(ui: Connection, enclave: Connection) -> None:
    """Be the broker: pass every message on, whichever side it comes from."""
    forward = {ui.fileno(): (ui, enclave), enclave.fileno(): (enclave, ui)}
    ready = select.poll()
    for descriptor in forward:
        ready.register(descriptor, select.POLLIN)
    try:
        while True:
            for descriptor, _ in ready.poll():
                source, target = forward[descriptor]
                target.send_bytes(source.recv_bytes())
    except (EOFError, OSError):
        return


class PipeRelay:
    """UI in this process, a relay and an echo in processes of their own."""

    def start(self) -> None:
        """Spawn the relay and the echo and wait for a first reply."""
        self._ui, broker_ui = SPAWN.Pipe()
        broker_enclave, enclave = SPAWN.Pipe()
        self._broker = SPAWN.Process(target=relay_forever, args=(broker_ui, broker_enclave), daemon=True)
        self._enclave = SPAWN.Process(target=echo_forever, args=(enclave,), daemon=True)
        for process in (self._broker, self._enclave):
            process.start()
        for given_away in (broker_ui, broker_enclave, enclave):
            given_away.close()
        self._echo(SMALL)

    def roles(self) -> dict[str, int]:
        """Name the three processes."""
        return {"ui": os.getpid(), "broker": self._broker.pid or 0, "enclave": self._enclave.pid or 0}

    def latency(self, limit: Limit) -> list[int]:
        """Echo 64 bytes, one call after the other."""
        return one_by_one(partial(self._echo, SMALL), limit)

    def pipelined(self, limit: Limit, in_flight: int) -> Rate:
        """Echo 64 bytes with many outstanding."""
        return windowed(partial(self._ui.send_bytes, SMALL), self._ui.recv_bytes, limit, in_flight)

    def bulk(self, limit: Limit) -> Rate:
        """Echo 1 MiB."""
        return in_sequence(partial(self._echo, LARGE), limit)

    def recover(self, killed: Callable[[], None]) -> None:
        """Pipes have nobody who would restart the echo."""
        del killed
        raise DoesNotRestartError

    def stop(self) -> None:
        """End both processes."""
        for process in (self._broker, self._enclave):
            process.kill()
            process.join()

    def _echo(self, data: bytes) -> bytes:
        self._ui.send_bytes(data)
        return self._ui.recv_bytes()


if __name__ == "__main__":
    serve(PipeRelay())
