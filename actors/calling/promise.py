"""Promises: pykka futures for replies from another process.

May import: `pykka`, our errors. Invariant: a promise resolves exactly once, whoever resolves it and from whichever
thread; waiting for it pumps the link, so that a blocking call costs no thread switch.
"""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, ParamSpec, Protocol, TypeVar

import pykka

from trollbridge.actors.processes.places import place
from trollbridge.messages.errors import Cancelled, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    ExcInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]

T = TypeVar("T")
P = ParamSpec("P")


def guarded(callback: Callable[P, object], *arguments: P.args, **named: P.kwargs) -> None:
    """Run somebody's callback; log the class and the place of what it raises."""
    try:
        callback(*arguments, **named)
    except Exception as error:  # noqa: BLE001  # it is somebody else's
        logging.getLogger("trollbridge").warning(
            "a callback failed: %s at %s", type(error).__name__, place(error.__traceback__)
        )


class Source(Protocol):
    """Who brings the reply: the client of a ring."""

    def wait(self, promise: Promise[Any], until: float | None) -> None:
        """Return once the promise is done or the monotonic time `until` has come."""

    def watch(self, promise: Promise[Any]) -> None:
        """Keep the link pumped by the running asyncio loop until the promise is done."""

    def cancel(self, promise: Promise[Any]) -> None:
        """Forget the call if it has not been sent; its reply is dropped if it has."""


_CLAIM: Final = threading.Lock()
"""Guards the one step from pending to done, of every promise: it is held for a few instructions only."""


class Promise(pykka.Future[T]):
    """The reply to one call: a value, a typed error, a time-out, cancelled, or the ring dismantled."""

    def __init__(self, source: Source | None = None, deadline: float | None = None) -> None:
        """Take who brings the reply, and the monotonic time after which it is `DeadlineExceeded`.

        Without a source it is resolved by `set` from another thread.
        """
        super().__init__()
        self._source = source
        self.deadline: Final = deadline
        self._done = False
        self._value: Any = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[], None]] | None = None

    @property
    def done(self) -> bool:
        """Whether it is resolved."""
        return self._done

    def get(self, *, timeout: float | None = None) -> T:
        """Return the value or raise the error; wait at most `timeout` seconds, then raise `pykka.Timeout`.

        After a time-out the promise is as pending as before and may be asked again.
        """
        if not self._done:
            if self._get_hook is not None:
                return super().get(timeout=timeout)
            self._wait(timeout)
        if self._error is not None:
            raise self._error
        value: T = self._value
        return value

    def _wait(self, timeout: float | None) -> None:
        if timeout is not None and math.isnan(timeout):
            msg = "a time-out is a number of seconds"
            raise UsageError(msg)
        until = None if timeout is None else time.monotonic() + timeout
        if self._source is not None:
            self._source.wait(self, until)
        else:
            event = threading.Event()
            self.when_done(event.set)
            event.wait(timeout)
        if not self._done:
            msg = f"no reply within {timeout} seconds"
            raise pykka.Timeout(msg)

    def resolve(self, value: T | None = None, error: BaseException | None = None) -> bool:
        """Resolve it if nobody has; return whether this call did."""
        with _CLAIM:
            if self._done:
                return False
            self._value, self._error = value, error
            self._done = True
            callbacks, self._callbacks = self._callbacks, None
        for callback in callbacks or ():
            guarded(callback)
        return True

    def set(self, value: T | None = None) -> None:
        """Resolve it with a value; raises `UsageError` if it is resolved or has a get hook."""
        if self._get_hook is not None or not self.resolve(value):
            msg = "this promise is resolved already"
            raise UsageError(msg)

    def set_exception(self, exc_info: ExcInfo | None = None) -> None:
        """Resolve it with an error, the one being handled by default; raises `UsageError` if it is resolved already."""
        kind, error, _ = exc_info or sys.exc_info()
        if error is None and kind is not None:
            error = kind()
        if self._get_hook is not None or not self.resolve(
            error=error or UsageError("set_exception() without an exception")
        ):
            msg = "this promise is resolved already"
            raise UsageError(msg)

    def set_get_hook(self, func: Callable[[float | None], T]) -> None:
        """Let `get` call `func(timeout)`; raises `UsageError` if it is resolved already."""
        if self._done:
            msg = "this promise is resolved already"
            raise UsageError(msg)
        super().set_get_hook(func)

    def cancel(self) -> bool:
        """Give it up: it resolves with `Cancelled`. Return whether it was still pending."""
        won = self.resolve(error=Cancelled())
        if won and self._source is not None:
            self._source.cancel(self)
        return won

    def when_done(self, callback: Callable[[], None]) -> None:
        """Call `callback` once it is resolved, from the thread that resolves it; at once if it is.

        What it raises is logged and goes no further: it must not reach whoever happened to resolve the promise.
        """
        with _CLAIM:
            if not self._done:
                self._callbacks = [*(self._callbacks or ()), callback]
                return
        guarded(callback)

    def __await__(self) -> Generator[Any, None, T]:
        """Wait in the running asyncio loop without blocking it."""
        if not self._done and self._get_hook is None:
            import asyncio  # noqa: PLC0415  # costs 30 ms: only those who await pay for it

            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                msg = "this is a promise of a value, and no event loop runs here: take it with .get(timeout=…)"
                raise UsageError(msg) from None
            woken: asyncio.Future[None] = loop.create_future()

            def wake() -> None:
                if not woken.done():
                    woken.set_result(None)

            def resolved() -> None:
                with contextlib.suppress(RuntimeError):  # the loop has ended, and who waited in it too
                    loop.call_soon_threadsafe(wake)

            self.when_done(resolved)
            if self._source is not None:
                self._source.watch(self)
            yield from woken
        return self.get()

    __iter__ = __await__

    def __repr__(self) -> str:
        """Show the state, never the value."""
        return f"<Promise, {'done' if self._done else 'pending'}>"
