"""The core user interface of the flood benchmark, which is what measures: it calls, one call after the other.

Imports trollbridge's ui_adapter layer. It writes one JSON line: the latency of each call in nanoseconds, by turns, or
how many calls the extensions had answered.
"""

from __future__ import annotations

import json
from time import monotonic, perf_counter_ns, sleep

from tests.benchmarks.flood_phases import flooding, settled
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter.bridge import Bridge, UiActor

DATA = bytes(64)
PATIENCE = 10.0
PAUSE = 0.0005
"""Seconds between two calls: a user interface, not a second flood."""


class Console(UiActor):
    """Measures for so many seconds, or waits for so many extensions."""

    sandbox = Sandbox()

    def __init__(self, seconds: str = "0", extensions: str = "0") -> None:
        """Take what to do."""
        super().__init__()
        self._seconds, self._extensions = float(seconds), int(extensions)

    def main(self, bridge: Bridge) -> int | None:
        """Measure."""
        found = self._rates(bridge) if self._extensions else self._latencies(bridge)
        print(json.dumps(found), flush=True)
        return 0

    def _rates(self, bridge: Bridge) -> dict[str, int]:
        told: dict[str, int] = {}
        while len(told) < self._extensions:
            sleep(0.05)
            told = bridge.target.told().get(timeout=PATIENCE)
        return told

    def _latencies(self, bridge: Bridge) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {"quiet": [], "flood": []}
        echo, until = bridge.target.echo, monotonic() + self._seconds
        while (started := monotonic()) < until:
            before = perf_counter_ns()
            echo(DATA).get(timeout=PATIENCE)
            took = perf_counter_ns() - before
            if settled(started, monotonic()):
                found["flood" if flooding(started) else "quiet"].append(took)
            sleep(PAUSE)
        return found
