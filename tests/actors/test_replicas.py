"""Replicas: who they are, which of them a UID is good for, and where the next call goes."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Final, TypeAlias

import pytest
from msgspec import structs

from tests.actors.memory_ring import TOKEN, Wire
from tests.actors.switchboard import UI, Board, routed
from trollbridge.actors.app import App, Child
from trollbridge.actors.broker.routing import Port
from trollbridge.actors.broker.uids import CREDIT, Denial, Lease, UidLedger, UidRefused
from trollbridge.actors.calling.held import Held
from trollbridge.actors.calling.membership import Membership, Pending
from trollbridge.actors.calling.peer import Peer
from trollbridge.actors.calling.promise import Promise
from trollbridge.actors.calling.route import Route
from trollbridge.actors.child_spec import MOST_REPLICAS
from trollbridge.actors.trust_ring.formation import ring_places
from trollbridge.messages import record
from trollbridge.messages.address import Directory
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import DeclarationError, Malformed
from trollbridge.messages.ids import Epoch, HandlerName, HandlerUID, MemberId, Role
from trollbridge.messages.noise import Initiator, Responder
from trollbridge.messages.payloads import HandlerEntry
from trollbridge.messages.record import Publish, PublishedHandler, Refusal, Request, Routed
from trollbridge.messages.session import Session
from trollbridge.messages.signature import Scalar

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.messages.grants import Grant

Grants: TypeAlias = "dict[str | type, list[str | Grant | Callable[..., object]]]"
FIRST, SECOND, THIRD = (MemberId(each) for each in ("notary", "notary_2", "notary_3"))
REPLICAS: Final = (FIRST, SECOND, THIRD)
SIGN: Final = HandlerName("notary.sign")
OTHER: Final = MemberId("plugin")


def declared() -> App:
    """Return an application with replicas."""
    return App(
        ui="desk:Desk",
        enclaves=[Child("notary:Notary", replicas=3, settings={"a": "b"}), "vault:Vault"],
        hosts=[Child("hosts:Files", replicas=2)],
        grants={"desk": ["notary.sign", "files.read"], "notary": ["vault.list"]},
    )


def test_replicas_are_members_under_names_of_their_own() -> None:
    """A57: the same actor, settings and sandbox; their handlers go by the first one's name, and so do their grants."""
    app = declared()
    servers = {child.member: (child.service, str(child.actor), child.settings, role) for child, role in app.servers}
    notary = ("notary", "notary:Notary", (("a", "b"),), Role.ENCLAVE)
    files = ("files", "hosts:Files", (), Role.HOST)
    vault = ("vault", "vault:Vault", (), Role.ENCLAVE)
    assert servers == dict.fromkeys(REPLICAS, notary) | {"vault": vault} | dict.fromkeys(("files", "files_2"), files)
    for each in REPLICAS:
        assert [grant.handler for grant in app.grants[each]] == ["vault.list"]


@pytest.mark.parametrize("number", [0, -1, MOST_REPLICAS + 1, True, "2", 1.0])
def test_replicas_are_a_number_within_reason(number: object) -> None:
    """A57: said before anything starts."""
    with pytest.raises(DeclarationError, match="replicas are a number from 1 to"):
        Child("notary:Notary", replicas=number)  # type: ignore[arg-type]  # that is the test


def test_what_has_no_handlers_has_no_replicas() -> None:
    """A57: a UI and an extension call; nobody calls them."""
    with pytest.raises(DeclarationError, match="desk: only enclaves and hosts have replicas"):
        App(ui=Child("desk:Desk", replicas=2))
    with pytest.raises(DeclarationError, match="plugin: only enclaves and hosts have replicas"):
        App(ui="desk:Desk", extensions=[Child("plugin:Plugin", replicas=2)])


def test_a_replica_takes_its_name_and_nobody_else_may_have_it() -> None:
    """A57, I4: a collision is said; a name that gets too long too."""
    with pytest.raises(DeclarationError, match="the name notary_2 is taken"):
        App(ui="desk:Desk", enclaves=[Child("a:Notary", replicas=2), Child("b:Other", name="notary_2")])
    with pytest.raises(DeclarationError, match="is no member id"):
        App(ui="desk:Desk", enclaves=[Child("a:Notary", name="n" * 32, replicas=2)])


