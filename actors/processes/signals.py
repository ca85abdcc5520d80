"""Signals as a descriptor: what the loop waits on, so that none is lost and none is obeyed in the middle of a step.

May import: the standard library. Invariant: what was set before is set again at the end, whatever happens between.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Before = signal.Handlers | Callable[[int, FrameType | None], object] | int | None

HANDLED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Collects signals, and makes `descriptor` readable, while it is entered. Main thread only."""

    def __init__(self) -> None:
        """Start with none."""
        self._came: list[int] = []
        self._before: list[
            tuple[signal.Signals, signal.Handlers | Callable[[int, FrameType | None], object] | int | None]
        ] = []
        self.descriptor, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup = -1

    def __enter__(self) -> Self:
        """Set the handlers."""
        self._before = [(number, signal.signal(number, self._note)) for number in HANDLED]
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        return self

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._came.append(number)  # and no more: it comes in the middle of whatever runs

    def take(self) -> list[int]:
        """Return the signals that have come, in their order, and make the descriptor quiet again."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.descriptor, 4096)
        came, self._came = self._came, []
        return came

    def __exit__(self, *_: object) -> None:
        """Set what was there before."""
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before:
            signal.signal(number, handler)
        os.close(self.descriptor)
        os.close(self._write)
