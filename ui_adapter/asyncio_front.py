"""The asyncio front: a UI whose `main` is a coroutine; promises are awaited, the loop watches the link.

May import: `actors`, our bridge. Invariant: nothing here blocks the loop.
"""

from __future__ import annotations

import abc
import asyncio
from typing import TYPE_CHECKING

from trollbridge.actors.entry.caller import CallerActor
from trollbridge.ui_adapter.bridge import Bridge

if TYPE_CHECKING:
    from trollbridge.actors.calling.client import Client


class AsyncUiActor(CallerActor):
    """A user interface in an asyncio loop: `signature = await bridge.vault.sign(…)`."""

    @abc.abstractmethod
    async def main(self, bridge: Bridge) -> int | None:
        """Do the UI's work; the application's exit code is what is returned, 0 for None."""

    def run(self, client: Client) -> int | None:
        """Run `main` in a loop of its own."""
        return asyncio.run(self._main(client))

    async def _main(self, client: Client) -> int | None:
        return await self.main(Bridge(client))
