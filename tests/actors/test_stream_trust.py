"""Streams between hostile ends: what a client, a server or a broker may do to one, over links in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from tests.actors.memory_ring import ENCLAVE, EXTENSION, UI, MemoryRing, pass_on
from tests.actors.switchboard import BODY, NOTARY, PLUGIN, VAULT, Switchboard, routed
from tests.actors.well import Source, outcome, source
from trollbridge.actors.broker.routing import MOST_STRIKES, Port
from trollbridge.actors.broker.tally import LATE
from trollbridge.actors.serving.flow import FlowState
from trollbridge.messages import payloads
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import (
    AuthenticationFailed,
    Malformed,
    OutOfSequence,
)
from trollbridge.messages.ids import MemberId, Microseconds, Role
from trollbridge.messages.limits import FIRST_CREDIT
from trollbridge.messages.record import Credit, Item, Left, Routed, route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.actors.calling.pending import Pending


@pytest.fixture
def ring() -> Iterator[MemoryRing]:
    """Return a sealed ring of a source and its console."""
    made = MemoryRing(Source())
    yield made
    made.close()


# A hostile other end.


def steer(ring: MemoryRing, pending: Pending, content: bytes, *, answers: int = 0, member: MemberId = UI) -> None:
    """Have a client say something about a stream."""
    membership = ring.membership(member)
    session = membership.peers[ENCLAVE].session
    envelope = session.seal(Kind.STEER, pending.uid, Microseconds(pending.sequence + answers), content)
    membership.endpoint.put(route(envelope, b""), envelope.body)


def test_no_pull_opens_the_credit_wider(ring: MemoryRing) -> None:
    """P3: however much is asked for, and however often, the server has leave for so many items at a time."""
    pending = ring.stream("count", 10_000)
    ring.pump(answering=True)
    [flow] = ring.enclave.streams.flows
    steer(ring, pending, payloads.encode(payloads.Pull(2**64 - 1)))
    ring.to_broker(UI)
    ring.to_member(ENCLAVE)
    assert flow.credit == FIRST_CREDIT
    ring.pump(answering=True)
    assert FIRST_CREDIT < source(ring).gave <= 2 * FIRST_CREDIT
    assert ring.clients[UI].refused == []
    assert outcome(pending) is Malformed, "what was not asked for ends the stream at its client"


def test_steps_without_reason_go_nowhere(ring: MemoryRing) -> None:
    """P3: a client says at most one thing more than it has got items; the broker strikes it for the rest."""
    pending = ring.stream("count", 10_000)
    ring.pump(answering=True)
    for _ in range(FIRST_CREDIT + 3):
        steer(ring, pending, payloads.encode(payloads.Pull(1)))
    ring.to_broker(UI)
    assert [why for _, _, why, _ in ring.notices] == ["more steps than its stream has given reason for"] * 2


@pytest.mark.parametrize(
    ("content", "answers"),
    [
        (payloads.encode(payloads.Pull(1)), 1),
        (payloads.encode(payloads.StreamItem(0, b"\x01")), 0),
        (payloads.encode(payloads.Result(b"\x01")), 0),
        (b"\x0b\x91\x00", 0),
        (b"\x0c\x90\x00", 0),
        (b"", 0),
    ],
)
def test_what_is_no_step_of_this_stream_costs_it(ring: MemoryRing, content: bytes, answers: int) -> None:
    """F3, F4: another call's, no step, none at all: refused like a forgery; the stream is closed, the UID void."""
    pending = ring.stream("count", 1000)
    ring.pump(answering=True)
    steer(ring, pending, content, answers=answers)
    ring.pump(answering=True)
    assert source(ring).closed == ["count"]
    assert pending.promise.done
    assert [kind for kind, _, _, _ in ring.notices] == [NoticeKind.ENVELOPE_REFUSED]
    assert ring.taken(ring.stream("count", 2)) == [0, 1]


def test_nobody_steers_anothers_stream() -> None:
    """F3, I5: not under its UID, not from another member; and the stream goes on."""
    ring = MemoryRing(Source(), grants={UI: ("count",), EXTENSION: ("count",)})
    pending = ring.stream("count", 100)
    ring.stream("count", 0, member=EXTENSION)
    ring.pump(answering=True)
    for _ in range(10):
        steer(ring, pending, payloads.encode(payloads.Halt()), member=EXTENSION)
    ring.pump(answering=True)
    assert {why for _, about, why, _ in ring.notices if about == EXTENSION} == {"never issued, used or void"}
    assert ring.taken(pending) == list(range(100))
    ring.close()


