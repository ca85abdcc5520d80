"""What a page of the call ledger says once its process has ended, or in between two heartbeats: a function of bytes.

May import: our messages, the layout in `call_ledger`. Invariant: whatever the page holds, nothing but names of members
that exist, handlers' names that could be, and numbers come out of it; what cannot be read is not known.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.actors.outcomes.call_ledger import (
    AT_CLIENTS,
    AT_CURRENT,
    AT_SLOTS,
    BEGUN,
    CLIENT,
    CLIENTS,
    CURRENT,
    DONE,
    SIZE,
    SLOT,
    SLOTS,
    STARTED,
)
from trollbridge.messages.control import NOTHING_KNOWN, Verdict
from trollbridge.messages.ids import HANDLER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from trollbridge.messages.ids import MemberId

NOBODY: Final = "?"
"""Stands for a member or a handler that cannot be."""


class Running(NamedTuple):
    """The code of a handler that runs: for a stream, of its next item."""

    client: str
    handler: str
    digest: bytes
    """Zeros where it has none, or was killed as it began."""
    since: int
    """Microseconds of the monotonic clock, as is the deadline."""
    deadline: int
    """0: it has none."""
    begun: int
    """Calls that were ever begun: with `since`, it changes whenever the process gets on."""
    sequence: int = -1
    """The call's in its session; of a stream's, that of the call that began it."""


class Account:
    """One server's page."""

    def __init__(self, page: bytes, members: Collection[str]) -> None:
        """Take the page, and which members the application has; of a page of another size nothing is known."""
        self._page: Final = page if len(page) == SIZE else b""
        self._members: Final = members

    def running(self) -> Running | None:
        """Return what ran when the page was read, if the code of a handler did."""
        if not self._page:
            return None
        (begun,) = BEGUN.unpack_from(self._page)
        running, client, since, deadline, digest, handler, sequence = CURRENT.unpack_from(self._page, AT_CURRENT)
        if running != 1:
            return None
        return Running(self._name(client), _text(handler), digest, since, deadline, begun, sequence)

    def _name(self, client: int) -> str:
        if client >= CLIENTS:
            return NOBODY
        found = _padded(CLIENT.unpack_from(self._page, AT_CLIENTS + client * CLIENT.size)[2])
        return found if found in self._members else NOBODY

    def verdict(self, server: MemberId, client: str) -> Verdict:
        """Return what the server did of the calls of one client's last session."""
        if self._page:
            for number in range(CLIENTS):
                if self._name(number) == client:
                    return self._judged(server, number)
        return Verdict(server, NOTHING_KNOWN, (), ())

    def _judged(self, server: MemberId, client: int) -> Verdict:
        first, known, _ = CLIENT.unpack_from(self._page, AT_CLIENTS + client * CLIENT.size)
        states = dict(self._states(client, first, known))
        started, done = (tuple(sorted(each for each, state in states.items() if state == of)) for of in (STARTED, DONE))
        return Verdict(server, min(known, NOTHING_KNOWN), started, done)

    def _states(self, client: int, first: int, known: int) -> Iterator[tuple[int, int]]:
        """Yield sequence and state of the client's calls that still have their slots.

        The slot of the oldest may have been in the middle of being taken: then `known` says so already.
        """
        (begun,) = BEGUN.unpack_from(self._page)
        for number in range(max(first, begun - SLOTS, 0), begun):
            sequence, whose, state = SLOT.unpack_from(self._page, AT_SLOTS + number % SLOTS * SLOT.size)
            if whose == client and known <= sequence < NOTHING_KNOWN:
                yield sequence, state


def _padded(text: bytes) -> str:
    with contextlib.suppress(UnicodeDecodeError):
        return text.rstrip(b"\0").decode("ascii")
    return ""


def _text(handler: bytes) -> str:
    found = _padded(handler)
    return found if HANDLER.fullmatch(found) else NOBODY
