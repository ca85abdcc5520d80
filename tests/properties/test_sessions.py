"""Sessions over any run of messages: one-way keys, salt, and sequences that only go forward."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.messages.sessions import CLIENT, ENCLAVE, EPOCH, UID, pair
from trollbridge.messages import aead, labels
from trollbridge.messages.envelope import Envelope, Kind, associated, context
from trollbridge.messages.errors import AuthenticationFailed, OutOfSequence
from trollbridge.messages.ids import Microseconds
from trollbridge.messages.padding import padded
from trollbridge.messages.session import PREFIX_SIZE, WIDEST_GAP, Receiver, Sender

if TYPE_CHECKING:
    from trollbridge.messages.session import Session

NEVER: Final = Microseconds(0)
FORWARD: Final = context(EPOCH, CLIENT, ENCLAVE, forward=True)


def sealed(session: Session, count: int) -> list[Envelope]:
    """Return so many messages."""
    return [session.seal(Kind.CALL, UID, NEVER, b"message %d" % number) for number in range(count)]


def plaintexts(chain: bytes, envelopes: list[Envelope]) -> list[bytes]:
    """Open messages the way somebody does who has the chain at the first of them."""
    found: list[bytes] = []
    for envelope in envelopes:
        chain, key = labels.step(chain)
        data = associated(FORWARD, envelope.kind, envelope.uid, envelope.sequence, envelope.deadline)
        found.append(aead.open_once(key, data, envelope.body))
    return found


@given(taken=st.integers(1, 12), later=st.integers(1, 6))
def test_the_state_at_a_message_opens_every_later_one_and_none_before(taken: int, later: int) -> None:
    """A8: whoever takes a process at message n has its chain: n and later open, no step of it opens one before."""
    client, enclave = pair()
    sent = sealed(client, taken + later)
    for envelope in sent[:taken]:
        enclave.open(envelope)
    stolen = enclave._receiver._chain
    assert stolen is not None
    assert len(plaintexts(stolen, sent[taken:])) == later
    reachable: list[bytes] = []
    chain = stolen
    for _ in range(40):
        following, key = labels.step(chain)
        reachable += [chain, key, chain[::-1]]
        chain = following
    for envelope, key in itertools.product(sent[:taken], reachable):
        data = associated(FORWARD, envelope.kind, envelope.uid, envelope.sequence, envelope.deadline)
        with pytest.raises(AuthenticationFailed):
            aead.open_once(key, data, envelope.body)


@given(count=st.integers(1, 10))
def test_nothing_that_an_end_keeps_is_a_key_of_the_past(count: int) -> None:
    """A8: every object that sender and receiver hold, after any number of messages."""
    client, enclave = pair()
    chain = client._sender._chain
    assert chain is not None
    past: set[bytes] = set()
    for envelope in sealed(client, count):
        enclave.open(envelope)
        past.add(chain)
        chain, key = labels.step(chain)
        past.add(key)
    kept = {getattr(client._sender, name) for name in Sender.__slots__}
    kept |= {getattr(enclave._receiver, name) for name in Receiver.__slots__}
    assert not past & kept
    assert chain in kept


@given(content=st.binary(max_size=600), other=st.binary(max_size=600))
def test_contents_of_one_size_class_show_one_length_and_nothing_else(content: bytes, other: bytes) -> None:
    """A19: the length of a body is that of its class; equal contents give bodies without a common block."""
    client, _ = pair()
    first, again, third = (client.seal(Kind.CALL, UID, NEVER, each).body for each in (content, content, other))
    assert len(first) == len(again) == padded(PREFIX_SIZE + len(content)) + 16
    assert (len(first) == len(third)) is (padded(PREFIX_SIZE + len(content)) == padded(PREFIX_SIZE + len(other)))
    blocks = [{body[start : start + 8] for start in range(0, len(body) - 7, 8)} for body in (first, again)]
    assert not blocks[0] & blocks[1]


def test_a_thousand_equal_messages_have_a_thousand_salts() -> None:
    """A19: 16 bytes from the kernel in front of each; none twice, each bit about as often set as not."""
    client, enclave = pair()
    chain = enclave._receiver._chain
    assert chain is not None
    found = plaintexts(chain, [client.seal(Kind.CALL, UID, NEVER, b"same") for _ in range(1_000)])
    salts = [each[:16] for each in found]
    assert (len(set(salts)), {each[16:] for each in found}) == (1_000, {found[0][16:]})
    ones = [sum(int.from_bytes(salt, "big") >> bit & 1 for salt in salts) for bit in range(128)]
    assert all(400 < each < 600 for each in ones)  # six standard deviations


def test_salt_alone_hides_equal_contents_even_under_one_key() -> None:
    """A19, R2: were a key ever used twice, what is equal would still differ from its first byte on."""
    chain = bytes(range(32))
    senders = [Sender(chain, FORWARD, CLIENT, ENCLAVE) for _ in range(2)]
    first, second = (each.seal(Kind.CALL, UID, NEVER, b"same") for each in senders)
    assert first.body[:16] != second.body[:16]
    assert first.body[-16:] != second.body[-16:]


@given(st.lists(st.integers(0, 14), max_size=40), st.integers(1, 15))
def test_a_message_opens_if_and_only_if_it_is_not_behind(order: list[int], count: int) -> None:
    """F1, F9: any delivery, with repeats and gaps, against a counter."""
    client, enclave = pair()
    sent = sealed(client, count)
    following = 0
    for number in (each for each in order if each < count):
        if number >= following:
            assert bytes(enclave.open(sent[number])) == b"message %d" % number
            following = number + 1
        else:
            with pytest.raises(OutOfSequence):
                enclave.open(sent[number])


@given(gap=st.integers(0, 2**64 - 1))
def test_a_gap_is_open_up_to_its_limit(gap: int) -> None:
    """F9, P3: a forgery at any distance: within the limit its tag is looked at, beyond it nothing is."""
    client, enclave = pair()
    envelope = client.seal(Kind.CALL, UID, NEVER, b"true")
    forged = Envelope(Kind.CALL, CLIENT, ENCLAVE, UID, gap, NEVER, bytes(len(envelope.body)))
    with pytest.raises(AuthenticationFailed if gap <= WIDEST_GAP else OutOfSequence):
        enclave.open(forged)
    assert bytes(enclave.open(envelope)) == b"true"


@given(st.lists(st.booleans(), max_size=30))
def test_two_directions_do_not_disturb_each_other(order: list[bool]) -> None:
    """F9: any interleaving of both; nothing of one opens in the other."""
    client, enclave = pair()
    for forward in order:
        sender, receiver = (client, enclave) if forward else (enclave, client)
        envelope = sender.seal(Kind.CALL, UID, NEVER, b"text")
        with pytest.raises(AuthenticationFailed):
            sender.open(envelope)
        assert bytes(receiver.open(envelope)) == b"text"
