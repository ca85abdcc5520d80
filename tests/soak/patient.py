"""The soak's application under a supervisor that waits for whoever is to end, so that whoever is killed has hung.

Imports the harness, and the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.harness.stage import hurry
from tests.soak.application import APP

if TYPE_CHECKING:
    from trollbridge.actors.app import App


def app() -> App:
    """Return it."""
    hurry(None, 600.0)
    return APP
