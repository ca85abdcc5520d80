"""Contender: multiprocessing managers; a proxy call to a relay object that makes a proxy call to an echo object.

Imports the standard library only. A proxy serves one call at a time for each thread, so calls in flight are threads.
"""

from __future__ import annotations

import multiprocessing
import os
from functools import partial
from multiprocessing.managers import BaseManager
from threading import Barrier, Thread
from time import perf_counter
from typing import TYPE_CHECKING

from tests.benchmarks.contender import LARGE, SMALL, DoesNotRestartError, Limit, Rate, in_sequence, one_by_one, serve

if TYPE_CHECKING:
    from collections.abc import Callable

SPAWN = multiprocessing.get_context("spawn")


class Echo:
    """The object in the enclave process."""

    def echo(self, data: bytes) -> bytes:
        """Give the bytes back."""
        return data

    def pid(self) -> int:
        """Name the process of this object."""
        return os.getpid()


class Relay:
    """The object in the broker process; it asks the one in the enclave through a proxy."""

    def __init__(self, address: str, key: bytes) -> None:
        """Connect to the enclave's server at `address`."""
        server = EchoServer(address, authkey=key)
        server.connect()
        self._enclave = server.new_echo()

    def echo(self, data: bytes) -> bytes:
        """Ask the enclave."""
        return self._enclave.echo(data)

    def pid(self) -> int:
        """Name the process of this object."""
        return os.getpid()

    def enclave_pid(self) -> int:
        """Name the enclave's process."""
        return self._enclave.pid()


class EchoServer(BaseManager):
    """Server of `Echo` objects; `new_echo` gives a proxy."""

    if TYPE_CHECKING:

        def new_echo(self) -> Echo:
            """Give a proxy; registered below."""
            ...


class RelayServer(BaseManager):
    """Server of `Relay` objects; `new_relay` gives a proxy."""

    if TYPE_CHECKING:

        def new_relay(self, address: str, key: bytes) -> Relay:
            """Give a proxy; registered below."""
            ...


EchoServer.register("new_echo", Echo)
RelayServer.register("new_relay", Relay)


class ProxyRelay:
    """UI in this process, two manager servers in processes of their own."""

    def start(self) -> None:
        """Start both servers and wait for a first reply."""
        key = os.urandom(16)
        self._enclave = EchoServer(authkey=key, ctx=SPAWN)
        self._broker = RelayServer(ctx=SPAWN)
        self._enclave.start()
        self._broker.start()
        self._relay = self._broker.new_relay(str(self._enclave.address), key)
        self._relay.echo(SMALL)

    def roles(self) -> dict[str, int]:
        """Name the three processes."""
        return {"ui": os.getpid(), "broker": self._relay.pid(), "enclave": self._relay.enclave_pid()}

    def latency(self, limit: Limit) -> list[int]:
        """Echo 64 bytes, one call after the other."""
        return one_by_one(partial(self._relay.echo, SMALL), limit)

    def pipelined(self, limit: Limit, in_flight: int) -> Rate:
        """Echo 64 bytes from `in_flight` threads; each connects before the clock starts."""
        ready, over = Barrier(in_flight + 1), Barrier(in_flight + 1)
        answered = [0] * in_flight
        until = [0.0]

        def caller(number: int) -> None:
            self._relay.echo(SMALL)
            ready.wait()
            while answered[number] < max(1, limit.calls // in_flight) and perf_counter() < until[0]:
                self._relay.echo(SMALL)
                answered[number] += 1
            over.wait()

        for number in range(in_flight):
            Thread(target=caller, args=(number,), daemon=True).start()
        until[0] = perf_counter() + 60.0
        ready.wait()
        began = perf_counter()
        until[0] = began + limit.seconds
        over.wait()
        return Rate(sum(answered), perf_counter() - began, in_flight)

    def bulk(self, limit: Limit) -> Rate:
        """Echo 1 MiB."""
        return in_sequence(partial(self._relay.echo, LARGE), limit)

    def recover(self, killed: Callable[[], None]) -> None:
        """Nobody would restart a manager's server."""
        del killed
        raise DoesNotRestartError

    def stop(self) -> None:
        """End both servers."""
        self._broker.shutdown()
        self._enclave.shutdown()


if __name__ == "__main__":
    serve(ProxyRelay())
