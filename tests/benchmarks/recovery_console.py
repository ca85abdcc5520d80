"""The user interface of the recovery benchmark, which is what measures; it survives the ring that it was in.

Imports trollbridge's ui_adapter layer. It is not confined, as it sends the signals that the benchmark asks for.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from time import sleep
from typing import TYPE_CHECKING

import pykka

from tests.benchmarks.crash_driver import PAUSE, say, serve
from trollbridge.messages.errors import TrollbridgeError
from trollbridge.ui_adapter.bridge import UiActor

if TYPE_CHECKING:
    from trollbridge.ui_adapter.bridge import Bridge, MemberProxy

PATIENCE = 30.0
"""Seconds: no call is given up before the supervisor has said what became of it."""
IN_FLIGHT = 64
EACH = 5
"""Milliseconds that each of the calls in flight takes, one after the other."""


class Member:
    """An enclave or a host, called over the bridge."""

    def __init__(self, member: MemberProxy) -> None:
        """Take which; a handler's proxy is good for every epoch."""
        self._who = member.who

    def start(self) -> None:
        """Wait for a first answer; the supervisor has started all."""
        self.who()

    def who(self) -> int:
        """Call. Raises ConnectionError."""
        try:
            return int(self._who().get(timeout=PATIENCE))
        except (TrollbridgeError, pykka.Timeout) as error:
            raise ConnectionError from error

    def stop(self) -> None:
        """Nothing: when `main` returns, the supervisor ends the application."""


def told(member: MemberProxy) -> None:
    """Kill the server while many calls are in flight; say what each was told, and whether any was left without word."""
    pid = member.who().get(timeout=PATIENCE)
    calls = [member.slow(EACH) for _ in range(IN_FLIGHT)]
    calls[4].get(timeout=PATIENCE)
    os.kill(pid, signal.SIGKILL)
    ends: Counter[str] = Counter()
    for call in calls:
        try:
            call.get(timeout=PATIENCE)
        except pykka.Timeout:
            ends["no word"] += 1
        except TrollbridgeError as error:
            outcome = getattr(error, "outcome", None)
            ends[type(error).__name__ if outcome is None else outcome.value] += 1
        else:
            ends["answered"] += 1
    say(event="told", **ends)
    while True:
        try:
            member.who().get(timeout=PATIENCE)
        except (TrollbridgeError, pykka.Timeout):
            sleep(PAUSE)
        else:
            return


class Console(UiActor):
    """Serves the requests of the benchmark about one server."""

    def __init__(self, server: str) -> None:
        """Take the server's name."""
        super().__init__()
        self._server = server

    def main(self, bridge: Bridge) -> int:
        """Measure until standard input ends."""
        member = getattr(bridge, self._server)
        told(member)
        serve(Member(member))
        return 0
