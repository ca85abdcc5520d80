"""The enclave of the soak; a module of its own, so that only the enclave's process imports it.

Imports trollbridge's enclave and actors layers. It declares no sandbox: it reaches nothing, under the strictest lock.
"""

from __future__ import annotations

from trollbridge.actors.handlers import handler
from trollbridge.enclave.actor import EnclaveActor


class Keeper(EnclaveActor):
    """Echoes, whispers and fails."""

    @handler
    def echo(self, data: bytes) -> bytes:
        """Give the bytes back."""
        return data

    @handler(sensitive=True)
    def whisper(self) -> bytes:
        """Say what only the core user interface may read."""
        return b"for the core user interface alone"

    @handler
    def fail(self) -> bytes:
        """Raise what is not declared, so that an incident is told."""
        raise RuntimeError
