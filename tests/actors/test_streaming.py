"""Streams: the cores of client, broker and server over links in this process; the test decides the order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from tests.actors import well
from tests.actors.memory_ring import EXTENSION, UI, MemoryRing
from tests.actors.well import Source, outcome, source
from trollbridge.actors.calling.intake import ENOUGH
from trollbridge.actors.handlers import exported, handler
from trollbridge.actors.serving import advancing
from trollbridge.actors.serving.streaming import Progress
from trollbridge.messages.errors import (
    AuthenticationFailed,
    Cancelled,
    DeadlineExceeded,
    DeclarationError,
    DeclaredError,
    HandlerFailed,
    Overloaded,
    RingDismantled,
    TooLarge,
)
from trollbridge.messages.limits import FIRST_CREDIT
from trollbridge.messages.parts import WINDOW
from trollbridge.messages.ring_key import Sealed, asked

if TYPE_CHECKING:
    from trollbridge.messages.ids import MemberId
    from trollbridge.messages.record import Item


@pytest.fixture
def ring() -> Iterator[MemoryRing]:
    """Return a sealed ring of a source and its console."""
    made = MemoryRing(Source())
    yield made
    made.close()


class Clock:
    """Stands for the module `time` at a server: it goes on when the test says so."""

    def __init__(self) -> None:
        """Start somewhere."""
        self.seconds = 1000.0

    def monotonic(self) -> float:
        """Return the time."""
        return self.seconds


@pytest.fixture
def clock(ring: MemoryRing, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the clock of the server of `ring`, of its streams and of its handlers."""
    made = Clock()
    for module in (advancing, well):
        monkeypatch.setattr(module, "time", made)
    monkeypatch.setattr(ring.enclave, "now", lambda: int(made.seconds * 1e6))
    return made


# What may be declared.


def test_a_handler_that_yields_exports_what() -> None:
    """A17: items, the result, and neither progress nor pauses."""
    found = exported(Source)
    int_, str_, none = (each.result for each in (found["publish"], found["count"], found["news"]))
    assert (found["count"].item, found["count"].result) == (int_, str_)
    assert (found["news"].item, found["news"].result) == (str_, none)
    assert (found["work"].item, found["work"].result) == (none, int_)
    assert found["publish"].item is None
    assert found["count"].entry(bytes(16)).item == int_


def test_what_is_no_stream_is_refused_at_its_declaration() -> None:
    """A17, A26: a generator that hides it, a stream of nothing named, one that is to be repeated, one of objects."""

    class Hidden:
        @handler
        def go(self) -> int:  # type: ignore[misc]  # what is refused
            yield 1  # pyright: ignore[reportReturnType]  # as above

    class Bare:
        @handler  # pyright: ignore[reportUnknownArgumentType]  # as below
        def go(self) -> Iterator:  # type: ignore[type-arg]  # what is refused
            yield 1

    class Again:
        @handler(idempotent=True)
        def go(self) -> Iterator[int]:
            yield 1

    class Anything:
        @handler
        def go(self) -> Iterator[object]:
            yield 1

    for each, why in ((Hidden, "it yields"), (Bare, "of what"), (Again, "idempotent"), (Anything, "cannot be sent")):
        with pytest.raises(DeclarationError, match=why):
            exported(each)


# There and back.


def test_items_come_in_their_order_and_then_the_result(ring: MemoryRing) -> None:
    """A14: whatever the number: none, as many as the credit, one more, many times that."""
    for items in (0, 1, FIRST_CREDIT - 1, FIRST_CREDIT, FIRST_CREDIT + 1, 10 * FIRST_CREDIT):
        pending = ring.stream("count", items)
        assert ring.taken(pending) == list(range(items))
        assert outcome(pending) == f"up to {items}"
    assert not ring.notices
    assert not ring.enclave.streams


