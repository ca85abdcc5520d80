"""Grants: which handler a caller may call, with which arguments, how often, and whether each call needs approval.

May import: `msgspec`, our codec, patterns and errors. Invariants: a grant is a value, and whole once it is made; it
can only narrow what its handler takes; of several grants for one handler the first whose conditions hold decides.

    Grant("notary.sign").where(key="release", document=Longest(1000)).at_most(10, seconds=60).approved()
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec
from msgspec import structs

from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.pattern import Pattern

MOST_CALLS: Final = 10_000
"""The highest rate that a grant can set."""
LONGEST_SECONDS: Final = 7 * 86_400
_DEEPEST: Final = 8

LONGEST_SHOWN: Final = 160
"""Characters of one text about a call that waits to be approved."""
MOST_SHOWN: Final = 16
"""Arguments of one call that are shown, and items of one argument."""
MOST_WAITING: Final = 64
"""Calls that wait at one server."""

DECIDING: Final = ("call_approvals", "approve_call", "refuse_call")
"""The handlers by which the core UI decides on calls that wait, of each server where a grant needs approval."""

ordered = msgspec.msgpack.Encoder(order="deterministic").encode
"""Return what values are compared by: their encoding, with the keys of dicts in order."""


class _Value(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A part of a grant."""


class Equals(_Value, frozen=True, tag=1):
    """The argument is this very value; `1`, `1.0` and `True` are three."""

    encoded: bytes
    """As `ordered` encodes it."""


class Matching(_Value, frozen=True, tag=2):
    """The argument is a string, and the whole of it matches this regular expression: see `pattern.Pattern`."""

    pattern: str

    def __post_init__(self) -> None:
        """Raise `DeclarationError` for a pattern that cannot be used."""
        if not _is_text(self.pattern):
            msg = (
                f"Matching takes a pattern as a string, such as Matching(r'[a-z]+'), not {type(self.pattern).__name__}"
            )
            raise DeclarationError(msg)
        Pattern(self.pattern)


class Between(_Value, frozen=True, tag=3):
    """The argument is a number from `low` to `high`, both included; a truth value is no number."""

    low: int | float
    high: int | float

    def __post_init__(self) -> None:
        """Raise `DeclarationError` for what is no range."""
        if not all(_is_number(each) for each in (self.low, self.high)) or not self.low <= self.high:
            msg = f"Between takes the lowest and the highest number, not {self.low!r} and {self.high!r}"
            raise DeclarationError(msg)


class Longest(_Value, frozen=True, tag=4):
    """The argument's length (bytes, characters or items) is at most this."""

    size: int

    def __post_init__(self) -> None:
        """Raise `DeclarationError` for what is no length."""
        if type(self.size) is not int or self.size < 0:
            msg = f"Longest takes a number of bytes, characters or items, not {self.size!r}"
            raise DeclarationError(msg)


class AnyOf(_Value, frozen=True, tag=5):
    """One of these holds: what `OneOf` makes."""

    tests: tuple[Test, ...]

    def __post_init__(self) -> None:
        """Raise `DeclarationError` if there is none, or if they are nested too deeply."""
        if not self.tests:
            msg = "OneOf takes at least one value"
            raise DeclarationError(msg)
        if _depth(self) > _DEEPEST:
            msg = f"OneOf is nested more than {_DEEPEST} deep"
            raise DeclarationError(msg)


Test: TypeAlias = Equals | Matching | Between | Longest | AnyOf


def OneOf(*options: object) -> AnyOf:  # noqa: N802  # written among Matching, Between and Longest, and as they are
    """Return the condition that one of these holds, each a value or a condition."""
    return AnyOf(tuple(_test(each) for each in options))


class Condition(_Value, frozen=True):
    """What one argument, by its parameter's name, must be."""

    argument: str
    test: Test


