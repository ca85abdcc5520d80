"""The worked example of SPEC.md is what the second implementation makes, and what the shipped code makes and opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tests.spec import document, example
from trollbridge.messages import payloads, ring_key
from trollbridge.messages.address import Caller
from trollbridge.messages.envelope import Envelope, Kind, prologue
from trollbridge.messages.ids import NO_UID, Epoch, MemberId, Role, SessionCode
from trollbridge.messages.noise import Initiator, Responder, Split
from trollbridge.messages.record import Lease, Link, Request, Routed, envelope_of
from trollbridge.messages.session import Session
from trollbridge.messages.signature import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.messages.record import Item

EPOCH: Final = Epoch(example.EPOCH)
CONSOLE: Final = MemberId("console")
ECHO: Final = MemberId("echo")
BROKER: Final = MemberId("broker")


class Ephemeral:
    """Stands in for `X25519PrivateKey`: `generate` gives the keys of the example in turn."""

    def __init__(self, *names: str) -> None:
        """Take the names of the keys."""
        self._keys = [X25519PrivateKey.from_private_bytes(VALUES[f"e, {name}"]) for name in names]

    def generate(self) -> X25519PrivateKey:
        """Return the next key."""
        return self._keys.pop(0)


PAGE: Final = example.example()
VALUES: Final = PAGE.values


def shipped_handshake(patch: pytest.MonkeyPatch, what: str, server: MemberId, role: Role) -> tuple[Split, Split]:
    """Have the shipped code run a handshake of the example; return both results once each message is the example's."""
    bound_to = prologue(EPOCH, CONSOLE, Role.UI, server, role)
    assert bound_to == VALUES[f"prologue, {what}"]
    patch.setattr("trollbridge.messages.noise.X25519PrivateKey", Ephemeral(f"console, {what}", f"{server}, {what}"))
    first, waiting = Initiator(VALUES[f"token, {what}"], bound_to).message_1()
    second, theirs = Responder(VALUES[f"token, {what}"], bound_to).accept(first)
    assert (first, second) == (VALUES[f"message 1, {what}"], VALUES[f"message 2, {what}"])
    return waiting.finish(second), theirs


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> tuple[Session, Session]:
    """Return the shipped session's two ends, the client's first."""
    ours, theirs = shipped_handshake(monkeypatch, "session", ECHO, Role.ENCLAVE)
    return (
        Session(ours, EPOCH, CONSOLE, ECHO, initiator=True),
        Session(theirs, EPOCH, ECHO, CONSOLE, initiator=False),
    )


@pytest.fixture
def packets(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[tuple[Item, bytes]]]:
    """Return what opens records of the example, in turn, with the shipped link's two ends."""
    ours, theirs = shipped_handshake(monkeypatch, "link", BROKER, Role.BROKER)
    ends = {"from": Link(ours), "to": Link(theirs)}

    def opened(name: str) -> list[tuple[Item, bytes]]:
        return ends[name.split()[2]].open(memoryview(VALUES[name]))

    return opened


def test_the_page_has_the_example_as_it_is_made() -> None:
    """Every line; where it fails, what stands in the difference belongs into section 17."""
    assert document.block(17) == PAGE.lines


def test_the_shipped_code_runs_the_handshakes_of_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """A34: prologues, messages and keys, for the link and for the session."""
    for what, server, role in (("link", BROKER, Role.BROKER), ("session", ECHO, Role.ENCLAVE)):
        ours, theirs = shipped_handshake(monkeypatch, what, server, role)
        assert (ours.send_key, ours.receive_key) == (VALUES[f"k1, {what}"], VALUES[f"k2, {what}"])
        assert (theirs.receive_key, theirs.send_key) == (ours.send_key, ours.receive_key)


def routed(found: list[tuple[Item, bytes]], number: int = 0) -> tuple[Routed, Envelope]:
    """Return an item of a record that must be an envelope."""
    item, body = found[number]
    assert isinstance(item, Routed)
    return item, envelope_of(item, body)


def test_the_shipped_code_opens_every_record_and_body_of_the_example(
    packets: Callable[[str], list[tuple[Item, bytes]]], sessions: tuple[Session, Session]
) -> None:
    """A9, A46: in the order in which they are sent, by the side that receives them."""
    client, enclave = sessions
    assert routed(packets("record 0, to broker"))[1].body == VALUES["message 1, session"]
    answer = packets("record 0, from broker")
    assert routed(answer)[1] == Envelope(
        Kind.HANDSHAKE, ECHO, CONSOLE, NO_UID, 0, routed(answer)[1].deadline, VALUES["message 2, session"]
    )
    assert client.open(routed(answer, 1)[1]) == VALUES["content, Welcome"]
    assert enclave.open(routed(packets("record 1, to broker"))[1]) == VALUES["content, RingKeyOffer"]
    assert client.open(routed(packets("record 1, from broker"))[1]) == VALUES["content, RingKeyAccepted"]
    assert packets("record 2, to broker") == [(Request("echo.say"), b"")]
    assert packets("record 2, from broker") == [(Lease("echo.say", example.UID), b"")]
    item, call = routed(packets("record 3, to broker"))
    assert (item.route, call.uid, call.deadline) == (b"", example.UID, example.DEADLINE)
    assert enclave.open(call) == VALUES["content, Call"]
    item, reply = routed(packets("record 3, from broker"))
    assert (item.route, reply.uid, reply.deadline) == (example.FRESH, example.UID, call.sequence)
    assert client.open(reply) == VALUES["content, Result"]


def test_the_shipped_code_reads_the_payloads_of_the_example() -> None:
    """P4: each content decodes to the value that the example means."""
    decoded = {name: payloads.decode(VALUES[f"content, {name}"]) for name in example.SALTS}
    text = Scalar("str")
    entry = payloads.HandlerEntry(
        name="say",
        code=example.CODE,
        parameters=(payloads.Parameter("text", text, None),),
        result=text,
        sensitive=False,
        idempotent=False,
        max_bytes=1 << 20,
    )
    assert decoded == {
        "Welcome": payloads.Welcome((entry,), ()),
        "RingKeyOffer": payloads.RingKeyOffer(example.RING_KEY),
        "RingKeyAccepted": payloads.RingKeyAccepted(VALUES["fingerprint"]),
        "Call": payloads.Call(SessionCode(example.CODE), b"\x91\xa5hello"),
        "Result": payloads.Result(b"\xa5hello"),
    }


def test_the_shipped_ring_key_opens_the_sensitive_result_of_the_example() -> None:
    """A41: and has the fingerprint of the example."""
    key = ring_key.RingKey(example.RING_KEY, EPOCH)
    payload = payloads.decode(VALUES["content, SealedResult"])
    assert isinstance(payload, payloads.SealedResult)
    assert ring_key.asked(b"\x91\xa5hello") == VALUES["asked"]
    assert key.open(ring_key.SEALED.decode(payload.sealed), VALUES["asked"]) == b"\xa5hello"
    assert key.fingerprint == VALUES["fingerprint"]


def test_the_shipped_ratchet_gives_the_address_of_the_example() -> None:
    """A6: the first address of the seed, and the next seed's."""
    caller = Caller(example.SEED)
    assert caller.next() == VALUES["address 0"]
    assert caller.next() == Caller(VALUES["seed 1"]).next()
