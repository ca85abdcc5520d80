"""What the broker has counted of one member, and how long calls took: plain numbers, for people and for limits.

May import: `msgspec`, the standard library. Invariant: nothing here says what a call was about: no handler, no size of
one message, no time of one call.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

BUCKETS: Final = 108
"""Of a histogram: four for each power of two of microseconds, up to two minutes; the last has whatever is longer."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
Histogram: TypeAlias = Annotated[tuple[Count, ...], msgspec.Meta(min_length=BUCKETS, max_length=BUCKETS)]


class MemberMeasure(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What has passed between the broker and one member in this epoch, and how it stands now."""

    member: str
    calls: Count = 0
    """Calls that it has made and that were passed on."""
    replies: Count = 0
    """Replies to them that were passed on."""
    served: Count = 0
    """Calls that were passed on to it."""
    in_flight: Count = 0
    """Its own calls without a reply."""
    load: Count = 0
    """Calls of others that it has not answered."""
    credit_held: Count = 0
    """UIDs that it has and has not used."""
    refusals: Count = 0
    """What was refused of it; one too many costs it its link."""
    bytes_in: Count = 0
    """Bytes of the records that it has sent."""
    bytes_out: Count = 0
    """Bytes of the records that were sent to it."""
    queued: Count = 0
    """Bytes that wait for it in the broker, each item counted with some more."""
    latency: Histogram = (0,) * BUCKETS
    """Of one call in 16, from broker to reply, by `bucket`: of those that it serves, if it serves, else of its own."""


def bucket(microseconds: int) -> int:
    """Return which bucket a time belongs to."""
    if microseconds < 8:  # noqa: PLR2004  # below two powers of two, a bucket for each
        return max(0, microseconds)
    shift = microseconds.bit_length() - 3
    return min(BUCKETS - 1, 4 * shift + (microseconds >> shift))


def least(number: int) -> int:
    """Return the shortest time in microseconds that belongs to a bucket; the one after it begins where it ends."""
    if number < 8:  # noqa: PLR2004  # as above
        return number
    shift = number // 4 - 1
    return (number - 4 * shift) << shift


def quantile(histogram: tuple[int, ...], share: float) -> float | None:
    """Return in seconds how long `share` of the calls took at most, to an eighth of it; None if there were none."""
    total = sum(histogram)
    if not total:
        return None
    wanted, seen = share * total, 0
    for number, count in enumerate(histogram):
        seen += count
        if seen >= wanted and count:
            return (least(number) + least(number + 1)) / 2e6
    return least(BUCKETS) / 1e6


def since(now: MemberMeasure, before: MemberMeasure | None) -> MemberMeasure:
    """Return what has been counted between two looks; what tells how it stands is as it is now.

    A broker that has begun anew counts from zero: then all that it has counted is since.
    """
    if before is None or before.calls > now.calls or before.served > now.served or before.bytes_in > now.bytes_in:
        return now
    return msgspec.structs.replace(
        now,
        calls=now.calls - before.calls,
        replies=max(0, now.replies - before.replies),
        served=now.served - before.served,
        refusals=max(0, now.refusals - before.refusals),
        bytes_in=now.bytes_in - before.bytes_in,
        bytes_out=max(0, now.bytes_out - before.bytes_out),
        latency=tuple(max(0, a - b) for a, b in zip(now.latency, before.latency, strict=True)),
    )
