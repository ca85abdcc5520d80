"""The extension: it knows which page wants which entry. Nobody has to trust it with more than that.

It asks the vault for a password as if it could have it. What it gets is sealed to the core user interface; it can hand
that on, and do nothing else with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from trollbridge.ui_adapter import ExtensionActor

if TYPE_CHECKING:
    from trollbridge.ui_adapter.bridge import Bridge


class Autofill(ExtensionActor):
    """Offers the entry that fits a page best."""

    def main(self, bridge: Bridge) -> None:
        """Take forms as they are laid open."""
        for form in bridge.desk.forms():
            page: str = form.page
            host = urlsplit(page).hostname or ""
            names = [each.name for each in bridge.vault.list_secrets().get(timeout=5)]
            fitting = [name for name in names if f".{host}".endswith(f".{name}")]
            if fitting:
                best = max(fitting, key=len)
                sealed = bridge.vault.get_secret(best).get(timeout=5)
                bridge.desk.offer(form.number, sealed, best, f"the login of {best}").get(timeout=5)
