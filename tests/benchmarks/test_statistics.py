"""The arithmetic of the benchmark and its verdicts, on values that can be checked by hand."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.benchmarks.contender import Limit, in_sequence, one_by_one, windowed
from tests.benchmarks.report import figure, plain
from tests.benchmarks.roster import OURS, ROSTER
from tests.benchmarks.sample_statistics import (
    Metric,
    NoSamplesError,
    Results,
    Setting,
    latency_figures,
    megabytes_per_second,
    per_second,
    percentile,
)
from tests.benchmarks.targets import REFERENCE, TARGETS, verdicts

PINNED = Setting.PINNED


def test_a_percentile_is_the_nearest_rank() -> None:
    """Of 1 to 100 the 99th percentile is 99, and of one sample every percentile is that sample."""
    assert [percentile(range(1, 101), percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]
    assert percentile([7], 99) == 7


@given(st.lists(st.integers(), min_size=1), st.floats(min_value=0.01, max_value=100))
def test_a_percentile_is_a_sample_that_enough_others_do_not_exceed(samples: list[int], percent: float) -> None:
    """The definition, whatever the samples."""
    value = percentile(samples, percent)
    assert value in samples
    assert sum(sample <= value for sample in samples) >= len(samples) * percent / 100


@pytest.mark.parametrize(("samples", "percent"), [([], 50), ([1], 0), ([1], 101)])
def test_a_percentile_of_nothing_is_refused(samples: list[int], percent: float) -> None:
    """No samples, or a percentage that means nothing."""
    with pytest.raises(NoSamplesError):
        percentile(samples, percent)


def test_latencies_are_told_in_microseconds() -> None:
    """Nanoseconds go in; the median and the 99th percentile come out in microseconds."""
    figures = latency_figures([1_000, 2_000, 3_000, 100_000])
    assert figures == {Metric.LATENCY: 2.5, Metric.LATENCY_P99: 100.0}


def test_rates_are_told_per_second() -> None:
    """Calls and payload, each echo counted once, in 10^6 bytes."""
    assert per_second(500, 0.25) == 2000
    assert megabytes_per_second(10, 0.5, 1 << 20) == pytest.approx(20.97152)
    with pytest.raises(NoSamplesError):
        per_second(1, 0)


def test_a_ratio_is_the_median_of_the_ratios_of_each_round() -> None:
    """A round in which the machine was slow for both sides changes nothing, one that only one side has is left out."""
    results = Results()
    for number, (ours, theirs) in enumerate([(100, 50), (1000, 500), (90, 30)]):
        results.record(PINNED, OURS, number, {Metric.LATENCY: ours})
        results.record(PINNED, "pipe", number, {Metric.LATENCY: theirs})
    results.record(PINNED, OURS, 3, {Metric.LATENCY: 1})
    assert results.ratio(PINNED, (OURS, Metric.LATENCY), ("pipe", Metric.LATENCY)) == 2
    assert results.median(PINNED, OURS, Metric.LATENCY) == 95
    assert results.ratio(Setting.FREE, (OURS, Metric.LATENCY), ("pipe", Metric.LATENCY)) is None
    assert results.median(Setting.FREE, OURS, Metric.LATENCY) is None


def test_several_figures_of_a_round_count_as_their_median() -> None:
    """The reference is timed thrice in each round."""
    results = Results()
    for took in (50.0, 40.0, 90.0):
        results.record(PINNED, REFERENCE, 0, {Metric.START: took})
    assert results.as_rounds() == {"pinned": {REFERENCE: {"start_ms": {"0": 50.0}}}}
    assert results.contenders() == [REFERENCE]


def results_of(figures: dict[str, dict[Metric, float]]) -> Results:
    """Keep one round, the same in both settings."""
    results = Results()
    for setting in Setting:
        for name, values in figures.items():
            results.record(setting, name, 0, values)
    return results


def test_every_target_is_judged_in_both_settings() -> None:
    """A run that reaches each target exactly at its bound; the slowest framework does not excuse the quickest."""
    ours = {
        Metric.LATENCY: 90.0,
        Metric.PIPELINED: 80_000.0,
        Metric.BULK: 200.0,
        Metric.START: 150.0,
        Metric.RECOVERY: 225.0,
        Metric.BROKER_MEMORY: 32.0,
    }
    quickest = {Metric.LATENCY: 270.0, Metric.PIPELINED: 10_000.0, Metric.RECOVERY: 225.0}
    slowest = {Metric.LATENCY: 2700.0, Metric.PIPELINED: 1_000.0, Metric.RECOVERY: 2250.0}
    figures = {
        OURS: ours,
        "pipe": {Metric.LATENCY: 30.0},
        "pyzmq": {Metric.PIPELINED: 80_000.0, Metric.BULK: 200.0},
        "xoscar": quickest,
        "ray": slowest,
        REFERENCE: {Metric.START: 50.0},
    }
    judged = verdicts(results_of(figures))
    assert len(judged) == 2 * len(TARGETS)
    assert all(verdict.reached for verdict in judged)
    worse = {
        metric: value * (0.99 if metric in (Metric.PIPELINED, Metric.BULK) else 1.01) for metric, value in ours.items()
    }
    worse[Metric.START] = ours[Metric.START] * 1.005
    missed = [verdict for verdict in verdicts(results_of(figures | {OURS: worse})) if not verdict.reached]
    assert [verdict.target.text for verdict in missed if verdict.setting is PINNED] == [
        target.text for target in TARGETS if "faster than Ray" not in target.text
    ]


def test_a_target_without_a_peer_is_neither_reached_nor_missed() -> None:
    """Where Ray could not be installed, the verdict on Ray says so."""
    judged = verdicts(results_of({OURS: {Metric.RECOVERY: 1.0}}))
    assert {verdict.reached for verdict in judged} == {None}


def test_a_window_never_holds_more_calls_than_it_may() -> None:
    """Every call that was sent is received, and never are more outstanding than asked for."""
    outstanding: deque[int] = deque()
    deepest: list[int] = []

    def send() -> None:
        outstanding.append(0)
        deepest.append(len(outstanding))

    rate = windowed(send, outstanding.popleft, Limit(1000, 1e6), 16)
    assert (rate.calls, rate.in_flight, max(deepest), len(outstanding)) == (1000, 16, 16, 0)


def test_a_measure_ends_with_its_calls_or_its_seconds() -> None:
    """Whichever comes first; the warm-up is not counted."""
    calls: list[int] = []
    assert len(one_by_one(lambda: calls.append(0), Limit(50, 1e6))) == 50
    assert len(calls) == 55
    assert one_by_one(lambda: None, Limit(50, 0.0)) == []
    assert len(one_by_one(lambda: None, Limit(50, 1e-9))) == 1, "as long as there is any time, there is a sample"
    assert in_sequence(lambda: None, Limit(20, 1e6)).calls == 20
    assert in_sequence(lambda: None, Limit(20, 0.0)).calls == 0


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (41_234.5, "41,234")]
)
def test_a_figure_has_the_digits_that_mean_something(value: float | None, text: str) -> None:
    """Three of them, and a dash for what was not measured."""
    assert figure(value) == text


def test_a_plain_table_is_laid_out_in_columns() -> None:
    """The first column to the left, figures to the right."""
    assert plain("title", [["", "µs"], ["Pipe", "36.1"]]) == "title\n        µs\nPipe  36.1\n"


def test_every_contender_has_one_name_and_third_parties_a_pinned_version() -> None:
    """Names are what `--only` takes."""
    assert len({entry.name for entry in ROSTER}) == len(ROSTER)
    assert all((entry.requirement is None) == (entry.version is None) for entry in ROSTER)
