"""Grants as values: what can be said, what cannot, and that it arrives as it was."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.actors.serving import approving
from trollbridge.messages.codec import Codec
from trollbridge.messages.errors import DeclarationError, Malformed
from trollbridge.messages.grants import (
    DECIDING,
    LONGEST_SECONDS,
    MOST_CALLS,
    AnyOf,
    Between,
    Condition,
    Equals,
    Grant,
    Longest,
    Matching,
    OneOf,
    Test,
    ordered,
)

if TYPE_CHECKING:
    from collections.abc import Callable

VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(1 << 63), (1 << 64) - 1), st.text(), st.binary(max_size=50))
TESTS = st.recursive(
    st.one_of(
        VALUES.map(lambda value: Equals(ordered(value))),
        st.sampled_from(["a*", r"\d{4}", "x|y"]).map(Matching),
        st.tuples(st.integers(-5, 5), st.floats(5, 10)).map(lambda pair: Between(*pair)),
        st.integers(0, 1000).map(Longest),
    ),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda tests: AnyOf(tuple(tests))),
    max_leaves=6,
)
NAMES = st.text("abc_", min_size=1, max_size=5)


def _made(tests: dict[str, Test], rate: tuple[int, int], rule: int, *, approval: bool) -> Grant:
    conditions = tuple(Condition(name, test) for name, test in tests.items())
    return Grant("vault.sign", conditions, rate[0], rate[1], approval, rule)


GRANTS = st.builds(
    _made,
    st.dictionaries(NAMES, TESTS, max_size=3),
    st.one_of(st.just((0, 0)), st.tuples(st.integers(1, MOST_CALLS), st.integers(1, LONGEST_SECONDS))),
    st.integers(0, 100),
    approval=st.booleans(),
)


@given(GRANTS)
def test_a_grant_arrives_as_it_was(grant: Grant) -> None:
    """P4: one encoding, which is decoded to the same value."""
    codec: Codec[Grant] = Codec(Grant)
    assert codec.decode(codec.encode(grant)) == grant


def test_a_grant_is_written_as_it_is_meant() -> None:
    """The sentence of the documentation, whole."""
    written = Grant("notary.sign").where(key="release", document=Longest(1000)).at_most(10, seconds=60).approved()
    key, document = Condition("key", Equals(b"\xa7release")), Condition("document", Longest(1000))
    assert written == Grant("notary.sign", (key, document), 10, 60, approval=True)
    assert (written.method, written.plain, Grant("a.b").plain, Grant("a.b").where().plain) == (
        "sign",
        False,
        True,
        True,
    )
    assert Grant("a.b").where(x=1).where(y=2) == Grant("a.b").where(x=1, y=2)
    assert OneOf("a", Between(1, 2)) == AnyOf((Equals(b"\xa1a"), Between(1, 2)))


def test_dicts_are_compared_without_their_order_and_nothing_else_is_alike() -> None:
    """S4: 1, 1.0, True and "1" are four values."""
    assert ordered({"a": 1, "b": {"d": 1, "c": 2}}) == ordered({"b": {"c": 2, "d": 1}, "a": 1})
    assert len({ordered(each) for each in (1, 1.0, True, "1", b"1", None, (1,))}) == 7


WRONG: dict[str, Callable[[], object]] = {
    "no handler": lambda: Grant(""),
    "a function": lambda: Grant(print),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "a bad pattern": lambda: Matching("(a"),
    "a pattern of octets": lambda: Matching(b"a"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "a range from high to low": lambda: Between(2, 1),
    "a range of truth values": lambda: Between(False, True),  # noqa: FBT003  # a range takes what it is given
    "a range without an end": lambda: Between(0, math.nan),
    "a range of texts": lambda: Between("a", "b"),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "a negative length": lambda: Longest(-1),
    "a length of a half": lambda: Longest(0.5),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    "a choice of nothing": OneOf,
    "choices in choices": lambda: nested(9),
    "an argument twice": lambda: Grant("a.b").where(x=1).where(x=2),
    "a value that cannot travel": lambda: Grant("a.b").where(x=object()),
    "a function as a value": lambda: Grant("a.b").where(x=print),
    "no call at all": lambda: Grant("a.b").at_most(0, seconds=1),
    "no time at all": lambda: Grant("a.b").at_most(1, seconds=0),
    "a negative rate": lambda: Grant("a.b").at_most(-1, seconds=1),
    "a rate that takes too much memory": lambda: Grant("a.b").at_most(MOST_CALLS + 1, seconds=1),
    "a rate for ever": lambda: Grant("a.b").at_most(1, seconds=LONGEST_SECONDS + 1),
    "a rate of half a call": lambda: Grant("a.b").at_most(0.5, seconds=1),  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
}


def nested(depth: int) -> AnyOf:
    """Return choices in choices."""
    found = OneOf(1)
    for _ in range(depth - 1):
        found = OneOf(found)
    return found


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_meant_is_refused_when_it_is_written(what: str) -> None:
    """S4: never dropped, never replaced."""
    assert nested(8).tests
    with pytest.raises(DeclarationError):
        WRONG[what]()


NOT_MEANT: list[list[Any]] = [
    ["sign", [], 0, 0, False],
    ["sign", [], 1, 0, False, 0],
    ["sign", [], 0, 0, 0, 0],
    ["", [], 0, 0, False, 0],
    ["sign", [["x", [2, "(a"]]], 0, 0, False, 0],
    ["sign", [["x", [6, "a"]]], 0, 0, False, 0],
    ["sign", [["x", [5, []]]], 0, 0, False, 0],
    ["sign", [["x", [4, -1]]], 0, 0, False, 0],
    ["sign", [["x", [4, 1]], ["x", [4, 2]]], 0, 0, False, 0],
]


@pytest.mark.parametrize("wrong", NOT_MEANT)
def test_what_cannot_be_meant_does_not_arrive_either(wrong: list[Any]) -> None:
    """P4: a ticket with such a grant is malformed."""
    codec: Codec[Grant] = Codec(Grant)
    assert codec.decode(msgspec.msgpack.encode(["sign", [["x", [4, 1]]], 0, 0, False, 0])).conditions
    with pytest.raises(Malformed):
        codec.decode(msgspec.msgpack.encode(wrong))


def test_the_handlers_that_decide_have_the_names_that_are_granted() -> None:
    """A18: the declaration grants them by name, since it cannot load what serves."""
    assert set(DECIDING) == set(approving.DESK)
