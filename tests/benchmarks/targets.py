"""The targets of the benchmark, each a bound on a ratio or a figure, and whether a run reached them.

Pure: imports the statistics and the roster. A target that lacks a peer's figure is `None`: neither reached nor missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks.roster import FRAMEWORKS, OURS
from tests.benchmarks.sample_statistics import Metric, Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.benchmarks.sample_statistics import Results

    Measured = Callable[[Results, Setting], float | None]

REFERENCE = "imports"
"""The pseudo-contender whose start is the time of one `python -c "import cryptography, pykka, msgspec, nacl"`."""


@dataclass(frozen=True, slots=True)
class Target:
    """One sentence, its bound, and how its value is found in one setting."""

    text: str
    limit: float
    at_least: bool
    value: Measured
    unit: str = "×"

    def reached_by(self, value: float | None) -> bool | None:
        """Say whether `value` keeps to the bound; None where there is no value."""
        if value is None:
            return None
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one run says of one target in one setting."""

    target: Target
    setting: Setting
    value: float | None

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None where a peer is missing."""
        return self.target.reached_by(self.value)


def against(peer: str, metric: Metric, *, ours_over: bool) -> Measured:
    """Compare our figure with the peer's of the same metric: ours divided by theirs, or the other way round."""
    over, under = (OURS, peer) if ours_over else (peer, OURS)
    return lambda results, setting: results.ratio(setting, (over, metric), (under, metric))


def worst(values: Iterable[float | None]) -> float | None:
    """Give the smallest value that exists."""
    present = [value for value in values if value is not None]
    return min(present) if present else None


def against_frameworks(metric: Metric, *, ours_over: bool) -> Measured:
    """Compare with every actor framework; the smallest ratio counts."""
    each = [against(peer, metric, ours_over=ours_over) for peer in FRAMEWORKS]
    return lambda results, setting: worst(value(results, setting) for value in each)


def start_ratio(results: Results, setting: Setting) -> float | None:
    """Our start-up as a multiple of the time that the imports alone take."""
    return results.ratio(setting, (OURS, Metric.START), (REFERENCE, Metric.START))


def recovery_ratio(results: Results, setting: Setting) -> float | None:
    """Our recovery as a multiple of our own start-up."""
    return results.ratio(setting, (OURS, Metric.RECOVERY), (OURS, Metric.START))


def broker_memory(results: Results, setting: Setting) -> float | None:
    """Give the broker's proportional set size."""
    return results.median(setting, OURS, Metric.BROKER_MEMORY)


def at_least(text: str, limit: float, value: Measured) -> Target:
    """Make a target whose value must reach `limit`."""
    return Target(text, limit, at_least=True, value=value)


def at_most(text: str, limit: float, value: Measured, unit: str = "×") -> Target:
    """Make a target whose value must not pass `limit`."""
    return Target(text, limit, at_least=False, value=value, unit=unit)


FASTER = partial(against, ours_over=False)
MORE = partial(against, ours_over=True)

TARGETS: tuple[Target, ...] = (
    at_most("64 B round trip, multiple of the plain Pipe relay", 3, against("pipe", Metric.LATENCY, ours_over=True)),
    at_least(
        "64 B round trip, times faster than every framework", 3, against_frameworks(Metric.LATENCY, ours_over=False)
    ),
    at_least("pipelined calls, times every framework", 8, against_frameworks(Metric.PIPELINED, ours_over=True)),
    at_least("pipelined calls, times plain pyzmq", 1, MORE("pyzmq", Metric.PIPELINED)),
    at_least("1 MiB echo, times plain pyzmq", 1, MORE("pyzmq", Metric.BULK)),
    at_most("ring sealed, multiple of the imports alone", 3, start_ratio),
    at_most("SIGKILL to first answer, multiple of our start-up", 1.5, recovery_ratio),
    at_least("SIGKILL to first answer, times faster than Ray", 1, FASTER("ray", Metric.RECOVERY)),
    at_least("SIGKILL to first answer, times faster than xoscar", 1, FASTER("xoscar", Metric.RECOVERY)),
    at_most("memory of the broker", 32, broker_memory, unit="MiB"),
)


def verdicts(results: Results) -> list[Verdict]:
    """Judge every target in both settings."""
    return [Verdict(target, setting, target.value(results, setting)) for target in TARGETS for setting in Setting]