def test_what_nobody_takes_is_not_given(ring: MemoryRing) -> None:
    """P3: the server stops at the credit, and goes on by as many as were taken."""
    pending = ring.stream("count", 1000)
    ring.pump(answering=True)
    assert source(ring).gave == FIRST_CREDIT
    assert pending.intake is not None
    assert len(pending.intake.items) == FIRST_CREDIT
    for _ in range(ENOUGH):
        pending.intake.items.popleft()
        ring.membership().taken(pending)
    ring.pump(answering=True)
    assert source(ring).gave == FIRST_CREDIT + ENOUGH
    assert not pending.promise.done


def test_long_items_travel_in_parts_and_keep_their_place(ring: MemoryRing) -> None:
    """A9: short ones after long ones do not overtake, nor does the reply; beyond the window of parts too."""
    sizes = (1 << 19, 0, 10, 200_000, 1 << 19, 3, 1 << 19, 130_537, 1)
    pending = ring.stream("blocks", sizes)
    assert [(len(each), each[:1]) for each in ring.taken(pending)] == [
        (size, bytes([size % 251])[: bool(size)]) for size in sizes
    ]
    assert outcome(pending) is None
    assert not ring.notices


def test_long_items_wait_for_their_turn_to_leave(ring: MemoryRing) -> None:
    """P3: while nobody carries them away, the server makes no more than fill the window, and one that waits."""
    pending = ring.stream("blocks", (1 << 19,) * FIRST_CREDIT)
    ring.pump()
    ring.answer()
    for _ in range(FIRST_CREDIT):
        ring.enclave.streams.turn()
    assert source(ring).gave == WINDOW // 4 + 1, "each of them has four long bodies"
    assert len(ring.taken(pending)) == FIRST_CREDIT


def test_calls_are_served_while_a_stream_runs(ring: MemoryRing) -> None:
    """A14: a long reply and a short one come in between."""
    pending = ring.stream("count", 200)
    assert ring.result("publish", "to nobody") == 0
    assert len(ring.taken(pending)) == 200


def test_progress_is_no_item_and_keeps_within_the_credit(ring: MemoryRing) -> None:
    """P3: only what is news is sent, and it needs nobody to take it; the last report always comes."""
    pending = ring.stream("work", 500)
    assert ring.taken(pending) == []
    assert outcome(pending) == 500
    assert pending.intake is not None
    assert pending.intake.progress == Progress(500, 500, "rubbing")


def test_sensitive_items_are_for_the_core_only() -> None:
    """A9, A42: an extension gets `Sealed` items and result, not even a note; the core opens each, by its name."""
    methods = ("secrets",)
    ring = MemoryRing(Source(), grants={UI: methods, EXTENSION: methods})
    seen: list[bytes] = []

    def look(_from: MemberId, _to: MemberId, item: Item, body: bytes) -> list[tuple[Item, bytes]]:
        seen.append(body)
        return [(item, body)]

    ring.on_the_way = look
    pending = ring.stream("secrets", member=EXTENSION)
    items = ring.taken(pending, EXTENSION)
    last: Any = pending.promise.get(timeout=0)
    assert [type(each) for each in (*items, last)] == [Sealed] * 3
    assert pending.intake is not None
    assert pending.intake.progress == Progress(1, 2, "")
    core, what = ring.membership(), pending.asked()
    for opened in ([core.open(each, what) for each in (*items, last)], [core.open(each) for each in (*items, last)]):
        assert opened == ["canary-one", "canary-two", "canary-last"]
    assert [each.handler for each in items] == ["vault.secrets[1]", "vault.secrets[2]"]  # [0] was the progress
    renumbered = msgspec.structs.replace(items[0], handler=items[1].handler)
    for sealed, wrong in ((renumbered, what), (items[0], asked(b"\x91\x01")), (last, asked(b"\x91\x01"))):
        with pytest.raises(AuthenticationFailed):
            core.open(sealed, wrong)
    own = ring.stream("secrets")
    assert ring.taken(own) == ["canary-one", "canary-two"]
    assert not any(b"canary" in each for each in seen)
    ring.close()


