"""The gate: the one place that decides whether a key may be used now, by this caller, on this content.

May import: our enclave's approvals, constraints, sealing and storage, our messages. Invariant: whatever works with a
secret key or an API key asks here first, on every path; a use that was admitted is counted on the disk before it
happens.

The clock. Uses within an hour and the time until which a key may be used go by the wall clock, and by the latest time
that this vault has seen:

    record USES "clock"   MessagePack of that time; as old as a minute, lest every use be a write

While the clock lies more than a minute before it, a key with such constraints is refused. Who knows the password can
accept the clock as it is: by setting the constraints of any key anew.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import msgspec

from trollbridge.enclave import constraints as rules
from trollbridge.enclave.approvals import Approvals, Request
from trollbridge.enclave.sealing import Kind
from trollbridge.enclave.storage import Delete, Put
from trollbridge.messages.errors import ApprovalNeeded, NoSuchKey, NoSuchSecret, NotAllowed
from trollbridge.messages.ids import Role
from trollbridge.messages.vault_secrets import SUBJECT_OF_KEYS, SUBJECT_OF_SECRETS, Approval, Constraints

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.enclave.storage import Records

HEAD_SIZE: Final = 256
SET_BACK: Final = 60
"""Seconds by which a clock may be corrected backwards without a word."""
_CLOCK: Final = "clock"
_UNSEEN: Final = (
    "Each use of this key must be approved, and what is approved must be known before the key is used; in pieces it is "
    "not. Such a key makes detached signatures of any document, and all else of those that fit into one call (64 MiB)."
)


class Content(NamedTuple):
    """What a key is to be used on: enough to show a person, and to bind an approval to."""

    digest: bytes
    """SHA-256 of the content, 32 bytes; for a decryption, of the message. Empty: not known yet."""
    size: int
    """Bytes."""
    head: bytes
    """Its first 256 bytes, at most."""

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return what stands for a content that is here as a whole."""
        return cls(hashlib.sha256(data).digest(), len(data), bytes(data[:HEAD_SIZE]))


class Caller(NamedTuple):
    """Who asks: a member, and its role by its spawn record."""

    member: str
    role: str


