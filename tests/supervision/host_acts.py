"""Acts of a caller whose hosts come and go: what it has been told of them, which no line of the log says."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from trollbridge.messages.ids import MemberId

if TYPE_CHECKING:
    from tests.harness.puppet import Strings

PATIENCE = 20.0
_PAUSE = 0.005


def lost(strings: Strings, host: str, times: int) -> bool:
    """Wait, without reading the link, until this client knows of so many ends of a host in its ring.

    From then on it calls none of these processes: a call waits for the next one, whether that is there yet or not.
    """
    until = time.monotonic() + PATIENCE
    pause = threading.Event()
    while _ends(strings, host) < times:
        if time.monotonic() > until:
            return False
        pause.wait(_PAUSE)
    return True


def _ends(strings: Strings, host: str) -> int:
    membership = strings.client._membership
    if membership is None:
        raise ConnectionError
    known = membership.renewing._hosts[MemberId(host)]
    return max(known.away, known.left)
