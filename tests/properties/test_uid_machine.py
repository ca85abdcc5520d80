"""A UID is honoured at most once, under any interleaving, crash and epoch change: a machine against the broker's core.

The machine plays every member, honest or not, and keeps its own account of which UID is worth what. The core must agree
with it at every step.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from tests.actors.switchboard import NOTARY, PLUGIN, UI, VAULT, Switchboard, routed
from trollbridge.actors.broker.routing import MOST_STRIKES, Port
from trollbridge.actors.broker.uids import CREDIT, CREDIT_OF_EXTENSIONS
from trollbridge.messages.envelope import Kind
from trollbridge.messages.ids import HandlerUID, MemberId, Role
from trollbridge.messages.record import Item, Lease, Refusal, Request, Routed

CALLERS: Final = (UI, PLUGIN)
ENCLAVES: Final = (VAULT, NOTARY)
HANDLERS: Final = ("vault.sign", "vault.list", "notary.sign", "notary.list")
GRANTED: Final = {UI: {"vault.sign", "vault.list", "notary.sign"}, PLUGIN: {"vault.list"}}


Results: TypeAlias = MultipleResults[HandlerUID] | HandlerUID


def nothing() -> Results:
    """Return no UID from a rule."""
    return multiple(*list[HandlerUID]())


class Worth(msgspec.Struct, frozen=True):
    """What a UID is good for: this member's call of this handler, in this epoch."""

    member: MemberId
    handler: str
    epoch: int

    @property
    def enclave(self) -> MemberId:
        """The enclave that the handler belongs to."""
        return MemberId(self.handler.partition(".")[0])


WHICH: Final = st.integers(0, 1_000)


