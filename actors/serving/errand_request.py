"""How a server asks the supervisor for a one-shot process: one message, and what goes with it.

May import: our messages, `sockets`. Invariant: whatever happens, the descriptors that were handed over are closed here.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Final

from trollbridge.actors.processes.sockets import LinkLost, close_all
from trollbridge.messages import control

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.actors.processes.channel import Channel
    from trollbridge.messages.control import ErrandKind

ERRAND_TIMEOUT: Final = 60.0
"""Seconds that a read or write on an errand's stream may take, unless whoever holds it sets others."""


def request(
    channel: Channel[control.FromChild, control.ToChild], kind: ErrandKind, descriptors: Sequence[int]
) -> socket.socket:
    """Ask for an errand; return the stream to it: see `ProcessActor.errand`."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with far, contextlib.suppress(LinkLost):  # without a supervisor there is no errand, and soon no enclave
        channel.send(control.Errand(kind), far.fileno(), *descriptors)
    close_all(descriptors)
    near.settimeout(ERRAND_TIMEOUT)
    return near
