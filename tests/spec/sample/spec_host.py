"""The host that the specification's tests boot."""

from __future__ import annotations

from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.messages.sandbox import Sandbox


class Carrier(HostActor):
    """Carries."""

    sandbox = Sandbox()

    @handler(max_bytes=1 << 20)
    def echo(self, data: bytes) -> bytes:
        """Return what came."""
        return data