class Uids(RuleBasedStateMachine):
    """Everything that members may do with UIDs, in any order, over several epochs."""

    uids: Bundle[HandlerUID] = Bundle("uids")

    def __init__(self) -> None:
        """Start with nothing honoured."""
        super().__init__()
        self.epoch = 0
        self.honoured: dict[HandlerUID, int] = {}
        self.addresses: set[bytes] = set()
        self.ever: set[HandlerUID] = set()

    @initialize()
    def first_epoch(self) -> None:
        """Form the first ring."""
        self._form()

    def _form(self) -> None:
        self.epoch += 1
        self.board = Switchboard()
        self.leased: dict[HandlerUID, Worth] = {}
        self.called: dict[HandlerUID, Worth] = {}
        self.strikes = dict.fromkeys((*CALLERS, *ENCLAVES), 0)
        self.gone: set[MemberId] = set()

    def _strike(self, member: MemberId) -> None:
        self.strikes[member] += 1
        if self.strikes[member] > MOST_STRIKES:
            self._void(member)

    def _void(self, member: MemberId) -> None:
        self.gone.add(member)
        for table in (self.leased, self.called):
            for uid in [uid for uid, worth in table.items() if worth.member == member]:
                del table[uid]

    def _issued(self, uids: list[HandlerUID], worth: Worth) -> None:
        assert not self.ever & set(uids)
        self.ever |= set(uids)
        self.leased.update(dict.fromkeys(uids, worth))

    @rule(target=uids, member=st.sampled_from(CALLERS), handler=st.sampled_from(HANDLERS))
    def ask(self, member: MemberId, handler: str) -> Results:
        """Ask for a lease, granted or not, full or not."""
        if member in self.gone:
            return nothing()
        held = [*self.leased.values(), *self.called.values()].count(Worth(member, handler, self.epoch))
        granted = handler in GRANTED[member]
        most = CREDIT if member == UI else CREDIT_OF_EXTENSIONS
        expected = most - held if granted else 0
        answer = self.board.take(member, Request(handler))
        if expected == 0:
            self._strike(member)
        if member in self.gone:
            return nothing()
        uids = _leased(answer)
        assert len(uids) == expected
        self._issued(uids, Worth(member, handler, self.epoch))
        return multiple(*uids[:6])

    @rule(target=uids, which=WHICH)
    def call_well(self, which: int) -> Results:
        """Call as an honest caller does."""
        if not self.leased:
            return nothing()
        uid, worth = list(self.leased.items())[which % len(self.leased)]
        self.call(uid, worth.member, worth.enclave)
        return uid

    @rule(target=uids, which=WHICH, again=st.booleans())
    def reply_well(self, which: int, *, again: bool) -> Results:
        """Reply as an honest enclave does; or then reply once more."""
        if not self.called:
            return nothing()
        uid, worth = list(self.called.items())[which % len(self.called)]
        fresh = self.reply(uid, worth.enclave, worth.member)
        if again:
            assert self.board.reply(worth.enclave, worth.member, uid) is None
        return fresh

    @rule(uid=uids, member=st.sampled_from(CALLERS), enclave=st.sampled_from(ENCLAVES))
    def call(self, uid: HandlerUID, member: MemberId, enclave: MemberId) -> None:
        """Call with any UID that anybody ever had, of this epoch or another."""
        if member in self.gone:
            return
        worth = self.leased.get(uid)
        answer = self.board.take(member, routed(Kind.CALL, member, enclave, uid))
        if worth is None or worth.member != member or worth.enclave != enclave:
            self._strike(member)
            assert [item for to, item, _ in answer if to == member] == [Refusal(uid)]
            assert not [item for to, item, _ in answer if to != member]
        else:
            [(to, item, _)] = answer
            assert isinstance(item, Routed)
            assert (to, item.uid) == (enclave, uid)
            self._honour(uid, worth, item.route)

    def _honour(self, uid: HandlerUID, worth: Worth, address: bytes) -> None:
        assert self.board.directories[worth.enclave].take(address) == worth.handler.partition(".")[2]
        assert address not in self.addresses
        self.addresses.add(address)
        self.honoured[uid] = self.honoured.get(uid, 0) + 1
        self.called[uid] = self.leased.pop(uid)

    @rule(target=uids, uid=uids, enclave=st.sampled_from(ENCLAVES), member=st.sampled_from(CALLERS))
    def reply(self, uid: HandlerUID, enclave: MemberId, member: MemberId) -> Results:
        """Reply to any UID that anybody ever had, from any enclave to any caller."""
        worth = self.called.get(uid)
        owed = worth is not None and worth.enclave == enclave and worth.member == member
        fresh = self.board.reply(enclave, member, uid)
        if worth is None or not owed:
            assert fresh is None
            return nothing()
        assert fresh is not None
        del self.called[uid]
        self._issued([fresh], worth)
        return fresh

    @rule(uid=uids, enclave=st.sampled_from(ENCLAVES))
    def refuse(self, uid: HandlerUID, enclave: MemberId) -> None:
        """Have an enclave refuse any UID that anybody ever had."""
        if enclave in self.gone:
            return
        worth = self.called.get(uid) or self.leased.get(uid)  # of a call, or of parts before it
        answer = self.board.take(enclave, Refusal(uid))
        if worth is None or worth.enclave != enclave:
            assert answer == []
        else:
            self.called.pop(uid, None)
            self.leased.pop(uid, None)
            assert answer[-1] == (worth.member, Refusal(uid), b"")
            self._strike(worth.member)

    @rule(member=st.sampled_from(CALLERS))
    def crash(self, member: MemberId) -> None:
        """Let a caller's process die and another of that name come: the UIDs of the first are nobody's."""
        if member not in self.gone:
            self.board.routing.close(member)
        self._void(member)
        role = Role.UI if member == UI else Role.EXTENSION
        self.board.routing.open(Port(member, role, frozenset(GRANTED[member]), frozenset(ENCLAVES)))
        self.board.removed = [each for each in self.board.removed if each[0] != member]
        self.gone.discard(member)
        self.strikes[member] = 0

    @rule(guess=st.binary(min_size=16, max_size=16), member=st.sampled_from(CALLERS))
    def guess(self, guess: bytes, member: MemberId) -> None:
        """Guess a UID."""
        if member in self.gone or guess in self.ever:
            return
        answer = self.board.take(member, routed(Kind.CALL, member, VAULT, guess))
        assert answer[-1] == (member, Refusal(guess), b"")
        self._strike(member)

    @rule(kept=consumes(uids))
    def next_epoch(self, kept: HandlerUID) -> None:
        """Dismantle the ring and form the next; whoever kept UIDs keeps them."""
        self._form()
        assert self.board.call(UI, VAULT, kept) == "refused"
        self._strike(UI)

    @invariant()
    def at_most_once(self) -> None:
        """A27: no UID has ever been honoured twice."""
        assert all(times == 1 for times in self.honoured.values())

    @invariant()
    def removed_as_foreseen(self) -> None:
        """F7: a member is cut for its own strikes, never for another's."""
        if self.epoch:
            assert {member for member, _ in self.board.removed} <= self.gone


def _leased(answer: list[tuple[MemberId, Item, bytes]]) -> list[HandlerUID]:
    [(_, lease, _)] = answer
    assert isinstance(lease, Lease)
    return [HandlerUID(lease.uids[start : start + 16]) for start in range(0, len(lease.uids), 16)]


UidsTest = Uids.TestCase
UidsTest.__doc__ = "A27, F1, F2, F6, F7: a UID is honoured at most once."
UidsTest.settings = settings(max_examples=settings().max_examples * 2, stateful_step_count=50)
