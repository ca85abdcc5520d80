"""Whether a call that was granted may run: its arguments, its rate, its approval. A core without clock or sockets.

May import: our messages, `approving`. Invariants: of several grants for one handler the first whose
conditions hold decides; a refused call uses up no rate and no approval; what a caller learns is the same whatever
refused it, but for approvals; no text in here holds an argument's value.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never, cast

import msgspec

from trollbridge.messages.errors import ApprovalNeeded, ApprovalRefused, CallError, DeclarationError, NotAllowed
from trollbridge.messages.grants import AnyOf, Between, Equals, Longest, Matching, Test, ordered
from trollbridge.messages.pattern import Pattern
from trollbridge.messages.signature import MapOf, OneOf, Scalar, SequenceOf, TupleOf, TypeSpec, realise, sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from trollbridge.actors.serving.approving import Approvals, Asked
    from trollbridge.messages.grants import Condition, Grant
    from trollbridge.messages.payloads import Parameter

    Fits = Callable[[object], bool]

NOT_ALLOWED: Final = "No grant allows this call."
"""All that a caller is told."""
CORE_ONLY: Final = "only the core UI may call it"
TOO_OFTEN: Final = "more calls than the grant allows in its time"
WAITS: Final = "it waits for the core UI's approval"
WAS_REFUSED: Final = "the core UI refused such a call"

# Declarations: do the conditions fit the handler?


def _kinds(spec: TypeSpec) -> tuple[TypeSpec, ...]:
    return spec.options if isinstance(spec, OneOf) else (spec,)


def _fitting(test: Test, spec: TypeSpec) -> bool:
    """Return whether some value of that type could fulfil the condition."""
    names = {each.name for each in _kinds(spec) if isinstance(each, Scalar)}
    match test:
        case Matching():
            return "str" in names
        case Between():
            return bool(names & {"int", "float"})
        case Longest():
            return bool(names & {"bytes", "str"}) or any(
                isinstance(each, SequenceOf | TupleOf | MapOf) for each in _kinds(spec)
            )
        case Equals():
            return True
        case AnyOf(tests):
            return all(_fitting(each, spec) for each in tests)
        case _:
            assert_never(test)


def _of_type(test: Test, spec: TypeSpec) -> Test:
    """Return the condition with its values as the type has them; raises `msgspec.ValidationError` for another type."""
    match test:
        case Equals(encoded):
            kind = realise(spec, {})
            return Equals(ordered(msgspec.msgpack.Decoder(kind, strict=True).decode(encoded)))
        case AnyOf(tests):
            return AnyOf(tuple(_of_type(each, spec) for each in tests))
        case _:
            return test


def _instead(test: Test) -> str:
    """Return what is probably meant by a condition of another type than its argument's."""
    several = isinstance(test, Equals) and isinstance(msgspec.msgpack.decode(test.encoded), list)
    return "; of several values one is allowed by OneOf(…)" if several else ""


def check_conditions(grant: Grant, parameters: tuple[Parameter, ...]) -> tuple[tuple[int, Condition], ...]:
    """Return the conditions as the handler's types have them, each with the position of its argument.

    Raises `DeclarationError` for one that no call could fulfil: no such parameter, or none of such a type.
    """
    names = [each.name for each in parameters]
    found: list[tuple[int, Condition]] = []
    for condition in grant.conditions:
        if condition.argument not in names:
            known = ", ".join(names) or "none"
            msg = f"grants limit the argument {condition.argument} of {grant.handler}, whose parameters are: {known}"
            raise DeclarationError(msg)
        position = names.index(condition.argument)
        kind = parameters[position].kind
        try:
            test = _of_type(condition.test, kind)
            fitting = _fitting(condition.test, kind)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError):
            fitting, test = False, condition.test
        if not fitting:
            msg = (
                f"grants limit the argument {condition.argument} of {grant.handler} to what is no {sentence(kind)}, "
                f"which is its type{_instead(condition.test)}"
            )
            raise DeclarationError(msg)
        found.append((position, msgspec.structs.replace(condition, test=test)))
    return tuple(found)


