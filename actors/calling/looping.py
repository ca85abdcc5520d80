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

from trollbridge.messages.errors import DeadlineExceeded

if TYPE_CHECKING:
    from trollbridge.actors.calling.client import Client
    from trollbridge.actors.calling.promise import Promise


class _Watcher:
    """Reads one client's link of one epoch from one loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Client) -> None:
        self.loop = loop
        self._client = client
        self._descriptor: int | None = None
        self._flushing = False

    def start(self, descriptor: int) -> None:
        """Watch `descriptor`, and own it."""
        self._descriptor = descriptor
        self.loop.add_reader(descriptor, self._readable)

    def leave_soon(self) -> None:
        """Stop watching; called from any thread."""
        try:
            self.loop.call_soon_threadsafe(self.leave)
        except RuntimeError:  # the loop has ended
            self.leave()

    def return_soon(self) -> None:
        """Have the loop read the link of the next epoch; called from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and who waited in it too
            self.loop.call_soon_threadsafe(_read_from, self._client, self.loop)

    @property
    def alive(self) -> bool:
        return self._descriptor is not None

    def flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self._descriptor is None:
            return
        if self._client.flush():
            self.loop.remove_writer(self._descriptor)
        else:
            self.loop.add_writer(self._descriptor, self._flush)

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
            self.loop.remove_reader(descriptor)
            self.loop.remove_writer(descriptor)
        os.close(descriptor)


def watch(client: Client, promise: Promise[Any]) -> None:
    """Keep `client` read by the running loop; resolve the promise with `DeadlineExceeded` when its deadline comes."""
    loop = asyncio.get_running_loop()
    _read_from(client, loop)
    if promise.deadline is not None:
        timer = loop.call_later(promise.deadline - time.monotonic(), lambda: promise.resolve(error=DeadlineExceeded()))

        def resolved() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and its timers with it
                loop.call_soon_threadsafe(timer.cancel)

        promise.when_done(resolved)


def _read_from(client: Client, loop: asyncio.AbstractEventLoop) -> None:
    """Have the loop read the link; without a ring it will, once there is one, if calls are kept for that."""
    watcher = _watcher(client, loop)
    if watcher is not None:
        watcher.flush_soon()


def _watcher(client: Client, loop: asyncio.AbstractEventLoop) -> _Watcher | None:
    for each in [each for each in client.watchers if isinstance(each, _Watcher)]:
        if each.loop.is_closed() or not each.alive:
            client.watchers.remove(each)
            each.leave()
        elif each.loop is loop:
            return each
    watcher = _Watcher(loop, client)
    descriptor = client.tap(watcher)
    if descriptor is None:
        return None
    watcher.start(descriptor)
    return watcher