# Ends.


@pytest.mark.parametrize(
    ("how", "ends", "notices"),
    [
        ("declared", DeclaredError, []),
        ("raises", HandlerFailed, ["ValueError"]),
        ("item", HandlerFailed, ["WrongType"]),
        ("progress", HandlerFailed, ["Malformed"]),
        ("long", HandlerFailed, ["WrongType"]),
        ("result", HandlerFailed, ["WrongType"]),
        ("", 2, []),
    ],
)
def test_a_stream_ends_as_its_handler_does(ring: MemoryRing, how: str, ends: object, notices: list[str]) -> None:
    """A14: what it declares, its caller reads; whatever else, an incident; and what came before it counts."""
    pending = ring.stream("wrong", how)
    assert ring.taken(pending) == [1]
    assert outcome(pending) == ends
    assert [why for _, _, why in ring.enclave.notices] == notices


def test_an_item_beyond_the_limit_ends_the_stream(ring: MemoryRing) -> None:
    """P3: as a result does."""
    pending = ring.stream("blocks", (5, 1 << 20))
    assert len(ring.taken(pending)) == 1
    assert outcome(pending) is TooLarge


def test_a_stream_that_is_let_go_of_is_closed(ring: MemoryRing) -> None:
    """A14: `finally` runs, nothing more comes, the UID is replaced, and the next one goes as ever."""
    pending = ring.stream("count", 1000)
    ring.pump(answering=True)
    assert pending.promise.cancel()
    assert ring.membership().forget(pending.promise)
    assert ring.taken(pending) == []
    assert source(ring).closed == ["count"]
    assert outcome(pending) is Cancelled
    assert not ring.membership().pending
    assert not ring.enclave.streams
    assert ring.taken(ring.stream("count", 3)) == [0, 1, 2]
    assert not ring.notices


def test_a_stream_is_let_go_of_before_it_starts(ring: MemoryRing) -> None:
    """A14: before the UID, before the call runs, and while the reply is on its way."""
    first = ring.stream("count", 5)
    assert first.promise.cancel()
    assert not ring.membership().forget(first.promise)
    ring.pump(answering=True)
    assert source(ring).gave == 0
    second = ring.stream("count", 5)
    ring.pump()
    assert second.promise.cancel()
    assert ring.membership().forget(second.promise)
    ring.pump()
    ring.pump(answering=True)
    assert source(ring).gave == 0
    third = ring.stream("count", 0)
    ring.pump()
    ring.answer()
    ring.enclave.streams.turn()
    assert third.promise.cancel()
    assert ring.membership().forget(third.promise)
    ring.pump(answering=True)
    assert not ring.membership().pending
    assert not ring.notices
    assert not ring.enclave.notices


def test_a_deadline_ends_a_stream(ring: MemoryRing, clock: Clock) -> None:
    """A14: on the server's side too, while it waits for its client."""
    pending = ring.stream("count", 1000, deadline=1_002_000_000)
    ring.pump(answering=True)
    assert ring.enclave.streams.left() == 2.0
    clock.seconds = 1001.5
    ring.enclave.streams.turn()
    ring.pump(answering=True)
    assert (ring.enclave.streams.left(), source(ring).closed, pending.promise.done) == (0.5, [], False)
    clock.seconds = 1002.0
    assert ring.enclave.streams.left() == 0.0
    ring.enclave.streams.turn()
    ring.pump(answering=True)
    assert outcome(pending) is DeadlineExceeded
    assert source(ring).closed == ["count"]


def test_a_ring_that_falls_ends_every_stream(ring: MemoryRing) -> None:
    """A14: on both sides."""
    pending = ring.stream("count", 1000)
    ring.pump(answering=True)
    settled = ring.membership().drop()
    for each in settled:
        each.promise.resolve(each.value, each.error)
    assert outcome(pending) is RingDismantled
    ring.enclave.serving.drop()
    ring.enclave.streams.close()
    assert source(ring).closed == ["count"]