@pytest.mark.parametrize("grants", [{"desk": ["notary_2.sign"]}, {"notary_2": ["vault.list"]}])
def test_grants_name_the_service_and_no_replica(grants: Grants) -> None:
    """A22: neither as the owner of a handler nor as a caller."""
    with pytest.raises(DeclarationError, match="notary_2"):
        App(ui="desk:Desk", enclaves=[Child("a:Notary", replicas=2), "vault:Vault"], grants=grants)


def test_each_replica_gets_tickets_of_its_own_both_ways() -> None:
    """A22, A27: one token for one pair of processes; all of them name the service."""
    places = ring_places(declared())
    ui = {each.server: each for each in places[MemberId("desk")].tickets}
    assert {server: each.service for server, each in ui.items()} == {
        "notary": "",
        "notary_2": "notary",
        "notary_3": "notary",
        "vault": "",
        "files": "",
        "files_2": "files",
    }
    assert all(ui[each].methods == ("sign",) for each in REPLICAS)
    as_clients = [each for place in places.values() for each in place.tickets if each.client == place.member]
    assert len({each.token for each in as_clients}) == len(as_clients) == len(ui) + len(REPLICAS)
    assert [(place.member, place.service) for place in places.values() if place.service] == [
        *(("notary_2", "notary"), ("notary_3", "notary"), ("files_2", "files"))
    ]
    for each in REPLICAS:
        assert places[each].handlers == ("vault.list",)
        assert set(places[each].peers) == {"desk", "vault"}


# UIDs.


def shares(ledger: UidLedger, member: MemberId = UI) -> dict[MemberId, list[HandlerUID]]:
    """Return what a member is issued for each replica."""
    found = ledger.share(*(Lease(member, each, SIGN) for each in REPLICAS))
    return dict(zip(REPLICAS, found, strict=True))


def test_the_credit_is_shared_by_all_replicas() -> None:
    """F7: as many UIDs as without replicas, in equal shares, and no more before some are void."""
    ledger = UidLedger()
    found = shares(ledger)
    assert [len(each) for each in found.values()] == [86, 85, 85]
    assert sum(map(len, found.values())) == len({uid for uids in found.values() for uid in uids}) == CREDIT
    assert not any(shares(ledger).values())
    ledger.forfeit(found[SECOND][0])
    assert sum(map(len, shares(ledger).values())) == 1


def test_a_uid_is_good_for_one_replica() -> None:
    """A27, F3: shown to another it is refused, and stays good for its own."""
    ledger = UidLedger()
    uid = shares(ledger)[SECOND][0]
    for other in (FIRST, THIRD):
        with pytest.raises(UidRefused) as refused:
            ledger.claim(uid, UI, other)
        assert refused.value.denial is Denial.OTHER_RECEIVER
    assert ledger.claim(uid, UI, SECOND).enclave == SECOND


def test_the_next_uid_is_for_the_least_loaded_replica() -> None:
    """A57: whoever calls counts; of equals it is for the one that has answered."""
    ledger = UidLedger()
    found, others = shares(ledger), shares(ledger, OTHER)
    held = [ledger.claim(others[FIRST].pop(), OTHER, FIRST).enclave for _ in range(2)]
    assert (held, [ledger.load(each) for each in REPLICAS]) == ([FIRST] * 2, [2, 0, 0])
    uid = found[FIRST].pop()
    ledger.claim(uid, UI, FIRST)
    fresh, member = ledger.replaced(uid, FIRST, UI, REPLICAS)
    assert (member, ledger.holder(fresh)) == (SECOND, Lease(UI, SECOND, SIGN))
    ledger.claim(fresh, UI, SECOND)
    assert ledger.replaced(fresh, SECOND, UI, REPLICAS)[1] == SECOND
    ledger.forget(OTHER)
    assert [ledger.load(each) for each in REPLICAS] == [0, 0, 0]


# The broker.


