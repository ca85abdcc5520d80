"""What can be told of a grant's conditions before any call: which follow from others, and how they read.

May import: `msgspec`, our messages. Invariant: pure; where it cannot be told, nothing is claimed.

Plain values are what MessagePack makes of arguments: a tuple or a record is a list, a dict a dict.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING

import msgspec

from trollbridge.messages.grants import AnyOf, Between, Equals, Grant, Longest, Matching, Test, ordered
from trollbridge.messages.pattern import Pattern

if TYPE_CHECKING:
    from collections.abc import Mapping


def value(test: Equals) -> object:
    """Return what an argument must be, as a plain value."""
    return msgspec.msgpack.decode(test.encoded)


def holds(test: Test, of: object) -> bool:
    """Return whether a plain value passes a test."""
    match test:
        case Equals(encoded):
            return ordered(of) == encoded
        case Matching(pattern):
            return isinstance(of, str) and Pattern(pattern).matches(of)
        case Between(low, high):
            return isinstance(of, int | float) and not isinstance(of, bool) and low <= of <= high
        case Longest(size):
            return isinstance(of, Sized) and len(of) <= size
        case AnyOf(tests):
            return any(holds(each, of) for each in tests)


def implies(narrow: Test, wide: Test) -> bool:
    """Return whether whatever passes `narrow` is sure to pass `wide`."""
    match narrow, wide:
        case AnyOf(tests), _:
            return all(implies(each, wide) for each in tests)
        case Equals(), _:
            return holds(wide, value(narrow))
        case _, AnyOf(tests):
            return any(implies(narrow, each) for each in tests)
        case Between(), Between():
            return wide.low <= narrow.low and narrow.high <= wide.high
        case Longest(), Longest():
            return narrow.size <= wide.size
        case _:
            return narrow == wide


def covers(earlier: Grant, later: Grant) -> bool:
    """Return whether each call that meets the later grant's conditions meets the earlier one's."""
    later_tests = tests_of(later)
    return earlier.handler == later.handler and all(
        each.argument in later_tests and implies(later_tests[each.argument], each.test) for each in earlier.conditions
    )


def tests_of(grant: Grant) -> Mapping[str, Test]:
    """Return a grant's conditions by argument."""
    return {each.argument: each.test for each in grant.conditions}


def words(test: Test) -> str:
    """Return a test as the end of a sentence that begins with the argument's name and `is`."""
    match test:
        case Equals():
            return repr(value(test))
        case Matching(pattern):
            return f"a text that matches {pattern!r}"
        case Between(low, high):
            return f"from {low} to {high}"
        case Longest(size):
            return f"at most {size} long"
        case AnyOf(tests):
            return " or ".join(words(each) for each in tests)
