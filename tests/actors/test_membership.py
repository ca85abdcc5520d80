"""The client's core: which UID goes with which call, whose reply counts, and what every call is told in the end."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest
from msgspec import structs

from tests.actors.keeper import Keeper, Note
from tests.actors.memory_ring import ENCLAVE, UI, MemoryRing
from trollbridge.actors.broker.uids import CREDIT
from trollbridge.actors.calling.membership import Pending
from trollbridge.actors.calling.promise import Promise
from trollbridge.actors.calling.route import Route
from trollbridge.messages import payloads
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import (
    AuthenticationFailed,
    InvalidArguments,
    Malformed,
    NotGranted,
    Outcome,
    ProtocolError,
    Refused,
    RingDismantled,
    TooLarge,
    UsageError,
)
from trollbridge.messages.ids import BROKER, HandlerName, HandlerUID, MemberId, Microseconds
from trollbridge.messages.limits import LARGEST_MAX_BYTES
from trollbridge.messages.padding import padded
from trollbridge.messages.record import Credit, Item, Lease, Publish, Refusal, Request, Routed, route
from trollbridge.messages.signature import Field, OneOf, Scalar, SequenceOf, StructOf

if TYPE_CHECKING:
    from collections.abc import Iterator

ECHO: Final = HandlerName("vault.echo")
Passing = list[tuple[Item, bytes]]


@pytest.fixture
def ring() -> Iterator[MemoryRing]:
    """Give a sealed ring whose enclave answers when it is told to."""
    made = MemoryRing(Keeper(), vocabulary={"Note": Note})
    yield made
    made.close()


class Watch:
    """Stands on the way and keeps what passes."""

    def __init__(self, ring: MemoryRing) -> None:
        """Take its place."""
        self.seen: list[tuple[MemberId, MemberId, Item, bytes]] = []
        ring.on_the_way = self

    def __call__(self, sender: MemberId, receiver: MemberId, item: Item, body: bytes) -> Passing:
        """Keep an item and let it pass."""
        self.seen.append((sender, receiver, item, body))
        return [(item, body)]

    def routed(self, kind: Kind, sender: MemberId) -> list[tuple[Routed, bytes]]:
        """Return the headers and bodies of a kind that a member sent."""
        return [
            (item, body)
            for by, _, item, body in self.seen
            if by == sender and isinstance(item, Routed) and item.kind == kind
        ]


def test_each_call_goes_out_under_a_uid_of_its_own(ring: MemoryRing) -> None:
    """A27: six hundred calls, more than the credit: six hundred UIDs, each result to its caller."""
    watch = Watch(ring)
    promises = [ring.call("echo", b"%d" % number) for number in range(600)]
    ring.pump(answering=True)
    assert [each.get(timeout=0) for each in promises] == [b"%d" % number for number in range(600)]
    used = [item.uid for item, _ in watch.routed(Kind.CALL, UI)]
    assert (len(used), len(set(used))) == (600, 600)
    assert [item for by, _, item, _ in watch.seen if by == UI and isinstance(item, Request)] == [Request(ECHO)]


def test_calls_beyond_the_credit_wait_for_replies(ring: MemoryRing) -> None:
    """P3: no credit, no call: that bounds every queue."""
    promises = [ring.call("echo", b"%d" % number) for number in range(CREDIT + 3)]
    ring.pump()
    assert (len(ring.enclave.waiting), ring.membership().outstanding) == (CREDIT, CREDIT + 3)
    ring.answer()
    ring.pump()
    assert (len(ring.enclave.waiting), promises[0].done) == (CREDIT, True)
    ring.pump(answering=True)
    assert all(each.done for each in promises)


def test_a_call_given_up_before_it_was_sent_is_not_sent(ring: MemoryRing) -> None:
    """A14: one that waits for credit; its place goes to the next."""
    promises = [ring.call("echo", b"%d" % number) for number in range(CREDIT + 2)]
    given_up = promises[CREDIT]
    assert given_up.cancel()
    ring.membership().forget(given_up)
    ring.pump(answering=True)
    assert len(ring.enclave.ran) == CREDIT + 1
    assert promises[-1].get(timeout=0) == b"%d" % (CREDIT + 1)


def test_a_call_that_its_caller_gave_up_is_passed_over_when_credit_comes(ring: MemoryRing) -> None:
    """A14: without being forgotten first, too."""
    promises = [ring.call("echo", b"%d" % number) for number in range(CREDIT + 2)]
    promises[CREDIT].cancel()
    ring.pump(answering=True)
    assert len(ring.enclave.ran) == CREDIT + 1


def test_the_same_reply_twice_resolves_nothing_twice(ring: MemoryRing) -> None:
    """F8, F1: the second finds no call."""

    def twice(_sender: MemberId, _receiver: MemberId, item: Item, body: bytes) -> Passing:
        return [(item, body)] * (2 if isinstance(item, Routed) and item.kind == Kind.REPLY else 1)

    ring.on_the_way = twice
    assert [ring.result("echo", b"a"), ring.result("echo", b"b")] == [b"a", b"b"]
    assert len(ring.settled) == 2


def test_a_reply_under_another_calls_uid_resolves_neither(ring: MemoryRing) -> None:
    """F3, F8: a hostile broker exchanges the UIDs of two replies; both stay what they were."""
    first, second = ring.call("echo", b"a"), ring.call("echo", b"b")
    held: Passing = []

    def exchange(_sender: MemberId, receiver: MemberId, item: Item, body: bytes) -> Passing:
        if receiver == UI and isinstance(item, Routed) and item.kind == Kind.REPLY:
            held.append((item, body))
            return []
        return [(item, body)]

    ring.on_the_way = exchange
    ring.pump(answering=True)
    uids = [item.uid for item, _ in held if isinstance(item, Routed)]
    for (item, body), uid in zip(held, reversed(uids), strict=True):
        ring.clients[UI].take(msgspec.structs.replace(item, uid=uid), body)
    assert (first.done, second.done, ring.clients[UI].refused) == (False, False, [AuthenticationFailed] * 2)
    for item, body in held:
        [done] = ring.clients[UI].take(item, body)
        done.promise.resolve(done.value, done.error)
    assert (first.get(timeout=0), second.get(timeout=0)) == (b"a", b"b")


@pytest.mark.parametrize(
    "change",
    [{"sender": "notary"}, {"sender": "console"}, {"receiver": "other"}, {"sequence": 9}, {"deadline": 5}, {"kind": 5}],
    ids=str,
)
def test_a_reply_whose_header_was_rewritten_resolves_nothing(ring: MemoryRing, change: dict[str, Any]) -> None:
    """I2, I5: sender, receiver, sequence, deadline and kind; the true one still does."""
    promise = ring.call("echo", b"a")
    held: Passing = []

    def hold(_sender: MemberId, receiver: MemberId, item: Item, body: bytes) -> Passing:
        if receiver == UI and isinstance(item, Routed):
            held.append((item, body))
            return []
        return [(item, body)]

    ring.on_the_way = hold
    ring.pump(answering=True)
    [(item, body)] = held
    assert ring.clients[UI].take(msgspec.structs.replace(item, **change), body) == ()
    assert (promise.done, len(ring.clients[UI].refused)) == (False, 1)
    [done] = ring.clients[UI].take(item, body)
    assert done.value == b"a"


def test_a_reply_to_an_earlier_call_is_none_to_a_later_one_under_its_uid(ring: MemoryRing) -> None:
    """F8, I2: a broker refuses a call that runs, leases its UID again, and brings the first reply for the second."""
    first = ring.call("echo", b"first")
    ring.pump()
    uid = next(iter(ring.membership().pending))
    [refused] = ring.membership().take(Refusal(uid), b"")
    refused.promise.resolve(error=refused.error)
    ring.membership().leases[ECHO].add(ENCLAVE, uid)
    second = ring.call("echo", b"second")

    def hold_back(sender: MemberId, _receiver: MemberId, item: Item, body: bytes) -> Passing:
        return [] if sender == UI else [(item, body)]

    ring.on_the_way = hold_back
    ring.pump(answering=True)
    assert (first.done, second.done, ring.clients[UI].refused) == (True, False, [AuthenticationFailed])


def test_a_refusal_ends_the_call_with_one_sentence(ring: MemoryRing) -> None:
    """I6: whatever the cause; a refusal of a UID that is not in use is nothing."""
    promise = ring.call("echo", b"a")
    ring.pump()
    uid = next(iter(ring.membership().pending))
    assert ring.membership().take(Refusal(HandlerUID(bytes(16))), b"") == ()
    [settled] = ring.membership().take(Refusal(uid), b"")
    assert (settled.promise, type(settled.error)) == (promise, Refused)
    assert ring.membership().take(Refusal(uid), b"") == ()


def test_an_empty_lease_ends_every_waiting_call(ring: MemoryRing) -> None:
    """A18: no grant at the broker is `NotGranted` at the callers; calls of another handler go on."""
    ring.routing._ports[UI].handlers = frozenset({"vault.add"})
    promises = [ring.call("echo", b"%d" % number) for number in range(3)]
    other = ring.call("add", 1)
    ring.pump(answering=True)
    for promise in promises:
        with pytest.raises(NotGranted):
            promise.get(timeout=0)
    assert (other.get(timeout=0), ring.membership().outstanding) == (2, 0)


@pytest.mark.parametrize("size", [10, 20_000, 300_000])
def test_a_broker_that_leases_a_uid_again_cannot_swap_results(ring: MemoryRing, size: int) -> None:
    """F3, I2: the reply of a call that was only said to be refused is dropped; that of the new call is taken."""
    seized: Passing = []
    uids: list[bytes] = []

    def way(_sender: MemberId, receiver: MemberId, item: Item, body: bytes) -> Passing:
        if isinstance(item, Lease) and receiver == UI:
            uids.append(item.uids[:16])
            return [(Lease(item.handler, item.uids[:16]), body)]
        if receiver == UI and isinstance(item, Routed) and item.kind in (Kind.REPLY, Kind.PART) and len(uids) == 1:
            seized.append((item, body))
            return []
        return [(item, body)]

    ring.on_the_way = way
    first = ring.call("echo", b"a" * size)
    ring.pump(answering=True)
    [refused] = ring.clients[UI].take(Refusal(HandlerUID(uids[0])), b"")
    refused.promise.resolve(refused.value, refused.error)
    uids.append(b"again")
    ring.clients[UI].take(Lease(ECHO, uids[0]), b"")
    second = ring.call("echo", b"b" * size)
    assert [each for item, body in seized for each in ring.clients[UI].take(item, body)] == []
    assert (second.done, set(ring.clients[UI].refused)) == (False, {AuthenticationFailed})
    ring.routing._ledger._leased[HandlerUID(uids[0])] = next(iter(ring.routing._ledger._leased.values()))
    ring.pump(answering=True)
    assert second.get(timeout=0) == b"b" * size
    with pytest.raises(Refused):
        first.get(timeout=0)


def test_a_reply_before_its_call_was_sealed_is_nobodys(ring: MemoryRing) -> None:
    """F8: while a long call waits for its window, nothing can answer it."""
    pending = Pending(Promise(), route_of(ring, "echo"), b"", 0, None)
    uid = HandlerUID(bytes(16))
    ring.membership().pending[uid] = pending
    forged = Routed(Kind.REPLY, ENCLAVE, UI, uid, 2, 0, bytes(16), 144, bytes(16))
    with pytest.raises(AuthenticationFailed):
        ring.membership().take(forged, bytes(144))
    assert pending.sequence == -1


def test_when_the_ring_falls_each_call_is_told_what_is_known_of_it(ring: MemoryRing) -> None:
    """A58: sent: unknown; in this process still: not started; nothing hangs."""
    sent = ring.call("echo", b"a")
    ring.pump()
    unsent = ring.call("echo", b"b")
    membership = ring.membership()
    assert membership.outstanding == 2
    settled = membership.drop()
    told = {each.promise: each.error for each in settled}
    assert [getattr(told[each], "outcome", None) for each in (sent, unsent)] == [Outcome.UNKNOWN, Outcome.NOT_STARTED]
    assert membership.outstanding == 0


def test_a_call_that_waits_for_credit_when_the_ring_falls_was_not_started(ring: MemoryRing) -> None:
    """A58: also without any lease yet."""
    promises = [ring.call("echo", b"%d" % number) for number in range(CREDIT + 1)]
    settled = ring.membership().drop()
    assert {each.promise for each in settled} == set(promises)
    assert {getattr(each.error, "outcome", None) for each in settled} == {Outcome.NOT_STARTED}
    assert all(isinstance(each.error, RingDismantled) for each in settled)


def test_after_the_ring_has_fallen_nothing_seals_or_opens(ring: MemoryRing) -> None:
    """A44, R1: for whoever kept a reference: the session, the ring key, a late reply."""
    ring.call("echo", b"a")
    ring.pump(answering=True)
    held: Passing = []

    def hold(_sender: MemberId, receiver: MemberId, item: Item, body: bytes) -> Passing:
        if receiver != UI:
            return [(item, body)]
        held.append((item, body))
        return []

    ring.on_the_way = hold
    late = ring.call("echo", b"b")
    ring.pump(answering=True)
    membership = ring.membership()
    membership.drop()
    [(item, body)] = held
    assert ring.clients[UI].take(item, body) == ()
    assert (late.done, ring.clients[UI].refused) == (False, [AuthenticationFailed])
    with pytest.raises(UsageError):
        membership.peers[ENCLAVE].session.seal(Kind.CALL, HandlerUID(bytes(16)), Microseconds(0), b"")
    assert membership.ring_key is not None
    with pytest.raises(AuthenticationFailed):
        membership.ring_key.reveal()


@pytest.mark.parametrize(
    "item",
    [Request("vault.echo"), Publish(()), Routed(3, ENCLAVE, UI, bytes(16), 0, 0, b"", 0, bytes(16))],
    ids=lambda item: type(item).__name__,
)
def test_what_a_broker_does_not_say_is_malformed(ring: MemoryRing, item: Item) -> None:
    """A11, I3: requests, manifests, calls to a client."""
    with pytest.raises(Malformed):
        ring.membership().take(item, b"")


def test_credit_for_a_stranger_is_dropped(ring: MemoryRing) -> None:
    """I2: and nothing else happens."""
    with pytest.raises((ProtocolError, KeyError)):
        ring.membership().take(Credit("stranger", 1), b"")
    assert ring.result("echo", b"a") == b"a"


def test_a_uid_that_comes_twice_does_not_make_a_promise_hang(ring: MemoryRing) -> None:
    """I2, A14: a hostile broker leases one UID twice; when the ring falls, both calls are told."""

    def doubled(_sender: MemberId, receiver: MemberId, item: Item, body: bytes) -> Passing:
        if receiver == UI and isinstance(item, Lease):
            return [(Lease(item.handler, item.uids[:16] * 2), body)]
        return [(item, body)]

    ring.on_the_way = doubled
    promises = [ring.call("echo", b"a"), ring.call("echo", b"b")]
    ring.pump()
    settled = ring.membership().drop()
    assert {each.promise for each in settled} | {each.promise for each in ring.settled} == set(promises)


def test_a_uid_that_is_leased_twice_before_it_is_used_serves_one_call(ring: MemoryRing) -> None:
    """I2, A14: the second call waits for a UID of its own, and is told when the ring falls."""
    ring.membership().take(Lease(ECHO, b"u" * 16 + b"u" * 16), b"")
    promises = [ring.call("echo", b"a"), ring.call("echo", b"b")]
    assert list(ring.membership().pending) == [b"u" * 16]
    settled = ring.membership().drop()
    assert {each.promise for each in settled} == set(promises)


def test_a_uid_that_comes_back_in_use_does_not_make_a_promise_hang(ring: MemoryRing) -> None:
    """I2, A14: a hostile broker replaces a used UID with one that is in use."""
    in_use: list[bytes] = []

    def again(_sender: MemberId, receiver: MemberId, item: Item, body: bytes) -> Passing:
        if isinstance(item, Routed) and item.kind == Kind.CALL:
            in_use.append(item.uid)
        if receiver == UI and isinstance(item, Routed) and item.kind == Kind.REPLY:
            return [(msgspec.structs.replace(item, route=in_use[-1]), body)]
        return [(item, body)]

    promises = [ring.call("echo", b"%d" % number) for number in range(2 * CREDIT)]
    ring.on_the_way = again
    ring.pump()
    for _ in range(3):
        ring.answer()
        ring.pump()
    settled = ring.membership().drop()
    assert {each.promise for each in settled} | {each.promise for each in ring.settled} == set(promises)


# Arguments and results.


def route_of(ring: MemoryRing, method: str) -> Route:
    """Return what the client knows of a handler."""
    return ring.membership().routes[HandlerName(f"vault.{method}")]


def test_a_handler_reads_as_python_writes_it(ring: MemoryRing) -> None:
    """A18: for messages and for people."""
    assert {name: each.signature() for name, each in ring.membership().routes.items()} == {
        "vault.add": "(one: int, other: int = 1) -> int",
        "vault.echo": "(data: bytes) -> bytes",
        "vault.note": "(note: Note) -> tuple[Note, ...]",
        "vault.refuse": "() -> None",
        "vault.secret": "(word: str) -> str",
        "vault.small": "(size: int) -> bytes",
    }


@pytest.mark.parametrize(
    ("positional", "named", "expected"),
    [
        ((2, 3), {}, b"\x92\x02\x03"),
        ((2,), {}, b"\x92\x02\x01"),
        ((), {"one": 2}, b"\x92\x02\x01"),
        ((), {"other": 3, "one": 2}, b"\x92\x02\x03"),
        ((2,), {"other": 3}, b"\x92\x02\x03"),
    ],
)
def test_arguments_are_bound_as_python_binds_them(
    ring: MemoryRing, positional: tuple[object, ...], named: dict[str, object], expected: bytes
) -> None:
    """A17: by position, by name, by default; the code of the session in front."""
    found = route_of(ring, "add")
    assert found.content(positional, named) == b"\x01" + found.entry.code + expected


@pytest.mark.parametrize(
    ("positional", "named", "text"),
    [
        ((), {}, "vault.add(one: int, other: int = 1) -> int: missing one"),
        ((1, 2, 3), {}, "vault.add(one: int, other: int = 1) -> int: unexpected arguments"),
        ((1,), {"one": 1}, "vault.add(one: int, other: int = 1) -> int: unexpected one"),
        ((1,), {"third": 1}, "vault.add(one: int, other: int = 1) -> int: unexpected third"),
        (("x",), {}, "vault.add(one: int, other: int = 1) -> int: Expected `int`, got `str` - at `one`"),
        ((1, None), {}, "vault.add(one: int, other: int = 1) -> int: Expected `int`, got `null` - at `other`"),
        ((1.5,), {}, "vault.add(one: int, other: int = 1) -> int: Expected `int`, got `float` - at `one`"),
    ],
)
def test_arguments_that_do_not_fit_are_told_before_anything_is_sent(
    ring: MemoryRing, positional: tuple[object, ...], named: dict[str, object], text: str
) -> None:
    """A11: by the client's own map, with the name of the parameter."""
    with pytest.raises(InvalidArguments) as refusal:
        route_of(ring, "add").content(positional, named)
    assert str(refusal.value) == text
    assert ring.to_broker(UI) == 0


