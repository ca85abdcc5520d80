"""Acts of a user interface that keeps what it should not, and tries it on the ring."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import copy
import os
import pickle
import socket
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from tests.harness.replacing import replace
from trollbridge.actors.entry import caller
from trollbridge.messages import payloads
from trollbridge.messages.envelope import Envelope, Kind, prologue
from trollbridge.messages.ids import NO_UID, Epoch, HandlerUID, MemberId, Microseconds, Role
from trollbridge.messages.noise import Initiator
from trollbridge.messages.record import route

if TYPE_CHECKING:
    from tests.harness.puppet import Strings
    from trollbridge.actors.calling.joining import Joining
    from trollbridge.actors.calling.membership import Membership
    from trollbridge.messages.ring_key import Sealed

PROBE = MemberId("probe")
NEVER = Microseconds(0)


def _refusal(attempt: Any) -> str:  # noqa: ANN401  # any callable
    try:
        found = attempt()
    except Exception as error:  # noqa: BLE001  # its class is the result
        return type(error).__name__
    return f"worked: {found!r}"


def _kept(strings: Strings, of: int) -> Membership:
    return strings.tap.memberships[of]


def sealed_twice(strings: Strings) -> list[list[bytes]]:
    """Fetch the secret twice, as it travels: salt and ciphertext of each, opened by nobody."""
    found: list[Sealed] = []
    ring_key = _kept(strings, 1).ring_key
    if ring_key is None:
        raise ConnectionError
    opened = ring_key.__class__.open

    def keep(self: Any, sealed: Sealed, what: bytes | None = None) -> bytes:  # noqa: ANN401  # the ring key
        found.append(sealed)
        return opened(self, sealed, what)

    ring_key.__class__.open = keep  # type: ignore[method-assign]
    for _ in range(2):
        strings.bridge.probe.secret().get(timeout=20)
    strings.kept["sealed"] = found[0]
    return [[each.salt, each.ciphertext] for each in found]


def use_what_is_left(strings: Strings, of: int) -> dict[str, str]:
    """Try every key and reference of an epoch; return what each attempt came to."""
    kept = _kept(strings, of)
    session, ring_key, endpoint = kept.peers[PROBE].session, kept.ring_key, kept.endpoint
    if ring_key is None:
        raise ConnectionError
    return {
        "seal for the session": _refusal(lambda: session.seal(Kind.CALL, HandlerUID(bytes(16)), NEVER, b"\x01")),
        "open the old sealed result": _refusal(lambda: ring_key.open(strings.kept["sealed"])),
        "seal under the ring key": _refusal(lambda: ring_key.seal("probe.secret", b"", bytes(32))),
        "reveal the ring key": _refusal(ring_key.reveal),
        "seal for the link": _refusal(lambda: endpoint._link.seal([])),
        "send on the old socket": _refusal(lambda: endpoint.socket.send(b"x")),
        "call": _refusal(lambda: strings.client._membership is kept),
        "outstanding": str(kept.outstanding),
    }


def open_the_old_with_the_new(strings: Strings, of: int) -> str:
    """Open a sealed result of an earlier epoch with the ring key of this one."""
    ring_key = _kept(strings, of).ring_key
    return _refusal(lambda: ring_key.open(strings.kept["sealed"]) if ring_key else None)


def one_object(strings: Strings) -> dict[str, str]:
    """Copy, pickle and show every object of the ring that this process holds."""
    kept = _kept(strings, 1)
    found: dict[str, str] = {}
    for name, each in (("ring key", kept.ring_key), ("session", kept.peers[PROBE].session)):
        found[f"copy {name}"] = _refusal(lambda each=each: copy.copy(each))
        found[f"deepcopy {name}"] = _refusal(lambda each=each: copy.deepcopy(each))
        found[f"pickle {name}"] = _refusal(lambda each=each: pickle.dumps(each))
        found[f"repr {name}"] = repr(each)
    found["repr join"] = repr(strings.tap.joins[1])
    found["repr ticket"] = repr(strings.tap.joins[1].tickets[0])
    found["repr link"] = repr(kept.endpoint._link)
    return found


def offer_ring_keys(strings: Strings) -> None:
    """Offer the enclave a ring key again, the same one and another, in one record."""
    kept = _kept(strings, 1)
    if kept.ring_key is None:
        raise ConnectionError
    with strings.client._lock:
        for key in (kept.ring_key.reveal(), bytes(32)):
            offer = payloads.encode(payloads.RingKeyOffer(key))
            envelope = kept.peers[PROBE].session.seal(Kind.SESSION, NO_UID, NEVER, offer)
            kept.endpoint.put(route(envelope, b""), envelope.body)
        kept.endpoint.flush()


def found_again(strings: Strings) -> None:
    """Begin the handshake of the session once more, under its own token."""
    kept, ticket = _kept(strings, 1), strings.tap.joins[1].tickets[0]
    me = MemberId(ticket.client)
    words = prologue(Epoch(1), me, Role.UI, PROBE, Role.ENCLAVE)
    first, _ = Initiator(ticket.token, words).message_1()
    again = Envelope(Kind.HANDSHAKE, me, PROBE, NO_UID, 0, NEVER, first)
    with strings.client._lock:
        kept.endpoint.put(route(again, b""), again.body)
        kept.endpoint.flush()


def half_close(strings: Strings) -> None:
    """Close the sending half of the link."""
    membership = strings.client._membership
    if membership is not None:
        membership.endpoint.socket.shutdown(socket.SHUT_WR)


def greet_with(strings: Strings, packet: bytes) -> None:
    """From now on, say an old hello on every new link before the honest one."""
    joining: type[Joining] = vars(caller)["Joining"]

    class Greeting(joining):  # type: ignore[misc, valid-type]
        """Joining, after a hello that was used before."""

        def join(self, end: socket.socket, message: Any) -> Any:  # noqa: ANN401  # passed on
            """Spoil the link, then join."""
            strings.kept["greeted"] = end.send(packet)
            return super().join(end, message)

    replace(caller, Joining=Greeting)


def knock(strings: Strings, of: int, packet: bytes) -> None:
    """Keep the link of an epoch and, once its ring has fallen, send a packet on it again and again, from a thread."""
    end = socket.socket(fileno=os.dup(_kept(strings, of).endpoint.socket.fileno()))
    found = set[str]()
    stop = threading.Event()

    def hammer() -> None:
        strings.client.wait_dismantled(of, 20.0)
        with end:
            while not stop.is_set():
                found.add(_refusal(lambda: end.send(packet)))

    thread = threading.Thread(target=hammer, daemon=True)
    strings.kept["knocking"] = stop, thread, found
    thread.start()


def answers(strings: Strings) -> list[str]:
    """End the knocking; return the different answers that it got."""
    stop, thread, found = strings.kept["knocking"]
    stop.set()
    thread.join()
    return sorted(found)


def spoil_calls(strings: Strings, positions: list[int]) -> None:
    """Flip one bit in the body of each of the next calls, at these positions; the tag in the header follows."""
    session = _kept(strings, 1).peers[PROBE].session
    seal, left = session.seal, list(positions)

    def spoiled(kind: int, uid: HandlerUID, deadline: Microseconds, content: bytes | memoryview) -> Envelope:
        envelope = seal(kind, uid, deadline, content)
        return _flipped(envelope, left.pop(0)) if left and kind == Kind.CALL else envelope

    session.seal = spoiled  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def spoil_replies(strings: Strings, positions: list[int]) -> None:
    """Flip one bit in the body of each of the next replies, at these positions, before the session sees them."""
    session = _kept(strings, 1).peers[PROBE].session
    opened, left = session.open, list(positions)

    def spoiled(envelope: Envelope) -> memoryview:
        return opened(_flipped(envelope, left.pop(0)) if left else envelope)

    session.open = spoiled  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def _flipped(envelope: Envelope, position: int) -> Envelope:
    body = bytearray(envelope.body)
    body[position] ^= 1
    return msgspec.structs.replace(envelope, body=bytes(body))


def wait_behind(strings: Strings, gate: str, within: float) -> str:
    """In one record, call what is held at a gate and what can wait so long only; return how the latter ends."""
    client, probe = strings.bridge._client, strings.bridge.probe
    nudge, client.nudge = client.nudge, lambda: None
    probe.pid().get(timeout=20)
    probe.pid()  # what is called while this is outstanding leaves together, when somebody waits
    strings.kept["held"] = probe.hold(gate)
    try:
        return _refusal(lambda: probe.mark.within(within)("late").get(timeout=20))
    finally:
        client.nudge = nudge
