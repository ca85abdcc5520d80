"""The extension of the flood benchmark: it floods when it is its turn, in the way that its settings say.

Imports trollbridge's ui_adapter layer, and its private parts where it sends what no honest extension does.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
from collections import deque
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

from tests.benchmarks.flood_phases import flooding, rest_of_turn
from trollbridge.messages.record import Request, Routed
from trollbridge.ui_adapter.bridge import Bridge, ExtensionActor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.actors.calling.client import Client
    from trollbridge.messages.record import Item

IN_FLIGHT: Final = 1024
"""Calls that it would have in flight, more than there is credit for."""
PATIENCE: Final = 10.0


class Flooder(ExtensionActor):
    """Never does anything else."""

    def __init__(self, name: str, mode: str, size: str = "64", seconds: str = "0") -> None:
        """Be `name`; flood with `calls` of so many bytes, `frames` or `leases`; `seconds`: at once, and for so long."""
        super().__init__()
        self._name, self._mode, self._data = name, mode, os.urandom(int(size))
        self._seconds = float(seconds)

    def run(self, client: Client) -> None:
        """Flood until the ring falls, or for as long as it is told to."""
        if self._mode != "calls":
            sleep(rest_of_turn() + (0.0 if flooding(monotonic()) else 0.1))
            self._abuse(client)
            return
        bridge = Bridge(client)
        if self._seconds:
            until = monotonic() + self._seconds
            calls = self._call(bridge, lambda: monotonic() < until)
            bridge.target.tell(self._name, calls).get(timeout=PATIENCE)
            return
        while True:
            sleep(0.0 if flooding(monotonic()) else rest_of_turn())
            self._call(bridge, lambda: flooding(monotonic()))

    def _call(self, bridge: Bridge, goes_on: Any) -> int:  # noqa: ANN401  # a function of nothing
        echo, data, waiting, answered = bridge.target.echo, self._data, deque[Any](), 0
        while goes_on():
            for _ in range(16):
                waiting.append(echo(data))
            while len(waiting) > IN_FLIGHT:
                waiting.popleft().get(timeout=PATIENCE)
                answered += 1
        while waiting:
            waiting.popleft().get(timeout=PATIENCE)
            answered += 1
        return answered

    def _abuse(self, client: Client) -> None:
        """Send what is refused, in records of their own, until the link is cut."""
        membership = client._membership
        while membership is not None:
            with client._lock:
                for item, body in self._refused():
                    membership.endpoint.put(item, body)
                membership.endpoint.flush()

    def _refused(self) -> Iterator[tuple[Item, bytes]]:
        if self._mode == "leases":
            yield Request("target.echo"), b""
            return
        body = os.urandom(256)
        yield Routed(3, self._name, "target", os.urandom(16), 0, 0, b"", len(body), body[-16:]), body

    def main(self, bridge: Bridge) -> None:
        """Unused: it needs the client itself."""
        raise NotImplementedError
