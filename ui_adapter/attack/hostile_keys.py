"""The acts of a hostile member on contents, keys and its own process; `hostile_acts` has those on what travels.

May import: `actors`, `messages`, `hostile_reach`. Invariant: a content that could run a handler runs one of the
target's, never one of the application's own; a search ends with a number, and no key leaves the process.
"""

# pyright: reportPrivateUsage=false
# ruff: noqa: SLF001  # an attacker does not ask what is private

from __future__ import annotations

import gc
import os
import subprocess
import sys
import warnings
from typing import Final

import msgspec

from trollbridge.actors.supervision.spawn import CONTROL
from trollbridge.messages import payloads
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import TrollbridgeError
from trollbridge.messages.ids import NO_UID, MemberId, Microseconds
from trollbridge.messages.noise import Initiator
from trollbridge.messages.record import Publish, PublishedHandler, Request, route
from trollbridge.messages.ring_key import SEALED, RingKey, Sealed
from trollbridge.ui_adapter.attack.hostile_acts import MARK, attempt, call
from trollbridge.ui_adapter.attack.hostile_reach import PATIENCE, Reach, fate

_LOOK: Final = """
import os
for number in range(3, 256):
    try:
        print(os.readlink(f'/proc/self/fd/{number}'))
    except OSError:
        pass
"""


# Contents.


def arguments(reach: Reach, given: list[bytes]) -> list[str]:
    """Call with encoded arguments that nobody has checked; return the fate of each call."""
    code = reach.membership.routes[reach.named(MARK)].entry.code
    return [_content(reach, b"\x01" + code + each) for each in given]


def contents(reach: Reach, given: list[bytes]) -> list[str]:
    """Send contents that are no calls, sealed as they should be; return the fate of each."""
    return [_content(reach, each) for each in given]


def _content(reach: Reach, content: bytes) -> str:
    uid = reach.take(MARK)
    item, body = reach.seal(content, uid)
    promise = reach.pending(MARK, uid, item.sequence)
    reach.say((item, body))
    return fate(promise)


def functions(reach: Reach) -> list[str]:
    """Try to send a function, a class and a module as arguments; return what became of each."""
    given: tuple[object, ...] = (print, Reach, os)
    return [attempt(reach, "echo", [each]) for each in given]


# Sealed results and keys.


def secret(reach: Reach) -> bytes:
    """Call the sensitive handler; return the sealed result, or the text that the core UI gets."""
    found = call(reach, "secret")
    return SEALED.encode(found) if isinstance(found, Sealed) else str(found).encode()


def unseal(reach: Reach, sealed: bytes, handler: str = "") -> str:
    """Try to open a sealed result, under another handler's name if one is given; return what is inside."""
    value = SEALED.decode(sealed)
    return str(reach.client.open(msgspec.structs.replace(value, handler=handler) if handler else value))


def unseal_by_force(reach: Reach, sealed: bytes) -> int:
    """Try every run of 32 octets that this process holds anywhere as the ring key; return how many fit."""
    value = SEALED.decode(sealed)
    found = 0
    for each in _held(32) | {peer.session.transcript[:32] for peer in reach.membership.peers.values()}:
        try:
            RingKey(each, reach.membership.epoch).open(value)
        except TrollbridgeError:  # nearly all of them
            continue
        found += 1
    return found


def _held(size: int) -> set[bytes]:
    """Return every bytes object of a size that the garbage collector's objects lead to."""
    found: set[bytes] = set()
    for each in gc.get_objects():
        for below in gc.get_referents(each):
            if type(below) is bytes and len(below) == size:
                found.add(below)
    return found


def hunt(reach: Reach) -> int:
    """Look through every object of this process for a ring key; return how many there are."""
    keys = [each for each in gc.get_objects() if type(each) is RingKey]
    held = [reach.membership.ring_key] if reach.membership.ring_key is not None else []
    return len(keys) + len(held)


def offer(reach: Reach, *, same: bool) -> None:
    """Offer the target a ring key: the present one again, or one of this member's own making."""
    present = reach.membership.ring_key
    key = present.reveal() if same and present is not None else os.urandom(32)
    reach.say(reach.seal(payloads.encode(payloads.RingKeyOffer(key)), NO_UID, Kind.SESSION))


def greet(reach: Reach) -> None:
    """Begin another handshake with the target."""
    first = Initiator(os.urandom(32), bytes(32)).message_1()[0]
    reach.say((reach.header(Kind.HANDSHAKE, first), first))


def publish(reach: Reach) -> None:
    """Publish a handler, as enclaves do."""
    reach.say((Publish((PublishedHandler("echo", bytes(32)),)), b""))


def hello(reach: Reach) -> int:
    """Begin another handshake on the link."""
    return reach.throw([Initiator(os.urandom(32), bytes(32)).message_1()[0]])


# The process.


def control(_reach: Reach, said: list[bytes]) -> int:
    """Say something to the supervisor over the control channel."""
    return sum(os.write(CONTROL, each) for each in said)


def half_close(reach: Reach) -> None:
    """Close one direction of the link."""
    reach.socket.shutdown(1)


def fork(reach: Reach) -> str:
    """Have a fork of this process speak on the link, with a record that would count from its parent."""
    with reach.client._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a process with threads forks is the fork's own trouble
        child = os.fork()
        if not child:
            reach.throw([reach.endpoint._link.seal([Request(reach.named("echo"))])])
            os._exit(0)
    os.waitpid(child, 0)
    return "a fork has spoken"


def inherit(_reach: Reach) -> list[str]:
    """Start a program without closing anything; return what it has open besides its standard streams."""
    shown = subprocess.run(  # noqa: S603  # the interpreter that runs this
        [sys.executable, "-I", "-c", _LOOK],
        check=True,
        capture_output=True,
        text=True,
        close_fds=False,
        timeout=PATIENCE,
    )
    return shown.stdout.split()


def routes(reach: Reach) -> list[str]:
    """Return the full names of the handlers that this member may call."""
    return sorted(reach.membership.routes)


def withheld(reach: Reach) -> list[str]:
    """Return the full names of the handlers that the enclaves keep from this member, as far as it is told."""
    return sorted(f"{member}.{name}" for member, peer in reach.membership.peers.items() for name in peer.withheld)


def elsewhere(reach: Reach) -> list[str]:
    """Return the other enclaves that this member has a session with."""
    return sorted(set(reach.membership.peers) - {MemberId(reach.target)})


def send_elsewhere(reach: Reach, receiver: str) -> None:
    """Send a content that is no call to another enclave, under a UID for the target."""
    session = reach.membership.peers[MemberId(receiver)].session
    envelope = session.seal(Kind.CALL, reach.take("echo"), Microseconds(0), b"\x08")
    reach.say((route(envelope, b""), envelope.body))