# Conditions, ready to be asked.


def _fits(test: Test) -> Fits:
    match test:
        case Equals(encoded):
            return lambda value: ordered(value) == encoded
        case Matching(text):
            matches = Pattern(text).matches
            return lambda value: isinstance(value, str) and matches(value)
        case Between(low, high):
            return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        case Longest(size):
            return lambda value: isinstance(value, bytes | str | tuple | dict) and len(cast("Sized", value)) <= size
        case AnyOf(tests):
            options = [_fits(each) for each in tests]
            return lambda value: any(each(value) for each in options)
        case _:
            assert_never(test)


_WHY: Final[dict[type[Test], str]] = {
    Equals: "is not the value that the grant names",
    Matching: "does not match the grant's pattern",
    Between: "lies outside the grant's range",
    Longest: "is longer than the grant allows",
    AnyOf: "is nothing of what the grant allows",
}


class _Checked(NamedTuple):
    """One condition: where its argument stands, what is asked of it, and what is said if it does not hold."""

    position: int
    fits: Fits
    why: str


class Rate:
    """A sliding window: so many calls within so many microseconds."""

    __slots__ = ("_most", "_span", "_times")

    def __init__(self, most: int, span: int) -> None:
        """Take how many, and within what."""
        self._most = most
        self._span = span
        self._times: deque[int] = deque()

    def full(self, now: int) -> bool:
        """Return whether one more would be too many."""
        times = self._times
        while times and times[0] <= now - self._span:
            times.popleft()
        return len(times) >= self._most

    def count(self, now: int) -> None:
        """Count a call."""
        self._times.append(now)


class Rule:
    """One grant of one caller, ready to be asked."""

    __slots__ = ("approval", "conditions", "number", "plain", "rate")

    def __init__(self, grant: Grant, parameters: tuple[Parameter, ...]) -> None:
        """Take the grant and its handler's parameters; raises `DeclarationError` if they do not fit."""
        self.number: Final = grant.rule
        self.plain: Final = grant.plain
        self.approval: Final = grant.approval
        self.rate: Final = Rate(grant.most, grant.seconds * 1_000_000) if grant.most else None
        self.conditions: Final = tuple(
            _Checked(position, _fits(each.test), f"argument {each.argument} {_WHY[type(each.test)]}")
            for position, each in check_conditions(grant, parameters)
        )

    def unmet(self, arguments: tuple[object, ...]) -> str:
        """Return why the conditions do not hold; empty if they do."""
        for position, fits, why in self.conditions:
            if not fits(arguments[position]):
                return why
        return ""


class Denial(NamedTuple):
    """A refused call: what its caller is told; what the log is."""

    error: CallError
    why: str
    rule: int


class Gate:
    """What stands between one caller and one handler, where a grant has conditions."""

    __slots__ = ("_rules",)

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        """Take the rules, in their order."""
        self._rules = rules

    def ask(
        self, arguments: tuple[object, ...], now: int, approvals: Approvals, asked: Callable[[], Asked]
    ) -> Denial | None:
        """Return why the call may not run, None if it may; `asked` tells what an approval of it is bound to."""
        first: Denial | None = None
        for rule in self._rules:
            why = rule.unmet(arguments)
            if not why:
                return _within(rule, now, approvals, asked)
            others = ", and no other grant fits" if len(self._rules) > 1 else ""
            first = first or Denial(NotAllowed(NOT_ALLOWED), why + others, rule.number)
        return first


def _within(rule: Rule, now: int, approvals: Approvals, asked: Callable[[], Asked]) -> Denial | None:
    rate = rule.rate
    if rate is not None and rate.full(now):
        return Denial(NotAllowed(NOT_ALLOWED), TOO_OFTEN, rule.number)
    if rule.approval:
        subject = asked()
        try:
            approvals.check(subject, now)
        except ApprovalNeeded as error:
            return Denial(error, WAITS, rule.number)
        except ApprovalRefused as error:
            return Denial(error, WAS_REFUSED, rule.number)
        approvals.spend(subject)
    if rate is not None:
        rate.count(now)
    return None
