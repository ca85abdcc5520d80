"""Sessions: one key for each body, forward only, everything in the header bound; nothing that fails moves anything."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Final

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.messages.sessions import CLIENT, ENCLAVE, EPOCH, UID, pair
from trollbridge.messages import aead, labels
from trollbridge.messages.envelope import Envelope, Kind, associated, context
from trollbridge.messages.errors import AuthenticationFailed, Malformed, OutOfSequence, ProtocolError, UsageError
from trollbridge.messages.ids import Epoch, HandlerUID, MemberId, Microseconds
from trollbridge.messages.noise import Split
from trollbridge.messages.session import LARGEST_CONTENT, WIDEST_GAP, Receiver, Sender, Session

VECTORS: Final = json.loads((Path(__file__).parents[1] / "vectors" / "derivations.json").read_text("utf-8"))
KEY: Final = bytes(range(32))
NEVER: Final = Microseconds(0)


def test_the_frozen_body_opens_and_ours_differs_by_its_salt_only() -> None:
    """A8, A46: from the handshake's key over the chain to the sealed body, as another implementation computed it."""
    frozen = VECTORS["first_body"]
    content, uid = bytes.fromhex(frozen["content"]), HandlerUID(bytes.fromhex(frozen["uid"]))
    client = Session(Split(KEY, bytes(32), b"", b""), EPOCH, CLIENT, ENCLAVE, initiator=True)
    enclave = Session(Split(bytes(32), KEY, b"", b""), EPOCH, ENCLAVE, CLIENT, initiator=False)
    envelope = Envelope(Kind.CALL, CLIENT, ENCLAVE, uid, 0, NEVER, bytes.fromhex(frozen["body"]))
    assert bytes(enclave.open(envelope)) == content

    ours = client.seal(Kind.CALL, uid, NEVER, content)
    _, key = labels.step(bytes.fromhex(VECTORS["session_chain"]))
    data = bytes.fromhex(VECTORS["context_forward"]) + b"\x03" + bytes(16) + uid
    plaintext = AESGCM(key).decrypt(bytes(12), ours.body, data)
    assert msgspec.structs.replace(ours, body=envelope.body) == envelope
    assert plaintext[16:] == len(content).to_bytes(4, "big") + content + bytes(128 - 20 - len(content))
    assert plaintext[:16] != bytes.fromhex(frozen["salt"])


