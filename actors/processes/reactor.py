"""The reactor: one loop that waits for descriptors and for times, and calls whoever asked for them.

May import: the standard library. Invariants: one thing at a time; nothing that is called here may wait; what is ignored
is not called, even if it had become ready in the same turn.
"""

from __future__ import annotations

import contextlib
import select
import time
from typing import TYPE_CHECKING, Final, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer(Protocol):
    """Something that is to happen at a time."""

    @property
    def due(self) -> float | None:
        """The monotonic time at which `tick` is to be called next; None: not at all."""

    def tick(self, now: float) -> None:
        """Do what is due at `now`; called after each turn, whether anything is due or not."""


class Alarm:
    """A timer that calls once, at the time that it was set to."""

    def __init__(self, ring: Callable[[], object]) -> None:
        """Take what it calls."""
        self._ring = ring
        self.due: float | None = None

    def set(self, seconds: float) -> None:
        """Have it call in so many seconds, instead of when it was to."""
        self.due = time.monotonic() + seconds

    def clear(self) -> None:
        """Have it not call."""
        self.due = None

    def tick(self, now: float) -> None:
        """Call if it is time."""
        if self.due is not None and now >= self.due:
            self.due = None
            self._ring()


class Recurrent:
    """A timer of somebody who knows best when it is time."""

    def __init__(self, due: Callable[[], float | None], tick: Callable[[float], object]) -> None:
        """Take who says when, and what is done; it is called after each turn."""
        self._due = due
        self._tick = tick

    @property
    def due(self) -> float | None:
        """The monotonic time at which it is to be done."""
        return self._due()

    def tick(self, now: float) -> None:
        """Do it."""
        self._tick(now)


class Reactor:
    """The loop of the supervisor."""

    def __init__(self) -> None:
        """Start with nothing to wait for."""
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], object]] = {}
        self.timers: Final[list[Timer]] = []
        """Asked in their order."""

    def watch(self, descriptor: int, callback: Callable[[int], object], events: int = select.EPOLLIN) -> None:
        """Call `callback` with the events of epoll whenever this descriptor has some."""
        self._callbacks[descriptor] = callback
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other events of a descriptor that is watched."""
        self._epoll.modify(descriptor, events)

    def ignore(self, descriptor: int) -> None:
        """Wait for it no longer; harmless if it is not watched. To be called before it is closed, or right after."""
        if self._callbacks.pop(descriptor, None) is not None:
            with contextlib.suppress(OSError):  # it is closed, and so the kernel has forgotten it
                self._epoll.unregister(descriptor)

    def turn(self) -> None:
        """Wait until there is something to do, and do it."""
        for descriptor, events in self._epoll.poll(self._timeout()):
            callback = self._callbacks.get(descriptor)
            if callback is not None:
                callback(events)
        now = time.monotonic()
        for each in tuple(self.timers):
            each.tick(now)

    def _timeout(self) -> float:
        times = [due for each in self.timers if (due := each.due) is not None]
        return max(0.0, min(times) - time.monotonic()) if times else -1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what it waits with."""
        self._epoll.close()
