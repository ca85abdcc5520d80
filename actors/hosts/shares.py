"""How many of something each member may have, and all of them together: of what the kernel gives one process or user.

May import: our `invocation`, our messages. Invariant: what is had by all together never passes the total, and of that a
part is left to the core UI, whatever the others take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.errors import Overloaded
from trollbridge.messages.ids import Role

if TYPE_CHECKING:
    from trollbridge.actors.serving.invocation import Caller
    from trollbridge.messages.ids import MemberId


class Shares:
    """What is had of one thing, by whom."""

    def __init__(self, what: str, *, each: int, together: int) -> None:
        """Take the sentence's beginning (`folders are being watched`), and the two limits."""
        self._what: Final = what
        self._each: Final = each
        self._together: Final = together
        self._had: Final[dict[MemberId, int]] = {}

    @property
    def members(self) -> frozenset[MemberId]:
        """Who has something."""
        return frozenset(self._had)

    def take(self, caller: Caller) -> None:
        """Let a caller have one more; raises `Overloaded`."""
        had = self._had.get(caller.member, 0)
        total = self._together if caller.role is Role.UI else self._together - self._each
        if had >= self._each or sum(self._had.values()) >= total:
            whose = "" if had >= self._each else " in all"
            msg = f"{self._each if not whose else total} {self._what} already{whose}; end one first"
            raise Overloaded(msg)
        self._had[caller.member] = had + 1

    def give(self, member: MemberId) -> None:
        """Take one back."""
        left = self._had[member] - 1
        if left:
            self._had[member] = left
        else:
            del self._had[member]
