"""What a contender of the recovery benchmark offers, and the loop that serves it over JSON lines.

Runs inside the contender's own interpreter, so it imports the standard library only. It owns one rule: everybody's
process is ended in the same way, and is called in the same loop, until another process answers.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from time import monotonic_ns, sleep
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    Send = Callable[[int, int], None]

PAUSE = 0.001
"""Seconds between two calls while nobody answers."""


class Crashing(Protocol):
    """Somebody who starts a process anew once it has ended; the caller of these methods is the client."""

    def start(self) -> None:
        """Start all; return when a call has been answered."""
        ...

    def who(self) -> int:
        """Call; return the number of the process that answers. Raises OSError where nobody does, within a second."""
        ...

    def stop(self) -> None:
        """End what `start` has started."""
        ...


def say(**fields: object) -> None:
    """Write one JSON line to standard output, in one piece."""
    os.write(1, (json.dumps(fields) + "\n").encode())


def crash(one: Crashing, number: int, send: Send) -> None:
    """Send the process that answers a signal, and call until another one answers."""
    old = None
    while old is None:
        with suppress(OSError):
            old = one.who()
    say(event="sent", at=monotonic_ns())
    send(old, number)
    calls = 0
    while True:
        calls += 1
        try:
            if one.who() != old:
                break
        except OSError:
            sleep(PAUSE)
    say(event="back", at=monotonic_ns(), calls=calls)


def serve(one: Crashing, send: Send = os.kill) -> None:
    """Start, say so, do what standard input asks until its end, stop. `send` is how a signal is sent to whom."""
    one.start()
    try:
        say(event="answered", at=monotonic_ns())
        for line in iter(sys.stdin.readline, ""):
            request = json.loads(line)
            if request["ask"] == "stop":
                return
            crash(one, request["signal"], send)
    finally:
        one.stop()
