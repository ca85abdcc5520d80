"""Promises in an asyncio loop: the loop watches the link's descriptor, no thread is added.

May import: asyncio, the client. Invariant: one watcher for each loop and epoch; it owns a descriptor of its own,
closed exactly once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from trollbridge.messages.errors import DeadlineExceeded

if TYPE_CHECKING:
    from trollbridge.actors.client import Client
    from trollbridge.actors.promise import Promise

_watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[int, _Watcher]] = WeakKeyDictionary()


class _Watcher:
    """Reads one client's link of one epoch from one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Client, descriptor: int) -> None:
        self._loop = loop
        self._client = client
        self._descriptor: int | None = descriptor
        self._flushing = False
        loop.add_reader(descriptor, self._readable)

    @property
    def alive(self) -> bool:
        return self._descriptor is not None

    def flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._descriptor is None:
            return
        if self._client.flush():
            self._loop.remove_writer(self._descriptor)
        else:
            self._loop.add_writer(self._descriptor, self._flush)

    def _readable(self) -> None:
        if not self._client.poll():
            self.leave()
        elif not self._client.flush():
            self.flush_soon()

    def leave(self) -> None:
        """Stop watching; called in the loop's thread or, when it has ended, in any."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        with contextlib.suppress(RuntimeError):
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)
        os.close(descriptor)


def watch(client: Client, promise: Promise[Any]) -> None:
    """Keep `client` read by the running loop; resolve the promise with `DeadlineExceeded` when its deadline comes."""
    loop = asyncio.get_running_loop()
    mine = _watchers.setdefault(loop, {})
    watcher = mine.get(id(client))
    if watcher is None or not watcher.alive:
        made: list[_Watcher] = []

        def leave() -> None:
            client.untap(leave)
            for each in made:
                try:
                    loop.call_soon_threadsafe(each.leave)
                except RuntimeError:  # the loop has ended
                    each.leave()

        descriptor = client.tap(leave)
        if descriptor is None:
            return  # no ring: the promise has been told
        watcher = _Watcher(loop, client, descriptor)
        made.append(watcher)
        mine[id(client)] = watcher
    watcher.flush_soon()
    if promise.deadline is not None:
        timer = loop.call_later(promise.deadline - time.monotonic(), lambda: promise.resolve(error=DeadlineExceeded()))

        def resolved() -> None:
            loop.call_soon_threadsafe(timer.cancel)

        promise.when_done(resolved)
