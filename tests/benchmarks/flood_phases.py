"""The turns of the flood benchmark: by the machine's clock, so that nobody has to tell anybody when they change.

Imports the standard library only.
"""

from __future__ import annotations

from time import monotonic
from typing import Final

TURN: Final = 0.5
"""Seconds of a turn: quiet and flood take turns."""
MARGIN: Final = 0.05
"""Seconds after a change in which nothing is measured."""


def flooding(now: float) -> bool:
    """Return whether it is the flood's turn."""
    return int(now / TURN) % 2 == 1


def settled(started: float, ended: float) -> bool:
    """Return whether a call lay in one turn, and not at its beginning."""
    return started % TURN > MARGIN and int(started / TURN) == int(ended / TURN)


def rest_of_turn() -> float:
    """Return the seconds until the turn ends."""
    return TURN - monotonic() % TURN
