"""From what was seen to what it means: an attack stopped, got through, works and harms nothing, or was not tried.

May import: `attempt`, `catalogue`, `plan`. Invariant: an attack that does not work on an unlocked process here is never
counted as stopped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.ui_adapter.attack.catalogue import Attack, Outcome, Position, Result
from trollbridge.ui_adapter.attack.plan import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trollbridge.ui_adapter.attack.attempt import Attempt
    from trollbridge.ui_adapter.attack.plan import Record

EXPECTED: Final = "refused, or the attacker is killed"
WORDS: Final = {Position.INSIDE: "inside", Position.EXTENSION: "extension", Position.OUTSIDER: "outsider"}


def attack(attempt: Attempt, position: Position) -> Attack:
    """Return an attempt as an attack of the catalogue: `K3.ptrace-peek` from inside is `K3.inside.ptrace-peek`."""
    row, _, slug = attempt.name.partition(".")
    return Attack(f"{row}.{WORDS[position]}.{slug}", position, attempt.title, EXPECTED)


def judge(
    attempts: Sequence[Attempt],
    position: Position,
    unlocked: Iterable[Record],
    locked: Iterable[Record],
    known: Mapping[str, str],
) -> list[Result]:
    """Compare each attack on an unlocked process with the same under the lock.

    `known`: by name, the attacks that are known to work, with the reason why that harms nothing.
    """
    before = {each.name: each for each in unlocked}
    after = {each.name: each for each in locked}
    return [
        Result(attack(each, position), *_outcome(before[each.name], after[each.name], known.get(each.name)))
        for each in attempts
    ]


def _outcome(before: Record, after: Record, known: str | None) -> tuple[Outcome, str]:
    if after.state is State.WORKED:
        return (Outcome.THROUGH, after.happened) if known is None else (Outcome.HARMLESS, known)
    if after.state is State.NOT_TRIED:
        return Outcome.NOT_TRIED, after.happened
    if before.state is not State.WORKED:
        return Outcome.NOT_TRIED, f"it does not work here without the lock either ({before.happened})"
    return Outcome.STOPPED, after.happened


def not_tried(attempts: Sequence[Attempt], position: Position, why: str) -> list[Result]:
    """Return every attack as not tried, for one reason."""
    return [Result(attack(each, position), Outcome.NOT_TRIED, why) for each in attempts]