def test_a_client_that_leaves_takes_its_streams_with_it() -> None:
    """P3: the broker tells the server; nobody else's stream notices."""
    ring = MemoryRing(Source(), grants={UI: ("count",), EXTENSION: ("count",)})
    ring.stream("count", 1000, member=EXTENSION)
    own = ring.stream("count", 100)
    ring.pump(answering=True)
    ring.remove(EXTENSION, "the test says so")
    ring.pump(answering=True)
    assert source(ring).closed == ["count"]
    assert ring.taken(own) == list(range(100))
    assert not ring.enclave.streams
    assert not ring.enclave.notices
    ring.close()


# Waiting.


def test_a_subscriber_gets_what_is_published_from_then_on(ring: MemoryRing) -> None:
    """Server push, to each of two subscribers, until it lets go."""
    assert ring.result("publish", "too early") == 0
    one, two = ring.stream("news"), ring.stream("news")
    assert ring.taken(one) == []
    assert ring.result("publish", "first") == 2
    assert (ring.taken(one), ring.taken(two)) == (["first"], ["first"])
    one.promise.cancel()
    ring.membership().forget(one.promise)
    ring.pump(answering=True)
    assert ring.result("publish", "second") == 1
    assert ring.taken(two) == ["second"]


def test_a_subscriber_that_falls_behind_is_told(ring: MemoryRing) -> None:
    """P3: what is kept for it is bounded; nothing is lost silently."""
    slow = ring.stream("news")
    ring.pump(answering=True)
    for number in range(FIRST_CREDIT + 3):
        ring.result("publish", str(number))
    assert slow.intake is not None
    assert len(slow.intake.items) == FIRST_CREDIT
    assert ring.result("publish", "one too many") == 1
    assert ring.taken(slow) == [str(each) for each in range(FIRST_CREDIT + 3)]
    assert outcome(slow) is Overloaded
    assert ring.result("publish", "to nobody") == 0


def test_a_stream_waits_for_a_descriptor_or_a_time(ring: MemoryRing, clock: Clock) -> None:
    """A pause ends by whichever comes first; what cannot be waited for is not."""
    streams = ring.enclave.streams
    both = ring.stream("waits", 5, 1000.0)
    ring.pump(answering=True)
    assert ring.enclave.watched == [5]
    assert streams.left() == 1000.0
    again = ring.stream("waits", 5, 0.0)
    ring.pump(answering=True)
    assert ring.enclave.watched == [5]
    streams.readable(5)
    assert (ring.taken(both), ring.taken(again)) == ([1], [1])
    assert ring.enclave.watched == []
    assert ring.taken(ring.stream("waits", -1, 0.0)) == [1]
    late = ring.stream("waits", -2, 0.5)
    assert (ring.taken(late), streams.left()) == ([], 0.5)
    clock.seconds += 0.5
    streams.turn()
    assert ring.taken(late) == [1]


def test_a_pause_without_a_reason_ends_once_other_code_has_run(ring: MemoryRing) -> None:
    """As the name says: a call, here."""
    pending = ring.stream("waits", -2, 0.0)
    ring.pump(answering=True)
    assert ring.taken(pending) == []
    ring.enclave.streams.others_ran()
    assert ring.taken(pending) == [1]


def test_streams_take_turns(ring: MemoryRing) -> None:
    """P3: one that gives much does not keep another from its turn."""
    one, two = ring.stream("count", 20), ring.stream("count", 20)
    ring.pump()
    for _ in range(2):
        ring.answer()
    for _ in range(2):
        ring.enclave.streams.turn()
    ring.pump()
    assert one.intake is not None
    assert two.intake is not None
    assert one.intake.items
    assert two.intake.items
