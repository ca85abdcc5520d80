"""The enclave of the flood benchmark; a module of its own, so that only the enclave's process imports it.

Imports trollbridge's enclave and actors layers. It keeps what each extension tells of itself.
"""

from __future__ import annotations

from trollbridge.actors.handlers import handler
from trollbridge.enclave.actor import EnclaveActor


class Target(EnclaveActor):
    """Answers at once, whoever asks."""

    def on_start(self) -> None:
        """Start with nothing told."""
        self._calls: dict[str, int] = {}

    @handler
    def echo(self, data: bytes) -> bytes:
        """Give the bytes back."""
        return data

    @handler
    def tell(self, who: str, calls: int) -> None:
        """Keep how many calls somebody had answered."""
        self._calls[who] = calls

    @handler
    def told(self) -> dict[str, int]:
        """Return what was told."""
        return self._calls
