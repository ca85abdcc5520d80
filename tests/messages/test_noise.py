"""The handshake against a published vector, an independent implementation, and messages altered in every way."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import assume, given
from hypothesis import strategies as st
from noise.connection import NoiseConnection  # type: ignore[import-untyped]

from trollbridge.messages.aead import open_sealed, seal
from trollbridge.messages.errors import AuthenticationFailed, HandshakeFailed, UsageError
from trollbridge.messages.noise import (
    MESSAGE_LIMIT,
    OVERHEAD,
    PROTOCOL_NAME,
    PSK_SIZE,
    AwaitingReply,
    Initiator,
    Responder,
    Split,
)

if TYPE_CHECKING:
    from collections.abc import Callable

VECTORS: Final = json.loads((Path(__file__).parents[1] / "vectors" / "noise_nnpsk0.json").read_text("utf-8"))
PSK: Final = bytes(range(0x40, 0x60))
PROLOGUE: Final = b"version 1, epoch 7, ui, vault"
PATCHED: Final = "trollbridge.messages.noise.X25519PrivateKey"

PSKS = st.binary(min_size=PSK_SIZE, max_size=PSK_SIZE)
PAYLOADS = st.binary(max_size=300)

# The encodings of points of small order on Curve25519 and its twist that fit below 2^255 (RFC 7748, section 6.1).
SMALL_ORDER: Final = tuple(
    bytes.fromhex(text)
    for text in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)


class Ephemeral:
    """Stands in for `X25519PrivateKey` while a test patches it: `generate` gives the keys it was made with, in turn."""

    def __init__(self, *private: bytes) -> None:
        """Take the private keys, 32 bytes each."""
        self._keys = [X25519PrivateKey.from_private_bytes(key) for key in private]

    def generate(self) -> X25519PrivateKey:
        """Return the next key."""
        return self._keys.pop(0)


class Impostor:
    """Stands in for `X25519PrivateKey`: generates a key whose public half is any 32 bytes."""

    def __init__(self, public: bytes) -> None:
        """Take the public half to show."""
        self._public = public

    def generate(self) -> Impostor:
        """Return itself as the private key."""
        return self

    def public_key(self) -> Impostor:
        """Return itself as the public key."""
        return self

    def public_bytes_raw(self) -> bytes:
        """Return the public half."""
        return self._public


def handshake(
    psk: bytes = PSK, prologue: bytes = PROLOGUE, payload_1: bytes = b"", payload_2: bytes = b""
) -> tuple[bytes, bytes, Split, Split]:
    """Run one handshake with ourselves; return both messages and both results, the initiator's first."""
    message_1, waiting = Initiator(psk, prologue).message_1(payload_1)
    message_2, responder = Responder(psk, prologue).accept(message_1, payload_2)
    return message_1, message_2, waiting.finish(message_2), responder


def foreign(*, speaks_first: bool, psk: bytes = PSK, prologue: bytes = PROLOGUE) -> NoiseConnection:
    """Return the independent implementation, ready for its first message."""
    connection = NoiseConnection.from_name(PROTOCOL_NAME)
    connection.set_psks(psk)
    connection.set_prologue(prologue)
    if speaks_first:
        connection.set_as_initiator()
    else:
        connection.set_as_responder()
    connection.start_handshake()
    return connection


def assert_transport_agrees(ours: Split, theirs: NoiseConnection) -> None:
    """Exchange three transport messages in each direction, in turn."""
    for counter in range(3):
        text = b"message %d" % counter
        assert theirs.decrypt(seal(ours.send_key, counter, b"", text)) == text
        assert open_sealed(ours.receive_key, counter, b"", theirs.encrypt(text[::-1])) == text[::-1]


# Known answers


