"""An enclave with handlers of every kind that a UI can get wrong."""

from __future__ import annotations

import threading

from trollbridge.actors.handler import handler
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
    def withheld(self) -> None:
        """Be granted to nobody."""


class Shy(EnclaveActor):
    """Cannot be started."""

    def on_start(self) -> None:
        """Fail before the ring is sealed."""
        msg = "a text that must not be shown"
        raise ValueError(msg)
