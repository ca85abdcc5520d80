"""Acts of who calls while servers die: many calls at once, and how each of them ended; one call again and again."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

from trollbridge.messages.errors import RingDismantled
from trollbridge.messages.ids import HandlerName

if TYPE_CHECKING:
    from tests.harness.puppet import Strings
    from trollbridge.actors.calling.promise import Promise

PATIENCE = 30.0


def strike(strings: Strings, words: list[str], after: int, victim: str) -> dict[str, str]:
    """Have each word marked; once so many are, kill a member; return how each call has ended."""
    [pid] = [each.pid for each in strings.bridge.members if each.member == victim]
    promises = {word: strings.client.call(HandlerName("probe.mark"), (word,), {}) for word in words}
    promises[words[after]].get(timeout=PATIENCE)
    os.kill(pid, signal.SIGKILL)
    return {word: _end(promise) for word, promise in promises.items()}


def insist(strings: Strings, handler: str, positional: list[Any], within: float) -> None:
    """Make the same call again whenever its deadline has passed, until the ring falls: one of them begins in time."""
    ring = strings.client.epoch
    while ring is not None and strings.client.epoch == ring:
        strings.client.call(HandlerName(handler), tuple(positional), {}, within=within)
        strings.client.wait_dismantled(ring, within)


def _end(promise: Promise[Any]) -> str:
    try:
        promise.get(timeout=PATIENCE)
    except RingDismantled as fallen:
        return fallen.outcome.value
    return "answered"
