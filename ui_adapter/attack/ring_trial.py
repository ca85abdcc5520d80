"""One attack on the ring, tried and judged by what was seen: fates of calls, log lines, the target's count.

May import: `actors`, `messages`, the catalogue, the stage. Invariants: nothing counts as stopped that was not seen to
be; an attack that could not be brought to its end is broken, not stopped.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.ui_adapter.attack.catalogue import Attack, Outcome, Position, Result
from trollbridge.ui_adapter.attack.hostile_words import EXPLODED
from trollbridge.ui_adapter.attack.ring_stage import Lost, Met, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trollbridge.actors.operations.log import Line

    Run = Callable[[Stage, str], Sequence[str]]

MOST_STRIKES: Final = 15
"""Refusals after which the suite has new keys made, before the next one costs the member its link."""
MARGIN: Final = 4
"""Refusals that others than the attacker may earn by an attack."""
USUAL: Final = 2
"""The most refusals of an attack that asks for one: the broker's own, and one for what it had to say to it."""
STRIKES: Final = ("uid.refused", "lease.refused", "record.refused", "envelope.refused", "sender.refused")
SILENCE: Final = 10.0
"""Seconds after which a line that has not come is missing from the log."""
REFUSED: Final = "Refused"
REKEYED: Final = "SIGHUP: new keys"
"""Why a ring falls when the suite itself asks for new keys."""


class NotTried(Exception):
    """The attack makes no sense on this application; the text says why."""


class Row(NamedTuple):
    """One attack on the ring and what must be seen of it."""

    attack: Attack
    run: Run
    """Gets the stage and the word under which the target counts; returns the fates that it saw."""
    fates: tuple[str, ...]
    """What each fate must be one of; if `exactly`, what they must be one after the other."""
    exactly: bool
    logged: tuple[str, ...]
    """Events that the supervisor's log must tell about the attacker."""
    runs: int
    """How often the target must have counted the word, once everything is over."""
    strikes: int
    """The most refusals that the attack may earn the attacker in the epoch in which it begins."""
    falls: bool
    """Whether the ring may fall by it."""
    last: bool
    """Whether it leaves the epoch, or the extension, unfit for others."""


def row(  # noqa: PLR0913  # a line of a table, by name
    name: str,
    title: str,
    expected: str,
    run: Run,
    *,
    by: Position = Position.HOSTILE_UI,
    fates: Sequence[str] = (REFUSED,),
    exactly: bool = False,
    logged: Sequence[str] = (),
    runs: int = 0,
    strikes: int = USUAL,
    falls: bool = False,
    last: bool = False,
) -> Row:
    """Return a row of one of the tables."""
    return Row(Attack(name, by, title, expected), run, tuple(fates), exactly, tuple(logged), runs, strikes, falls, last)


def fits(stage: Stage, each: Row) -> bool:
    """Return whether every hostile member is there, in a sealed ring, and may still be refused often enough."""
    epoch = stage.epoch
    cast = stage.cast
    if stage.lines("ring.dismantling", epoch=epoch):
        return False
    for member in (cast.ui, cast.extension, cast.accomplice):
        needed = each.strikes if member == _attacker(stage, each.attack.position) else MARGIN
        if stage.lines("process.ended", epoch=epoch, member=member) or _strikes(stage, member) + needed > MOST_STRIKES:
            return False
    return True


def _strikes(stage: Stage, member: str) -> int:
    """Return how often the broker has refused a member in this epoch; what enclaves say of it counts there too."""
    epoch = stage.epoch
    lines = [line for event in STRIKES for line in stage.lines(event, epoch=epoch, member=member)]
    return sum(" " in line.why or line.event == "record.refused" for line in lines)


def prepare(stage: Stage, each: Row) -> None:
    """Have new keys made if the attack does not fit into this epoch. Raises `Lost`."""
    recover(stage)
    if not fits(stage, each):
        stage.rekey()


def recover(stage: Stage) -> None:
    """Wait for the next ring if this one has fallen."""
    epoch = stage.epoch
    if stage.lines("ring.dismantling", epoch=epoch):
        stage.settle(epoch + 1)


def attempt(stage: Stage, each: Row) -> Result:
    """Try one attack and judge it; raises `Lost` if it cannot be brought to its end."""
    prepare(stage, each)
    start, word = len(stage.log), each.attack.name
    try:
        seen = list(each.run(stage, word))
    except Met as met:
        seen = [met.kind]
    except NotTried as reason:
        return Result(each.attack, Outcome.NOT_TRIED, str(reason))
    wrong = _unexpected(each, seen)
    told = _about if wrong else _told  # what got through already is not waited for
    missing = [event for event in each.logged if not told(stage, each, event, start)]
    recover(stage)
    count = _count(stage, word)
    if each.strikes != USUAL:
        _hear_out(stage)
    wrong += [f"not logged as {event}" for event in missing]
    wrong += [] if count == each.runs else [f"executed {count} times instead of {each.runs}"]
    wrong += _collateral(stage.log[start:], falls=each.falls)
    lines = [f"{line.event}: {line.why}" for event in each.logged for line in _about(stage, each, event, start)]
    parts = [*_counted(wrong or seen), *_counted(lines), f"{count} executed"]
    return Result(each.attack, Outcome.THROUGH if wrong else Outcome.STOPPED, "; ".join(dict.fromkeys(parts)))


def _unexpected(each: Row, seen: Sequence[str]) -> list[str]:
    if each.exactly:
        return [] if tuple(seen) == each.fates else list(seen) or ["nothing was seen"]
    return [fate for fate in seen if fate not in each.fates]


def _count(stage: Stage, word: str) -> int:
    """Return how often the target has counted; -1 if the UI's honest call is not answered any more."""
    try:
        count: int = stage.ui("count", word=word)
    except Met:
        stage.rekey()
        return -1
    return count


def _attacker(stage: Stage, position: Position) -> str:
    return stage.cast.extension if position is Position.EXTENSION else stage.cast.ui


def _about(stage: Stage, each: Row, event: str, start: int) -> list[Line]:
    return stage.lines(event, start=start, member=_attacker(stage, each.attack.position))


def _told(stage: Stage, each: Row, event: str, start: int) -> list[Line]:
    """Return what the log tells of an event about the attacker, once it does, or has not told anything for long."""
    with suppress(Lost):
        stage.await_line(event, start=start, member=_attacker(stage, each.attack.position), seconds=SILENCE)
    return _about(stage, each, event, start)


def _hear_out(stage: Stage) -> None:
    """Wait until the log tells all that the broker has refused so far, or has not told anything for long.

    What the broker notices is told in its order, so the accomplice has it notice one thing more, of a kind that it
    does in no attack. Else refusals that are not told yet would not count when the next attack is chosen.
    """
    start = len(stage.log)
    stage.accomplice("claim", fields={"route": bytes(16)})
    with suppress(Lost):  # then the rows that follow will miss their lines, too
        stage.await_line("sender.refused", start=start, member=stage.cast.accomplice, seconds=SILENCE)


def _collateral(lines: Sequence[Line], *, falls: bool) -> list[str]:
    """Return what must not happen, whatever is tried."""
    found = ["a payload was run as code" for each in lines if each.exit_code == EXPLODED]
    fallen = [each.why for each in lines if each.event == "ring.dismantling" and each.why != REKEYED]
    return found + ([] if falls else [f"the ring fell: {why}" for why in fallen])


def _counted(texts: Sequence[str]) -> list[str]:
    """Return each text once, with how often it came."""
    return [f"{text} ×{number}" if number > 1 else text for text, number in Counter(texts).items()]
