"""The servers of the recovery benchmark: an enclave and a host that say who they are, and take their time if asked to.

Imports trollbridge's enclave and actors layers. Only the servers' own processes import it.
"""

from __future__ import annotations

import os
import time

from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.enclave.actor import EnclaveActor


class Enclave(EnclaveActor):
    """Restarted with its ring."""

    @handler
    def who(self) -> int:
        """Name the process."""
        return os.getpid()

    @handler
    def slow(self, milliseconds: int) -> int:
        """Answer late."""
        time.sleep(milliseconds / 1000)
        return milliseconds


class Host(HostActor):
    """Restarted within its ring."""

    @handler
    def who(self) -> int:
        """Name the process."""
        return os.getpid()

    @handler
    def slow(self, milliseconds: int) -> int:
        """Answer late."""
        time.sleep(milliseconds / 1000)
        return milliseconds
