"""Servers as clients: who gets which tickets, what the broker lets them send, and what a handler may let through."""

from __future__ import annotations

import os
import threading

import pytest

from tests.actors.switchboard import NOTARY, UI, VAULT, Board, routed
from trollbridge.actors.app import App
from trollbridge.actors.broker.routing import Port
from trollbridge.actors.calling.peers import PeerCalls, Peers, Ungranted, note, tells_its_caller
from trollbridge.actors.calling.promise import Promise
from trollbridge.actors.trust_ring.formation import ring_places
from trollbridge.messages.control import SessionTicket
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import (
    CallError,
    Cancelled,
    DeadlineExceeded,
    DeclaredError,
    HandlerFailed,
    InvalidArguments,
    NoSuchHandler,
    NotGranted,
    Outcome,
    Overloaded,
    Refused,
    RingDismantled,
    TooLarge,
    UsageError,
)
from trollbridge.messages.ids import NO_UID, Epoch, HandlerName, HandlerUID, MemberId, Role
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


def test_a_session_between_servers_has_its_ticket_at_both_ends() -> None:
    """A22, A57: an enclave that is granted something is a client too, with a token of its own for each session."""
    app = App(
        ui="desk:Desk",
        enclaves=["notary:Notary", "vault:Vault"],
        hosts=["hosts:Files"],
        grants={"desk": ["notary.seal"], "notary": ["vault.sign", "files.read"], "files": ["vault.list"]},
    )
    places = ring_places(app)
    ends = {
        member: {(each.client, each.server): each.token for each in place.tickets} for member, place in places.items()
    }
    assert {member: set(found) for member, found in ends.items()} == {
        "desk": {("desk", "notary"), ("desk", "vault")},
        "notary": {("desk", "notary"), ("notary", "vault"), ("notary", "files")},
        "vault": {("desk", "vault"), ("notary", "vault"), ("files", "vault")},
        "files": {("notary", "files"), ("files", "vault")},
    }
    tokens: dict[tuple[str, str], set[bytes]] = {}
    for found in ends.values():
        for pair, token in found.items():
            tokens.setdefault(pair, set()).add(token)
    assert {len(each) for each in tokens.values()} == {1}
    assert len({token for found in tokens.values() for token in found}) == len(tokens)
    assert {member: place.handlers for member, place in places.items()} == {
        "desk": ("notary.seal",),
        "notary": ("files.read", "vault.sign"),
        "vault": (),
        "files": ("vault.list",),
    }


# The broker.


class Pair(Board):
    """The broker's core between a UI and two enclaves, of which the notary may call the vault."""

    def __init__(self) -> None:
        """Open the ports, publish one handler of each, seal."""
        super().__init__()
        granted = {UI: {"notary.seal", "vault.sign"}, NOTARY: {"vault.sign"}, VAULT: set[str]()}
        peers = {UI: {NOTARY, VAULT}, NOTARY: {UI, VAULT}, VAULT: {UI, NOTARY}}
        for each, handlers in granted.items():
            role = Role.UI if each == UI else Role.ENCLAVE
            self.routing.open(Port(each, role, frozenset(handlers), frozenset(peers[each])))
        for each, method in ((NOTARY, "seal"), (VAULT, "sign")):
            self.routing.take(each, Publish((PublishedHandler(method, os.urandom(32)),)), b"")
        self.routing.sealed = True

    def uid(self, member: MemberId, handler: str) -> HandlerUID:
        """Return the first UID of a lease."""
        [(_, item)] = self.take(member, Request(handler))
        assert isinstance(item, Lease)
        return HandlerUID(item.uids[:16])

    def arrives(self, kind: Kind, sender: MemberId, receiver: MemberId, uid: bytes) -> bool:
        """Have an envelope sent; return whether it got there, and was not refused."""
        answer = self.take(sender, routed(kind, sender, receiver, uid))
        match answer:
            case [(to, Routed())] if to == receiver:
                return True
            case _:
                assert all(to == sender and isinstance(item, Refusal | Credit) for to, item in answer), answer
                return False


def test_an_enclave_calls_what_it_is_granted_and_answers_what_it_is_asked() -> None:
    """A22, A27: both at a time, each in its own session; a UID serves whom it was leased to, once."""
    board = Pair()
    asked = board.uid(UI, "notary.seal")
    assert board.arrives(Kind.CALL, UI, NOTARY, asked)
    own = board.uid(NOTARY, "vault.sign")
    assert board.arrives(Kind.PART, NOTARY, VAULT, own)
    assert board.arrives(Kind.CALL, NOTARY, VAULT, own)
    assert board.arrives(Kind.PART, VAULT, NOTARY, own)
    assert board.arrives(Kind.REPLY, VAULT, NOTARY, own)
    assert board.arrives(Kind.PART, NOTARY, UI, asked)
    assert board.arrives(Kind.REPLY, NOTARY, UI, asked)
    assert board.why == []
    assert not board.arrives(Kind.CALL, NOTARY, VAULT, own)


@pytest.mark.parametrize("kind", [Kind.CALL, Kind.PART])
def test_an_enclave_cannot_use_what_is_not_its_own(kind: Kind) -> None:
    """A27, F3, I3: another's UID, its own for another, none; an enclave that is granted nothing calls nobody at all."""
    board = Pair()
    uis, own = board.uid(UI, "vault.sign"), board.uid(NOTARY, "vault.sign")
    assert not board.arrives(kind, NOTARY, VAULT, uis)
    assert not board.arrives(kind, NOTARY, VAULT, NO_UID)
    assert not board.arrives(kind, NOTARY, UI, own)
    assert not board.arrives(kind, VAULT, NOTARY, own)
    assert len(board.why) == 4
    assert board.arrives(Kind.CALL, UI, VAULT, uis)


