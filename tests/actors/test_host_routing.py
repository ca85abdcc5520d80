"""The broker's core when a host leaves and another process comes in its place: UIDs, addresses, and what is late."""

from __future__ import annotations

import os
from typing import Final

import pytest

from tests.actors.switchboard import PLUGIN, UI, VAULT, Board, routed
from trollbridge.actors.broker.process import may_come
from trollbridge.actors.broker.routing import EXCUSED, MOST_STRIKES, Port
from trollbridge.actors.broker.uids import CREDIT, Denial, UidLedger
from trollbridge.actors.broker.uids import Lease as Leased
from trollbridge.actors.calling.joining import COMING
from trollbridge.messages.envelope import Kind
from trollbridge.messages.ids import HandlerName, HandlerUID, MemberId, Role
from trollbridge.messages.record import (
    Credit,
    Item,
    Lease,
    Left,
    Publish,
    PublishedHandler,
    Refusal,
    Request,
    Routed,
)

FILES: Final = MemberId("files")
READ: Final = HandlerName("files.read")


class Office(Board):
    """A UI, an enclave that calls the host, an extension, and the host."""

    def __init__(self) -> None:
        """Open the ports and seal."""
        super().__init__()
        self.routing.open(Port(VAULT, Role.ENCLAVE, frozenset({READ}), frozenset({FILES, UI})))
        self.routing.open(Port(FILES, Role.HOST, frozenset({"vault.sign"}), frozenset({VAULT, UI})))
        self.routing.open(Port(UI, Role.UI, frozenset({READ, "vault.sign"}), frozenset({FILES, VAULT})))
        self.routing.take(VAULT, Publish((PublishedHandler("sign", os.urandom(32)),)), b"")
        self.publish()
        self.routing.sealed = True
        self.routing.open(Port(PLUGIN, Role.EXTENSION, frozenset({READ}), frozenset({FILES})))

    def publish(self) -> None:
        """Have the host publish its handler."""
        self.routing.take(FILES, Publish((PublishedHandler("read", os.urandom(32)),)), b"")

    def leave(self) -> list[tuple[MemberId, Item]]:
        """Have the host leave; return what is said."""
        self.sent.clear()
        self.routing.close(FILES)
        return list(self.sent)

    def come(self) -> None:
        """Have the next process come."""
        self.routing.open(Port(FILES, Role.HOST, frozenset({"vault.sign"}), frozenset({VAULT})))
        self.publish()

    def uids(self, member: MemberId) -> list[HandlerUID]:
        """Return what a member gets for a request."""
        found = [item for _, item in self.take(member, Request(READ)) if isinstance(item, Lease)]
        return [HandlerUID(each.uids[start : start + 16]) for each in found for start in range(0, len(each.uids), 16)]


def test_every_client_is_told_and_nobody_else() -> None:
    """I3: UI, enclave and extension, each once; an enclave that is the host's server hears it as such."""
    board = Office()
    assert sorted(board.leave()) == [(each, Left(FILES)) for each in sorted((UI, VAULT, PLUGIN))]


def test_uids_for_a_host_that_has_left_are_void_and_its_credit_is_free() -> None:
    """A27, F3, F8: leased or in flight; for the next process there are others, and a whole credit of them."""
    board = Office()
    old = board.uids(UI)
    [(to, item)] = board.take(UI, routed(Kind.CALL, UI, FILES, old[0]))
    assert isinstance(item, Routed)
    assert (to, len(old)) == (FILES, CREDIT)
    board.leave()
    board.come()
    assert board.take(UI, Left(FILES)) == []
    assert board.take(UI, routed(Kind.HANDSHAKE, UI, FILES))[0][0] == FILES
    new = board.uids(UI)
    assert (len(new), set(old) & set(new)) == (CREDIT, set())
    for each in old[:2]:
        assert board.take(UI, routed(Kind.CALL, UI, FILES, each)) == [(UI, Refusal(each))]
    assert board.why == [Denial.NOT_LIVE] * 2
    assert board.take(FILES, routed(Kind.REPLY, FILES, UI, old[0])) == []
    [(to, again)] = board.take(UI, routed(Kind.CALL, UI, FILES, new[0]))
    assert isinstance(again, Routed)
    assert (to, again.route != item.route) == (FILES, True)


