"""The enclave of the trollbridge contender; a module of its own, so that only the enclave's process imports it.

Imports trollbridge's enclave and actors layers. It keeps nothing and gives back what it was sent.
"""

from __future__ import annotations

import os
import signal

from trollbridge.actors.handlers import handler
from trollbridge.enclave.actor import EnclaveActor


class Echo(EnclaveActor):
    """Echoes bytes."""

    @handler(max_bytes=4 << 20)
    def echo(self, data: bytes) -> bytes:
        """Give the bytes back."""
        return data

    @handler
    def pid(self) -> int:
        """Name the enclave's process, for the measure that kills it."""
        return os.getpid()

    @handler
    def die(self) -> None:
        """End as by `kill -9`: a confined user interface could not send the signal."""
        os.kill(os.getpid(), signal.SIGKILL)
