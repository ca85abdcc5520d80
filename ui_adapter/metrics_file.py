"""The figures of an application as a text file that Prometheus's node exporter reads, in place of an open port.

May import: `click`, `prometheus_client` (extra `metrics`), our actors and messages. Invariants: whoever reads the file
reads a whole set of figures; it is readable by all, as it holds names and numbers only.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from trollbridge.actors.operations.metrics import BOUNDS, Distribution, Family, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.core import Metric

_MODE: Final = 0o644
_BOUNDS: Final = (*(str(bound / 1e6) for bound in BOUNDS), "+Inf")


def _converted(family: Family) -> Metric:
    from prometheus_client import core  # noqa: PLC0415  # an extra, loaded only where it was asked for

    if family.kind is Kind.HISTOGRAM:
        histogram = core.HistogramMetricFamily(family.name, family.means, labels=family.labels)
        for labels, each in family.samples.items():
            if isinstance(each, Distribution):
                histogram.add_metric(labels, list(zip(_BOUNDS, each.cumulative, strict=True)), each.total)
        return histogram
    of = core.CounterMetricFamily if family.kind is Kind.COUNTER else core.GaugeMetricFamily
    found = of(family.name, family.means, labels=family.labels)
    for labels, value in family.samples.items():
        if not isinstance(value, Distribution):
            found.add_metric(labels, value)
    return found


class _Collected:
    """What the library's renderer asks for the figures."""

    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        return map(_converted, self._families)


def render(families: Sequence[Family]) -> bytes:
    """Return the figures in Prometheus's text format, version 0.0.4."""
    from prometheus_client import CollectorRegistry, generate_latest  # noqa: PLC0415  # as above

    registry = CollectorRegistry()
    registry.register(_Collected(families))
    return generate_latest(registry)


def metrics_to(path: str) -> Callable[[Sequence[Family]], None]:
    """Return a function that puts a set of figures in the file's place, whole; raises `click.BadParameter`.

    The function raises `OSError` where it cannot, and then leaves the file as it was.
    """
    place = Path(path)
    try:
        render(())
    except ModuleNotFoundError:
        msg = "figures need another package: pip install 'trollbridge[metrics]'"
        raise click.BadParameter(msg, param_hint="--metrics") from None
    if place.suffix != ".prom" or not place.absolute().parent.is_dir():
        msg = f"{path} must end with .prom, as the node exporter reads no other, and be in a folder that exists"
        raise click.BadParameter(msg, param_hint="--metrics")
    part = place.absolute().with_name(f".{place.name}.{os.getpid()}")
    return lambda families: _replace(part, place.absolute(), render(families))


def _replace(part: Path, place: Path, content: bytes) -> None:
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        with open(descriptor, "wb") as file:  # noqa: PTH123  # of a descriptor
            file.write(content)
        part.replace(place)
    except OSError:
        with contextlib.suppress(OSError):
            part.unlink()
        raise