@pytest.mark.parametrize(
    ("member", "handler"), [(NOTARY, "notary.seal"), (NOTARY, "vault.list"), (VAULT, "notary.seal")]
)
def test_an_enclave_gets_no_lease_without_a_grant(member: MemberId, handler: str) -> None:
    """A18, A26: as anybody else."""
    board = Pair()
    assert board.take(member, Request(handler)) == [(member, Lease(handler, b""))]
    assert board.why == ["no grant"]


# The server's own side.


class Idle:
    """A mailbox where nothing arrives."""

    def __init__(self) -> None:
        """Start."""
        self.put_so_far: list[Item] = []

    def put(self, item: Item, body: bytes = b"") -> None:
        """Keep an item."""
        del body
        self.put_so_far.append(item)

    def flush(self) -> None:
        """Send nothing."""

    def pump(self, until: float | None) -> None:
        """Take nothing."""
        del until


def founding() -> tuple[PeerCalls, Idle]:
    """Return the calls of a notary that has begun to found a session with a vault."""
    idle = Idle()
    calls = PeerCalls(idle)
    calls.begin(NOTARY, Role.ENCLAVE, Epoch(1), [SessionTicket(NOTARY, "enclave", VAULT, "enclave", bytes(32), ())])
    return calls, idle


def test_it_is_known_from_whom_an_item_comes_whose_it_is() -> None:
    """A22: of a server that calls nobody, everything is its clients'."""
    calls, idle = founding()
    [first] = idle.put_so_far
    assert isinstance(first, Routed)
    assert (first.kind, first.receiver, calls.founded) == (Kind.HANDSHAKE, VAULT, False)
    ours: list[Item] = [routed(Kind.REPLY, VAULT, NOTARY), Credit(VAULT, 1), Lease("vault.sign", b""), Refusal(NO_UID)]
    theirs: list[Item] = [routed(Kind.CALL, UI, NOTARY), Credit(UI, 1), Left(UI), Request("vault.sign")]
    assert [calls.owns(each) for each in (*ours, *theirs)] == [True] * 4 + [False] * 4


def test_a_server_without_a_ring_calls_nobody() -> None:
    """A14: before the seal, and after the fall; a promise of a fallen ring is told at once."""
    calls, _ = founding()
    for _ in range(2):
        with pytest.raises(RingDismantled) as told:
            calls.call(HandlerName("vault.sign"), (), {})
        assert told.value.outcome is Outcome.NOT_STARTED
        promise: Promise[object] = Promise(calls)
        with pytest.raises(RingDismantled):
            promise.get(timeout=5)
        calls.drop()
    assert (dir(Peers(calls)), repr(Peers(calls))) == ([], "<Peers: none>")
    assert repr(Peers(calls).vault) == "<member vault: >"
    with pytest.raises(AttributeError):
        getattr(Peers(calls), "_calls_of_others")  # noqa: B009  # it is private


def test_a_server_that_is_granted_nothing_is_told_so() -> None:
    """A26: once the ring is sealed; before that, as in `on_start`, that it is too early; after it fell, that it did."""
    calls, name = PeerCalls(Idle()), HandlerName("vault.sign")
    calls.begin(NOTARY, Role.ENCLAVE, Epoch(1), [])
    assert calls.founded
    told: list[CallError] = []
    for change in (None, calls.sealed, calls.drop):
        if change is not None:
            change()
        with pytest.raises(CallError) as raised:
            calls.call(name, (), {})
        assert not tells_its_caller(raised.value)
        told.append(raised.value)
    early, ungranted, fallen = told
    assert isinstance(ungranted, Ungranted)
    assert ungranted.why == "notary calls vault.sign, which is not granted to it"
    assert [type(each) for each in (early, fallen)] == [RingDismantled] * 2
    assert "call them in a handler, not in on_start" in str(early)
    assert "on_start" not in str(fallen)


def test_another_thread_is_told_to_leave_it() -> None:
    """A14: the link has one reader, the actor's own thread; asyncio has no loop here."""
    calls, _ = founding()
    told: list[str] = []

    def elsewhere() -> None:
        with pytest.raises(UsageError) as caught:
            calls.call(HandlerName("vault.sign"), (), {})
        told.append(str(caught.value))
        with pytest.raises(UsageError) as caught:
            Promise[object](calls).get()
        told.append(str(caught.value))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert told == ["an enclave's or host's peers are called and waited for in its actor's own thread only"] * 2
    with pytest.raises(UsageError, match="no event loop"):
        calls.watch(Promise[object](calls))


@pytest.mark.parametrize(
    ("error", "raised", "let_through"),
    [
        (DeclaredError("no"), True, True),
        (HandlerFailed(), True, True),
        (Overloaded(), True, True),
        (InvalidArguments(), True, False),
        (NotGranted(), True, False),
        (NoSuchHandler(), True, False),
        (Refused(), True, False),
        (TooLarge(), True, False),
        (Cancelled(), False, False),
        (DeadlineExceeded(), False, False),
        (RingDismantled(), False, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_handler_lets_through_says_nothing_false(
    error: CallError,
    raised: bool,  # noqa: FBT001  # a table
    let_through: bool,  # noqa: FBT001  # a table
) -> None:
    """A14: the first column is the handler's own error, the second that of a call which it made itself."""
    assert tells_its_caller(error) is raised
    note(error)
    assert tells_its_caller(error) is let_through
