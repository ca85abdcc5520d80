"""The user interface of the storm: many calls in flight at any time, and a report of how each of them ended, and when.

Imports trollbridge's ui_adapter layer. Commands are single bytes of standard input: `c` has it make some more
calls, finish what is in flight and say so, `g` has it go on; the end of the input ends it.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Final

import pykka

from trollbridge.messages.errors import Outcome, TrollbridgeError
from trollbridge.ui_adapter.bridge import UiActor

if TYPE_CHECKING:
    from trollbridge.actors.calling.promise import Promise
    from trollbridge.ui_adapter.bridge import Bridge, HandlerProxy

DEADLINE: Final = 15.0
"""Seconds of each call."""
SLACK: Final = 5.0
"""Seconds that a promise may take to say that its deadline has passed, on a machine that has much else to do."""
IN_FLIGHT: Final = 32
AT_LEAST: Final = 60
"""Calls between two looks at what became of them, however short the time between is."""
ANSWERED: Final = "answered"
HANGING: Final = "hanging"
KINDS: Final = ("keeper.note", "porter.note", "keeper.repeat")


class _Call:
    """One call, from its beginning to its end."""

    def __init__(self, word: str, kind: str, handler: HandlerProxy) -> None:
        self.word = word
        self.kind = kind
        self.began = time.monotonic()
        self.ended: float | None = None
        self._refused: TrollbridgeError | None = None
        self._promise: Promise[int] | None = None
        try:
            promise: Promise[int] = handler.within(DEADLINE)(word)
        except TrollbridgeError as error:
            self.ended, self._refused = time.monotonic(), error
        else:
            promise.when_done(self._note_end)
            self._promise = promise

    @property
    def refused(self) -> bool:
        """Whether nothing was sent."""
        return self._refused is not None

    def _note_end(self) -> None:
        self.ended = time.monotonic()

    def wait(self) -> str:
        """Wait for its end; return what was told of it."""
        try:
            if self._refused is not None:
                raise self._refused
            if self._promise is not None:
                self._promise.get(timeout=max(0.0, self.began + DEADLINE + SLACK - time.monotonic()))
        except pykka.Timeout:
            return HANGING
        except TrollbridgeError as error:
            outcome = getattr(error, "outcome", Outcome.UNKNOWN)
            return f"{outcome.value}:{type(error).__name__}"
        return ANSWERED


class Console(UiActor):
    """Calls, and reports."""

    def __init__(self, report: str, pace: str) -> None:
        """Take where the report goes, and the seconds between two calls."""
        super().__init__()
        self._pace = float(pace)
        self._report = os.open(report, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._mine = os.urandom(8).hex()
        self._made = 0
        self._outstanding: deque[_Call] = deque()

    def main(self, bridge: Bridge) -> int | None:
        """Call until standard input ends."""
        handlers = {kind: getattr(getattr(bridge, kind.split(".")[0]), kind.split(".")[1]) for kind in KINDS}
        while True:
            if select.select([0], [], [], self._pace)[0]:
                command = os.read(0, 1)
                if command == b"c":
                    for _ in range(AT_LEAST):
                        self._make(bridge, handlers)
                    self._drain()
                    command = os.read(0, 1)
                if not command:
                    return 0
            self._make(bridge, handlers)

    def _make(self, bridge: Bridge, handlers: dict[str, HandlerProxy]) -> None:
        if len(self._outstanding) >= IN_FLIGHT:
            self._take()
        kind = KINDS[self._made % len(KINDS)]
        call = _Call(f"{self._mine}-{self._made}", kind, handlers[kind])
        self._made += 1
        self._outstanding.append(call)
        if call.refused:
            bridge.wait_sealed(0.05)

    def _take(self) -> None:
        call = self._outstanding.popleft()
        end = call.wait().replace(" ", "-")
        seconds = (call.ended or time.monotonic()) - call.began
        os.write(self._report, f"{call.word} {call.kind} {end} {seconds:.3f}\n".encode())

    def _drain(self) -> None:
        while self._outstanding:
            self._take()
        sys.stdout.write(f"drained {self._mine} {self._made}\n")
        sys.stdout.flush()
