"""Histograms of how long calls took, and what was counted between two looks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trollbridge.messages.codec import Codec
from trollbridge.messages.measures import BUCKETS, MemberMeasure, bucket, least, quantile, since

TIMES = st.integers(min_value=0, max_value=(1 << 27) - 1)


@given(TIMES)
def test_each_time_belongs_to_one_bucket_no_wider_than_a_quarter_of_it(microseconds: int) -> None:
    """From one microsecond to two minutes; the buckets touch."""
    number = bucket(microseconds)
    assert least(number) <= microseconds < least(number + 1)
    assert least(number + 1) - least(number) <= max(1, least(number) // 4)


def test_what_is_shorter_or_longer_than_any_bucket_counts_in_the_first_or_the_last() -> None:
    """A clock that stands still, a call of an hour."""
    assert [bucket(each) for each in (-5, 0, (1 << 27) - 1, 1 << 27, 1 << 62)] == [0, 0, 103, 104, BUCKETS - 1]


@given(st.lists(TIMES, min_size=1), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_is_that_of_the_times_to_an_eighth(times: list[int], share: float) -> None:
    """The time within which a share of the calls was answered."""
    counts = [0] * BUCKETS
    for each in times:
        counts[bucket(each)] += 1
    found = quantile(tuple(counts), share)
    ranked = sorted(times)
    true = next(each for number, each in enumerate(ranked, 1) if number >= share * len(ranked))
    assert found is not None
    assert abs(found * 1e6 - true) <= max(1, true / 8)


def test_of_no_calls_there_is_no_quantile() -> None:
    """And nothing is divided by zero."""
    assert quantile((0,) * BUCKETS, 0.5) is None


def test_what_is_counted_between_two_looks_is_the_difference() -> None:
    """What tells how it stands is that of the second look; a broker that has begun anew counts from zero."""
    first = MemberMeasure("vault", 1, 1, 10, 0, 3, 0, 1, 100, 200, 7, (1, *(0,) * (BUCKETS - 1)))
    second = MemberMeasure("vault", 3, 2, 30, 1, 2, 5, 1, 1100, 400, 9, (5, *(0,) * (BUCKETS - 1)))
    assert since(second, first) == MemberMeasure("vault", 2, 1, 20, 1, 2, 5, 0, 1000, 200, 9, (4, *second.latency[1:]))
    assert since(first, second) == first
    assert since(first, None) == first


def test_a_measure_arrives_as_it_was() -> None:
    """P4: there and back, as many numbers as there are buckets."""
    codec: Codec[MemberMeasure] = Codec(MemberMeasure)
    for each in (MemberMeasure("console"), MemberMeasure("vault", 1, 2, 3, 4, 5, latency=tuple(range(BUCKETS)))):
        assert codec.decode(codec.encode(each)) == each