@pytest.mark.parametrize(
    "value",
    [len, Keeper, Keeper(), pytest, Keeper.echo, lambda: b"", object(), {1, 2}, type, iter(()), 2**70, "\ud800"],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("method", ["echo", "add", "secret", "note"])
def test_what_is_no_value_cannot_be_encoded(ring: MemoryRing, method: str, value: object) -> None:
    """A10: callables, classes, modules, objects; in every parameter, typed errors only."""
    with pytest.raises(InvalidArguments):
        route_of(ring, method).content((value,), {})


def test_too_many_bytes_are_told_before_anything_is_sent(ring: MemoryRing) -> None:
    """P3: by the client's own map."""
    with pytest.raises(TooLarge) as refusal:
        route_of(ring, "echo").content((bytes(4 << 20),), {})
    assert str(refusal.value) == f"vault.echo takes at most {4 << 20} bytes of arguments, not {(4 << 20) + 6}"


def test_a_record_type_comes_back_as_the_class_that_the_client_knows(ring: MemoryRing) -> None:
    """A17: by shape and name; one that it does not know is made for it."""
    note = Note("a", 1)
    assert ring.result("note", note) == (note, note)
    other = MemoryRing(Keeper())
    made = other.result("note", ("a", 1))[0]
    assert (type(made) is Note, type(made).__name__, made.text, made.number) == (False, "Note", "a", 1)
    other.close()


def test_a_manifest_promises_no_more_than_any_handler_may() -> None:
    """P3, P5: a hostile host's size would be the room that its client makes for it; its name goes where names go."""
    entry = payloads.HandlerEntry("x", bytes(16), (), Scalar("none"), sensitive=False, idempotent=False, max_bytes=1)
    assert Route(ENCLAVE, structs.replace(entry, max_bytes=LARGEST_MAX_BYTES), {}).entry.name == "x"
    sizes = [structs.replace(entry, max_bytes=each) for each in (0, LARGEST_MAX_BYTES + 1, 1 << 40, 2**63)]
    names = [structs.replace(entry, name=each) for each in ("", "a.b", "x" * 65, "\x1b[31m", "ﬁ")]
    for each in sizes + names:
        with pytest.raises(Malformed):
            Route(ENCLAVE, each, {})


def test_a_manifest_that_makes_no_sense_is_malformed() -> None:
    """P4, P5: an unknown type, an empty union, a default that is no value of its type, a name that is none.

    Nothing but `Malformed` comes of it, since a hostile host's manifest must not end the UI that takes it.
    """

    def entry(parameters: tuple[payloads.Parameter, ...]) -> payloads.HandlerEntry:
        return payloads.HandlerEntry(
            "x", bytes(16), parameters, Scalar("none"), sensitive=False, idempotent=False, max_bytes=1
        )

    wrong = [
        entry((payloads.Parameter("a", Scalar("os.system"), None),)),
        entry((payloads.Parameter("a", OneOf(()), None),)),
        entry((payloads.Parameter("a", Scalar("int"), b"\xa1x"),)),
        entry((payloads.Parameter("a", Scalar("int"), b"\xcc\x01"),)),
    ]
    two = OneOf((SequenceOf(Scalar("int")), SequenceOf(Scalar("str"))))
    wrong.append(payloads.HandlerEntry("x", bytes(16), (), two, sensitive=False, idempotent=False, max_bytes=1))
    wrong += [entry((payloads.Parameter("a", two, default),)) for default in (None, b"\x90")]
    names = ("\x1b]0;x\x07", "", "a b", "__slots__", "\N{LATIN SMALL LIGATURE FI}")
    wrong += [entry((payloads.Parameter(each, Scalar("int"), None),)) for each in names]
    slots = StructOf("A", (Field("__slots__", Scalar("int")),))
    wrong += [
        entry((payloads.Parameter("a", slots, None),)),
        entry((payloads.Parameter("a", Scalar("int"), None),) * 2),
    ]
    for each in wrong:
        with pytest.raises(Malformed):
            Route(ENCLAVE, each, {})


def test_an_item_of_the_broker_is_for_the_broker(ring: MemoryRing) -> None:
    """I2: an envelope with the broker's own name as its sender is nobody's reply."""
    promise = ring.call("echo", b"a")
    ring.pump()
    uid = next(iter(ring.membership().pending))
    forged = Routed(Kind.REPLY, BROKER, UI, uid, 0, 0, bytes(16), 144, bytes(16))
    with pytest.raises(AuthenticationFailed):
        ring.membership().take(forged, bytes(144))
    assert not promise.done


def test_a_long_sensitive_result_arrives_and_one_that_is_too_long_is_not_sent() -> None:
    """P3: a client holds as much as its manifest allows, padded as a sensitive result is, and 4096 bytes."""
    ring = MemoryRing(Keeper(), grants={UI: ("secret",)})
    with contextlib.closing(ring):
        assert ring.membership().peers[ENCLAVE].assembly._limit == padded((1 << 20) + 36) + 4096
        room = (1 << 20) - 5 - len("secret ")  # 5 bytes are the header of a text so long
        for word in ("x" * (room - 100_000), "x" * room):
            assert ring.result("secret", word) == f"secret {word}"
        with pytest.raises(TooLarge):
            ring.result("secret", "x" * (room + 1))


def test_a_part_of_nobodys_reply_is_refused(ring: MemoryRing) -> None:
    """F8: parts count under the UID of a call in flight only."""
    session = ring.enclave.serving._clients[UI].session
    part = session.seal(Kind.PART, HandlerUID(bytes(16)), Microseconds(0), b"piece")
    with pytest.raises(AuthenticationFailed):
        ring.membership().take(route(part, b""), part.body)