class Trio(Board):
    """The broker's core with three replicas, a UI and an extension."""

    def __init__(self) -> None:
        """Open the ports, the second replica's first, and publish one handler."""
        super().__init__()
        self.directories: Final[dict[MemberId, Directory]] = {}
        for each in (SECOND, FIRST, THIRD):
            service = "" if each == FIRST else FIRST
            self.routing.open(Port(each, Role.ENCLAVE, frozenset(), frozenset({UI, OTHER}), service=service))
        for each in (UI, OTHER):
            self.routing.open(Port(each, Role.UI, frozenset({SIGN}), frozenset(REPLICAS)))
        for each in REPLICAS:
            seed = os.urandom(32)
            self.directories[each] = Directory({"sign": seed})
            self.routing.take(each, Publish((PublishedHandler("sign", seed),)), b"")
        self.routing.sealed = True

    def lease(self, member: MemberId) -> dict[MemberId, list[HandlerUID]]:
        """Return what a member gets for a request, in the order of the items."""
        found: dict[MemberId, list[HandlerUID]] = {}
        for to, item in self.take(member, Request(SIGN)):
            assert isinstance(item, record.Lease)
            assert (to, item.handler) == (member, SIGN)
            uids = [HandlerUID(item.uids[start : start + 16]) for start in range(0, len(item.uids), 16)]
            found[MemberId(item.member or FIRST)] = uids
        return found

    def call(self, member: MemberId, replica: MemberId, uid: bytes) -> None:
        """Have a member call a replica; the call arrives at that one's address of the handler."""
        [(to, item)] = self.take(member, routed(Kind.CALL, member, replica, uid))
        assert isinstance(item, Routed)
        assert (to, self.directories[replica].take(item.route)) == (replica, "sign")

    def reply(self, replica: MemberId, member: MemberId, uid: bytes) -> bytes:
        """Have a replica reply; return the route that its client gets."""
        [(to, item)] = self.take(replica, routed(Kind.REPLY, replica, member, uid))
        assert isinstance(item, Routed)
        assert to == member
        return item.route


def test_a_request_brings_uids_for_each_replica_the_least_loaded_first() -> None:
    """A57, A26: the empty name stands for the service; without a grant there is nothing."""
    board = Trio()
    leased = board.lease(UI)
    assert {member: len(uids) for member, uids in leased.items()} == {SECOND: 86, FIRST: 85, THIRD: 85}
    board.call(UI, SECOND, leased[SECOND][0])
    assert list(board.lease(OTHER)) == [FIRST, THIRD, SECOND]
    assert board.lease(UI) == {FIRST: []}
    assert board.why == ["its credit is full"]


def test_each_call_arrives_at_an_address_of_its_replica() -> None:
    """A22, A27, F3: and under a UID of that replica only."""
    board = Trio()
    leased = board.lease(UI)
    for each in REPLICAS:
        board.call(UI, each, leased[each][0])
    stranger = leased[FIRST][1]
    assert board.take(UI, routed(Kind.CALL, UI, THIRD, stranger)) == [(UI, Refusal(stranger))]
    assert board.why == [Denial.OTHER_RECEIVER]
    board.call(UI, FIRST, stranger)


def test_a_reply_names_the_replica_that_the_next_uid_is_for_if_it_is_another() -> None:
    """A57: that one is good there, and nowhere else."""
    board = Trio()
    leased, others = board.lease(UI), board.lease(OTHER)
    board.call(UI, FIRST, leased[FIRST][0])
    assert len(board.reply(FIRST, UI, leased[FIRST][0])) == 16
    board.call(OTHER, FIRST, others[FIRST][0])
    board.call(OTHER, SECOND, others[SECOND][0])
    board.call(UI, FIRST, leased[FIRST][1])
    route = board.reply(FIRST, UI, leased[FIRST][1])
    assert route[16:] == THIRD.encode()
    board.call(UI, THIRD, route[:16])
    assert board.take(SECOND, routed(Kind.REPLY, SECOND, UI, route[:16])) == []


# The client.


class Load:
    """How many calls are outstanding at a replica."""

    def __init__(self, outstanding: int) -> None:
        """Take the number."""
        self.outstanding = outstanding


