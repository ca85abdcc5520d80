"""Signals as a descriptor: what the loop waits on, so that no signal is lost between two waits.

May import: the standard library. Invariant: what was set before is set again at the end, whatever happens between.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Before = signal.Handlers | Callable[[int, FrameType | None], object] | int | None

HANDLED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Calls `handler` for each signal, and makes `descriptor` readable, while it is entered. Main thread only."""

    def __init__(self, handler: Callable[[int, FrameType | None], None]) -> None:
        """Take what is called."""
        self._handler = handler
        self._before: list[
            tuple[signal.Signals, signal.Handlers | Callable[[int, FrameType | None], object] | int | None]
        ] = []
        self.descriptor, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = -1

    def __enter__(self) -> Self:
        """Set the handlers."""
        self._before = [(number, signal.signal(number, self._handler)) for number in HANDLED]
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def drain(self) -> None:
        """Make the descriptor quiet again."""
        os.read(self.descriptor, 4096)

    def __exit__(self, *_: object) -> None:
        """Set what was there before."""
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before:
            signal.signal(number, handler)
        os.close(self.descriptor)
        os.close(self._write)
