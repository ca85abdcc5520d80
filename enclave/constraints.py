"""What limits the use of a key, as functions of values: no record, no clock, no caller is looked up here.

May import: our messages. Invariants: every constraint that is not met is a reason to refuse; a change that lets
anything through that was refused before counts as loosening.

    record CONSTRAINTS <subject>   MessagePack of `Constraints`
    record USES        <subject>   MessagePack [seconds since 1970, …] of the uses within the last hour, oldest first
"""

from __future__ import annotations

from typing import Final

from trollbridge.messages.codec import Codec
from trollbridge.messages.errors import InvalidArguments, Malformed, NotAllowed, VaultCorrupt
from trollbridge.messages.ids import MEMBER
from trollbridge.messages.vault_secrets import MOST_MEMBERS, MOST_PER_HOUR, Constraints

NONE: Final = Constraints()
HOUR: Final = 3600
LATEST: Final = 1 << 40
"""No time lies later: seconds since 1970."""
_CONSTRAINTS: Final[Codec[Constraints]] = Codec(Constraints)
_USES: Final[Codec[tuple[int, ...]]] = Codec(tuple[int, ...])


def checked(constraints: Constraints) -> Constraints:
    """Return the constraints in their one form, each member once and in order; raises `InvalidArguments`."""
    members = tuple(sorted(set(constraints.members)))
    until = constraints.until
    if len(members) > MOST_MEMBERS or not all(MEMBER.fullmatch(each) for each in members):
        msg = f"The members that may use a key are at most {MOST_MEMBERS} names of members."
        raise InvalidArguments(msg)
    if not 0 <= constraints.per_hour <= MOST_PER_HOUR:
        msg = f"A key may be limited to 1 to {MOST_PER_HOUR} uses an hour; 0 is no limit."
        raise InvalidArguments(msg)
    if until is not None and not 0 < until < LATEST:
        msg = "The time until which a key may be used is in seconds since 1970."
        raise InvalidArguments(msg)
    return Constraints(constraints.approval, members, constraints.per_hour, until)


def loosens(old: Constraints, new: Constraints) -> bool:
    """Return whether `new` lets anything through that `old` refuses."""
    return (
        (old.approval and not new.approval)
        or (bool(old.members) and not (new.members and set(new.members) <= set(old.members)))
        or (old.per_hour > 0 and not 0 < new.per_hour <= old.per_hour)
        or (old.until is not None and (new.until is None or new.until > old.until))
    )


def encode(constraints: Constraints) -> bytes:
    """Return the body of a record of constraints."""
    return _CONSTRAINTS.encode(constraints)


def decode(body: bytes) -> Constraints:
    """Return the constraints of a record; raises `VaultCorrupt`."""
    try:
        return checked(_CONSTRAINTS.decode(body))
    except (Malformed, InvalidArguments):
        raise VaultCorrupt from None


def encode_uses(uses: tuple[int, ...]) -> bytes:
    """Return the body of a record of uses."""
    return _USES.encode(uses)


def decode_uses(body: bytes) -> tuple[int, ...]:
    """Return the uses of a record; raises `VaultCorrupt`."""
    try:
        return _USES.decode(body)
    except Malformed:
        raise VaultCorrupt from None


def check_member(constraints: Constraints, member: str) -> None:
    """Raise `NotAllowed` unless `member` may use the key."""
    if constraints.members and member not in constraints.members:
        msg = "The key's constraints do not let this member use it."
        raise NotAllowed(msg)


def check_until(constraints: Constraints, now: int) -> None:
    """Raise `NotAllowed` from the second on that ends the use of the key."""
    if constraints.until is not None and now >= constraints.until:
        msg = "The time until which the key may be used has passed."
        raise NotAllowed(msg)


def counted(constraints: Constraints, uses: tuple[int, ...], now: int) -> tuple[int, ...]:
    """Return the uses of the last hour with one more, at `now`; raises `NotAllowed` if that is one too many.

    A use that seems to lie in the future counts as one of this second, so no change of the clock makes it vanish.
    """
    recent = tuple(min(each, now) for each in uses if each > now - HOUR)
    if len(recent) >= constraints.per_hour:
        free = sorted(recent)[len(recent) - constraints.per_hour] + HOUR + 59  # said in whole minutes, never too early
        msg = (
            f"The key may be used {constraints.per_hour} times an hour, and was; "
            f"the next use is possible at {free // 3600 % 24:02}:{free // 60 % 60:02} UTC."
        )
        raise NotAllowed(msg)
    return (*recent, now)