class Grant(_Value, frozen=True):
    """Leave to call one handler."""

    handler: str
    """As declared: `member.method`, or `module:Class.method`; in a ticket, the method."""
    conditions: tuple[Condition, ...] = ()
    most: int = 0
    """Calls within `seconds`; 0: as many as there is credit for."""
    seconds: int = 0
    approval: bool = False
    """Whether the core UI must approve each call."""
    rule: int = 0
    """Where it stands in its caller's list, from 1 on: what the log and `explain` call it."""

    def __post_init__(self) -> None:
        """Raise `DeclarationError` for a grant that cannot be meant."""
        if not _is_text(self.handler) or not self.handler:
            msg = "a Grant names a handler, such as Grant('vault.sign'); of a class, take Vault.sign.where(…)"
            raise DeclarationError(msg)
        names = [each.argument for each in self.conditions]
        if len(set(names)) < len(names):
            msg = f"{self.handler}: an argument has one condition; write OneOf(…), or another grant"
            raise DeclarationError(msg)
        numbers = type(self.most) is int and type(self.seconds) is int
        if not numbers or (
            (self.most, self.seconds) != (0, 0)
            and not (0 < self.most <= MOST_CALLS and 0 < self.seconds <= LONGEST_SECONDS)
        ):
            msg = f"{self.handler}: at_most takes 1 to {MOST_CALLS} calls, within 1 to {LONGEST_SECONDS} seconds"
            raise DeclarationError(msg)

    @property
    def method(self) -> str:
        """The handler's own name."""
        return self.handler.rpartition(".")[2]

    @property
    def plain(self) -> bool:
        """Whether it lets every call pass."""
        return not (self.conditions or self.most or self.approval)

    def where(self, /, **conditions: object) -> Grant:
        """Return the grant for calls whose arguments are so: each a value, `Matching`, `Between`, `Longest`, `OneOf`.

        Raises `DeclarationError` for what cannot be an argument.
        """
        more = tuple(Condition(argument, _test(each)) for argument, each in conditions.items())
        return structs.replace(self, conditions=self.conditions + more)

    def at_most(self, most: int, *, seconds: int) -> Grant:
        """Return the grant for at most so many calls within any `seconds`; those that are refused do not count."""
        if not most or not seconds:
            msg = f"{self.handler}: at_most takes at least one call and one second; who may not call is not granted"
            raise DeclarationError(msg)
        return structs.replace(self, most=most, seconds=seconds)

    def approved(self) -> Grant:
        """Return the grant for calls that the core UI approves, one by one."""
        return structs.replace(self, approval=True)


class Shown(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One argument of a call, fit to be shown: printable, and cut where it is long."""

    name: str
    text: str


class CallApproval(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A call that waits to be approved; `ticket` names it. It passes once, and only with these very arguments.

    `server` is who told of it, and all else its word: printable and short, but only as true as that server is honest.
    """

    ticket: bytes
    server: str
    handler: str
    caller: str
    rule: int
    arguments: tuple[Shown, ...]
    digest: bytes
    """SHA-256 of all the arguments, whatever of them is shown: of their encoding with the keys of dicts in order."""
    asked: int
    """Seconds since 1970."""


def fit(text: str) -> str:
    """Return a text as it may be shown: printable, and cut where it is longer than `LONGEST_SHOWN` characters."""
    clean = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text[: LONGEST_SHOWN + 1])
    return clean if len(clean) <= LONGEST_SHOWN else clean[: LONGEST_SHOWN - 1] + "…"


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _test(value: object) -> Test:
    if isinstance(value, Equals | Matching | Between | Longest | AnyOf):
        return value
    try:
        return Equals(ordered(value))
    except (TypeError, ValueError, OverflowError, RecursionError):
        msg = f"a value of the type {type(value).__name__} cannot be an argument"
        raise DeclarationError(msg) from None


def _depth(test: Test) -> int:
    return 1 + max(map(_depth, test.tests)) if isinstance(test, AnyOf) else 0