def test_the_published_vector_comes_out_byte_for_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    """A34: both roles reproduce every message of the published vector, handshake and transport."""
    vector = {name: bytes.fromhex(VECTORS[name]) for name in ("psk", "prologue")}
    steps = [(bytes.fromhex(step["payload"]), bytes.fromhex(step["ciphertext"])) for step in VECTORS["messages"]]
    assert VECTORS["protocol"].encode() == PROTOCOL_NAME
    assert len(steps) == 6
    keys = (bytes.fromhex(VECTORS[f"{role}_ephemeral"]) for role in ("initiator", "responder"))
    monkeypatch.setattr(PATCHED, Ephemeral(*keys))

    message_1, message_2, initiator, responder = handshake(**vector, payload_1=steps[0][0], payload_2=steps[1][0])

    assert [message_1, message_2] == [ciphertext for _, ciphertext in steps[:2]]
    assert [responder.remote_payload, initiator.remote_payload] == [payload for payload, _ in steps[:2]]
    for index, (payload, ciphertext) in enumerate(steps[2:]):
        sender, receiver = (initiator, responder) if index % 2 == 0 else (responder, initiator)
        assert seal(sender.send_key, index // 2, b"", payload) == ciphertext
        assert open_sealed(receiver.receive_key, index // 2, b"", ciphertext) == payload


# An independent implementation


@given(psk=PSKS, prologue=PAYLOADS, payload_1=PAYLOADS, payload_2=PAYLOADS)
def test_our_initiator_speaks_with_an_independent_responder(
    psk: bytes, prologue: bytes, payload_1: bytes, payload_2: bytes
) -> None:
    """A34: handshake, payloads, channel binding and transport messages agree with another implementation."""
    theirs = foreign(speaks_first=False, psk=psk, prologue=prologue)
    message_1, waiting = Initiator(psk, prologue).message_1(payload_1)
    assert theirs.read_message(message_1) == payload_1
    ours = waiting.finish(bytes(theirs.write_message(payload_2)))
    assert (ours.remote_payload, ours.transcript) == (payload_2, theirs.get_handshake_hash())
    assert_transport_agrees(ours, theirs)


@given(psk=PSKS, prologue=PAYLOADS, payload_1=PAYLOADS, payload_2=PAYLOADS)
def test_our_responder_speaks_with_an_independent_initiator(
    psk: bytes, prologue: bytes, payload_1: bytes, payload_2: bytes
) -> None:
    """A34: the same with the roles exchanged."""
    theirs = foreign(speaks_first=True, psk=psk, prologue=prologue)
    message_1 = bytes(theirs.write_message(payload_1))
    message_2, ours = Responder(psk, prologue).accept(message_1, payload_2)
    assert theirs.read_message(message_2) == payload_2
    assert (ours.remote_payload, ours.transcript) == (payload_1, theirs.get_handshake_hash())
    assert_transport_agrees(ours, theirs)


# Agreement and freshness


@given(psk=PSKS, prologue=PAYLOADS, payload_1=PAYLOADS, payload_2=PAYLOADS)
def test_both_sides_agree_on_keys_payloads_and_transcript(
    psk: bytes, prologue: bytes, payload_1: bytes, payload_2: bytes
) -> None:
    """A34: the keys are crossed, of 32 bytes and different; the transcript is one, of 64 bytes."""
    message_1, message_2, initiator, responder = handshake(psk, prologue, payload_1, payload_2)
    assert (initiator.send_key, initiator.receive_key) == (responder.receive_key, responder.send_key)
    assert initiator.send_key != initiator.receive_key
    assert (len(initiator.send_key), len(initiator.receive_key)) == (32, 32)
    assert initiator.transcript == responder.transcript
    assert len(initiator.transcript) == 64
    assert (responder.remote_payload, initiator.remote_payload) == (payload_1, payload_2)
    assert (len(message_1), len(message_2)) == (OVERHEAD + len(payload_1), OVERHEAD + len(payload_2))


def test_every_run_has_keys_of_its_own() -> None:
    """A34, R2: 300 handshakes on one psk share no ephemeral key, no transport key and no transcript."""
    runs = [handshake() for _ in range(300)]
    public = {message[:32] for first, second, _, _ in runs for message in (first, second)}
    keys = {key for _, _, split, _ in runs for key in (split.send_key, split.receive_key)}
    assert (len(public), len(keys)) == (600, 600)
    assert len({split.transcript for _, _, split, _ in runs}) == 300


def test_no_parameter_reaches_the_ephemeral_keys() -> None:
    """R10: the shipped handshake has no argument by which a caller could fix its keys."""
    callables: list[Callable[..., object]] = [Initiator, Responder, Initiator.message_1, Responder.accept]
    assert [list(inspect.signature(function).parameters) for function in callables] == [
        ["psk", "prologue"],
        ["psk", "prologue"],
        ["self", "payload"],
        ["self", "message_1", "payload"],
    ]


# What must fail


@given(psk=PSKS, other=PSKS)
def test_another_psk_fails_at_the_first_message(psk: bytes, other: bytes) -> None:
    """A32: a process without this ring's join token gets no further than its first message."""
    assume(psk != other)
    message_1, _ = Initiator(other, PROLOGUE).message_1()
    with pytest.raises(HandshakeFailed) as failure:
        Responder(psk, PROLOGUE).accept(message_1)
    assert isinstance(failure.value.__cause__, AuthenticationFailed)


@given(prologue=PAYLOADS, other=PAYLOADS)
def test_another_prologue_fails_at_the_first_message(prologue: bytes, other: bytes) -> None:
    """A32, I3: who disagrees on version, epoch, ids or roles does not get a key."""
    assume(prologue != other)
    message_1, _ = Initiator(PSK, other).message_1()
    with pytest.raises(HandshakeFailed) as failure:
        Responder(PSK, prologue).accept(message_1)
    assert isinstance(failure.value.__cause__, AuthenticationFailed)


def test_a_responder_without_the_psk_is_found_out() -> None:
    """A32: an initiator takes no reply from one who answers on another psk."""
    _, waiting = Initiator(PSK, PROLOGUE).message_1()
    foreign_1, _ = Initiator(bytes(PSK_SIZE), PROLOGUE).message_1()
    message_2, _ = Responder(bytes(PSK_SIZE), PROLOGUE).accept(foreign_1)
    with pytest.raises(HandshakeFailed):
        waiting.finish(message_2)


def altered(message: bytes) -> list[bytes]:
    """Return the message with each of its bits flipped in turn."""
    whole = int.from_bytes(message, "big")
    return [(whole ^ (1 << bit)).to_bytes(len(message), "big") for bit in range(8 * len(message))]


@pytest.mark.parametrize("payload", [b"", b"manifest"])
def test_any_flipped_bit_of_the_first_message_is_refused(payload: bytes) -> None:
    """F4, F9: every single bit, the one that X25519 ignores included."""
    message_1, _ = Initiator(PSK, PROLOGUE).message_1(payload)
    forgeries = altered(message_1)
    assert len(forgeries) == 8 * (OVERHEAD + len(payload))
    for forgery in forgeries:
        with pytest.raises(HandshakeFailed):
            Responder(PSK, PROLOGUE).accept(forgery)


@pytest.mark.parametrize("payload", [b"", b"manifest"])
def test_any_flipped_bit_of_the_second_message_is_refused(payload: bytes) -> None:
    """F4, F9: every single bit, the one that X25519 ignores included."""
    for bit in range(8 * (OVERHEAD + len(payload))):
        message_1, waiting = Initiator(PSK, PROLOGUE).message_1()
        message_2, _ = Responder(PSK, PROLOGUE).accept(message_1, payload)
        with pytest.raises(HandshakeFailed):
            waiting.finish(altered(message_2)[bit])


def test_truncated_and_extended_messages_are_refused() -> None:
    """F4, F9: every shorter length down to nothing, more bytes behind, and more than Noise allows."""
    message_1, message_2, _, _ = handshake(payload_1=b"payload", payload_2=b"payload")
    tails = (b"\0", b"\0" * 16, message_1, bytes(MESSAGE_LIMIT))
    changed_1 = [message_1[:size] for size in range(len(message_1))] + [message_1 + tail for tail in tails]
    for message in changed_1:
        with pytest.raises(HandshakeFailed):
            Responder(PSK, PROLOGUE).accept(message)
    for change in [*range(len(message_2)), *tails]:
        first, waiting = Initiator(PSK, PROLOGUE).message_1()
        second, _ = Responder(PSK, PROLOGUE).accept(first, b"payload")
        with pytest.raises(HandshakeFailed):
            waiting.finish(second[:change] if isinstance(change, int) else second + change)


@pytest.mark.parametrize("size", [0, 1, 32, OVERHEAD - 1, MESSAGE_LIMIT + 1])
def test_an_impossible_size_is_refused_before_any_cryptography(size: int) -> None:
    """P3: the size limit comes first in the order of receipt; there is no cause to report from a later layer."""
    with pytest.raises(HandshakeFailed) as failure:
        Responder(PSK, PROLOGUE).accept(bytes(size))
    assert failure.value.__cause__ is None


@given(message=st.binary(max_size=200))
def test_noise_of_any_kind_is_refused(message: bytes) -> None:
    """P2: whatever arrives, the one opaque error comes out."""
    with pytest.raises(HandshakeFailed):
        Responder(PSK, PROLOGUE).accept(message)
    with pytest.raises(HandshakeFailed):
        Initiator(PSK, PROLOGUE).message_1()[1].finish(message)


def test_a_reflected_message_is_refused() -> None:
    """F9: neither message opens in the other's place."""
    message_1, waiting = Initiator(PSK, PROLOGUE).message_1()
    message_2, _ = Responder(PSK, PROLOGUE).accept(message_1)
    with pytest.raises(HandshakeFailed):
        waiting.finish(message_1)
    with pytest.raises(HandshakeFailed):
        Responder(PSK, PROLOGUE).accept(message_2)


def test_a_recorded_reply_does_not_fit_another_run() -> None:
    """F2: the reply of one run is refused by the next, on the same psk and prologue."""
    _, recorded, _, _ = handshake()
    _, waiting = Initiator(PSK, PROLOGUE).message_1()
    with pytest.raises(HandshakeFailed):
        waiting.finish(recorded)


def test_a_replayed_first_message_yields_keys_that_its_recorder_cannot_know() -> None:
    """F2: the responder answers a replay with an ephemeral key of its own, so the old keys open nothing."""
    message_1, _, initiator, _ = handshake()
    _, replayed = Responder(PSK, PROLOGUE).accept(message_1)
    old = {initiator.send_key, initiator.receive_key}
    assert old.isdisjoint({replayed.send_key, replayed.receive_key})


@pytest.mark.parametrize("point", SMALL_ORDER, ids=lambda point: point.hex()[:8])
def test_a_point_of_small_order_is_refused_even_from_a_holder_of_the_psk(
    point: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A34: nobody can force the shared secret to zero; it is the key agreement that refuses, not the tag."""
    with monkeypatch.context() as patch:
        patch.setattr(PATCHED, Impostor(point))
        message_1, _ = Initiator(PSK, PROLOGUE).message_1()
    with pytest.raises(HandshakeFailed) as at_responder:
        Responder(PSK, PROLOGUE).accept(message_1)
    with pytest.raises(HandshakeFailed) as at_initiator:
        Initiator(PSK, PROLOGUE).message_1()[1].finish(point + bytes(16))
    assert [type(failure.value.__cause__) for failure in (at_responder, at_initiator)] == [ValueError, ValueError]


# Local misuse


def uses() -> list[Callable[[], object]]:
    """Return, for each state of the handshake, a call that uses that one object each time."""
    initiator, responder = Initiator(PSK, PROLOGUE), Responder(PSK, PROLOGUE)
    message_1, waiting = Initiator(PSK, PROLOGUE).message_1()
    message_2, _ = Responder(PSK, PROLOGUE).accept(message_1)
    return [initiator.message_1, lambda: responder.accept(message_1), lambda: waiting.finish(message_2)]


@pytest.mark.parametrize("state", range(3), ids=["Initiator", "Responder", "AwaitingReply"])
def test_each_state_serves_once_however_many_threads_ask(state: int) -> None:
    """R2, R3: of eight threads one gets through; so no state gives the same keys to two owners."""
    use = uses()[state]
    gate = threading.Barrier(8, timeout=20)
    outcomes: list[str] = []

    def attempt() -> None:
        gate.wait()
        try:
            use()
            outcomes.append("served")
        except UsageError:
            outcomes.append("refused")

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert sorted(outcomes) == ["refused"] * 7 + ["served"]


def test_a_failed_handshake_cannot_be_continued() -> None:
    """R3: after one bad message the state is spent, and the right message comes too late."""
    message_1, waiting = Initiator(PSK, PROLOGUE).message_1()
    message_2, _ = Responder(PSK, PROLOGUE).accept(message_1)
    responder = Responder(PSK, PROLOGUE)
    with pytest.raises(HandshakeFailed):
        waiting.finish(message_2[:-1])
    with pytest.raises(HandshakeFailed):
        responder.accept(message_1[:-1])
    with pytest.raises(UsageError):
        waiting.finish(message_2)
    with pytest.raises(UsageError):
        responder.accept(message_1)


@pytest.mark.parametrize("size", [0, 1, 31, 33, 64])
@pytest.mark.parametrize("role", [Initiator, Responder])
def test_a_psk_of_another_size_is_refused(role: type[Initiator | Responder], size: int) -> None:
    """R7: a short or long join token is the caller's mistake, told at once and without the token."""
    with pytest.raises(UsageError) as refusal:
        role(b"x" * size, PROLOGUE)
    assert str(refusal.value) == f"A pre-shared key has 32 bytes, not {size}."


def test_the_largest_payload_fits_and_one_byte_more_costs_nothing() -> None:
    """P3: messages of exactly 65,535 bytes pass; a payload too long is refused before the state is spent."""
    largest = bytes(MESSAGE_LIMIT - OVERHEAD)
    initiator, responder = Initiator(PSK, PROLOGUE), Responder(PSK, PROLOGUE)
    with pytest.raises(UsageError):
        initiator.message_1(largest + b"\0")
    message_1, waiting = initiator.message_1(largest)
    with pytest.raises(UsageError):
        responder.accept(message_1, largest + b"\0")
    message_2, accepted = responder.accept(message_1, largest)
    assert (len(message_1), len(message_2)) == (65_535, 65_535)
    assert accepted.remote_payload == waiting.finish(message_2).remote_payload == largest


# Secrets stay inside


@given(psk=PSKS)
def test_no_text_shows_a_secret(psk: bytes) -> None:
    """I6: neither repr, str nor an error's text holds the psk, a key or a payload in any usual notation."""
    initiator, responder = Initiator(psk, PROLOGUE), Responder(psk, PROLOGUE)
    shown = [repr(initiator), repr(responder)]
    message_1, waiting = initiator.message_1(b"a payload to hide")
    message_2, accepted = responder.accept(message_1, b"a payload to hide")
    shown.append(repr(waiting))
    split = waiting.finish(message_2)
    shown += [f"{split} {split!r} {[split]}", repr(accepted)]
    with pytest.raises(UsageError) as misuse:
        waiting.finish(message_2)
    with pytest.raises(HandshakeFailed) as failure:
        Responder(psk, PROLOGUE).accept(message_2)
    shown += [repr(misuse.value), repr(failure.value), repr(failure.value.__cause__)]
    text = "\n".join(shown)
    for secret in (psk, split.send_key, split.receive_key, b"a payload to hide"):
        for notation in (secret.hex(), repr(secret)[2:-1], repr(list(secret))[1:-1]):
            assert notation not in text
    assert repr(split) == "Split(…)"


def test_states_and_keys_are_neither_copied_pickled_nor_changed() -> None:
    """R2: a second owner of one state would be a second user of one nonce."""
    message_1, waiting = Initiator(PSK, PROLOGUE).message_1()
    _, split = Responder(PSK, PROLOGUE).accept(message_1)
    for held in (Initiator(PSK, PROLOGUE), Responder(PSK, PROLOGUE), waiting, split):
        with pytest.raises(UsageError):
            pickle.dumps(held)
    for state in (Initiator(PSK, PROLOGUE), Responder(PSK, PROLOGUE), waiting):
        with pytest.raises(UsageError):
            copy.deepcopy(state)
    with pytest.raises(AttributeError):
        split.send_key = bytes(32)  # type: ignore[misc]
    assert isinstance(waiting, AwaitingReply)


def test_keys_are_not_compared_by_value() -> None:
    """R12: `==` on two results says whether they are one object, so it cannot leak how much of a key was right."""
    _, _, initiator, _ = handshake()
    twin = Split(initiator.send_key, initiator.receive_key, initiator.transcript)
    assert twin != initiator
