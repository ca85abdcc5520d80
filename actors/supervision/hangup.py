"""Whether the terminal that an application was started from is still there: SIGHUP says both "new keys" and "closed".

May import: the standard library. Invariant: an application that never had a terminal, or that was told to ignore
hang-ups (`nohup`), never takes a SIGHUP for a closed one.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Final


def _reachable() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


class Terminal:
    """The controlling terminal, if there is one. Make it before a handler for SIGHUP is set."""

    def __init__(self) -> None:
        """Note whether there is one that matters."""
        self._there: Final = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and _reachable()

    def reclaim(self, pid: int) -> None:
        """Take the terminal's foreground back from a UI that has ended while it owned it."""
        if not self._there:
            return
        with contextlib.suppress(OSError):
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            try:
                if os.tcgetpgrp(terminal) == pid:
                    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
                    os.tcsetpgrp(terminal, os.getpgrp())
                    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTTOU})
            finally:
                os.close(terminal)

    @property
    def gone(self) -> bool:
        """Whether it was there and has been closed (tty_ioctl(4): opening /dev/tty fails after a hang-up)."""
        return self._there and not _reachable()