@pytest.mark.parametrize("kind", [Kind.CALL, Kind.PART, Kind.STEER, Kind.SESSION, Kind.HANDSHAKE])
def test_what_was_on_its_way_to_a_host_that_has_left_goes_nowhere(kind: Kind) -> None:
    """F8, I3: not to who comes in its place, and it is nobody's fault, until the client has said that it knows."""
    board = Office()
    [uid, *_] = board.uids(UI)
    board.leave()
    for _ in range(2):
        assert (
            board.take(UI, routed(kind, UI, FILES, uid if kind in (Kind.CALL, Kind.PART, Kind.STEER) else bytes(16)))
            == []
        )
        assert board.take(UI, Request(READ)) == []
        board.come()
    assert board.why == []


def test_two_processes_may_have_left_before_a_client_says_anything() -> None:
    """F8: what it founds for the second of three goes nowhere."""
    board = Office()
    for _ in range(2):
        board.leave()
        board.come()
    for _ in range(2):
        assert board.take(UI, routed(Kind.HANDSHAKE, UI, FILES)) == []
        assert board.take(UI, Left(FILES)) == []
    assert [to for to, _ in board.take(UI, routed(Kind.HANDSHAKE, UI, FILES))] == [FILES]
    assert board.why == []


def test_nobody_says_that_another_has_left() -> None:
    """I3: a client that has lost no host, or says it once too often; a server of a client that has left."""
    board = Office()
    for member in (UI, PLUGIN, VAULT, FILES):
        board.take(member, Left(FILES))
    assert len(board.why) == 4
    board.leave()
    for _ in range(2):
        board.take(PLUGIN, Left(FILES))
    assert len(board.why) == 5


def test_who_comes_while_a_host_is_away_is_told_so() -> None:
    """I3: an extension that was let in a moment too early; not one that does not call it."""
    board = Office()
    board.routing.close(PLUGIN)
    board.leave()
    board.sent.clear()
    board.routing.open(Port(PLUGIN, Role.EXTENSION, frozenset({READ}), frozenset({FILES})))
    board.routing.open(Port(MemberId("other"), Role.EXTENSION, frozenset({"vault.sign"}), frozenset({VAULT})))
    assert board.sent == [(PLUGIN, Left(FILES))]


def test_a_request_in_vain_is_excused_a_few_times_once_a_host_has_left() -> None:
    """F7: the client could not know; then it is struck as ever."""
    board = Office()
    board.uids(UI)
    assert board.take(UI, Request(READ)) == [(UI, Lease(READ, b""))]
    board.leave()
    board.come()
    board.take(UI, Left(FILES))
    board.take(UI, routed(Kind.HANDSHAKE, UI, FILES))
    assert len(board.uids(UI)) == CREDIT
    assert [board.take(UI, Request(READ)) for _ in range(EXCUSED)] == [[]] * EXCUSED
    assert board.take(UI, Request(READ)) == [(UI, Lease(READ, b""))]
    assert board.why == ["its credit is full"] * 2


def refuse(board: Office, member: MemberId, uid: HandlerUID) -> None:
    """Have a member call the host, and the host refuse the call; the member is told."""
    assert board.take(member, routed(Kind.CALL, member, FILES, uid))[0][0] == FILES
    assert board.take(FILES, Refusal(uid)) == [(member, Refusal(uid))]


@pytest.mark.parametrize("member", [UI, VAULT])
def test_a_host_that_refuses_every_call_costs_the_core_nobody(member: MemberId) -> None:
    """F7, P3: it holds no key of the ring; its word is noted, and is no strike against a UI or a server."""
    board = Office()
    for _ in range(3 * MOST_STRIKES):
        refuse(board, member, board.uids(member)[0])
    assert board.why == ["the host could not open or accept it"] * 3 * MOST_STRIKES
    assert {each.member: each.refusals for each in board.routing.measures()}[member] == 0


