"""The core user interface of the stream benchmark, which is what measures: one transfer at a time, or calls.

Imports trollbridge's ui_adapter layer. It answers each line of standard input, the name of a measure, by a line of
JSON: the seconds of a transfer, the microseconds of a call by each way, or who is in the ring.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, Any

from trollbridge.messages.address import Caller, Directory
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter import files
from trollbridge.ui_adapter.bridge import Bridge, UiActor

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = bytes(64)
PATIENCE = 20.0


class StreamConsole(UiActor):
    """Measures what it is asked for."""

    sandbox = Sandbox(read=("{source}",))

    def __init__(self, source: str, calls: str) -> None:
        """Take the file that it sends, and how many calls it makes by each way."""
        super().__init__()
        self._source, self._calls = Path(source), int(calls)

    def main(self, bridge: Bridge) -> int | None:
        """Answer until standard input ends."""
        acts: dict[str, Callable[[Bridge], object]] = {
            "read": lambda bridge: _timed(lambda: self._read(bridge)),
            "upload": lambda bridge: _timed(lambda: files.upload(bridge.files, "out/copy", self._source)),
            "program": lambda bridge: _timed(lambda: self._program(bridge)),
            "calls": self._ways,
            "members": lambda bridge: {each.member: each.pid for each in bridge.members},
        }
        for line in sys.stdin:
            print(json.dumps(acts[line.strip()](bridge)), flush=True)
        return 0

    def _read(self, bridge: Bridge) -> int:
        return sum(map(len, bridge.files.read(f"in/{self._source.name}")))

    def _program(self, bridge: Bridge) -> int:
        return sum(len(each.data) for each in bridge.programs.run("cat", (str(self._source),)))

    def _ways(self, bridge: Bridge) -> dict[str, float]:
        """Make the same call by each way, in turns, and take the two steps of an address's ratchet alone."""
        module: dict[str, Any] = {"__name__": "generated"}
        began = perf_counter_ns()
        text = bridge.stubs.python()
        made = perf_counter_ns()
        exec(compile(text, "generated", "exec"), module)  # noqa: S102  # what every user of the Python stubs does
        loaded = perf_counter_ns()
        function, name = module["NAMES"]["target.echo"], bridge.stubs.names["target.echo"]
        caller, directory = Caller(bytes(32)), Directory({"echo": bytes(32)})
        ways: dict[str, Callable[[], object]] = {
            "bridge": lambda: bridge.target.echo(DATA).get(timeout=PATIENCE),
            "generated function": lambda: function(bridge, DATA).get(timeout=PATIENCE),
            "session's name": lambda: bridge.stubs.handler(name)(DATA).get(timeout=PATIENCE),
            "address": lambda: directory.take(caller.next()),
        }
        taken: dict[str, list[int]] = {each: [] for each in ways}
        for _ in range(self._calls):
            for way, act in ways.items():
                before = perf_counter_ns()
                act()
                taken[way].append(perf_counter_ns() - before)
        medians = {way: median(each) / 1e3 for way, each in taken.items()}
        return {**medians, "stubs made": (made - began) / 1e3, "stubs loaded": (loaded - made) / 1e3}


def _timed(act: Callable[[], int]) -> dict[str, float]:
    before = perf_counter()
    size = act()
    return {"seconds": perf_counter() - before, "size": size}
