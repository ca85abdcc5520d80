"""How a number has gone, as a row of block characters, and rates from two counts. Pure.

May import: the standard library. Invariant: a plot has one character for each value, however large that is.
"""

from __future__ import annotations

from collections import deque
from typing import Final

BLOCKS: Final = "▁▂▃▄▅▆▇█"
PLAIN: Final = "_.-:=+*#"
"""The same where the output's encoding has no blocks."""
NOTHING: Final = " "


def plot(values: list[float], width: int, *, marks: str = BLOCKS, highest: float = 0.0) -> str:
    """Return the last `width` values, the newest at the right, each as high as it is to the highest that is shown.

    Values before the first are blank; what is 0 or less has the lowest mark. `highest`: what reaches the top at least.
    """
    shown = values[-width:] if width > 0 else []
    top = max([highest, *shown])
    steps = len(marks) - 1
    drawn = "".join(marks[0] if value <= 0 else marks[max(1, round(steps * value / top))] for value in shown)
    return drawn.rjust(width, NOTHING)


def encodable(encoding: str | None) -> str:
    """Return the marks that an encoding has."""
    try:
        BLOCKS.encode(encoding or "ascii")
    except (UnicodeError, LookupError):
        return PLAIN
    return BLOCKS


class History:
    """The last values of several series, by their names; one that is not told any more is forgotten."""

    def __init__(self, length: int) -> None:
        """Take how many values of each are kept."""
        self._length: Final = length
        self._series: dict[str, deque[float]] = {}

    def add(self, values: dict[str, float]) -> None:
        """Note the next value of each series."""
        self._series = {name: self._series.get(name, deque(maxlen=self._length)) for name in values}
        for name, value in values.items():
            self._series[name].append(value)

    def of(self, name: str) -> list[float]:
        """Return the values of a series, the oldest first; none if there is no such series."""
        return list(self._series.get(name, ()))


def number(value: float) -> str:
    """Return a count or a rate in at most five characters: 0, 0.4, 17, 940, 12.3k, 1.2M."""
    if value >= 9_999.5:  # noqa: PLR2004  # five figures are read as a count of thousands
        for unit in "kMGTP":
            value /= 1000
            if value < 999.5:  # noqa: PLR2004  # the next unit says it shorter
                return f"{value:.1f}{unit}" if value < 99.95 else f"{value:.0f}{unit}"  # noqa: PLR2004
        return "many"
    return f"{value:.0f}" if value >= 9.95 or value == int(value) else f"{value:.1f}"  # noqa: PLR2004


def memory(count: int) -> str:
    """Return a number of bytes in MiB."""
    return f"{count / (1 << 20):.0f} MiB"


def span(seconds: float | None) -> str:
    """Return a time that a call took: 85 µs, 1.2 ms, 3.4 s; a dash if there was none."""
    if seconds is None:
        return "–"
    if seconds < 0.000_9995:  # noqa: PLR2004  # from here on it is read as milliseconds
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 0.9995:  # noqa: PLR2004  # and from here on as seconds
        milliseconds = seconds * 1000
        return f"{milliseconds:.1f} ms" if milliseconds < 99.95 else f"{milliseconds:.0f} ms"  # noqa: PLR2004
    return f"{seconds:.1f} s"


def age(seconds: float) -> str:
    """Return how long ago something was: 42 s, 12 min, 3 h 05, 2 d 4 h."""
    whole = max(0, int(seconds))
    if whole < 100:  # noqa: PLR2004  # as people say it
        return f"{whole} s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 100:  # noqa: PLR2004  # the same
        return f"{minutes} min"
    return f"{hours} h {minutes % 60:02}" if hours < 48 else f"{days} d {hours % 24} h"  # noqa: PLR2004