def since_boot() -> float:
    """Return seconds by a clock that cannot be set, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Gate:
    """Constraints, counts and approvals of an open vault."""

    __slots__ = ("_approvals", "_caller", "_clock", "_records", "_seen", "_steady", "_stored", "_watchers")

    def __init__(
        self,
        records: Records,
        caller: Callable[[], Caller],
        *,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = since_boot,
    ) -> None:
        """Take where constraints are kept, what says who asks right now, and two clocks, in seconds.

        `clock` counts from 1970 and can be set; `steady` counts from anywhere and cannot.
        """
        self._records: Final = records
        self._caller: Final = caller
        self._clock: Final = clock
        self._steady: Final = steady
        self._approvals: Final = Approvals()
        self._stored = max((0, *self._uses(_CLOCK)))
        self._seen = self._stored
        self._watchers: list[Callable[[str], object]] = []

    # Deciding.

    def admit(self, subject: str, operation: str, content: Content) -> None:
        """Let one use happen, or raise `NotAllowed`, `ApprovalNeeded` or `ApprovalRefused`.

        `subject` is `key:<fingerprint>` or `secret:<name>`; `operation` is a word such as `sign` or `decrypt`. Raises
        `StorageFailed` for a use that cannot be counted. Of a use that was admitted nothing is taken back, should it
        fail.
        """
        constraints = self.constraints(subject)
        if constraints == rules.NONE:
            return
        member, now = self._caller().member, int(self._clock())
        rules.check_member(constraints, member)
        changes = self._count(subject, constraints, now)
        request = Request(member, subject, operation, content.digest)
        if constraints.approval:
            self._check_approved(request, content, now)
        if changes:
            self._records.write(*changes)
            self._stored = self._seen
        if constraints.approval:
            self._approvals.spend(request)

    def _count(self, subject: str, constraints: Constraints, now: int) -> tuple[Put, ...]:
        """Return what is to be written of a use in time, if anything; raises `NotAllowed`."""
        if not constraints.per_hour and constraints.until is None:
            return ()
        if self._is_set_back(now):
            msg = (
                "The clock was set back, and the key may be used in certain times only; "
                "set the clock right, or set the key's constraints anew."
            )
            raise NotAllowed(msg)
        self._seen = now = max(self._seen, now)
        rules.check_until(constraints, now)
        changes: list[Put] = []
        if constraints.per_hour:
            uses = rules.counted(constraints, self._uses(subject), now)
            changes.append(Put(Kind.USES, subject, rules.encode_uses(uses)))
        if changes or now > self._stored + SET_BACK:
            changes.append(Put(Kind.USES, _CLOCK, rules.encode_uses((now,))))
        return tuple(changes)

    def _is_set_back(self, now: int) -> bool:
        return now < self._seen - SET_BACK

    def _uses(self, subject: str) -> tuple[int, ...]:
        body = self._records.get(Kind.USES, subject)
        return () if body is None else rules.decode_uses(body)

    def _check_approved(self, request: Request, content: Content, now: int) -> None:
        if not content.digest:  # a document in pieces, of which nobody can say yet what it will be
            raise ApprovalNeeded(_UNSEEN)
        try:
            self._approvals.check(request, self._steady())
        except ApprovalNeeded:
            self._approvals.wait(request, content.size, content.head, now)
            raise

    def check(self, subject: str, *, counted: bool = False) -> None:
        """Raise `NotAllowed` unless a use by the caller would be admitted now, an approval of it aside; admit nothing.

        `counted`: it is a use that was counted when it began, and goes on.
        """
        constraints = self.constraints(subject)
        if constraints != rules.NONE:
            rules.check_member(constraints, self._caller().member)
            limits = msgspec.structs.replace(constraints, per_hour=0) if counted else constraints
            self._count(subject, limits, int(self._clock()))

    # Constraints.

    def constraints(self, subject: str) -> Constraints:
        """Return what limits the use of a key; that is nothing for one that is not there."""
        body = self._records.get(Kind.CONSTRAINTS, subject)
        return rules.NONE if body is None else rules.decode(body)

    def constrain(self, subject: str, constraints: Constraints, prove: Callable[[], object]) -> None:
        """Limit the use of a key from now on, in place of what limited it before.

        `prove` raises unless somebody has just shown to know the vault's password. It is called for a change that
        loosens anything, and while the clock lies before a time that the vault has seen; this is accepted then.
        Raises `NotAllowed` unless the core UI asks, `NoSuchKey`, `NoSuchSecret`, `InvalidArguments`.
        """
        self.check_core()
        self._check_exists(subject)
        constraints = rules.checked(constraints)
        now = int(self._clock())
        set_back = self._is_set_back(now)
        if set_back or rules.loosens(self.constraints(subject), constraints):
            prove()
        if constraints == rules.NONE:
            changes = self.forgetting(subject)
        else:
            changes = (Put(Kind.CONSTRAINTS, subject, rules.encode(constraints)),)
        if set_back:
            changes = (*changes, Put(Kind.USES, _CLOCK, rules.encode_uses((now,))))
        self._records.write(*changes)
        if set_back:
            self._seen = self._stored = now
        self.changed(subject)

    def _check_exists(self, subject: str) -> None:
        kind, _, name = subject.partition(":")
        if f"{kind}:" == SUBJECT_OF_SECRETS:
            if not self._records.has(Kind.API_KEY_INFO, name):
                raise NoSuchSecret
        elif f"{kind}:" != SUBJECT_OF_KEYS or not self._records.has(Kind.SECRET_KEY, name):
            raise NoSuchKey

    # Approvals.

    def check_core(self) -> None:
        """Raise `NotAllowed` unless the core UI asks: for what stores, deletes or replaces, and for approvals."""
        if self._caller().role != Role.UI:
            msg = "Only the application's own user interface may do this."
            raise NotAllowed(msg)

    def approvals(self) -> tuple[Approval, ...]:
        """Return the uses that wait to be approved, the oldest first; raises `NotAllowed` unless the core UI asks."""
        self.check_core()
        return self._approvals.waiting()

    def approve(self, ticket: bytes) -> None:
        """Let the use that waits under `ticket` happen, once, within 120 seconds.

        Raises `NotAllowed` unless the core UI asks, and if nothing waits under it.
        """
        self.check_core()
        self._approvals.approve(ticket, self._steady())

    def refuse(self, ticket: bytes) -> None:
        """Refuse the use that waits under `ticket`, and its like until the vault is locked; raises as `approve`."""
        self.check_core()
        self._approvals.refuse(ticket)

    # What becomes of a key.

    def watch(self, watcher: Callable[[str], object]) -> None:
        """Have `watcher` called with the subject of each key that was changed, limited anew or deleted."""
        self._watchers.append(watcher)

    def changed(self, subject: str) -> None:
        """Tell whoever works with a key that it is not what it was: what was begun with it must not go on."""
        for each in self._watchers:
            each(subject)

    def forgetting(self, subject: str) -> tuple[Put | Delete, ...]:
        """Return the changes that drop what is kept about a key, to be written in one with its deletion."""
        return Delete(Kind.CONSTRAINTS, subject), Delete(Kind.USES, subject)

    def renaming(self, old: str, new: str) -> tuple[Put | Delete, ...]:
        """Return the changes that carry what is kept about a key over to its new name, to be written in one with it."""
        changes = list(self.forgetting(old))
        for kind in (Kind.CONSTRAINTS, Kind.USES):
            body = self._records.get(kind, old)
            changes.append(Delete(kind, new) if body is None else Put(kind, new, body))
        return tuple(changes)

    def forget(self, subject: str) -> None:
        """Drop what is kept about a key that was deleted."""
        self._records.write(*self.forgetting(subject))
        self.forgotten(subject)

    def forgotten(self, subject: str) -> None:
        """Drop the approvals of a key, once `forgetting` is written."""
        self._approvals.forget(subject)
        self.changed(subject)

    def renamed(self, old: str, new: str) -> None:
        """Carry refusals over to a key's new name, once `renaming` is written."""
        self._approvals.renamed(old, new)
