"""Contender: one Ray actor that may restart without end, called from the driver.

Imports Ray and the standard library. The cluster's files lie in a temporary folder, its ports on the loopback address.
"""

from __future__ import annotations

import os
import tempfile

import ray

from tests.benchmarks.crash_driver import serve

PROBE = 0.01
"""Seconds after which another call is sent while none is answered: one that was sent too early may never be."""


@ray.remote(max_restarts=-1, num_cpus=0)
class Enclave:
    """Says who it is."""

    def who(self) -> int:
        """Name the process."""
        return os.getpid()


class Ray:
    """The driver of a cluster of one machine."""

    def start(self) -> None:
        """Start a cluster and wait for a first answer."""
        ray.init(
            num_cpus=2,
            object_store_memory=128 << 20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=tempfile.gettempdir(),
            _node_ip_address="127.0.0.1",
        )
        self._enclave = Enclave.remote()
        self._calls: list[ray.ObjectRef] = []
        ray.get(self._enclave.who.remote())

    def who(self) -> int:
        """Send a call, wait a moment, and take the first answer to any that was sent since the last answer."""
        self._calls.append(self._enclave.who.remote())
        done, self._calls = ray.wait(self._calls, num_returns=1, timeout=PROBE)
        for call in done:
            try:
                answer = int(ray.get(call))
            except ray.exceptions.RayError as error:
                raise ConnectionError from error
            self._calls = []
            return answer
        raise TimeoutError

    def stop(self) -> None:
        """End the cluster."""
        ray.shutdown()


if __name__ == "__main__":
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    serve(Ray())
