"""Patterns: the language of `re.fullmatch` on what both know, in bounded time, and nothing else."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import re
import time
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.pattern import LONGEST_MATCHED, Pattern

ATOMS = ["a", "b", ".", r"\d", r"\w", r"\S", "[ab]", "[^a]", "[]x-z]", r"\.", r"\x61", r"\n", "é", "}"]
REPEATS = ["*", "+", "?", "*?", "{2}", "{1,}", "{,2}", "{0,2}", "{1,3}?"]
PATTERNS = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map("|".join).map("({})".format),
        st.tuples(inner.map("(?:{})".format), st.sampled_from(REPEATS)).map("".join),
    ),
    max_leaves=8,
)
TEXTS = st.text(st.sampled_from("ab.1x]\né}"), max_size=8)


@given(PATTERNS, TEXTS)
def test_a_pattern_matches_what_fullmatch_matches(pattern: str, text: str) -> None:
    """Every pattern of the subset, on every text."""
    assert Pattern(pattern).matches(text) == bool(re.fullmatch(pattern, text, re.ASCII))


@pytest.mark.parametrize(
    "pattern",
    [
        *("(a", "a)", "[a", "[", "*", "a**", "a*+", "a{2}{3}", "a{}", "a{,}", "{2}", "a{3,2}", "a{513}", "\\", "[b-a]"),
        *(r"(a)\1", "(?=a)", "(?!a)", "(?<=a)b", "(?P<n>a)", "(?i)a", "a^", "$a", r"\bword", r"a\Z", r"\0", r"\x4"),
        *(
            "(a{100}){100}",
            "((((){500}){500}){500}){500}",
            "(" * 20 + "a" + ")" * 20,
            "a" * 1001,
            "[[a]]",
            r"\N{DIGIT}",
        ),
    ],
)
def test_what_is_not_in_the_subset_is_refused_when_it_is_declared(pattern: str) -> None:
    """Never later, and never by another reading."""
    with pytest.raises(DeclarationError, match="cannot be used"):
        Pattern(pattern)


def test_no_text_takes_long_whatever_the_pattern() -> None:
    """What takes a back-tracking matcher for ever takes this one some steps for each character."""
    before = time.process_time()
    for pattern in ("(a+)+b", "(a|a)*b", "(a|aa)+b", ".*a.*a.*a.*a.*a.*b", "(.?){500}b", "(x+x+)+y", "(.*)*b"):
        found = Pattern(pattern)
        assert not found.matches("a" * LONGEST_MATCHED)
        assert not found.matches("".join(map(chr, range(0x4E00, 0x4E00 + LONGEST_MATCHED))))
    assert time.process_time() - before < 5


def test_a_text_that_is_too_long_never_matches() -> None:
    """And one that is just short enough does."""
    assert Pattern("a*").matches("a" * LONGEST_MATCHED)
    assert not Pattern("a*").matches("a" * (LONGEST_MATCHED + 1))


@pytest.mark.parametrize("text", ["a\n", "\na", "A", "a a", "a\0", "\u0430"])
def test_the_whole_text_counts_and_letters_are_those_of_ascii(text: str) -> None:
    """No line end is forgiven, no case folded, and a Cyrillic letter is another letter."""
    assert Pattern("^a$").matches("a")
    assert not Pattern("^a$").matches(text)
    assert not Pattern(r"[a-z\d]").matches(text)


def test_many_characters_fill_no_memory() -> None:
    """What is kept of the texts that came is bounded."""
    found = Pattern("[a-z]*x?|.*")
    for start in range(0, 0x8000, 2048):
        assert found.matches("".join(map(chr, range(0x2030 + start, 0x2830 + start))))
    assert max(len(found._masks), len(found._after)) <= 1024


def test_what_re_only_warns_of_is_refused() -> None:
    """A set that `re` will read otherwise one day."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DeclarationError):
            Pattern("[a--b]")