def test_a_call_that_is_no_stream_cannot_be_steered(ring: MemoryRing) -> None:
    """F3: it is answered all the same."""
    promise = ring.call("publish", "x")
    ring.pump()
    [pending] = ring.membership().pending.values()
    steer(ring, pending, payloads.encode(payloads.Halt()))
    ring.pump(answering=True)
    assert promise.get(timeout=0) == 0


def items(ring: MemoryRing) -> list[tuple[Routed, bytes]]:
    """Keep the items of streams that pass the broker, from now on."""
    kept: list[tuple[Routed, bytes]] = []

    def look(_from: MemberId, to: MemberId, item: Item, body: bytes) -> list[tuple[Item, bytes]]:
        if isinstance(item, Routed) and item.kind == Kind.ITEM and to != UI:
            kept.append((item, body))
        return [(item, body)]

    ring.on_the_way = look
    return kept


def test_an_item_counts_once_and_for_its_call_only(ring: MemoryRing) -> None:
    """F1, F3, F8: again, under another call, after the reply: dropped by the client, whatever the broker lets pass."""
    kept = items(ring)
    pending = ring.stream("count", 3)
    ring.pump(answering=True)
    item, body = kept[0]
    other = ring.stream("count", 1000)
    ring.pump(answering=True)
    refused = ring.clients[UI].refused
    for each in (item, structs.replace(item, uid=other.uid)):
        refused.clear()
        assert list(ring.clients[UI].take(each, body)) == []
        assert len(refused) == 1
        assert refused[0] is AuthenticationFailed
    assert ring.taken(pending) == [0, 1, 2]
    assert ring.taken(other) == list(range(1000))


@pytest.mark.parametrize(("number", "before"), [(0, 0), (5, 5), (29, 29)])
def test_an_item_that_is_withheld_is_missed(ring: MemoryRing, number: int, before: int) -> None:
    """F9: the first, one in the middle, the last before the result: the stream ends by an error, not by a gap."""
    seen = 0

    def drop(_from: MemberId, to: MemberId, item: Item, body: bytes) -> list[tuple[Item, bytes]]:
        nonlocal seen
        if to == UI and isinstance(item, Routed) and item.kind == Kind.ITEM:
            seen += 1
            if seen == number + 1:
                return []
        return [(item, body)]

    ring.on_the_way = drop
    pending = ring.stream("count", 30)
    assert ring.taken(pending) == list(range(before))
    assert outcome(pending) is OutOfSequence
    assert source(ring).closed == ["count"]
    ring.on_the_way = pass_on
    assert ring.taken(ring.stream("count", 3)) == [0, 1, 2]
    assert not ring.notices


def test_items_that_are_swapped_are_missed(ring: MemoryRing) -> None:
    """F9: neither counts out of its turn."""
    held: list[tuple[Item, bytes]] = []

    def swap(_from: MemberId, to: MemberId, item: Item, body: bytes) -> list[tuple[Item, bytes]]:
        if to == UI and isinstance(item, Routed) and item.kind == Kind.ITEM:
            if not held:
                held.append((item, body))
                return []
            if len(held) == 1:
                held.append((item, body))
                return held[::-1]
        return [(item, body)]

    ring.on_the_way = swap
    pending = ring.stream("count", 30)
    assert ring.taken(pending) == []
    assert outcome(pending) is OutOfSequence


def test_items_for_nobody_are_dropped_and_noticed(ring: MemoryRing) -> None:
    """F8, I5: after the reply, the server says more under the same UID: no strike, no delivery."""
    kept = items(ring)
    pending = ring.stream("count", 1)
    ring.pump(answering=True)
    assert outcome(pending) == "up to 1"
    [(item, body)] = kept
    ring.on_the_way = lambda _from, _to, each, content: [(each, content)]
    ring.routing.take(ENCLAVE, item, body)
    assert [kind for kind, _, _, _ in ring.notices] == [NoticeKind.REPLY_DROPPED]


def test_a_server_cannot_flood_its_client(ring: MemoryRing) -> None:
    """P3: the broker counts what may have been asked for; beyond it, items cost their server strikes."""
    kept = items(ring)
    ring.stream("count", 1000)
    ring.pump(answering=True)
    item, body = kept[0]
    sent = len(kept)
    assert sent == FIRST_CREDIT
    ring.routing.take(ENCLAVE, item, body)
    assert [why for _, _, why, _ in ring.notices] == ["more items than its client has asked for"]


def test_only_the_broker_says_who_has_left(ring: MemoryRing) -> None:
    """F3: nobody else can have a client forgotten."""
    ring.routing.take(UI, Left("vault"), b"")
    assert [kind for kind, _, _, _ in ring.notices] == [NoticeKind.RECORD_REFUSED]
    pending = ring.stream("count", 5)
    assert ring.taken(pending) == list(range(5))


