"""The arithmetic of the benchmark: medians, percentiles, figures by round and ratios between contenders.

Pure: imports the standard library only; no clock, no process. It owns one rule: two contenders are compared round by
round, and the median of those ratios is what counts, so that a slow minute of the machine hits both sides alike.
"""

from __future__ import annotations

import math
from collections import defaultdict
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Metric(StrEnum):
    """What is measured, with the unit in the name."""

    LATENCY = "latency_us"
    LATENCY_P99 = "latency_p99_us"
    PIPELINED = "calls_per_second"
    BULK = "bulk_mb_per_second"
    START = "start_ms"
    SEALED = "sealed_ms"
    LIFE_CPU = "life_cpu_ms"
    """Processor time of all processes from start to end, for one call."""
    CALL_CPU = "call_cpu_us"
    """Processor time of all processes for each 64 B call."""
    RECOVERY = "recovery_ms"
    BROKER_MEMORY = "broker_pss_mib"
    ALL_MEMORY = "all_pss_mib"


class NoSamplesError(ValueError):
    """There is nothing to make a figure of: no samples, no such percentile, or no time has passed."""


class Setting(StrEnum):
    """On which processors every process of a contender may run."""

    PINNED = "pinned"
    FREE = "free"


def percentile(samples: Sequence[float], percent: float) -> float:
    """Give the nearest-rank percentile: the smallest sample that `percent` per cent do not exceed.

    Raises NoSamplesError for no samples or a percentage outside 0 < percent <= 100.
    """
    if not samples or not 0 < percent <= 100:
        raise NoSamplesError
    return sorted(samples)[math.ceil(len(samples) * percent / 100) - 1]


def latency_figures(nanoseconds: Sequence[int]) -> dict[Metric, float]:
    """Give median and 99th percentile of a run of calls, in microseconds."""
    return {Metric.LATENCY: median(nanoseconds) / 1e3, Metric.LATENCY_P99: percentile(nanoseconds, 99) / 1e3}


def per_second(calls: int, seconds: float) -> float:
    """Give calls a second. Raises NoSamplesError where no time has passed."""
    if seconds <= 0:
        raise NoSamplesError
    return calls / seconds


def megabytes_per_second(calls: int, seconds: float, size: int) -> float:
    """Give the payload that was echoed in 10^6 bytes a second; each echo counts once."""
    return per_second(calls, seconds) * size / 1e6


class Results:
    """Every figure of a run, kept by setting, contender, metric and round."""

    def __init__(self) -> None:
        """Start with no figures."""
        self._figures: dict[tuple[Setting, str, Metric], dict[int, list[float]]] = defaultdict(dict)

    def record(self, setting: Setting, contender: str, number: int, figures: Mapping[Metric, float]) -> None:
        """Keep the figures of one round; several of one metric in a round are averaged by their median."""
        for metric, value in figures.items():
            self._figures[setting, contender, metric].setdefault(number, []).append(value)

    def by_round(self, setting: Setting, contender: str, metric: Metric) -> dict[int, float]:
        """Map each round that has the figure to it."""
        rounds = self._figures.get((setting, contender, metric), {})
        return {number: median(values) for number, values in rounds.items()}

    def median(self, setting: Setting, contender: str, metric: Metric) -> float | None:
        """Give the median over the rounds, None where there is none."""
        values = self.by_round(setting, contender, metric).values()
        return median(values) if values else None

    def ratio(self, setting: Setting, over: tuple[str, Metric], under: tuple[str, Metric]) -> float | None:
        """Give the median over the shared rounds of `over` divided by `under`, None where they share none."""
        above, below = self.by_round(setting, *over), self.by_round(setting, *under)
        ratios = [above[number] / below[number] for number in above if below.get(number)]
        return median(ratios) if ratios else None

    def contenders(self) -> list[str]:
        """Name everybody who has a figure, in the order of their first."""
        return list(dict.fromkeys(contender for _, contender, _ in self._figures))

    def as_rounds(self) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
        """Give everything as setting → contender → metric → round → figure, ready for JSON."""
        tree: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
        for setting, contender, metric in self._figures:
            rounds = {str(number): value for number, value in self.by_round(setting, contender, metric).items()}
            tree.setdefault(setting, {}).setdefault(contender, {})[metric] = rounds
        return tree