def test_an_extension_is_struck_by_a_hosts_word_and_a_ui_by_an_enclaves() -> None:
    """F7: as ever: the one holds no key either, the other has one of the ring."""
    board = Office()
    for _ in range(MOST_STRIKES):
        refuse(board, PLUGIN, board.uids(PLUGIN)[0])
    board.take(PLUGIN, routed(Kind.CALL, PLUGIN, FILES, uid := board.uids(PLUGIN)[0]))
    with pytest.raises(AssertionError, match="too many refusals"):
        board.take(FILES, Refusal(uid))
    [lease] = [item for _, item in board.take(UI, Request(HandlerName("vault.sign"))) if isinstance(item, Lease)]
    for start in range(0, 16 * MOST_STRIKES, 16):
        board.take(UI, routed(Kind.CALL, UI, VAULT, lease.uids[start : start + 16]))
        board.take(VAULT, Refusal(lease.uids[start : start + 16]))
    board.take(UI, routed(Kind.CALL, UI, VAULT, lease.uids[-16:]))
    with pytest.raises(AssertionError, match="too many refusals"):
        board.take(VAULT, Refusal(lease.uids[-16:]))


def test_what_is_under_way_of_a_call_that_a_host_refused_is_nobodys_fault() -> None:
    """F7, P3: parts and the call itself go nowhere, their credit comes back, and the next call is as any."""
    board = Office()
    first, second, *_ = board.uids(UI)
    assert board.take(UI, routed(Kind.PART, UI, FILES, first))[0][0] == FILES
    assert board.take(FILES, Refusal(first)) == [(UI, Refusal(first))]
    for _ in range(2 * MOST_STRIKES):
        assert board.take(UI, routed(Kind.PART, UI, FILES, first)) == [(UI, Credit(FILES, 1))]
        assert board.take(UI, routed(Kind.CALL, UI, FILES, first)) == []
    for kind in (Kind.PART, Kind.PART, Kind.CALL):
        assert board.take(UI, routed(kind, UI, FILES, second))[0][0] == FILES
    assert board.why == ["the host could not open or accept it"]


def test_credit_for_parts_of_who_has_left_is_not_given_to_who_comes() -> None:
    """F7: the window of the next session is its own."""
    board = Office()
    board.leave()
    board.come()
    board.sent.clear()
    board.routing.part_left(FILES, UI, 3)
    board.routing.part_left(UI, FILES, 2)
    assert [each for each in board.sent if isinstance(each[1], Credit)] == []


def test_only_a_host_publishes_in_a_sealed_ring_and_only_once() -> None:
    """I5, R7: what it published before it left cannot be reached any more."""
    board = Office()
    board.leave()
    board.come()
    with pytest.raises(AssertionError, match="published out of turn"):
        board.publish()
    with pytest.raises(AssertionError, match="published out of turn"):
        board.routing.take(VAULT, Publish(()), b"")


def test_who_may_join_a_sealed_ring_holds_no_ring_key() -> None:
    """R7, I5: extensions and hosts; everybody but extensions while it is formed."""
    assert {role for role in Role if may_come(role, sealed=True)} == {Role.EXTENSION, Role.HOST}
    assert {role for role in Role if not may_come(role, sealed=False)} == {Role.EXTENSION}


def test_an_enclave_admits_no_second_core_to_a_sealed_ring() -> None:
    """R7, I5: whoever would bring another ring key, or hold this one; the clients of a host may all be new to it."""
    assert dict(COMING) == {
        Role.ENCLAVE: {Role.EXTENSION, Role.HOST},
        Role.HOST: {Role.UI, Role.EXTENSION, Role.ENCLAVE, Role.HOST},
    }


def test_the_ledger_voids_what_was_for_a_server() -> None:
    """A27: all of it and nothing else, and says which calls were in flight."""
    ledger = UidLedger()
    [ours] = ledger.share(Leased(UI, FILES, READ))
    [theirs] = ledger.share(Leased(PLUGIN, FILES, READ))
    [others] = ledger.share(Leased(UI, VAULT, HandlerName("vault.sign")))
    ledger.claim(ours[0], UI, FILES)
    ledger.claim(theirs[0], PLUGIN, FILES)
    assert sorted(ledger.void(FILES)) == sorted([(ours[0], UI), (theirs[0], PLUGIN)])
    assert (len(ledger), ledger.load(FILES)) == (len(others), 0)
    assert len(ledger.share(Leased(UI, FILES, READ))[0]) == CREDIT
