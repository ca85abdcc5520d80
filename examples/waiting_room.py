"""The same enclave asked from asyncio: promises are awaited, and the loop goes on meanwhile."""

from __future__ import annotations

import asyncio

from trollbridge.actors import App
from trollbridge.ui_adapter import AsyncUiActor, Bridge


class WaitingRoom(AsyncUiActor):
    """Has many documents sealed at once."""

    async def main(self, bridge: Bridge) -> None:
        """Send a hundred calls, then wait for all of their replies."""
        promises = [bridge.notary.seal(b"document %d" % number) for number in range(100)]
        async with asyncio.timeout(5):
            seals = await asyncio.gather(*promises)
        print(f"{len(set(seals))} documents, {len(seals)} seals, none like another")


app = App(ui=WaitingRoom, enclaves=["notary:Notary"], grants={WaitingRoom: ["notary.seal"]})
