"""Contender: xoscar; a broker actor and an enclave actor in sub-pools, each a process.

Imports xoscar and the standard library. The pool brings a killed process and its actors back by itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING

import xoscar

from tests.benchmarks.contender import LARGE, SMALL, Limit, Rate, serve
from tests.benchmarks.peers.xoscar_actors import Broker, Enclave

if TYPE_CHECKING:
    from collections.abc import Callable

PROBE = 0.01


class XoscarPool:
    """UI in the main pool's process, broker and enclave in one sub-pool each."""

    def start(self) -> None:
        """Start the pool and wait for a first reply."""
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(self._start())

    def roles(self) -> dict[str, int]:
        """Name the three processes."""
        broker, enclave = self._loop.run_until_complete(self._broker.pids())
        return {"ui": os.getpid(), "broker": broker, "enclave": enclave}

    def latency(self, limit: Limit) -> list[int]:
        """Echo 64 bytes, one call after the other."""
        return self._loop.run_until_complete(self._latency(limit))

    def pipelined(self, limit: Limit, in_flight: int) -> Rate:
        """Echo 64 bytes from many tasks."""
        return self._loop.run_until_complete(self._pipelined(limit, in_flight))

    def bulk(self, limit: Limit) -> Rate:
        """Echo 1 MiB."""
        return self._loop.run_until_complete(self._bulk(limit))

    def recover(self, killed: Callable[[], None]) -> None:
        """Kill the enclave; a new call every 10 ms until one is answered."""
        self._loop.run_until_complete(self._recover(killed))

    def stop(self) -> None:
        """End the pool."""
        self._loop.run_until_complete(asyncio.wait_for(self._pool.stop(), 5))

    async def _start(self) -> None:
        self._pool = await xoscar.create_actor_pool("127.0.0.1", n_process=2)
        broker_at, enclave_at = list(self._pool.sub_processes)
        enclave = await xoscar.create_actor(Enclave, address=enclave_at, uid="enclave")
        self._broker = await xoscar.create_actor(Broker, enclave, address=broker_at, uid="broker")
        await self._broker.echo(SMALL)

    async def _latency(self, limit: Limit) -> list[int]:
        for _ in range(max(3, limit.calls // 10)):
            await self._broker.echo(SMALL)
        samples: list[int] = []
        until = perf_counter_ns() + int(limit.seconds * 1e9)
        before = perf_counter_ns()
        while len(samples) < limit.calls and before < until:
            await self._broker.echo(SMALL)
            after = perf_counter_ns()
            samples.append(after - before)
            before = after
        return samples

    async def _pipelined(self, limit: Limit, in_flight: int) -> Rate:
        sent = 0
        began = perf_counter()
        until = began + limit.seconds

        async def caller() -> None:
            nonlocal sent
            while sent < limit.calls and perf_counter() < until:
                sent += 1
                await self._broker.echo(SMALL)

        await asyncio.gather(*(caller() for _ in range(in_flight)))
        return Rate(sent, perf_counter() - began, in_flight)

    async def _bulk(self, limit: Limit) -> Rate:
        for _ in range(3):
            await self._broker.echo(LARGE)
        calls = 0
        began = perf_counter()
        while calls < limit.calls and perf_counter() < began + limit.seconds:
            await self._broker.echo(LARGE)
            calls += 1
        return Rate(calls, perf_counter() - began)

    async def _recover(self, killed: Callable[[], None]) -> None:
        _, enclave = await self._broker.pids()
        os.kill(enclave, signal.SIGKILL)
        killed()
        calls: set[asyncio.Task] = set()
        while True:
            calls.add(asyncio.ensure_future(self._broker.echo(SMALL)))
            done, calls = await asyncio.wait(calls, timeout=PROBE, return_when=asyncio.FIRST_COMPLETED)
            if any(call.exception() is None for call in done):
                break
            await asyncio.sleep(PROBE if done else 0)
        for call in calls:
            call.cancel()


if __name__ == "__main__":
    serve(XoscarPool())
