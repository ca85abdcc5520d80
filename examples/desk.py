"""The UI, and an ordinary pykka actor that works beside it in the same process."""

from __future__ import annotations

import pykka

from trollbridge.ui_adapter import Bridge, UiActor


class Journal(pykka.ThreadingActor):
    """Numbers what it is told."""

    use_daemon_thread = True
    titles: tuple[str, ...] = ()

    def enter(self, title: str) -> int:
        """Keep a title and return its number."""
        self.titles += (title,)
        return len(self.titles)


class Desk(UiActor):
    """Has two documents sealed."""

    def main(self, bridge: Bridge) -> None:
        """Ask the enclave and the journal at once, and wait for both."""
        journal = Journal.start().proxy()
        for title in ("deed", "will"):
            number, seal = pykka.get_all([journal.enter(title), bridge.notary.seal(title.encode())], timeout=5)
            print(f"{number}. {title}: {seal.hex()[:16]}")
