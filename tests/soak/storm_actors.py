"""The members of the storm: an enclave and a host that note each word durably before they answer, and an extension.

Imports trollbridge's enclave, actors and ui_adapter layers. What is noted outlives whoever noted it: it is the truth
that the outcomes of calls are compared with.
"""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final

from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.enclave.actor import EnclaveActor
from trollbridge.messages.errors import TrollbridgeError
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter.bridge import ExtensionActor

if TYPE_CHECKING:
    from types import FrameType

    from trollbridge.ui_adapter.bridge import Bridge

GUEST: Final = "x"
"""What the words of an extension begin with."""
PATIENCE: Final = 20.0
MOST: Final = 64
"""Descriptors that an extension may have."""


def _open(journal: str) -> int:
    return os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)


def _close_all(_number: int, _frame: FrameType | None) -> None:
    os.closerange(3, MOST)


class Keeper(EnclaveActor):
    """The enclave."""

    sandbox = Sandbox(write=("{journal}",))

    def __init__(self, journal: str) -> None:
        """Take where words are noted."""
        super().__init__()
        self._journal = _open(journal)

    @handler
    def note(self, word: str) -> int:
        """Note a word; return its length."""
        return os.write(self._journal, f"{word}\n".encode())

    @handler(idempotent=True)
    def repeat(self, word: str) -> int:
        """Do the same; it may be asked for twice."""
        return os.write(self._journal, f"{word}\n".encode())


class Porter(HostActor):
    """The host."""

    sandbox = Sandbox(write=("{journal}",))

    def __init__(self, journal: str) -> None:
        """Take where words are noted."""
        super().__init__()
        self._journal = _open(journal)

    @handler
    def note(self, word: str) -> int:
        """Note a word; return its length."""
        return os.write(self._journal, f"{word}\n".encode())


class Caller(ExtensionActor):
    """The extension: one word after the other; at SIGUSR1 it closes what it has, as a program gone wrong may."""

    def __init__(self, pace: str) -> None:
        """Take the seconds between two calls."""
        super().__init__()
        self._pace = float(pace)

    def main(self, bridge: Bridge) -> int | None:
        """Call until the ring falls, or it is ended."""
        signal.signal(signal.SIGUSR1, _close_all)
        mine = f"{GUEST}{os.urandom(8).hex()}"
        for number in count():
            select.select([], [], [], self._pace)
            with suppress(TrollbridgeError):
                bridge.porter.note.within(PATIENCE)(f"{mine}-{number}").get(timeout=PATIENCE)
        return 0
