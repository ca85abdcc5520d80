"""An application that is never idle: its user interface calls as fast as it is answered, until it is stopped.

Imports trollbridge's ui_adapter and actors layers; the enclave is named, so that only its own process imports it.
"""

from __future__ import annotations

from contextlib import suppress

from trollbridge.actors.app import App, Child
from trollbridge.messages.errors import TrollbridgeError
from trollbridge.ui_adapter.bridge import Bridge, UiActor

PATIENCE = 10.0


class Busy(UiActor):
    """Calls."""

    def main(self, bridge: Bridge) -> int | None:
        """Call, one call after the other, in every ring."""
        while True:
            with suppress(TrollbridgeError):
                bridge.enclave.who().get(timeout=PATIENCE)


APP = App(
    ui=Child("tests.benchmarks.busy_console:Busy"),
    enclaves=[Child("tests.benchmarks.recovery_actors:Enclave")],
    grants={"busy": ["enclave.who"]},
)
