"""A promise resolves exactly once, whatever the broker does and whenever the ring falls: a machine against the cores.

Client, broker and enclave are the true ones, without processes. The machine moves each item by hand, in any order, and
a hostile broker drops, doubles, exchanges and rewrites what passes.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.actors.keeper import Keeper
from tests.actors.memory_ring import ENCLAVE, UI, MemoryRing
from trollbridge.actors.calling.promise import Promise
from trollbridge.messages.errors import CallError, Cancelled, Outcome, Refused, RingDismantled
from trollbridge.messages.ids import BROKER, MemberId
from trollbridge.messages.record import Item, Lease, Refusal, Routed

Passing = list[tuple[Item, bytes]]
TRICKS: Final = ("drop", "double", "body", "uid", "route", "sender", "sequence", "refuse", "one uid")
EXPECTED: Final = (RingDismantled, Cancelled, Refused)


class Counted(Promise[Any]):
    """A promise that counts how often somebody has resolved it, and how often that was told."""

    def __init__(self, argument: bytes) -> None:
        """Take what its call was given."""
        super().__init__()
        self.argument: Final = argument
        self.times = 0
        self.told = 0
        self.when_done(self._count)

    def _count(self) -> None:
        self.told += 1

    def resolve(self, value: Any = None, error: BaseException | None = None) -> bool:  # noqa: ANN401  # as it is
        """Resolve it if nobody has."""
        won = super().resolve(value, error)
        self.times += won
        return won


class Broker:
    """What a hostile broker does to the next items that pass."""

    def __init__(self) -> None:
        """Be honest until told."""
        self.tricks: list[str] = []
        self.others: list[bytes] = [bytes(16)]

    def __call__(self, sender: MemberId, receiver: MemberId, item: Item, body: bytes) -> Passing:
        """Let an item pass, or play the next trick on it."""
        if BROKER not in (sender, receiver) or not self.tricks:
            return [(item, body)]
        if isinstance(item, Lease) and self.tricks[-1] == "one uid":
            self.tricks.pop()
            return [(Lease(item.handler, item.uids[:16] * 3), body)]
        if not isinstance(item, Routed):
            return [(item, body)]
        passing = self._played(self.tricks.pop(), item, body)
        self.others.append(item.uid)
        return passing

    def _played(self, trick: str, item: Routed, body: bytes) -> Passing:
        other, change = self.others[-1], msgspec.structs.replace
        played: dict[str, Passing] = {
            "drop": [],
            "double": [(item, body), (item, body)],
            "body": [(item, body[:-1] + bytes((body[-1] ^ 1,)))],
            "uid": [(change(item, uid=other), body)],
            "route": [(change(item, route=other), body)],
            "sender": [(change(item, sender=item.receiver, receiver=item.sender), body)],
            "sequence": [(change(item, sequence=item.sequence + 1), body)],
            "refuse": [(Refusal(item.uid), b""), (item, body)],
        }
        return played.get(trick, [(item, body)])


def ending(promise: Counted) -> object:
    """Return the value that a promise has, or the error."""
    try:
        return promise.get(timeout=0)
    except CallError as error:
        return error


class Promises(RuleBasedStateMachine):
    """Calls, in any order of everything."""

    def __init__(self) -> None:
        """Start with no promise made."""
        super().__init__()
        self.made: list[Counted] = []
        self.epoch = 0
        self.number = 0
        self.ring: MemoryRing | None = None

    @initialize()
    def first_ring(self) -> None:
        """Form the first ring."""
        self._form()

    def _form(self) -> None:
        self.epoch += 1
        self.ring = MemoryRing(Keeper(), epoch=self.epoch)
        self.broker = self.ring.on_the_way = Broker()

    def _ring(self) -> MemoryRing:
        assert self.ring is not None
        return self.ring

    @rule(count=st.integers(1, 5), long=st.integers(0, 9))
    def call(self, count: int, long: int) -> None:
        """Call the echo a few times, now and then with something long."""
        for _ in range(count):
            self.number += 1
            argument = b"%d" % self.number * (30_000 if long == 0 else 1)
            promise = Counted(argument)
            self.made.append(promise)
            self._ring().call("echo", argument, promise=promise)

    @rule(member=st.sampled_from([UI, ENCLAVE]))
    def carry_to_the_broker(self, member: MemberId) -> None:
        """Move what a member has ready."""
        if member not in {each for each, _ in self._ring().removed}:
            self._ring().to_broker(member)

    @rule(member=st.sampled_from([UI, ENCLAVE]))
    def carry_to_a_member(self, member: MemberId) -> None:
        """Move what the broker has ready."""
        if member not in {each for each, _ in self._ring().removed}:
            self._ring().to_member(member)

    @rule(count=st.integers(1, 6))
    def answer(self, count: int) -> None:
        """Let the enclave run some calls."""
        for _ in range(min(count, len(self._ring().enclave.waiting))):
            self._ring().answer()

    @rule()
    def run_on(self) -> None:
        """Let everything happen that can."""
        self._ring().pump(answering=True)

    @rule(trick=st.lists(st.sampled_from(TRICKS), min_size=1, max_size=3))
    def be_hostile(self, trick: list[str]) -> None:
        """Let the broker play tricks on what passes next."""
        self.broker.tricks += trick

    @rule(which=st.integers(0, 1_000))
    def cancel(self, which: int) -> None:
        """Give a call up; as the client does, forget it if it was not sent."""
        if self.made:
            promise = self.made[which % len(self.made)]
            if promise.cancel():
                self._ring().membership().forget(promise)

    @rule()
    def fall(self) -> None:
        """Dismantle the ring and form the next."""
        self._drop()
        self._form()

    def _drop(self) -> None:
        ring = self._ring()
        settled = ring.membership().drop()
        told = [each.promise for each in settled]
        assert len(set(told)) == len(told)
        for each in settled:
            each.promise.resolve(each.value, each.error)
        for promise in self.made:
            assert promise.done, "a call was forgotten when its ring fell"
        ring.close()

    @invariant()
    def each_at_most_once(self) -> None:
        """A14: and what is resolved is resolved with what belongs to it."""
        for promise in self.made:
            assert promise.times == promise.told == (1 if promise.done else 0)
        settled = [] if self.ring is None else [each.promise for each in self.ring.settled]
        assert len(set(settled)) == len(settled), "a call was settled twice"

    def teardown(self) -> None:
        """Let the ring fall; now every promise is resolved, each with its own value or an error that is foreseen."""
        if self.ring is None:
            return
        self._drop()
        for promise in self.made:
            assert promise.times == 1
            found = ending(promise)
            assert found == promise.argument or isinstance(found, EXPECTED)
            assert not isinstance(found, RingDismantled) or found.outcome in (Outcome.NOT_STARTED, Outcome.UNKNOWN)


PromisesTest = Promises.TestCase
PromisesTest.__doc__ = "A14, A58, F8, I2: a promise resolves exactly once."
PromisesTest.settings = settings(stateful_step_count=40)
