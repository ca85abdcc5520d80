"""Calls that wait to be approved, that were approved, and that were refused; and where the core UI decides on them.

May import: our messages, `handler`. Invariants: an approval lets exactly one call pass, of the same caller, handler and
arguments, within its time; a refused call stays refused for as long as this process lives; what one caller asks never
displaces what another asked. The desk answers the core UI only, from the serving core: no actor sees or alters it.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

import msgspec

from trollbridge.actors.handlers import exported, handler
from trollbridge.messages.errors import ApprovalNeeded, ApprovalRefused, CallError, NotAllowed
from trollbridge.messages.grants import LONGEST_SHOWN, MOST_SHOWN, MOST_WAITING, CallApproval, Shown, fit, ordered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trollbridge.actors.handlers import Exported

_Many: TypeAlias = "tuple[object, ...] | dict[str, object] | msgspec.Struct"

APPROVAL_SECONDS: Final = 120
"""How long after it was approved a call may be made."""
WAITING_SECONDS: Final = 600
"""How long a call waits to be approved; then it must be made again."""
MOST_WAITING_OF_ONE: Final = 8
"""Calls of one caller that wait; its own oldest goes first."""
MOST_REFUSED: Final = 4096
"""Refusals that are remembered; then the oldest is forgotten, and such a call waits to be approved again."""
MORE: Final = "…"
"""What stands for what is not shown; of arguments, where a name would be."""
TICKET_SIZE: Final = 16
_DEEPEST: Final = 4

NEEDED: Final = "This call must be approved first, and nobody has approved it yet; make it again once it is."
REFUSED: Final = "This call was refused."


class Asked(NamedTuple):
    """What an approval is bound to: who calls which handler, with which arguments (SHA-256, 32 bytes)."""

    caller: str
    handler: str
    digest: bytes


class Details(NamedTuple):
    """What is told of a call that waits, beside what it is bound to."""

    server: str
    rule: int
    arguments: tuple[Shown, ...]
    asked: int


def digest(arguments: tuple[object, ...]) -> bytes:
    """Return what the arguments of a call are known by: the same for the same values, however they were encoded."""
    return hashlib.sha256(ordered(arguments)).digest()


class Approvals:
    """Calls in memory. Times in microseconds of a clock that is never set back."""

    __slots__ = ("_approved", "_refused", "_until", "_waiting")

    def __init__(self) -> None:
        """Begin without any."""
        self._waiting: dict[Asked, CallApproval] = {}
        self._until: dict[Asked, int] = {}
        """When what waits is forgotten."""
        self._approved: dict[Asked, int] = {}
        self._refused: dict[Asked, None] = {}

    def check(self, asked: Asked, now: int) -> None:
        """Return if the call was approved and has not been made; raises `ApprovalRefused` if it was refused.

        Raises `ApprovalNeeded` otherwise: `wait` makes it known.
        """
        if asked in self._refused:
            raise ApprovalRefused(REFUSED)
        if self._approved.get(asked, now) <= now:
            self._approved.pop(asked, None)
            raise ApprovalNeeded(NEEDED)

    def spend(self, asked: Asked) -> None:
        """Use an approval up."""
        del self._approved[asked]

    def wait(self, asked: Asked, now: int, details: Callable[[], Details]) -> None:
        """Put a call among those that wait, once; too many leave it out, and its caller asks again."""
        self._expire(now)
        if asked in self._waiting:
            return
        own = [each for each in self._waiting if each.caller == asked.caller]
        if len(own) >= MOST_WAITING_OF_ONE:
            self._drop(own[0])
        if len(self._waiting) >= MOST_WAITING:
            return
        server, rule, arguments, when = details()
        self._waiting[asked] = CallApproval(
            os.urandom(TICKET_SIZE), server, asked.handler, asked.caller, rule, arguments, asked.digest, when
        )
        self._until[asked] = now + WAITING_SECONDS * 1_000_000

    def waiting(self, now: int) -> tuple[CallApproval, ...]:
        """Return what waits, the oldest first."""
        self._expire(now)
        return tuple(self._waiting.values())

    def approve(self, ticket: bytes, now: int) -> None:
        """Let the call of a ticket pass once; raises `NotAllowed` if none waits under it."""
        self._approved[self._take(ticket, now)] = now + APPROVAL_SECONDS * 1_000_000

    def refuse(self, ticket: bytes, now: int) -> None:
        """Refuse the call of a ticket, and its like; raises `NotAllowed` if none waits under it."""
        self._refused[self._take(ticket, now)] = None
        if len(self._refused) > MOST_REFUSED:
            del self._refused[next(iter(self._refused))]

    def forget(self, caller: str) -> None:
        """Drop what waits and what was approved for a caller whose process has ended; refusals stay."""
        for asked in [each for each in (*self._waiting, *self._approved) if each.caller == caller]:
            self._drop(asked)
            self._approved.pop(asked, None)

    def _drop(self, asked: Asked) -> None:
        self._waiting.pop(asked, None)
        self._until.pop(asked, None)

    def _expire(self, now: int) -> None:
        for asked in [each for each, until in self._until.items() if until <= now]:
            self._drop(asked)
        for asked in [each for each, until in self._approved.items() if until <= now]:
            del self._approved[asked]

    def _take(self, ticket: bytes, now: int) -> Asked:
        self._expire(now)
        for asked, approval in self._waiting.items():
            if approval.ticket == ticket:
                self._drop(asked)
                return asked
        msg = "No call waits under this ticket any more."
        raise NotAllowed(msg)


class Desk:
    """What a server that has grants with approval exports beside its own handlers, to the core UI alone."""

    def __init__(self, approvals: Approvals, now: Callable[[], int]) -> None:
        """Take what waits, and the clock in microseconds."""
        self._approvals = approvals
        self._now = now

    @handler(core=True)
    def call_approvals(self) -> tuple[CallApproval, ...]:
        """Return the calls that wait to be approved, the oldest first."""
        return self._approvals.waiting(self._now())

    @handler(core=True)
    def approve_call(self, ticket: bytes) -> None:
        """Let the call that waits under `ticket` pass once, within 120 seconds."""
        self._approvals.approve(ticket, self._now())

    @handler(core=True)
    def refuse_call(self, ticket: bytes) -> None:
        """Refuse the call that waits under `ticket`, and its like for as long as this process lives."""
        self._approvals.refuse(ticket, self._now())

    def run(self, name: str, arguments: tuple[object, ...]) -> object:
        """Carry one of its handlers out; return the result or the error for the caller."""
        try:
            result: object = getattr(self, name)(*arguments)
        except CallError as error:
            return error
        return result


DESK: Final[Mapping[str, Exported]] = exported(Desk)
"""Its handlers. A server's own cannot have these names."""