@pytest.mark.parametrize("size", [0, 1, 107, 108, 109, 5_000, LARGEST_CONTENT])
def test_a_content_arrives_as_it_was_in_both_directions(size: int) -> None:
    """A9: of any length that one envelope takes."""
    client, enclave = pair()
    content = bytes(range(256)) * (size // 256 + 1)
    for sender, receiver in ((client, enclave), (enclave, client)):
        envelope = sender.seal(Kind.CALL, UID, NEVER, memoryview(content)[:size])
        assert bytes(receiver.open(envelope)) == content[:size]


def test_a_content_too_long_for_one_envelope_is_the_callers_mistake() -> None:
    """P3: nothing is sealed, and the next message is number 0."""
    client, enclave = pair()
    with pytest.raises(UsageError):
        client.seal(Kind.CALL, UID, NEVER, bytes(LARGEST_CONTENT + 1))
    envelope = client.seal(Kind.CALL, UID, NEVER, b"fits")
    assert (envelope.sequence, bytes(enclave.open(envelope))) == (0, b"fits")


def test_every_field_of_the_header_is_bound() -> None:
    """I2, F3: kind, UID, sequence, deadline, sender and receiver; the changed ones open nothing and move nothing."""
    client, enclave = pair()
    envelope = client.seal(Kind.CALL, UID, Microseconds(5), b"text")
    changed = [
        msgspec.structs.replace(envelope, kind=Kind.REPLY),
        msgspec.structs.replace(envelope, kind=Kind.PART),
        msgspec.structs.replace(envelope, uid=HandlerUID(bytes(16))),
        msgspec.structs.replace(envelope, sequence=1),
        msgspec.structs.replace(envelope, deadline=Microseconds(0)),
        msgspec.structs.replace(envelope, deadline=Microseconds(6)),
        msgspec.structs.replace(envelope, sender=MemberId("console2")),
        msgspec.structs.replace(envelope, receiver=MemberId("vaul")),
        msgspec.structs.replace(envelope, body=b""),
        msgspec.structs.replace(envelope, body=envelope.body[:-1]),
        msgspec.structs.replace(envelope, body=envelope.body + b"\0"),
    ]
    for each in changed:
        with pytest.raises(AuthenticationFailed):
            enclave.open(each)
    assert bytes(enclave.open(envelope)) == b"text"


@pytest.mark.parametrize(
    ("epoch", "client", "enclave"),
    [(Epoch(8), CLIENT, ENCLAVE), (EPOCH, MemberId("other"), ENCLAVE), (EPOCH, CLIENT, MemberId("other"))],
)
def test_the_same_keys_between_others_or_in_another_epoch_open_nothing(
    epoch: Epoch, client: MemberId, enclave: MemberId
) -> None:
    """F3: epoch and both names are in the associated data, though the attacker has made the headers fit."""
    split = Split(KEY, KEY[::-1], b"", b"")
    mine = Session(split, EPOCH, CLIENT, ENCLAVE, initiator=True)
    theirs = Session(Split(KEY[::-1], KEY, b"", b""), epoch, enclave, client, initiator=False)
    envelope = mine.seal(Kind.CALL, UID, NEVER, b"text")
    with pytest.raises(AuthenticationFailed):
        theirs.open(msgspec.structs.replace(envelope, sender=client, receiver=enclave))


def test_a_message_that_comes_back_to_its_sender_is_refused() -> None:
    """F9: reflection, with the names exchanged too; even if both directions had one key."""
    client, _ = pair()
    envelope = client.seal(Kind.CALL, UID, NEVER, b"text")
    back = msgspec.structs.replace(envelope, sender=ENCLAVE, receiver=CLIENT)
    same = Session(Split(KEY, KEY, b"", b""), EPOCH, CLIENT, ENCLAVE, initiator=True)
    own = same.seal(Kind.CALL, UID, NEVER, b"text")
    for session, each in (
        (client, envelope),
        (client, back),
        (same, msgspec.structs.replace(own, sender=ENCLAVE, receiver=CLIENT)),
    ):
        with pytest.raises(AuthenticationFailed):
            session.open(each)


def test_a_step_back_is_never_taken() -> None:
    """F1, F9: a repeated or overtaken message is out of sequence, though its tag is right."""
    client, enclave = pair()
    sent = [client.seal(Kind.CALL, UID, NEVER, b"%d" % number) for number in range(4)]
    assert bytes(enclave.open(sent[2])) == b"2"
    for late in (sent[0], sent[1], sent[2]):
        with pytest.raises(OutOfSequence):
            enclave.open(late)
    assert bytes(enclave.open(sent[3])) == b"3"


def test_a_gap_is_taken_up_to_its_limit_and_not_beyond() -> None:
    """F9: calls that the broker refused leave gaps; a giant one would cost the receiver."""
    for gap, taken in ((1, True), (WIDEST_GAP, True), (WIDEST_GAP + 1, False)):
        client, enclave = pair()
        skipped = client.seal(Kind.CALL, UID, NEVER, b"")
        for _ in range(gap - 1):
            client.seal(Kind.CALL, UID, NEVER, b"")
        after = client.seal(Kind.CALL, UID, NEVER, b"after")
        if taken:
            assert bytes(enclave.open(after)) == b"after"
        else:
            with pytest.raises(OutOfSequence):
                enclave.open(after)
            assert bytes(enclave.open(skipped)) == b""


@pytest.mark.parametrize("sequence", [2**32, 2**63, 2**64 - 1])
def test_a_giant_sequence_costs_nothing(sequence: int) -> None:
    """P3: it is refused before any key is derived."""
    client, enclave = pair()
    envelope = client.seal(Kind.CALL, UID, NEVER, b"text")
    with pytest.raises(OutOfSequence):
        enclave.open(msgspec.structs.replace(envelope, sequence=sequence))
    assert bytes(enclave.open(envelope)) == b"text"


def test_a_forged_gap_does_not_move_the_chain() -> None:
    """F9: a forgery far ahead, within the limit, leaves every true message in between readable."""
    client, enclave = pair()
    sent = [client.seal(Kind.CALL, UID, NEVER, b"%d" % number) for number in range(3)]
    with pytest.raises(AuthenticationFailed):
        enclave.open(msgspec.structs.replace(sent[2], sequence=1_000))
    assert [bytes(enclave.open(each)) for each in sent] == [b"0", b"1", b"2"]


@pytest.mark.parametrize(
    "plaintext",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(bytes(16), id="a salt only"),
        pytest.param(bytes(16) + (200).to_bytes(4, "big") + bytes(108), id="a length beyond the end"),
        pytest.param(bytes(16) + b"\xff\xff\xff\xff" + bytes(108), id="a giant length"),
        pytest.param(bytes(16) + (1).to_bytes(4, "big") + b"x" + bytes(108), id="padded by a byte too much"),
        pytest.param(bytes(16) + (1).to_bytes(4, "big") + b"x", id="not padded"),
        pytest.param(bytes(16) + (1).to_bytes(4, "big") + b"x" + bytes(106) + b"\1", id="padding that says something"),
        pytest.param(bytes(16) + (1).to_bytes(4, "big") + b"x" + bytes(1003), id="padded to another class"),
    ],
)
def test_a_plaintext_that_is_not_laid_out_so_is_malformed(plaintext: bytes) -> None:
    """P4: sealed by the true peer with the true key, and refused; the next message opens."""
    direction = context(EPOCH, CLIENT, ENCLAVE, forward=True)
    chain, key = labels.step(KEY)
    body = aead.seal_once(key, associated(direction, Kind.CALL, UID, 0, 0), plaintext)
    receiver = Receiver(KEY, direction, CLIENT, ENCLAVE)
    with pytest.raises(Malformed):
        receiver.open(Envelope(Kind.CALL, CLIENT, ENCLAVE, UID, 0, NEVER, body))
    following = Sender(chain, direction, CLIENT, ENCLAVE)
    following._sequence = 1
    assert bytes(receiver.open(following.seal(Kind.CALL, UID, NEVER, b"next"))) == b"next"


