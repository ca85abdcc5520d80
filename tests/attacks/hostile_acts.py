"""Acts of a hostile user interface or extension: it has its keys and its UIDs, and uses them as it should not."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final

import msgspec

from trollbridge.actors.calling.held import Held
from trollbridge.actors.calling.membership import Membership, Pending, Settled
from trollbridge.actors.calling.promise import Promise
from trollbridge.actors.processes.endpoint import Endpoint
from trollbridge.messages.codec import encode
from trollbridge.messages.envelope import Kind
from trollbridge.messages.ids import UID_SIZE, HandlerName, HandlerUID, MemberId, Microseconds, handler_name
from trollbridge.messages.record import Item, Lease, Request, Routed, route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.harness.puppet import Strings

NEVER: Final = Microseconds(0)
PATIENCE: Final = 20.0


def _membership(strings: Strings) -> Membership:
    membership = strings.client._membership
    if membership is None:
        raise ConnectionError
    return membership


def remember(strings: Strings) -> None:
    """Keep every item that leaves this process from now on, with its body."""
    kept: list[tuple[Item, bytes]] = strings.kept.setdefault("items", [])
    put = Endpoint.put

    def keeping(self: Endpoint, item: Item, body: bytes = b"") -> None:
        kept.append((item, body))
        put(self, item, body)

    Endpoint.put = keeping  # type: ignore[method-assign]


def used_uids(strings: Strings) -> list[bytes]:
    """Return the UID of every call that has left this process."""
    items: list[tuple[Item, bytes]] = strings.kept["items"]
    return [item.uid for item, _ in items if isinstance(item, Routed) and item.kind == Kind.CALL]


def lease(strings: Strings, handler: str) -> list[bytes]:
    """Return the UIDs that this process holds for a handler, without using any up; asks for some if it has none.

    Raises `PermissionError` if the broker gives none.
    """
    membership, name = _membership(strings), HandlerName(handler)
    if name not in membership.leases:
        answers: list[Lease] = []
        original = membership._lease

        def noticed(item: Lease) -> Sequence[Settled]:
            answers.append(item)
            return original(item)

        membership._lease = noticed  # type: ignore[method-assign,assignment]
        with strings.client._lock:
            membership.endpoint.put(Request(name))
            membership.endpoint.flush()
        while not answers:
            if not strings.client.poll():
                raise ConnectionError
        del membership._lease
        if not answers[0].uids:
            raise PermissionError
        if name not in membership.leases:  # an honest client keeps none for a handler that it was not told of
            held, uids = membership.leases.setdefault(name, Held()), answers[0].uids
            for start in range(0, len(uids), UID_SIZE):
                held.add(MemberId(name.partition(".")[0]), HandlerUID(uids[start : start + UID_SIZE]))
    return [bytes(each) for each in membership.leases[name]]


def take(strings: Strings, handler: str) -> bytes:
    """Take one UID out of a lease."""
    lease(strings, handler)
    membership = _membership(strings)
    taken = membership.leases[HandlerName(handler)].take(membership.peers)
    if taken is None:
        raise PermissionError
    return bytes(taken[1])


def call_under(  # noqa: PLR0913, PLR0917  # what an attacker may vary
    strings: Strings, promise: str, handler: str, uid: bytes, arguments: list[Any], inside: str = "", deadline: int = 0
) -> None:
    """Call `handler` under any UID; the ciphertext names `inside`, if that is another one. Keep the promise."""
    membership = _membership(strings)
    found = membership.routes[HandlerName(handler)]
    content = membership.routes[HandlerName(inside or handler)].content(tuple(arguments), {})
    made: Promise[Any] = Promise(strings.client)
    strings.promises[promise] = made
    pending = Pending(made, found, content, deadline, None)
    with strings.client._lock:
        membership._send(pending, HandlerUID(uid), found.peer)
        membership.endpoint.flush()


def call_with_code(  # noqa: PLR0913, PLR0917  # what an attacker may vary
    strings: Strings, promise: str, handler: str, uid: bytes, code: bytes, word: str
) -> None:
    """Call a handler that takes one word, by a session code of the test's choice. Keep the promise."""
    membership = _membership(strings)
    found = membership.routes[HandlerName(handler)]
    content = b"\x01" + code + encode((word,))
    made: Promise[Any] = Promise(strings.client)
    strings.promises[promise] = made
    with strings.client._lock:
        membership._send(Pending(made, found, content, 0, None), HandlerUID(uid), found.peer)
        membership.endpoint.flush()


