"""The UI of a service: nobody sits before it; it seals what is laid into its folder."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trollbridge.ui_adapter import UiActor

if TYPE_CHECKING:
    from trollbridge.ui_adapter.bridge import Bridge

LARGEST: Final = 1 << 20
EVERY: Final = 0.2
"""Seconds between two looks."""


class Counter(UiActor):
    """Writes NAME.seal beside each NAME.document, once."""

    def __init__(self, folder: str) -> None:
        """Take the folder."""
        super().__init__()
        self._folder = Path(folder)

    def main(self, bridge: Bridge) -> None:
        """Look again and again, until the service is stopped."""
        while True:
            for document in sorted(self._folder.glob("*.document")):
                seal = document.with_suffix(".seal")
                if not seal.exists() and document.stat().st_size <= LARGEST:
                    self._write(seal, bridge.notary.seal(document.read_bytes()).get(timeout=5).hex())
                    print(f"sealed {document.name}", flush=True)  # into the journal
            time.sleep(EVERY)

    def _write(self, seal: Path, text: str) -> None:
        part = seal.with_suffix(".part")
        part.write_text(f"{text}\n", encoding="ascii")
        os.replace(part, seal)  # noqa: PTH105  # whoever sees the name sees it whole