def test_a_dropped_session_is_inert_for_whoever_kept_it() -> None:
    """A44, R1: it seals nothing and opens nothing, the functions that were taken out of it included."""
    client, enclave = pair()
    waiting = enclave.seal(Kind.REPLY, UID, NEVER, b"late")
    seal, opener = client.seal, client.open
    client.drop()
    with pytest.raises(UsageError):
        seal(Kind.CALL, UID, NEVER, b"text")
    with pytest.raises(AuthenticationFailed):
        opener(waiting)
    assert (client._sender._chain, client._receiver._chain) == (None, None)


def test_a_session_is_neither_copied_nor_pickled_nor_shown() -> None:
    """A35, I6: its repr names the peer."""
    client, _ = pair()
    for way in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(UsageError):
            way(client)
    assert (repr(client), hasattr(client, "__dict__")) == ("<Session with vault>", False)


def test_every_refusal_of_a_session_is_a_protocol_error() -> None:
    """I6: a receiver needs one except clause, and the sender is told one thing."""
    assert {AuthenticationFailed, OutOfSequence, Malformed} <= set(ProtocolError.__subclasses__())


def test_the_key_of_a_message_is_gone_when_the_message_is_sealed() -> None:
    """A8: neither end keeps a message key; the sender's state is the next chain key and nothing else of 32 bytes."""
    client, enclave = pair()
    before = client._sender._chain
    assert before is not None
    chain, key = labels.step(before)
    enclave.open(client.seal(Kind.CALL, UID, NEVER, b"text"))
    kept = [getattr(client._sender, name) for name in Sender.__slots__]
    kept += [getattr(enclave._receiver, name) for name in Receiver.__slots__]
    assert (key in kept, before in kept, kept.count(chain)) == (False, False, 2)
