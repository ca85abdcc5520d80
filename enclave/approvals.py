"""The uses of keys that wait to be approved, that were approved, and that were refused, while the vault is open.

May import: our messages. Invariants: an approval lets exactly one use pass, of the same member, subject, operation
and content, within its time; a refused request stays refused for as long as this object lives; what one member asks
never displaces what another asked.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

from trollbridge.messages.errors import ApprovalNeeded, ApprovalRefused, NotAllowed
from trollbridge.messages.vault import printable
from trollbridge.messages.vault_secrets import Approval

APPROVAL_SECONDS: Final = 120
"""How long after it was approved a use may happen."""
MOST_WAITING: Final = 64
MOST_WAITING_OF_ONE: Final = 8
"""Requests of one member that wait; its own oldest goes first."""
TICKET_SIZE: Final = 16
_BREAKS: Final = "\t\n"


class Request(NamedTuple):
    """What an approval is bound to: who asks for what, on which content (SHA-256, 32 bytes)."""

    member: str
    subject: str
    operation: str
    digest: bytes


def shown(head: bytes, size: int) -> str:
    """Return the beginning of a content of `size` bytes, fit to be shown; empty if it is no text.

    Text is UTF-8 without control characters other than tabs and the ends of lines.
    """
    for missing in range(4 if len(head) < size else 1):  # the head may end inside a character
        try:
            text = head[: len(head) - missing].decode().replace("\r\n", "\n")
        except UnicodeDecodeError:
            continue
        if any(each < " " and each not in _BREAKS for each in text):
            return ""
        return "\n".join(printable(line.expandtabs(4)) for line in text.split("\n"))
    return ""


class Approvals:
    """Requests in memory, none of them secret. Times in seconds of a clock that is never set back."""

    __slots__ = ("_approved", "_refused", "_waiting")

    def __init__(self) -> None:
        """Begin without any."""
        self._waiting: dict[Request, Approval] = {}
        self._approved: dict[Request, float] = {}
        self._refused: set[Request] = set()

    def check(self, request: Request, now: float) -> None:
        """Return if the request was approved and has not been carried out; raises `ApprovalRefused` if it was refused.

        Raises `ApprovalNeeded` otherwise: `wait` makes it known.
        """
        if request in self._refused:
            raise ApprovalRefused
        if self._approved.get(request, now) <= now:
            self._approved.pop(request, None)
            raise ApprovalNeeded

    def wait(self, request: Request, size: int, head: bytes, asked: int) -> None:
        """Put a request among those that wait, once; raises `ApprovalNeeded` if too many wait already."""
        if request in self._waiting:
            return
        own = [each for each in self._waiting if each.member == request.member]
        if len(own) >= MOST_WAITING_OF_ONE:
            del self._waiting[own[0]]
        if len(self._waiting) >= MOST_WAITING:
            msg = "Too many requests wait for approval; ask again later."
            raise ApprovalNeeded(msg)
        member, subject, operation, digest = request
        self._waiting[request] = Approval(
            os.urandom(TICKET_SIZE), subject, operation, digest, size, shown(head, size), member, asked
        )

    def spend(self, request: Request) -> None:
        """Use an approval up."""
        del self._approved[request]

    def waiting(self) -> tuple[Approval, ...]:
        """Return what waits, the oldest first."""
        return tuple(self._waiting.values())

    def _take(self, ticket: bytes) -> Request:
        for request, approval in self._waiting.items():
            if approval.ticket == ticket:
                del self._waiting[request]
                return request
        msg = "No request waits under this ticket any more."
        raise NotAllowed(msg)

    def approve(self, ticket: bytes, now: float) -> None:
        """Let the request of a ticket pass once; raises `NotAllowed` if none waits under it."""
        self._approved[self._take(ticket)] = now + APPROVAL_SECONDS

    def refuse(self, ticket: bytes) -> None:
        """Refuse the request of a ticket, and its like; raises `NotAllowed` if none waits under it."""
        self._refused.add(self._take(ticket))

    def forget(self, subject: str) -> None:
        """Drop what waits and what was approved for a key; refusals stay."""
        for kept in (self._waiting, self._approved):
            for request in [each for each in kept if each.subject == subject]:
                del kept[request]

    def renamed(self, old: str, new: str) -> None:
        """Carry refusals over to a key's new name; what waits or was approved under the old one is dropped."""
        self.forget(old)
        self._refused |= {each._replace(subject=new) for each in self._refused if each.subject == old}
