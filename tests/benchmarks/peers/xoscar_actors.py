"""The two actors of the xoscar contender, in a module that the sub-pools can import by name."""

from __future__ import annotations

import os

import xoscar


class Enclave(xoscar.Actor):
    """Echoes bytes."""

    def echo(self, data: bytes) -> bytes:
        """Give the bytes back."""
        return data

    def pid(self) -> int:
        """Name the enclave's process."""
        return os.getpid()


class Broker(xoscar.StatelessActor):
    """Passes calls to the enclave; stateless, so that xoscar lets calls overlap."""

    def __init__(self, enclave: xoscar.ActorRefType[Enclave]) -> None:
        """Keep the reference to the enclave."""
        self._enclave = enclave

    async def echo(self, data: bytes) -> bytes:
        """Ask the enclave."""
        return await self._enclave.echo(data)

    async def pids(self) -> tuple[int, int]:
        """Name the broker's process and the enclave's."""
        return os.getpid(), await self._enclave.pid()