def test_a_client_uses_the_replica_with_the_fewest_calls_of_its_own() -> None:
    """A57: of equals the one that the broker gave more UIDs for; each UID once, and none is left over."""
    held = Held()
    for number, (member, uids) in enumerate({FIRST: 2, SECOND: 3, THIRD: 1}.items()):
        for each in range(uids):
            held.add(member, HandlerUID(bytes([number, each])))
    everything, loads = set(held), {each: Load(0) for each in REPLICAS}
    assert len(held) == len(everything) == 6
    taken: list[HandlerUID] = []

    def take() -> MemberId:
        found = held.take(loads)
        assert found is not None
        taken.append(found[1])
        return found[0]

    assert [take() for _ in range(2)] == [SECOND, FIRST]
    loads[FIRST].outstanding = loads[SECOND].outstanding = 1
    assert take() == THIRD
    loads[SECOND].outstanding = 0
    assert [take() for _ in range(3)] == [SECOND, SECOND, FIRST]
    assert (held.take(loads), len(held), set(taken)) == (None, 0, everything)


def test_a_slow_replica_gets_fewer_calls() -> None:
    """A57: ten calls in flight all the time, one replica that answers every tenth time; nobody measures anything."""
    ledger, held = UidLedger(), Held()
    for member, uids in shares(ledger).items():
        for uid in uids:
            held.add(member, uid)
    loads = {each: Load(0) for each in REPLICAS}
    flying: list[tuple[MemberId, HandlerUID]] = []
    answered: Counter[MemberId] = Counter()
    for turn in range(1000):
        while len(flying) < 10:
            found = held.take(loads)
            assert found is not None
            ledger.claim(found[1], UI, found[0])
            loads[found[0]].outstanding += 1
            flying.append(found)
        able = [each for each in flying if each[0] != SECOND or turn % 10 == 0]
        member, uid = next((each for each in able if each[0] == SECOND), able[0])
        flying.remove((member, uid))
        loads[member].outstanding -= 1
        answered[member] += 1
        fresh, to = ledger.replaced(uid, member, UI, REPLICAS)
        held.add(to, fresh)
    assert answered[SECOND] == 100
    assert min(answered[FIRST], answered[THIRD]) > 3 * answered[SECOND]


def founded(member: MemberId) -> Peer:
    """Return a client's session with a replica."""
    first, waiting = Initiator(TOKEN, b"").message_1()
    answer, _ = Responder(TOKEN, b"").accept(first)
    return Peer(Session(waiting.finish(answer), Epoch(1), UI, member, initiator=True), 64, ())


def test_a_first_burst_goes_to_all_replicas() -> None:
    """A57: calls that wait for the first lease are spread, however those come; one that was given up is no load."""
    wire = Wire()
    route, peers = Route(FIRST, ENTRY, {}), {each: founded(each) for each in REPLICAS}
    for each in (SECOND, THIRD):
        route.add(each, ENTRY)
    membership = Membership(Epoch(1), wire.near, peers, {SIGN: route}, None)
    promises: list[Promise[None]] = [Promise() for _ in range(20)]
    for promise in promises:
        membership.call(Pending(promise, route, route.content((), {}), 0, None))
    promises[0].cancel()
    promises[10].cancel()
    for number, each in enumerate(REPLICAS):
        uids = b"".join(bytes([number, uid]) + bytes(14) for uid in range(85))
        assert membership.take(record.Lease(SIGN, uids, "" if each == FIRST else each), b"") == ()
    membership.spread()
    assert ([peer.outstanding for peer in peers.values()], membership.starving) == ([6] * 3, False)
    membership.call(Pending(Promise(), route, route.content((), {}), 0, None))
    assert sum(peer.outstanding for peer in peers.values()) == 19
    wire.close()


ENTRY: Final = HandlerEntry("sign", b"1" * 16, (), Scalar("bytes"), sensitive=False, idempotent=False, max_bytes=64)


def test_a_call_has_the_code_of_the_replica_that_it_goes_to() -> None:
    """A22: codes are each session's own; a member that exports something else is no replica."""
    route = Route(FIRST, ENTRY, {})
    route.add(SECOND, structs.replace(ENTRY, code=b"2" * 16))
    content = route.content((), {})
    assert route.content_for(FIRST, content) == content == b"\x01" + b"1" * 16 + b"\x90"
    assert route.content_for(SECOND, content) == b"\x01" + b"2" * 16 + b"\x90"
    assert (route.name, [route.serves(each) for each in REPLICAS]) == (SIGN, [True, True, False])
    for wrong in (structs.replace(ENTRY, max_bytes=63), structs.replace(ENTRY, result=Scalar("str"))):
        with pytest.raises(Malformed):
            route.add(THIRD, wrong)
    with pytest.raises(Malformed):
        route.add(SECOND, ENTRY)
