"""The extension: nobody has read this code, and nobody needs to."""

from __future__ import annotations

import io

from trollbridge.messages.errors import NotAllowed
from trollbridge.ui_adapter import Bridge, ExtensionActor
from trollbridge.ui_adapter.files import upload


class Stamps(ExtensionActor):
    """Has what it may sealed, and writes what came of it where it may."""

    def main(self, bridge: Bridge) -> None:
        """Try a short document and a long one."""
        lines = [bridge.notary.seal(b"a stamp").get(timeout=5).hex()[:16]]
        try:
            bridge.notary.seal(bytes(1000)).get(timeout=5)
        except NotAllowed as error:
            lines.append(str(error))
        upload(bridge.files, "out/stamps.txt", io.BytesIO("\n".join(lines).encode()))
