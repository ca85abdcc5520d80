"""The acts that every test may want of a puppet.

Each gets the puppet's `Strings` and plain arguments; what it returns goes back.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.harness.replacing import replace
from trollbridge.actors.supervision.spawn import CONTROL
from trollbridge.messages.ids import HandlerName

if TYPE_CHECKING:
    from tests.harness.puppet import Strings
    from trollbridge.actors.calling.membership import Membership
    from trollbridge.actors.calling.promise import Promise

GLANCE = 20  # milliseconds
PLAIN = frozenset({bool, int, float, str, bytes, list, tuple, dict})


def call(  # noqa: PLR0913  # given by name
    strings: Strings,
    promise: str,
    handler: str,
    positional: list[Any],
    *,
    named: dict[str, Any] | None = None,
    within: float | None = None,
) -> None:
    """Call a handler and keep the promise under its name."""
    strings.promises[promise] = strings.client.call(HandlerName(handler), tuple(positional), named or {}, within=within)


def call_as_it_falls(strings: Strings, of: int, handler: str) -> None:
    """Wait for the fall of an epoch's ring and call a handler at once."""
    strings.client.wait_dismantled(of, 20.0)
    strings.client.call(HandlerName(handler), (), {})


def send(strings: Strings, promise: str, seconds: float) -> None:
    """Read the link until a call that was made has left this process; raises `TimeoutError`.

    Its ring may fall for that before this begins: then the call has ended, or has left and waits for a verdict.
    """
    wanted, until = strings.promises[promise], time.monotonic() + seconds
    membership = strings.client._membership
    if wanted.done or (membership is None and wanted not in strings.client._carrying):
        return
    if membership is None:
        raise ConnectionError
    poll = select.poll()
    with contextlib.suppress(ValueError):  # closed meanwhile
        poll.register(membership.endpoint.socket.fileno(), select.POLLIN)
    while _stands(strings, membership) and not _has_left(membership, wanted):
        if time.monotonic() > until:
            raise TimeoutError
        poll.poll(GLANCE)  # another thread may read what comes
        strings.client.poll()
        strings.client.flush()


def _stands(strings: Strings, membership: Membership) -> bool:
    return strings.client._membership is membership


def _has_left(membership: Membership, wanted: Promise[Any]) -> bool:
    return wanted.done or any(each.sent for each in tuple(membership.pending.values()) if each.promise is wanted)


def get(strings: Strings, promise: str, seconds: float | None) -> Any:  # noqa: ANN401  # whatever the handler returned
    """Wait for a promise; a sealed result or another struct comes back as its `repr`."""
    value: Any = strings.promises[promise].get(timeout=seconds)
    return value if value is None or type(value) in PLAIN else repr(value)


def cancel(strings: Strings, promise: str) -> bool:
    """Cancel a promise; return whether it was pending."""
    return strings.promises[promise].cancel()


def done(strings: Strings, promise: str) -> bool:
    """Return whether a promise is resolved."""
    return strings.promises[promise].done


def flush(strings: Strings) -> bool:
    """Send what waits to be sent; return whether nothing is left."""
    return strings.client.flush()


def poll(strings: Strings) -> bool:
    """Take what has arrived; return whether the link lives."""
    return strings.client.poll()


def epoch(strings: Strings) -> int | None:
    """Return the epoch, if a ring is sealed."""
    return strings.bridge.epoch


def members(strings: Strings) -> list[list[Any]]:
    """Return member, role and PID of everyone in the ring."""
    return [[each.member, each.role, each.pid] for each in strings.bridge.members]


def handlers(strings: Strings) -> list[str]:
    """Return the names of the handlers that may be called."""
    return sorted(strings.client.routes())


def wait_sealed(strings: Strings, seconds: float) -> bool:
    """Wait for a sealed ring."""
    return strings.bridge.wait_sealed(seconds)


def wait_dismantled(strings: Strings, of: int, seconds: float) -> bool:
    """Wait until the ring of an epoch has fallen."""
    return strings.bridge.wait_dismantled(of, seconds)


def packets(strings: Strings, of: int) -> list[list[bytes]]:
    """Return what was sent and what was received in an epoch, packet by packet; needs a puppet that captures."""
    tapped = strings.tap.sockets[of]
    return [tapped.sent, tapped.received]


def send_packet(strings: Strings, packet: bytes) -> None:
    """Send a packet of one's own making on the link of the present epoch."""
    membership = strings.client._membership
    if membership is None:
        raise ConnectionError
    membership.endpoint.socket.send(packet)


def control_packet(_strings: Strings, packet: bytes, times: int = 1) -> None:
    """Say something to the supervisor over the control channel that this process inherited."""
    with socket.socket(fileno=os.dup(CONTROL)) as end:
        for _ in range(times):
            end.send(packet)


def hold_out(strings: Strings, packet: bytes) -> None:
    """From now on ignore SIGTERM, never exit, and say a control message again and again once the ring has fallen."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def never(_code: int) -> None:
        threading.Event().wait()

    def plead() -> None:
        strings.client.wait_dismantled(strings.client.epoch or 0)
        while True:
            control_packet(strings, packet)
            threading.Event().wait(0.01)

    replace(os, _exit=never)
    threading.Thread(target=plead, daemon=True).start()


def secrets(strings: Strings, of: int) -> dict[str, Any]:
    """Return the ring key, the join token and the session tokens of an epoch: what must be nowhere but here."""
    membership, join = strings.tap.memberships[of], strings.tap.joins[of]
    key = membership.ring_key
    return {
        "ring_key": bytes(key._key.view) if key is not None and key._key is not None else None,
        "join_token": join.token,
        "tickets": [each.token for each in join.tickets],
    }


def descriptors(_strings: Strings) -> dict[str, str]:
    """Return what each descriptor of this process is, by number: only itself may look, unless root does."""
    folder = "/proc/self/fd"
    found: dict[str, str] = {}
    for number in os.listdir(folder):  # noqa: PTH208  # names: the one that lists them is closed by then
        with contextlib.suppress(FileNotFoundError):
            found[number] = os.readlink(f"{folder}/{number}")  # noqa: PTH115  # a text, not a path
    return found


def memory_map(_strings: Strings) -> str:
    """Return where everything lies in this process."""
    return Path("/proc/self/maps").read_text(encoding="utf-8")


def environment(_strings: Strings) -> dict[str, str]:
    """Return the environment of this process."""
    return dict(os.environ)


def names_of_far_ends(strings: Strings) -> list[bytes]:
    """Return the names of the far ends of the control channel and of the link: the supervisor's and the broker's."""
    membership = strings.client._membership
    if membership is None:
        raise ConnectionError
    with socket.socket(fileno=os.dup(CONTROL)) as end:
        return [end.getpeername(), membership.endpoint.socket.getpeername()]


def leave(strings: Strings, code: int) -> None:
    """End the user interface with an exit code."""
    strings.exit_code = code


def vanish(_strings: Strings, code: int) -> None:
    """End the process on the spot, without a word."""
    os._exit(code)