def say_again(strings: Strings, changes: dict[str, Any], index: int = -1, body: bytes | None = None) -> None:
    """Send a call that was kept once more, in a fresh record, with any fields of its header changed."""
    items: list[tuple[Item, bytes]] = strings.kept["items"]
    calls = [(item, content) for item, content in items if isinstance(item, Routed) and item.kind == Kind.CALL]
    item, content = calls[index]
    content = content if body is None else body
    say(strings, msgspec.structs.asdict(item) | {"length": len(content), "tag": content[-16:]} | changes, content)


def say(strings: Strings, fields: dict[str, Any], body: bytes) -> None:
    """Send an envelope of one's own making."""
    with strings.client._lock:
        endpoint = _membership(strings).endpoint
        endpoint.put(Routed(**fields), body)
        endpoint.flush()


def say_many(strings: Strings, headers: list[dict[str, Any]], body: bytes) -> None:
    """Send many envelopes of one's own making at once."""
    with strings.client._lock:
        endpoint = _membership(strings).endpoint
        for fields in headers:
            endpoint.put(Routed(**fields), body)
        endpoint.flush()


def say_packets(strings: Strings, packets: list[bytes]) -> int:
    """Send packets as they are, until the link is cut; return how many went."""
    end = _membership(strings).endpoint.socket
    for number, packet in enumerate(packets):
        try:
            end.send(packet)
        except OSError:
            return number
    return len(packets)


def race(strings: Strings, handler: str, uid: bytes, words: list[str]) -> None:
    """Have one thread for each word call `handler` under one and the same UID, all at once."""
    gate = threading.Barrier(len(words))

    def run(word: str) -> None:
        gate.wait(PATIENCE)
        call_under(strings, word, handler, uid, [word])

    threads = [threading.Thread(target=run, args=(word,)) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)


def codes(strings: Strings) -> dict[str, bytes]:
    """Return the session code of each handler."""
    return {str(name): found.entry.code for name, found in _membership(strings).routes.items()}


def stubs(strings: Strings) -> list[str]:
    """Return everything that an application can read of its handlers: names, signatures, reprs."""
    bridge = strings.bridge
    enclaves = sorted(set(dir(bridge)) - set(object.__dir__(bridge)) - set(dir(type(bridge))))
    found = [f"{bridge!r}"]
    for enclave in enclaves:
        member = getattr(bridge, enclave)
        found.append(repr(member))
        found += [f"{getattr(member, name)!r} {getattr(member, name).signature}" for name in dir(member)]
    return found


def chains(strings: Strings, enclave: str) -> list[bytes]:
    """Return the chain keys of a session as they stand now: sending, receiving."""
    session = _membership(strings).peers[MemberId(enclave)].session
    found = [session._sender._chain, session._receiver._chain]
    return [each for each in found if each is not None]


def known_names(strings: Strings, enclave: str) -> list[str]:
    """Return the full names of the handlers of an enclave that this process may call."""
    return sorted(name for name in _membership(strings).routes if name.startswith(handler_name(MemberId(enclave), "")))


def part(strings: Strings, enclave: str, uid: bytes, piece: bytes) -> None:
    """Send a piece of a content that never ends."""
    membership = _membership(strings)
    with strings.client._lock:
        envelope = membership.peers[MemberId(enclave)].session.seal(Kind.PART, HandlerUID(uid), NEVER, piece)
        membership.endpoint.put(route(envelope, b""), envelope.body)
        membership.endpoint.flush()


def pile_up(strings: Strings, handlers: list[str], size: int, each: int) -> None:
    """Make many calls with long arguments, all at once, and take no reply."""
    for number in range(each):
        for handler in handlers:
            name = HandlerName(handler)
            strings.promises[f"{handler} {number}"] = strings.client.call(name, (bytes([number % 256]) * size,), {})
    strings.client.flush()


def take_the_pile(strings: Strings, handlers: list[str], size: int, each: int) -> int:
    """Wait for what `pile_up` has asked for; return how many came back as they were sent."""
    right = 0
    for number in range(each):
        for handler in handlers:
            got = strings.promises.pop(f"{handler} {number}").get(timeout=PATIENCE)
            right += got == bytes([number % 256]) * size
    return right
