"""Contender: Ray on one machine; a broker actor that awaits an enclave actor, each in a worker process.

Imports Ray and the standard library. The enclave may restart without end; the cluster's files live in a temporary
folder and all of its ports on the loopback address.
"""

from __future__ import annotations

import os
import signal
import tempfile
from functools import partial
from typing import TYPE_CHECKING

import ray

from tests.benchmarks.contender import LARGE, SMALL, Limit, Rate, in_sequence, one_by_one, serve, windowed_promises

if TYPE_CHECKING:
    from collections.abc import Callable

    from ray.actor import ActorHandle

PROBE = 0.01


@ray.remote(max_restarts=-1, num_cpus=0)
class Enclave:
    """Echoes bytes."""

    def echo(self, data: bytes) -> bytes:
        """Give the bytes back."""
        return data

    def pid(self) -> int:
        """Name the enclave's process."""
        return os.getpid()


@ray.remote(max_concurrency=512, num_cpus=0)
class Broker:
    """Passes calls to the enclave."""

    def __init__(self, enclave: ActorHandle) -> None:
        """Keep the handle of the enclave."""
        self._enclave = enclave

    async def echo(self, data: bytes) -> bytes:
        """Ask the enclave."""
        return await self._enclave.echo.remote(data)

    async def pids(self) -> tuple[int, int]:
        """Name the broker's process and the enclave's."""
        return os.getpid(), await self._enclave.pid.remote()


class RayCluster:
    """UI in this process as Ray's driver, broker and enclave in workers, and what Ray adds."""

    def start(self) -> None:
        """Start a cluster and wait for a first reply."""
        ray.init(
            num_cpus=2,
            object_store_memory=128 << 20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=tempfile.gettempdir(),
            _node_ip_address="127.0.0.1",
        )
        enclave = Enclave.remote()
        self._broker = Broker.remote(enclave)
        self._echo(SMALL)

    def roles(self) -> dict[str, int]:
        """Name the three processes."""
        broker, enclave = ray.get(self._broker.pids.remote())
        return {"ui": os.getpid(), "broker": broker, "enclave": enclave}

    def latency(self, limit: Limit) -> list[int]:
        """Echo 64 bytes, one call after the other."""
        return one_by_one(partial(self._echo, SMALL), limit)

    def pipelined(self, limit: Limit, in_flight: int) -> Rate:
        """Echo 64 bytes with many outstanding."""
        return windowed_promises(partial(self._broker.echo.remote, SMALL), ray.get, limit, in_flight)

    def bulk(self, limit: Limit) -> Rate:
        """Echo 1 MiB."""
        return in_sequence(partial(self._echo, LARGE), limit)

    def recover(self, killed: Callable[[], None]) -> None:
        """Kill the enclave; a new call every 10 ms until one is answered."""
        _, enclave = ray.get(self._broker.pids.remote())
        os.kill(enclave, signal.SIGKILL)
        killed()
        calls: list[object] = []
        while True:
            calls.append(self._broker.echo.remote(SMALL))
            done, calls = ray.wait(calls, num_returns=1, timeout=PROBE)
            for call in done:
                try:
                    ray.get(call)
                except ray.exceptions.RayError:
                    continue
                return

    def stop(self) -> None:
        """End the cluster."""
        ray.shutdown()

    def _echo(self, data: bytes) -> bytes:
        return ray.get(self._broker.echo.remote(data))


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    serve(RayCluster())
