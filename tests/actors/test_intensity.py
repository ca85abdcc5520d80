"""Restart intensity and back-off, at times that the test gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trollbridge.actors.supervision.intensity import Intensity, Restarts, delay


def test_as_many_restarts_as_allowed_and_not_one_more() -> None:
    """K5: numbered from one; the one too many is refused and does not count."""
    restarts = Restarts(Intensity(3, 10.0))
    assert [restarts.allow(time) for time in (0.0, 1.0, 2.0, 3.0, 4.0)] == [1, 2, 3, None, None]


def test_old_restarts_are_forgotten_after_the_period() -> None:
    """A55: OTP's semantics: a restart counts for exactly its period."""
    restarts = Restarts(Intensity(2, 10.0))
    assert [restarts.allow(time) for time in (0.0, 5.0, 10.0, 10.1, 15.0, 15.1)] == [1, 2, None, 2, None, 2]


def test_no_restart_at_all_may_be_allowed() -> None:
    """A55: an intensity of zero."""
    assert Restarts(Intensity(0, 10.0)).allow(0.0) is None


def test_the_default_is_five_in_half_a_minute() -> None:
    """K5: what an application gets that declares nothing."""
    assert Intensity() == Intensity(restarts=5, period=30.0)


@given(
    times=st.lists(st.floats(0, 1e6), max_size=40).map(sorted),
    restarts=st.integers(0, 5),
    period=st.floats(0.1, 1e3),
)
def test_no_period_ever_holds_more_restarts_than_allowed(times: list[float], restarts: int, period: float) -> None:
    """K5: over any times, by counting."""
    counter = Restarts(Intensity(restarts, period))
    allowed = [time for time in times if counter.allow(time) is not None]
    for start in allowed:
        assert sum(start <= time <= start + period for time in allowed) <= restarts


def test_the_first_restart_waits_for_nothing_and_each_later_one_twice_as_long() -> None:
    """A55: back-off, up to five seconds; jitter adds up to half."""
    assert [delay(number, 0.0) for number in (1, 2, 3, 4, 5, 8, 9, 20)] == [0, 0.05, 0.1, 0.2, 0.4, 3.2, 5.0, 5.0]
    assert [delay(number, 1.0) for number in (1, 2, 9)] == [0.0, pytest.approx(0.075), 7.5]


@pytest.mark.parametrize("number", [1_000, 1_100, 100_000])
def test_a_great_many_restarts_wait_no_longer_than_the_longest(number: int) -> None:
    """K5: an operator may allow thousands; the arithmetic must not overflow."""
    assert delay(number, 0.0) == 5.0


@given(number=st.integers(1, 300), jitter=st.floats(0, 1))
def test_a_delay_is_never_negative_and_never_over_seven_and_a_half_seconds(number: int, jitter: float) -> None:
    """A55: whatever the jitter."""
    assert 0.0 <= delay(number, jitter) <= 7.5
    assert delay(number, jitter) <= delay(number + 1, 0.0) * 1.5
