"""What the broker counts of each member, in its pure core, and that its word passes as a message."""

from __future__ import annotations

import itertools

from tests.actors.switchboard import NOTARY, PLUGIN, UI, VAULT, Switchboard
from trollbridge.actors.broker.measures import EVERY, MOST_SAMPLES, Counts, Meter
from trollbridge.actors.broker.uids import CREDIT, CREDIT_OF_EXTENSIONS
from trollbridge.messages.ids import HandlerUID
from trollbridge.messages.measures import MemberMeasure, bucket
from trollbridge.messages.record import Refusal


def _counted(board: Switchboard) -> dict[str, MemberMeasure]:
    return {each.member: each for each in board.routing.measures()}


def test_calls_replies_credit_and_refusals_are_counted_of_each_member() -> None:
    """Of a client what it calls, of a server what it serves; what a refusal was of stands with who caused it."""
    board = Switchboard()
    mine, theirs = board.lease(UI, "vault.sign"), board.lease(PLUGIN, "vault.list")
    for uid in mine[:5]:
        board.call(UI, VAULT, uid)
    board.call(PLUGIN, VAULT, theirs[0])
    board.reply(VAULT, UI, mine[0])
    board.reply(VAULT, UI, mine[1])
    board.call(PLUGIN, NOTARY, theirs[1])
    found = _counted(board)
    assert (found[UI].calls, found[UI].replies, found[UI].in_flight, found[UI].credit_held) == (5, 2, 3, CREDIT - 3)
    plugin = found[PLUGIN]
    assert (plugin.calls, plugin.in_flight, plugin.credit_held) == (1, 1, CREDIT_OF_EXTENSIONS - 1)
    assert (found[VAULT].calls, found[VAULT].served, found[VAULT].load) == (0, 6, 4)
    assert {each.member: each.refusals for each in found.values()} == {UI: 0, PLUGIN: 1, VAULT: 0, NOTARY: 0}


def test_a_call_that_its_server_refuses_is_in_flight_no_more() -> None:
    """Nor is its credit held."""
    board = Switchboard()
    uids = board.lease(UI, "vault.sign")
    board.call(UI, VAULT, uids[0])
    board.take(VAULT, Refusal(uids[0]))
    ui = _counted(board)[UI]
    assert (ui.calls, ui.replies, ui.in_flight, ui.credit_held, ui.refusals) == (1, 0, 0, CREDIT - 1, 1)


def test_a_member_that_has_left_is_not_counted_any_more() -> None:
    """Nor what it had in flight, as the load of its server."""
    board = Switchboard()
    board.call(PLUGIN, VAULT, board.lease(PLUGIN, "vault.list")[0])
    board.routing.close(PLUGIN)
    found = _counted(board)
    assert set(found) == {UI, VAULT, NOTARY}
    assert (found[VAULT].served, found[VAULT].load) == (1, 0)


def _uids() -> map[HandlerUID]:
    return map(HandlerUID, (number.to_bytes(16, "big") for number in itertools.count()))


def test_one_call_in_sixteen_is_timed() -> None:
    """For its server, and for a client that serves nobody; a peer that calls has the times of its own work only."""
    now = [0]
    meter = Meter(lambda: now[0])
    client, server, peer = Counts(), Counts(), Counts()
    server.serves = peer.serves = True
    uids = _uids()
    for caller in (client, peer):
        for uid in itertools.islice(uids, 10 * EVERY):
            meter.called(uid, caller, server)
            now[0] += 5_000_000
            meter.replied(uid, caller, server)
    timed = bucket(5000)
    assert (client.latency[timed], sum(client.latency)) == (10, 10)
    assert (server.latency[timed], sum(server.latency)) == (20, 20)
    assert (peer.calls, sum(peer.latency)) == (10 * EVERY, 0)


def test_calls_that_never_end_are_not_remembered_for_ever() -> None:
    """The oldest gives way; one that ends without a reply is forgotten at once."""
    meter = Meter(lambda: 0)
    client, server = Counts(), Counts()
    uids = [*itertools.islice(_uids(), 2 * EVERY * MOST_SAMPLES)]
    for uid in uids:
        meter.called(uid, client, server)
    assert len(meter._samples) == MOST_SAMPLES  # pyright: ignore[reportPrivateUsage]  # what is to be bounded
    for uid in uids:
        meter.ended(uid)
        meter.replied(uid, client, server)
    assert (sum(server.latency), client.replies) == (0, len(uids))
