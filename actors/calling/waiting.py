"""How the threads of a client wait: one of them reads the link, the others follow until it passes that on.

May import: our messages, `promise`. Invariants: a promise is resolved with no lock held; who waits while there is no
ring waits for the next, if the promise was kept for that.
"""

from __future__ import annotations

import abc
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from trollbridge.actors.calling.carrying import Carrying
from trollbridge.actors.calling.promise import Promise, guarded
from trollbridge.actors.calling.unsealing import Unsealing
from trollbridge.messages.errors import DeadlineExceeded, RingDismantled
from trollbridge.messages.limits import LONGEST_WAIT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trollbridge.actors.calling.pending import Settled


class Watcher(Protocol):
    """An event loop that reads the link."""

    def leave_soon(self) -> None:
        """Stop reading it; called from any thread."""

    def return_soon(self) -> None:
        """Read the link of the next epoch: promises have outlived the last; called from any thread."""


class Waiting(Unsealing, abc.ABC):
    """What waits for replies, in any number of threads."""

    def __init__(self) -> None:
        """Wait for nothing."""
        super().__init__()
        self._pumping = threading.Lock()
        self._turn = threading.Condition()
        self._followers = 0
        self._carrying = Carrying()
        self.minder = 0
        """The thread that brings the next ring: it waits for none itself."""

    def wait(self, promise: Promise[Any], until: float | None) -> None:
        """Read the link, or let another thread do so, until the promise is done or the time has come."""
        limits = [each for each in (until, promise.deadline) if each is not None]
        limit = min(limits) if limits else None
        eager = False
        while not promise.done:
            if limit is not None and time.monotonic() >= limit:
                if limit == promise.deadline:
                    promise.resolve(error=DeadlineExceeded())
                break
            if self._between(promise, limit):
                continue
            if not self._pumping.acquire(blocking=False):
                self._follow(lambda: promise.done or not self._pumping.locked(), limit)
                continue
            try:
                eager = not eager
                settled = self._step(promise, limit, eager=eager)
            finally:
                self._pumping.release()
            self._settle(settled)  # with nothing held: callbacks may call and wait themselves
        self._pass_on()

    def _between(self, promise: Promise[Any], limit: float | None) -> bool:
        """Wait, if there is no ring, for the next one or for the promise's end; return whether that was so."""
        minding = threading.get_ident() == self.minder
        if self._membership is not None and not (minding and promise in self._carrying):
            return False
        if minding:  # a callback waits in the thread that would bring the next ring
            promise.resolve(error=self._given_up(promise))
        else:
            self._follow(lambda: promise.done or self._membership is not None, limit)
        return True

    def _given_up(self, promise: Promise[Any]) -> BaseException:
        with self._lock:
            settled = self._carrying.forget(promise)
        return RingDismantled() if settled is None or settled.error is None else settled.error

    def _follow(self, reached: Callable[[], bool], limit: float | None) -> None:
        with self._turn:
            self._followers += 1
            try:
                timeout = LONGEST_WAIT if limit is None else min(max(0.0, limit - time.monotonic()), LONGEST_WAIT)
                self._turn.wait_for(reached, timeout)
            finally:
                self._followers -= 1

    def _pass_on(self) -> None:
        if self._followers:
            with self._turn:
                self._turn.notify_all()

    @abc.abstractmethod
    def _step(self, promise: Promise[Any], limit: float | None, *, eager: bool) -> Sequence[Settled]:
        """Read the link once; return what that settles."""

    def _settle(self, settled: Sequence[Settled]) -> None:
        for each in settled:
            each.promise.resolve(each.value, each.error)
        if settled:
            self._pass_on()
        membership = self._membership
        while membership is not None and membership.reports:
            report, sent, total = membership.reports.popleft()
            guarded(report, sent, total)
