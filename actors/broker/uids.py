"""UIDs: the broker's single-use capabilities, each to call one handler once. The pure core: no process, no socket.

May import: our messages. Invariants: a UID is live in at most one of `leased` and `called`; it leaves `leased` for
good when it is claimed; it is worth something only to the member that it was leased to. What was issued in one epoch
is unknown in the next, since each epoch has a broker of its own.
"""

from __future__ import annotations

import enum
import os
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.messages.errors import ProtocolError
from trollbridge.messages.ids import UID_SIZE, HandlerName, HandlerUID, MemberId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CREDIT: Final = 256
"""UIDs that one member may hold for one handler, leased or called: the most calls that it can have in flight."""
CREDIT_OF_EXTENSIONS: Final = 32
"""The same of an extension: what it has in flight stands in the way of others who call the same server."""
_BLOCK: Final = 256


class Denial(enum.StrEnum):
    """Why a UID was not honoured: for the log only. The member is told the same for all of them."""

    NOT_LIVE = "never issued, used or void"
    OTHER_MEMBER = "leased to another member"
    OTHER_RECEIVER = "leased for a handler of another enclave"


class UidRefused(ProtocolError):
    """The UID is not honoured."""

    def __init__(self, denial: Denial) -> None:
        """Take the cause."""
        super().__init__(denial.value)
        self.denial = denial


class Lease(msgspec.Struct, frozen=True, gc=False):
    """Whom a UID belongs to, which handler it is good for, and in which process: a replica is as good as any."""

    member: MemberId
    enclave: MemberId
    handler: HandlerName

    @property
    def credit(self) -> tuple[MemberId, HandlerName]:
        """What the UID counts against, whichever replica it is for."""
        return self.member, self.handler