def test_a_flow_that_is_gone_gets_nothing(ring: MemoryRing) -> None:
    """P3: what its handler yields after its client has left goes nowhere."""
    ring.stream("count", 1000)
    ring.pump(answering=True)
    [flow] = list(ring.enclave.streams.flows)
    ring.enclave.serving.take(Left(UI), b"")
    assert flow.state is FlowState.GONE
    ring.enclave.serving.give(flow, b"\x01")
    ring.enclave.streams.turn()
    assert source(ring).closed == ["count"]


# The broker, by itself.


def founded(board: Switchboard) -> None:
    """Have the plugin and the vault found a session, as far as the broker sees."""
    board.take(PLUGIN, routed(Kind.HANDSHAKE, PLUGIN, VAULT))
    board.take(VAULT, routed(Kind.HANDSHAKE, VAULT, PLUGIN))


def test_a_server_is_told_who_has_left_and_is_not_blamed_for_what_it_did_not_know() -> None:
    """P3, F8: it is told once; items and parts until then go nowhere, whoever has come again under that name."""
    board = Switchboard()
    founded(board)
    uid = board.lease(PLUGIN, "vault.list")[0]
    board.call(PLUGIN, VAULT, uid)
    board.take(VAULT, routed(Kind.ITEM, VAULT, PLUGIN, uid))
    before = len(board.sent)
    board.routing.close(PLUGIN)
    assert board.sent[before:] == [(VAULT, Left(PLUGIN), b"")]
    board.routing.open(Port(PLUGIN, Role.EXTENSION, frozenset({"vault.list"}), frozenset({VAULT})))
    for kind in (Kind.ITEM, Kind.PART):
        for _ in range(MOST_STRIKES + 1):
            answer = board.take(VAULT, routed(kind, VAULT, PLUGIN, uid))
            assert answer == [(VAULT, Credit(PLUGIN, 1), b"")]
    assert (board.notices, board.removed) == ([], [])
    founded(board)
    fresh = board.lease(PLUGIN, "vault.list")[0]
    board.call(PLUGIN, VAULT, fresh)
    item = routed(Kind.ITEM, VAULT, PLUGIN, fresh)
    assert board.take(VAULT, item) == [(PLUGIN, item, BODY)]
    assert board.take(VAULT, routed(Kind.ITEM, VAULT, PLUGIN, uid)) == []
    assert [kind for kind, _, _, _ in board.notices] == [NoticeKind.REPLY_DROPPED]


def test_a_step_may_be_late_and_no_more() -> None:
    """F8, P3: after a reply, a few steps for it go nowhere without blame; then each is struck, until the end."""
    board = Switchboard()
    uid = board.lease(UI, "vault.sign")[0]
    step = routed(Kind.STEER, UI, VAULT, uid)
    board.call(UI, VAULT, uid)
    assert board.take(UI, step) == [(VAULT, step, BODY)]
    board.reply(VAULT, UI, uid)
    assert [board.take(UI, step) for _ in range(LATE)] == [[]] * LATE
    assert board.notices == []
    for _ in range(MOST_STRIKES + 1):
        assert board.take(UI, step) == []
    assert board.removed == [(UI, "too many refusals")]


def test_a_step_without_a_call_or_for_another_server_is_struck() -> None:
    """F3, I5: leased and not called, another's, another receiver's."""
    board = Switchboard()
    uids = board.lease(UI, "vault.sign")
    board.call(UI, VAULT, uids[0])
    for wrong in (
        routed(Kind.STEER, UI, VAULT, uids[1]),
        routed(Kind.STEER, UI, NOTARY, uids[0]),
        routed(Kind.STEER, PLUGIN, VAULT, uids[0]),
        routed(Kind.STEER, VAULT, UI, uids[0]),
    ):
        assert board.take(wrong_sender(wrong), wrong) == []
    assert board.why() == ["never issued, used or void"] * 4


def wrong_sender(item: Routed) -> MemberId:
    """Return who sends an item."""
    return MemberId(item.sender)


def test_items_are_for_whoever_called_from_whom_was_called() -> None:
    """F3, I5: another server, another member, a UID that was never called: nowhere."""
    board = Switchboard()
    uids = board.lease(UI, "vault.sign")
    board.call(UI, VAULT, uids[0])
    for sender, receiver, uid in ((NOTARY, UI, uids[0]), (VAULT, PLUGIN, uids[0]), (VAULT, UI, uids[1])):
        assert board.take(sender, routed(Kind.ITEM, sender, receiver, uid)) == []
    assert [kind for kind, _, _, _ in board.notices] == [NoticeKind.REPLY_DROPPED] * 3
