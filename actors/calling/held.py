"""The UIDs that a client holds for one handler, and which of its replicas the next call goes to. Pure.

May import: our messages. Invariant: a UID is given out once, with the member that it is good for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trollbridge.messages.ids import HandlerUID, MemberId


class Load(Protocol):
    """What a client knows of one replica by its own calls."""

    outstanding: int
    """Calls that it has sent and that have no reply yet."""


class Held:
    """UIDs of one handler, by the member that each is good for."""

    __slots__ = ("_by_member",)

    def __init__(self) -> None:
        """Start with none."""
        self._by_member: dict[MemberId, list[HandlerUID]] = {}

    def add(self, member: MemberId, uid: HandlerUID) -> None:
        """Keep a UID."""
        uids = self._by_member.get(member)
        if uids is None:
            self._by_member[member] = [uid]
        else:
            uids.append(uid)

    def take(self, busy: Mapping[MemberId, Load]) -> tuple[MemberId, HandlerUID] | None:
        """Give out a UID of the replica with the fewest own calls outstanding; None if there is no UID.

        Of equals, one of that for which there are most: the broker gives more for those that it finds less loaded.
        """
        if len(self._by_member) == 1:
            [(member, uids)] = self._by_member.items()
            return (member, uids.pop()) if uids else None
        found: MemberId | None = None
        least = (0, 0)
        for member, uids in self._by_member.items():
            if uids:
                rank = busy[member].outstanding, -len(uids)
                if found is None or rank < least:
                    found, least = member, rank
        return None if found is None else (found, self._by_member[found].pop())

    def drop(self, member: MemberId) -> bool:
        """Let go of the UIDs that are good for a member; return whether there were any."""
        return bool(self._by_member.pop(member, None))

    def __iter__(self) -> Iterator[HandlerUID]:
        """Go over all UIDs."""
        return (uid for uids in self._by_member.values() for uid in uids)

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(map(len, self._by_member.values()))
