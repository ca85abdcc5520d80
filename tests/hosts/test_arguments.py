"""Which arguments pass: exactly what a row says, from the first character of each to the last."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.actors.hosts.arguments import LONGEST, MOST, Arguments, Several, rows
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.grants import Matching


def allow(declared: list[tuple[object, ...]], *given: str) -> bool:
    """Return whether arguments pass."""
    return Arguments(rows(declared, "test")).allow(given)


LOG = ("log", "--oneline", Matching(r"[a-z]+|v[0-9]+"), Several(r"[a-z.]+", least=1, most=2))


@pytest.mark.parametrize(
    "given",
    [
        ("log", "--oneline", "main", "a.txt"),
        ("log", "--oneline", "v1", "a.txt", "b.txt"),
    ],
)
def test_what_a_row_says_passes(given: tuple[str, ...]) -> None:
    """S3, A16: the honest half."""
    assert allow([("status",), LOG], *given)
    assert allow([("status",), LOG], "status")


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("log",),
        ("LOG", "--oneline", "main", "a.txt"),
        ("log", "--oneline", "main"),
        ("log", "--oneline", "main", "a.txt", "b.txt", "c.txt"),
        ("log", "main", "--oneline", "a.txt"),
        ("log", "--oneline", "main\n", "a.txt"),
        ("log", "--oneline", "\nmain", "a.txt"),
        ("log", "--oneline", "main v1", "a.txt"),
        ("log", "--oneline", "mainv1", "a.txt"),
        ("log", "--oneline", "x-v1", "a.txt"),
        ("log", "--oneline", "", "a.txt"),
        ("log", "--oneline", "main", "a.txt", "-x"),
        ("log", "--oneline", "main", "--output=b"),
        ("log", "--oneline ", "main", "a.txt"),
        ("log", "--oneline", "main\0", "a.txt"),
        ("log", "--oneline", "main", "a.txt\n"),
        ("log", "--oneline", "máin", "a.txt"),
        ("log", "--oneline", "\udcff", "a.txt"),
        ("status", ""),
        ("status", "--short"),
    ],
)
def test_whatever_else_is_refused_and_nothing_is_dropped_or_replaced(given: tuple[str, ...]) -> None:
    """S3, S4, S6: alternation, unanchored, trailing newline; wrong, too few, too many, out of order."""
    assert not allow([("status",), LOG], *given)


def test_an_empty_scope_lets_nothing_pass_and_an_empty_row_no_arguments() -> None:
    """S5: no arguments is a row like any other."""
    assert not allow([])
    assert not allow([], "x")
    assert allow([()])
    assert not allow([()], "x")
    assert not allow([()], "")


@pytest.mark.parametrize("option", ["-x", "--all", "-", "--", "-\n", "-o/etc/passwd"])
def test_an_option_passes_only_where_a_literal_says_exactly_that(option: str) -> None:
    """S6: a pattern for anything at all lets no option pass, wherever it stands."""
    anything = r"(.|\n)*"
    assert not allow([(Matching(anything),)], option)
    assert not allow([(Several(anything),)], option)
    assert not allow([(Several(anything),)], "a", option)
    assert allow([(Matching(anything),)], "a" + option)
    assert allow([(option,)], option)
    assert not allow([(option,)], option + " ")


def test_arguments_are_bounded_in_number_and_length() -> None:
    """Whatever the patterns: the count is that of the longest row, the length that of a path."""
    assert allow([(Several(r"x", most=MOST),)], *["x"] * MOST)
    assert not allow([(Several(r"x", most=MOST),)], *["x"] * (MOST + 1))
    assert allow([(Matching(r"x*"),)], "x" * LONGEST)
    assert not allow([(Matching(r"x*"),)], "x" * (LONGEST + 1))


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        (("status",), "a list of alternatives, each a tuple"),
        ("status", "a list of alternatives, each a tuple"),
        ([("a", 3)], "3 is no argument"),
        ([("a", re.compile("x"))], "is no argument"),
        ([("a\0b",)], "cannot be an argument"),
        ([(Several(r"x"), "a")], r"Several\(…\) stands last"),
        ([(Several(r"x("),)], "cannot be used"),
        ([(Several(r"x", least=3, most=2),)], r"Several\(…\) takes from least to most"),
        ([(Several(r"x", most=MOST + 1),)], r"Several\(…\) takes from least to most"),
    ],
)
def test_what_cannot_be_meant_is_told_when_it_is_declared(declared: object, text: str) -> None:
    """S3: patterns are checked at load, and the sentence says what to write."""
    with pytest.raises(DeclarationError, match=text):
        rows(declared, "Program('/bin/x')")


@given(st.lists(st.text(st.sampled_from("ab-\n é\0"), max_size=4), max_size=5))
def test_a_row_of_literals_passes_itself_only(given: list[str]) -> None:
    """S4: whatever is given passes the row of just that, if it can be an argument, and no other."""
    row = ("a", "-b", "é")
    assert allow([row], *given) == (tuple(given) == row)
    if not any("\0" in each for each in given):
        assert allow([tuple(given)], *given)
        assert not allow([tuple(given)], *given, "")
