"""The ring half of the suite: every row, one after the other, on one stage; then proof that all still works.

May import: the stage, the tables. Invariants: it ends by itself, whatever the application does; a row that could not be
brought to its end is named as broken, and never counted as stopped.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.ui_adapter.attack import ring_ends, ring_freshness, ring_identity, ring_life, ring_outsider
from trollbridge.ui_adapter.attack.catalogue import Outcome
from trollbridge.ui_adapter.attack.ring_stage import Lost, Stage
from trollbridge.ui_adapter.attack.ring_trial import Row, attempt, fits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trollbridge.ui_adapter.attack.catalogue import Attack, Result
    from trollbridge.ui_adapter.attack.ring_cast import Cast

    Show = Callable[[Result], object]

LIMIT: Final = 120.0
"""Seconds after which no further attack is begun."""
ROWS: Final[tuple[Row, ...]] = (
    *ring_freshness.ROWS,
    *ring_life.ROWS,
    *ring_identity.ROWS,
    *ring_outsider.ROWS,
)
ATTACKS: Final[tuple[Attack, ...]] = (*(each.attack for each in ROWS), ring_ends.NOTHING_LEFT, ring_ends.KILLED)


class Tried(NamedTuple):
    """What came of some attacks."""

    results: tuple[Result, ...]
    honest: tuple[Result, ...]
    """What came of honest calls, before and after the attacks."""
    broken: tuple[str, ...]
    """What could not be brought to its end, by name."""


class _Run:
    """The results so far."""

    def __init__(self, show: Show) -> None:
        self.results: list[Result] = []
        self.broken: list[str] = []
        self._show = show

    def add(self, result: Result) -> Result:
        self.results.append(result)
        self._show(result)
        return result

    def attempt(self, attack: Attack, act: Callable[[], Result]) -> Result:
        try:
            return self.add(act())
        except Lost as lost:
            self.broken.append(attack.name)
            return self.add(ring_ends.broken(attack, lost))


def run(cast: Cast, attacks: Sequence[Attack], show: Show) -> Tried:
    """Try some of `ATTACKS` on the application; `show` gets each result as it comes.

    Before and after them, honest calls; at the end, proof that nothing is left. Raises `BootFailed` or
    `DeclarationError` if the application does not start.
    """
    wanted, made = set(attacks), _Run(show)
    honest: list[Result] = []
    rows = [each for each in ROWS if each.attack in wanted]
    if rows or ring_ends.NOTHING_LEFT in wanted:
        with Stage(cast) as stage:
            honest.append(_honest(stage, ring_ends.BEFORE, made))
            _all(stage, rows, made)
            honest.append(_honest(stage, ring_ends.AFTER, made))
            _finish(stage, made, wanted=ring_ends.NOTHING_LEFT in wanted)
    if ring_ends.KILLED in wanted:
        made.attempt(ring_ends.KILLED, lambda: ring_ends.kill(cast))
    places = {each: number for number, each in enumerate(ATTACKS)}
    results = sorted(made.results, key=lambda each: places[each.attack])
    return Tried(tuple(results), tuple(honest), tuple(made.broken))


def _finish(stage: Stage, made: _Run, *, wanted: bool) -> None:
    """End the application and look whether anything is left; say so if it is wanted, or not as it should be."""
    try:
        result = ring_ends.finish(stage)
    except Lost as lost:
        made.broken.append(ring_ends.NOTHING_LEFT.name)
        result = ring_ends.broken(ring_ends.NOTHING_LEFT, lost)
    if wanted or result.outcome is not Outcome.STOPPED:
        made.add(result)


def _honest(stage: Stage, calls: Row, made: _Run) -> Result:
    try:
        return attempt(stage, calls)
    except Lost as lost:
        made.broken.append(calls.attack.name)
        return ring_ends.broken(calls.attack, lost)


def _all(stage: Stage, rows: list[Row], made: _Run) -> None:
    """Try every row, in the order that needs the fewest rings; name those that there is no time for."""
    until, left = time.monotonic() + LIMIT, list(rows)
    while left and time.monotonic() < until:
        each = _next(stage, left)
        left.remove(each)
        made.attempt(each.attack, functools.partial(attempt, stage, each))
    for each in left:
        made.broken.append(each.attack.name)
        made.add(ring_ends.unfinished(each.attack))


def _next(stage: Stage, left: Sequence[Row]) -> Row:
    """Return the next row that fits into this epoch, those that spoil it last; the first one if none does."""
    fitting = [each for each in left if fits(stage, each)]
    return next((each for each in fitting if not each.last), next(iter(fitting), left[0]))
