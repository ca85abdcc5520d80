"""Plots by block characters, and numbers as people read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.ui_adapter.history import BLOCKS, PLAIN, History, age, encodable, memory, number, plot, span

VALUES = st.lists(st.floats(min_value=-1e9, max_value=1e18, allow_nan=False))


def test_a_plot_shows_how_a_number_has_gone() -> None:
    """The newest at the right; the highest value reaches the top; what is nothing is at the bottom."""
    assert plot([0, 1, 2, 4, 8], 6) == " ▁▂▃▅█"
    assert plot([9, 9, 8, 4], 2) == "█▅"
    assert plot([4.0], 3, highest=8.0) == "  ▅"
    assert plot([0.001, 1e12], 2, marks=PLAIN) == ".#"
    assert plot([], 3) == "   "


@given(VALUES, st.integers(min_value=0, max_value=40))
def test_a_plot_has_one_mark_for_each_value_it_shows(values: list[float], width: int) -> None:
    """However large, negative or many they are."""
    drawn = plot(values, width)
    assert len(drawn) == width
    assert len(drawn.strip()) == min(width, len(values))
    assert set(drawn) <= {*BLOCKS, " "}


def test_an_encoding_without_blocks_gets_marks_that_it_has() -> None:
    """A pipe in the C locale, or an unknown encoding, is no reason to fail."""
    assert [encodable(each) for each in ("utf-8", "ascii", "latin-1", "nonsense", None)] == [BLOCKS, *[PLAIN] * 4]


def test_a_history_keeps_the_last_values_of_each_series_that_is_told() -> None:
    """A member that has left is forgotten, so the series are no more than the members."""
    history = History(2)
    for value in (1.0, 2.0, 3.0):
        history.add({"vault": value, "console": -value})
    history.add({"vault": 4.0})
    assert (history.of("vault"), history.of("console"), history.of("nobody")) == ([3.0, 4.0], [], [])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *((0, "0"), (0.4, "0.4"), (1.0, "1"), (9.96, "10"), (17, "17"), (9_999, "9999"), (10_000, "10.0k")),
        *((123_456, "123k"), (999_499, "999k"), (999_600, "1.0M"), (5e9, "5.0G"), (7e12, "7.0T"), (3e15, "3.0P")),
        (1e30, "many"),
    ],
)
def test_a_count_has_five_characters_at_most(value: float, text: str) -> None:
    """From calls in a second to bytes in a day."""
    assert number(value) == text
    assert len(text) <= 5


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (85e-6, "85 µs"), (0.0012, "1.2 ms"), (0.0999, "99.9 ms"), (0.25, "250 ms"), (0.9999, "1.0 s")],
)
def test_a_time_is_told_in_the_unit_that_people_would_use(seconds: float | None, text: str) -> None:
    """A dash where nothing was measured."""
    assert span(seconds) == text


def test_how_long_ago_and_how_much_memory_are_told_in_words() -> None:
    """A clock that was set back is no reason to tell a negative time."""
    told = [age(each) for each in (-5, 42, 720, 11_100, 200_000)]
    assert told == ["0 s", "42 s", "12 min", "3 h 05", "2 d 7 h"]
    assert memory(34_000_000) == "32 MiB"
