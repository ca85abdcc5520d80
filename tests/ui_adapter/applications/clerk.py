"""An enclave with handlers of every kind that a UI can get wrong."""

from __future__ import annotations

import threading
from collections.abc import Generator

from trollbridge.actors import Progress
from trollbridge.actors.handlers import handler
from trollbridge.enclave.actor import EnclaveActor


class Clerk(EnclaveActor):
    """Copies, waits, and keeps one handler for nobody."""

    @handler(max_bytes=1024)
    def copy(self, text: str) -> str:
        """Return the text."""
        return text

    @handler
    def wait(self, seconds: float) -> str:
        """Answer late."""
        threading.Event().wait(seconds)
        return "waited"

    @handler
    def copies(self, text: str, number: int) -> Generator[str | Progress, None, int]:
        """Copy several times, and tell how far it has come."""
        for _ in range(number):
            yield text
        yield Progress(number, number, "\x1b[2Jcopied")
        return number

    @handler
    def withheld(self) -> None:
        """Be granted to nobody."""


class Shy(EnclaveActor):
    """Cannot be started."""

    def on_start(self) -> None:
        """Fail before the ring is sealed."""
        msg = "a text that must not be shown"
        raise ValueError(msg)
