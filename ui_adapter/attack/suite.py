"""The suite: which attacks are tried on an application, in which positions, and what came of all of them.

May import: the catalogue, the ring half, the kernel half. Invariant: a row of the catalogue that is not tried here is
named with the reason; none is passed over in silence.
"""

from __future__ import annotations

import os
import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.ui_adapter.attack import ring, suite_kernel
from trollbridge.ui_adapter.attack.catalogue import Outcome, Position, Result
from trollbridge.ui_adapter.attack.ring_cast import cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trollbridge.actors.app import App
    from trollbridge.ui_adapter.attack.catalogue import Attack

    Show = Callable[[Result], object]

POSITIONS: Final = MappingProxyType(
    {
        "extension": Position.EXTENSION,
        "hostile-ui": Position.HOSTILE_UI,
        "outsider": Position.OUTSIDER,
        "inside": Position.INSIDE,
    }
)
"""The positions as the command line writes them."""
ELSEWHERE: Final = "needs other hands than an attacker of this position has; Trollbridge's own tests try it"
UNTRIED: Final = MappingProxyType(
    {
        "R6": "the join is over before an attacker's code runs; Trollbridge's own tests hammer it",
        "R7": "a boot that fails shows nothing of a running application; Trollbridge's own tests break it in each way",
        "R8": "a vault of yours would be written; asking for handlers without a grant is tried as A49",
        "R9": "this machine has what is needed, or the application would not have started; see trollbridge doctor",
        "R10": "a property of the code, not of a run; Trollbridge's own tests search it",
        "R12": "timing cannot be judged on a machine that does other work; all comparisons are constant-time",
        "I7": "no process of the application has a name or an address to be reached by",
        "S3": "no program is started for anybody yet",
        "S4": "no program is started for anybody yet",
        "S6": "no program is started for anybody yet",
        "K1": "the keys of your vault would be used",
        "K2": "the keys of your vault would be used",
        "K5": "the copy that is attacked bears more restarts than yours, since the suite kills its target on purpose",
        "K7": ELSEWHERE,
    }
)
"""Rows of the catalogue that no attack here belongs to, each with the reason."""


class Choice(msgspec.Struct, frozen=True):
    """Which attacks are wanted. Empty: all of them."""

    positions: frozenset[Position] = frozenset()
    prefixes: tuple[str, ...] = ()
    """What the name begins with, in capitals or not."""

    def of(self, attacks: Iterable[Attack]) -> tuple[Attack, ...]:
        """Return those of `attacks` that are wanted."""
        return tuple(
            each
            for each in attacks
            if (not self.positions or each.position in self.positions)
            and (not self.prefixes or each.name.lower().startswith(tuple(map(str.lower, self.prefixes))))
        )


class Untried(msgspec.Struct, frozen=True):
    """A row of the catalogue that was not tried."""

    row: str
    why: str


class Report(msgspec.Struct, frozen=True):
    """What came of everything."""

    application: str
    seconds: float
    results: tuple[Result, ...]
    honest: tuple[Result, ...]
    """Whether honest calls were answered rightly, before and after the attacks."""
    broken: tuple[str, ...]
    """Attacks that could not be brought to their end: the suite cannot say that they are stopped."""
    untried: tuple[Untried, ...]
    root: bool = False
    """Whether root ran it, whom the kernel lets do to a running application what it refuses its user."""

    def count(self, outcome: Outcome) -> int:
        """Return how many attacks came to an outcome."""
        return sum(each.outcome is outcome for each in self.results)

    @property
    def tried(self) -> int:
        """How many attacks were tried."""
        return len(self.results) - self.count(Outcome.NOT_TRIED)

    @property
    def left_to_users(self) -> int:
        """How many outsider's attacks on the running application were not tried because root ran the suite."""
        names = {each.name for each in ring.ATTACKS if each.position is Position.OUTSIDER}
        return self.root * sum(each.outcome is Outcome.NOT_TRIED and each.attack.name in names for each in self.results)

    @property
    def passed(self) -> bool:
        """Whether nothing got through, nothing is left open, and the application works as before."""
        return self.works and not self.broken and not self.count(Outcome.THROUGH)

    @property
    def works(self) -> bool:
        """Whether every honest call was answered rightly."""
        return all(each.outcome is Outcome.STOPPED for each in self.honest)


def attacks() -> tuple[Attack, ...]:
    """Return every attack, in the order in which they are reported."""
    return (*ring.ATTACKS, *suite_kernel.ATTACKS)


def run(app: App, name: str, choice: Choice, show: Show) -> Report:
    """Try the attacks that are wanted on a copy of `app`; `show` gets each result as it comes.

    Raises `BootFailed` or `DeclarationError` if the copy does not start.
    """
    started = time.monotonic()
    tried = ring.run(cast(app), choice.of(ring.ATTACKS), show)
    kernel = suite_kernel.run(app, choice.of(suite_kernel.ATTACKS), show)
    results, seconds = (*tried.results, *kernel.results), time.monotonic() - started
    broken = (*tried.broken, *kernel.broken)
    untried = _untried(results, choice)
    return Report(name, round(seconds, 3), results, tried.honest, broken, untried, root=os.geteuid() == 0)


def _untried(results: Iterable[Result], choice: Choice) -> tuple[Untried, ...]:
    rows = {each.attack.name.partition(".")[0] for each in results}
    if choice.positions or choice.prefixes:
        return ()  # whoever chooses knows what is left out
    return tuple(Untried(row, why) for row, why in UNTRIED.items() if row not in rows)