def details_of(server: str, rule: int, names: tuple[str, ...], arguments: tuple[object, ...], asked: int) -> Details:
    """Return what is told of a call: its arguments in words, in their order; of many the first, and how many more."""
    pairs = list(zip(names, arguments, strict=True))[:MOST_SHOWN]
    told = [Shown(name, shown(value)) for name, value in pairs]
    if len(names) > MOST_SHOWN:
        told.append(Shown(MORE, f"and {len(names) - MOST_SHOWN} more"))
    return Details(server, rule, tuple(told), asked)


def shown(value: object) -> str:
    """Return an argument in words: printable, at most `LONGEST_SHOWN` characters. Octets show their digest."""
    return fit(_in_words(value, 0))


def _in_words(value: object, depth: int) -> str:
    match value:
        case bytes():
            return f"{len(value)} bytes, SHA-256 {hashlib.sha256(value).hexdigest()}"
        case str() if len(value) > LONGEST_SHOWN:
            return f"{len(value)} characters: {value[:LONGEST_SHOWN]!r}"
        case str():
            return repr(value)
        case int() if not isinstance(value, bool) and abs(value) >= 1 << 64:
            return "a number beyond 64 bits"
        case tuple() | dict() | msgspec.Struct():
            return _of_many(cast("_Many", value), depth)
        case _:
            return repr(value)


def _of_many(value: _Many, depth: int) -> str:
    if depth >= _DEEPEST:
        return MORE
    size = len(value.__struct_fields__ if isinstance(value, msgspec.Struct) else value)
    more = f", {MORE} and {size - MOST_SHOWN} more" if size > MOST_SHOWN else ""
    if isinstance(value, tuple):
        return f"({', '.join(_in_words(each, depth + 1) for each in value[:MOST_SHOWN])}{more})"
    if isinstance(value, dict):
        pairs = list(value.items())[:MOST_SHOWN]
        return "{" + ", ".join(f"{_in_words(k, depth)}: {_in_words(v, depth + 1)}" for k, v in pairs) + more + "}"
    fields = value.__struct_fields__
    parts = (f"{each}={_in_words(getattr(value, each), depth + 1)}" for each in fields[:MOST_SHOWN])
    return f"{type(value).__name__}({', '.join(parts)}{more})"
