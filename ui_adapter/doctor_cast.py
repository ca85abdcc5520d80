"""The members of the little application that `trollbridge doctor` starts: they do nothing but be looked at.

May import: our bridge. Invariant: they hold no secret, open no file, and end by themselves.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter.bridge import ExtensionActor, UiActor

if TYPE_CHECKING:
    from trollbridge.ui_adapter.bridge import Bridge

HERE: Final = "here"
"""What the extension has counted at the enclave, so that the UI knows that it runs."""
PATIENCE: Final = 5.0
"""Seconds that a call, and the start of the extension, may take."""
_LOOK_AGAIN: Final = 0.01


class Patient(UiActor):
    """A user interface that declares a sandbox, and waits until the extension runs."""

    sandbox = Sandbox()

    def main(self, bridge: Bridge) -> int:
        """Return 0 once the extension has called, 1 if it does not."""
        pause, until = threading.Event(), time.monotonic() + PATIENCE
        while not bridge.target.count(HERE).get(timeout=PATIENCE):
            if time.monotonic() >= until:
                return 1
            pause.wait(_LOOK_AGAIN)
        return 0


class Visitor(ExtensionActor):
    """An extension that calls once, and stays."""

    def main(self, bridge: Bridge) -> int:
        """Call, and wait for the end."""
        bridge.target.mark(HERE).get(timeout=PATIENCE)
        threading.Event().wait()
        return 0
