"""The calls that wait in a server, taken from its clients in turn: whoever sends many waits for itself only.

May import: nothing of ours. Invariants: between two calls of one client, each other client that has a call waiting is
served once, but for one that is held; what is no client's, such as a process's own stop, comes before all calls.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection

Waiting = TypeVar("Waiting")


class FairInbox(Generic[Waiting]):
    """A queue for each client, served round robin; not bounded here, since no call comes without a UID leased for it.

    A turn is one call, however long it runs: a client waits at most for the call that runs and one of each other.
    """

    __slots__ = ("_count", "_held", "_local", "_of", "_turns")

    def __init__(self, held: Collection[str] = ()) -> None:
        """Start empty; `held` are at any time the clients whose calls are to wait."""
        self._held = held
        self._local: deque[Waiting] = deque()
        self._of: dict[str, deque[Waiting]] = {}
        self._turns: deque[str] = deque()
        """The clients that have something waiting, whoever is next first."""
        self._count = 0

    def __len__(self) -> int:
        """Return how many wait, those of clients that are held among them."""
        return self._count

    def __bool__(self) -> bool:
        """Return whether there is one to take now."""
        if not self._held:
            return self._count > 0
        return bool(self._local) or any(each not in self._held for each in self._turns)

    def append(self, waiting: Waiting, client: str = "") -> None:
        """Let something wait behind what its client has waiting already; without a client, before all calls."""
        self._count += 1
        if not client:
            self._local.append(waiting)
            return
        queue = self._of.get(client)
        if queue is None:
            queue = self._of[client] = deque()
        if not queue:
            self._turns.append(client)
        queue.append(waiting)

    def popleft(self) -> Waiting:
        """Take and return what is next; raises `IndexError` if nothing waits that may be taken."""
        if self._local:
            self._count -= 1
            return self._local.popleft()
        client = self._next() if self._held else self._turns.popleft()
        queue = self._of[client]
        self._count -= 1
        waiting = queue.popleft()
        if queue:
            self._turns.append(client)
        return waiting

    def _next(self) -> str:
        """Take the first turn of a client that is not held; the others keep theirs."""
        for number, client in enumerate(self._turns):
            if client not in self._held:
                del self._turns[number]
                return client
        raise IndexError

    def forget(self, client: str) -> int:
        """Drop what a client that has left has waiting; return how many those were."""
        queue = self._of.pop(client, None)
        if not queue:
            return 0
        self._turns.remove(client)
        self._count -= len(queue)
        return len(queue)

    def clear(self) -> None:
        """Drop everything, what is no client's too."""
        self._local.clear()
        self._of.clear()
        self._turns.clear()
        self._count = 0
