"""The acts of a hostile member: each does one thing with what its process holds, and returns what it saw.

May import: `actors`, `messages`, `hostile_reach`. Invariant: an act that could run a handler runs one of the target's,
never one of the application's own.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import CallError
from trollbridge.messages.ids import NO_UID
from trollbridge.messages.parts import WINDOW
from trollbridge.messages.record import Request
from trollbridge.ui_adapter.attack.hostile_reach import PATIENCE, Reach, fate

MARK: Final = "mark"


# Honest acts: what must go on working.


def epoch(reach: Reach) -> int:
    """Wait for a sealed ring; return its epoch, 0 if none came."""
    reach.client.wait_sealed(PATIENCE)
    return reach.client.epoch or 0


def call(reach: Reach, method: str, *arguments: object) -> Any:  # noqa: ANN401  # whatever the handler returned
    """Call a handler of the target as an honest member does; return its result."""
    return reach.client.call(reach.named(method), arguments, {}).get(timeout=PATIENCE)


def echo(reach: Reach, data: bytes) -> bool:
    """Return whether the target sends `data` back as it was."""
    return bool(call(reach, "echo", data) == data)


def count(reach: Reach, word: str) -> int:
    """Return how often the target has run something under `word`."""
    return int(call(reach, "count", word))


def mark(reach: Reach, word: str) -> int:
    """Have the target count one execution."""
    return int(call(reach, MARK, word))


def attempt(reach: Reach, method: str, arguments: list[Any]) -> str:
    """Call a handler of the target and return the call's fate."""
    try:
        return fate(reach.client.call(reach.named(method), tuple(arguments), {}))
    except CallError as error:
        return type(error).__name__


def post(reach: Reach, reader: str, letter: bytes) -> None:
    """Leave a letter for an extension."""
    call(reach, "post", reader, letter)


def collect(reach: Reach, reader: str) -> bytes:
    """Take the oldest letter that an extension has left; nothing if there is none."""
    return bytes(call(reach, "collect", reader))


# UIDs.


def take(reach: Reach, method: str) -> bytes:
    """Take a UID out of the lease for a handler, unused."""
    return bytes(reach.take(method))


def lease(reach: Reach, method: str) -> list[bytes]:
    """Return every UID that is held for a handler."""
    return reach.lease(reach.named(method))


def request(reach: Reach, names: list[str]) -> int:
    """Ask the broker for UIDs of handlers by their full names; return how many came."""
    return sum(reach.request(name) for name in names)


def flood(reach: Reach, name: str, times: int) -> None:
    """Ask for UIDs again and again, without reading what comes."""
    reach.say(*[(Request(name), b"")] * times)


def call_under(  # noqa: PLR0913, PLR0917  # what an attacker may vary
    reach: Reach, method: str, uid: bytes, arguments: list[Any], inside: str = "", deadline: int = 0
) -> str:
    """Call under any UID; return the call's fate."""
    return reach.call_under(method, uid, *arguments, inside=inside, deadline=deadline)


def race(reach: Reach, uid: bytes, word: str, times: int) -> None:
    """Send as many calls, each sealed anew, under one and the same UID at once."""
    reach.say(*[reach.seal(reach.content(MARK, word), uid) for _ in range(times)])


# Envelopes and packets.


def packet(reach: Reach, word: str) -> list[Any]:
    """Make one true call by hand; return its fate and the packet that it went in."""
    uid = reach.take(MARK)
    item, body = reach.seal(reach.content(MARK, word), uid)
    promise = reach.pending(MARK, uid, item.sequence)
    record = reach.record([item], body)
    reach.throw([record])
    return [fate(promise), record]


def packets(reach: Reach, word: str, times: int) -> list[bytes]:
    """Record a run of true calls: return the packet of each."""
    return [packet(reach, word)[1] for _ in range(times)]


def throw(reach: Reach, things: list[bytes]) -> int:
    """Send packets as they are; return how many were taken."""
    return reach.throw(things)


def throw_sealed(reach: Reach, things: list[bytes]) -> int:
    """Send records of any plaintext under the link's own key; return how many were taken."""
    return reach.throw([reach.sealed_record(each) for each in things])


def again(reach: Reach, word: str) -> str:
    """Make one true call, and send its very envelope once more in a record of its own; return the call's fate."""
    uid = reach.take(MARK)
    item, body = reach.seal(reach.content(MARK, word), uid)
    promise = reach.pending(MARK, uid, item.sequence)
    reach.say((item, body))
    found = fate(promise)
    reach.say((item, body))
    return found


def twist(reach: Reach, word: str, changes: dict[str, Any], body: bytes | None = None) -> None:
    """Seal a true call and send it with its header or its body changed."""
    item, true = reach.seal(reach.content(MARK, word), reach.take(MARK))
    sent = true if body is None else body
    right = {"length": len(sent), "tag": sent[-16:]}
    reach.say((msgspec.structs.replace(item, **{**right, **changes}), sent))


def flip(reach: Reach, word: str, at: int) -> None:
    """Seal a true call and send it with one bit of its body changed."""
    item, true = reach.seal(reach.content(MARK, word), reach.take(MARK))
    body = bytearray(true)
    body[at] ^= 1
    reach.say((msgspec.structs.replace(item, tag=bytes(body[-16:])), bytes(body)))


def overtake(reach: Reach, word: str) -> None:
    """Seal two calls and send the second one first."""
    first, second = (reach.seal(reach.content(MARK, word), reach.take(MARK)) for _ in range(2))
    reach.say(second)
    reach.say(first)


def reflect(reach: Reach) -> None:
    """Send a reply of the target back to it, as a call."""
    reach.hear_replies()
    echo(reach, b"to be reflected")
    item, body = reach.replies.pop()
    uid = bytes(reach.take("echo"))
    turned = {"kind": int(Kind.CALL), "sender": item.receiver, "receiver": item.sender, "uid": uid, "route": b""}
    reach.say((msgspec.structs.replace(item, **turned), body))


def claim(reach: Reach, fields: dict[str, Any]) -> None:
    """Send an envelope whose header is made up, with a body of zeros."""
    body = bytes(64)
    reach.say((msgspec.structs.replace(reach.header(Kind.CALL, body), **fields), body))


def given_up(reach: Reach) -> bool:
    """Give one call up while it is under way; return whether the next one gets its own reply and no other."""
    first = reach.client.call(reach.named("echo"), (b"first",), {})
    reach.client.flush()
    first.cancel()
    second = reach.client.call(reach.named("echo"), (b"second",), {})
    return bool(second.get(timeout=PATIENCE) == b"second" and fate(first) == "Cancelled")


def twins(reach: Reach) -> list[bytes]:
    """Return the bodies of two equal calls."""
    return [reach.seal(reach.content("echo", bytes(512)), NO_UID)[1] for _ in range(2)]


def open_ended(reach: Reach) -> None:
    """Send pieces of a content that never ends, beyond the credit for them."""
    uid = reach.take("echo")
    reach.say(*[reach.seal(bytes(64), uid, Kind.PART) for _ in range(WINDOW + 1)])