class UidLedger:
    """Every live UID of one epoch."""

    __slots__ = ("_block", "_busy", "_called", "_held", "_leased", "_offset", "_random")

    def __init__(self, random: Callable[[int], bytes] = os.urandom) -> None:
        """Take the source of randomness: the kernel's."""
        self._random = random
        self._block: bytes = b""
        self._offset = 0
        self._leased: dict[HandlerUID, Lease] = {}
        self._called: dict[HandlerUID, Lease] = {}
        self._held: dict[tuple[MemberId, HandlerName], int] = {}
        self._busy: dict[MemberId, int] = {}
        """Calls in flight, by the member that they were sent to."""

    def _fresh(self) -> HandlerUID:
        if self._offset == len(self._block):
            self._block, self._offset = self._random(_BLOCK * UID_SIZE), 0
        start, self._offset = self._offset, self._offset + UID_SIZE
        return HandlerUID(self._block[start : self._offset])

    def issue(self, lease: Lease) -> list[HandlerUID]:
        """Fill the member's credit for the handler up; return the new UIDs, none if it is full."""
        return self.share(lease)[0]

    def share(self, *leases: Lease, most: int = CREDIT) -> list[list[HandlerUID]]:
        """As `issue`, in equal shares for each of these leases, which differ in the replica only; `most` in all."""
        credit = leases[0].credit
        held = self._held.get(credit, 0)
        fresh: list[list[HandlerUID]] = [[] for _ in leases]
        for number in range(most - held):
            fresh[number % len(leases)].append(self._fresh())
        for lease, uids in zip(leases, fresh, strict=True):
            self._leased.update((uid, lease) for uid in uids)
        self._held[credit] = max(held, most)
        return fresh

    def check(self, uid: HandlerUID, member: MemberId, receiver: MemberId) -> Lease:
        """Return the lease of a live UID; raises `UidRefused` if it is not this member's for that enclave."""
        lease = self._leased.get(uid)
        if lease is None:
            raise UidRefused(Denial.NOT_LIVE)
        if lease.member != member:
            raise UidRefused(Denial.OTHER_MEMBER)
        if lease.enclave != receiver:
            raise UidRefused(Denial.OTHER_RECEIVER)
        return lease

    def claim(self, uid: HandlerUID, member: MemberId, receiver: MemberId) -> Lease:
        """Use the UID up and return its lease; the call is in flight from now on. Raises `UidRefused`."""
        lease = self._leased.get(uid)
        if lease is None or lease.member != member or lease.enclave != receiver:
            lease = self.check(uid, member, receiver)  # says which it is
        del self._leased[uid]
        self._called[uid] = lease
        self._busy[receiver] = self._busy.get(receiver, 0) + 1
        return lease

    def answered(self, uid: HandlerUID, enclave: MemberId, receiver: MemberId) -> HandlerUID:
        """End the call that `uid` started, and return the UID that replaces it.

        Raises `UidRefused` unless this enclave owes this member that reply: a second reply finds nothing.
        """
        return self._replace(self._end(uid, enclave, receiver))

    def replaced(
        self, uid: HandlerUID, enclave: MemberId, receiver: MemberId, replicas: Sequence[MemberId]
    ) -> tuple[HandlerUID, MemberId]:
        """As `answered`; but the new UID is for the least loaded of `replicas`, which is returned with it.

        Of equally loaded ones it is for the one that has just answered.
        """
        lease = self._end(uid, enclave, receiver)
        least = min(replicas, key=lambda each: (self.load(each), each != enclave))
        return self._replace(Lease(lease.member, least, lease.handler)), least

    def _end(self, uid: HandlerUID, enclave: MemberId, receiver: MemberId) -> Lease:
        lease = self._called.get(uid)
        if lease is None:
            raise UidRefused(Denial.NOT_LIVE)
        if lease.enclave != enclave or lease.member != receiver:
            raise UidRefused(Denial.OTHER_MEMBER)
        del self._called[uid]
        self._ended(lease)
        return lease

    def _replace(self, lease: Lease) -> HandlerUID:
        fresh = self._fresh()
        self._leased[fresh] = lease
        return fresh

    def _ended(self, lease: Lease) -> None:
        self._busy[lease.enclave] = self._busy.get(lease.enclave, 0) - 1

    def load(self, enclave: MemberId) -> int:
        """Return how many calls a member has in flight."""
        return self._busy.get(enclave, 0)

    def in_flight(self, uid: HandlerUID, enclave: MemberId, receiver: MemberId) -> bool:
        """Return whether this enclave owes this member the reply to `uid`."""
        lease = self._called.get(uid)
        return lease is not None and lease.enclave == enclave and lease.member == receiver

    def holder(self, uid: HandlerUID) -> Lease | None:
        """Return whose a live UID is, leased or called."""
        return self._called.get(uid) or self._leased.get(uid)

    def forfeit(self, uid: HandlerUID) -> None:
        """Void a live UID without a replacement."""
        called = self._called.pop(uid, None)
        lease = called or self._leased.pop(uid, None)
        if called is not None:
            self._ended(called)
        if lease is not None:
            self._held[lease.credit] -= 1

    def forget(self, member: MemberId) -> None:
        """Void every UID of a member that has left."""
        for uid in [uid for uid, lease in self._leased.items() if lease.member == member]:
            del self._leased[uid]
        for uid in [uid for uid, lease in self._called.items() if lease.member == member]:
            self._ended(self._called.pop(uid))
        for credit in [credit for credit in self._held if credit[0] == member]:
            del self._held[credit]

    def void(self, enclave: MemberId) -> list[tuple[HandlerUID, MemberId]]:
        """Void every UID for a server that has left; return those of the calls in flight, and whose each was."""
        for uid in [uid for uid, lease in self._leased.items() if lease.enclave == enclave]:
            self.forfeit(uid)
        called = [(uid, lease.member) for uid, lease in self._called.items() if lease.enclave == enclave]
        for uid, _ in called:
            self.forfeit(uid)
        self._busy.pop(enclave, None)
        return called

    def standing(self) -> dict[MemberId, tuple[int, int]]:
        """Return of each member how many of its UIDs are unused, and how many are in flight."""
        called: dict[MemberId, int] = {}
        for lease in self._called.values():
            called[lease.member] = called.get(lease.member, 0) + 1
        held: dict[MemberId, int] = {}
        for (member, _), count in self._held.items():
            held[member] = held.get(member, 0) + count
        return {member: (count - called.get(member, 0), called.get(member, 0)) for member, count in held.items()}

    def __len__(self) -> int:
        """Return the number of live UIDs."""
        return len(self._leased) + len(self._called)
