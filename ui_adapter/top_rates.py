"""Two looks at a running application made into rates: what `trollbridge top` tells. Pure.

May import: our messages. Invariant: a number is told only if it was measured; where two looks cannot be compared,
because a process or the ring has begun anew between them, what was counted since then is what counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from trollbridge.messages.measures import BUCKETS, MemberMeasure, quantile, since

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.messages.operator import Measures, ProcessState, Snapshot

FORMAT: Final = 1
"""Of the JSON; it changes when a reader would have to."""
TIMED: Final = 10
"""Looks over which it is told how long calls took: one call in sixteen is timed, so one look may have none."""


class Look(NamedTuple):
    """What was seen of an application at one moment."""

    time: float
    """Seconds of a clock that only goes forward."""
    snapshot: Snapshot
    measures: Measures | None
    """None while there is no broker to ask."""


class MemberTop(msgspec.Struct, frozen=True):
    """One process, with what it does in a second; as JSON, the names are the keys."""

    member: str
    role: str
    pid: int
    state: str
    level: str
    cpu: float
    """Shares of one processor: 1.0 is all of one."""
    rss: int
    calls: float
    """Calls that it makes in a second."""
    served: float
    """Calls that it is sent in a second."""
    p50: float | None
    """Seconds within which half of the calls were answered, by the broker's clock; None if none was timed."""
    p99: float | None
    in_flight: int
    load: int
    credit_held: int
    refusals: int
    bytes_in: float
    """Bytes that it sends in a second."""
    bytes_out: float
    queued: int
    restarts: int


class Top(msgspec.Struct, frozen=True):
    """The application between two looks; as JSON, the names are the keys."""

    format: int
    name: str
    pid: int
    state: str
    epoch: int
    since: float
    """When the ring came into this state, in seconds since 1970."""
    fell: str
    level: str
    restarts: int
    most_restarts: int
    seconds: float
    """Between the two looks."""
    calls: float
    """Of all members together, in a second."""
    p50: float | None
    p99: float | None
    members: tuple[MemberTop, ...]


def compared(looks: Sequence[Look], ticks: int) -> Top:
    """Return what happened between the last two looks; how long calls took, since up to `TIMED` looks ago.

    With one look rates are 0, and times are those since the ring was formed. `ticks`: of the processes' time in a
    second.
    """
    now, before = looks[-1], looks[-2] if len(looks) > 1 else None
    shot = now.snapshot
    seconds = max(now.time - before.time, 1e-3) if before is not None else 0.0
    rates = _since(now, before) if before is not None else {}
    times = _since(now, looks[max(0, len(looks) - 1 - TIMED)] if before is not None else None)
    former = {each.pid: each.cpu for each in before.snapshot.processes} if before is not None else {}
    standing = {each.member: each for each in now.measures.measures} if now.measures is not None else {}
    found: list[MemberTop] = []
    for each in shot.processes:
        nothing = MemberMeasure(each.member)
        rate, stands = rates.get(each.member, nothing), standing.get(each.member, nothing)
        used = max(0, each.cpu - former.get(each.pid, each.cpu))
        per = 1 / seconds if seconds else 0.0
        latency = times.get(each.member, nothing).latency
        found.append(_member(each, _Seen(stands, rate, latency, used / ticks, per)))
    together = _together([times[each] for each in times])
    return Top(
        *(FORMAT, shot.name, shot.pid, shot.state, shot.epoch, shot.since, shot.fell, shot.level),
        *(shot.restarts, shot.most, round(seconds, 3), round(sum(each.calls for each in found), 3)),
        *(quantile(together, 0.5), quantile(together, 0.99), tuple(found)),
    )


def _since(now: Look, before: Look | None) -> dict[str, MemberMeasure]:
    """Return what was counted of each member between two looks, or since its link if the first is of another ring."""
    if now.measures is None:
        return {}
    former: dict[str, MemberMeasure] = {}
    if before is not None and before.measures is not None and before.measures.epoch == now.measures.epoch:
        former = {each.member: each for each in before.measures.measures}
    return {each.member: since(each, former.get(each.member)) for each in now.measures.measures}


def _together(counted: Sequence[MemberMeasure]) -> tuple[int, ...]:
    """Return the times of all calls: those that servers have, or each would count twice."""
    serving = [each.latency for each in counted if each.served]
    return tuple(map(sum, zip(*serving, strict=True))) if serving else (0,) * BUCKETS


class _Seen(NamedTuple):
    """What was seen of one member."""

    stands: MemberMeasure
    since: MemberMeasure
    """What was counted between the last two looks."""
    latency: tuple[int, ...]
    cpu: float
    """Seconds of a processor that it has used between them."""
    per: float
    """One over the seconds between them; 0 if there is one look only."""


def _member(process: ProcessState, seen: _Seen) -> MemberTop:
    stands, rate, latency, cpu, per = seen
    return MemberTop(
        *(process.member, process.role, process.pid, process.state, process.level),
        cpu=round(cpu * per, 4),
        rss=process.rss,
        calls=round(rate.calls * per, 3),
        served=round(rate.served * per, 3),
        p50=quantile(latency, 0.5),
        p99=quantile(latency, 0.99),
        in_flight=stands.in_flight,
        load=stands.load,
        credit_held=stands.credit_held,
        refusals=stands.refusals,
        bytes_in=round(rate.bytes_in * per, 1),
        bytes_out=round(rate.bytes_out * per, 1),
        queued=stands.queued,
        restarts=process.restarts,
    )
