"""Addresses: where the broker reaches a handler inside an enclave. Each call moves it on, by a ratchet that both share.

May import: our messages. Invariant: an address is good for one call; neither side needs a message to agree on the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trollbridge.messages.errors import AuthenticationFailed
from trollbridge.messages.ids import Address
from trollbridge.messages.labels import ratchet

if TYPE_CHECKING:
    from collections.abc import Mapping


class Caller:
    """The broker's side, for one handler."""

    __slots__ = ("_seed",)

    def __init__(self, seed: bytes) -> None:
        """Take the seed that the enclave published."""
        self._seed = seed

    def next(self) -> Address:
        """Return the address for the next call."""
        self._seed, address = ratchet(self._seed)
        return Address(address)


class Directory:
    """The enclave's side, for all of its handlers."""

    __slots__ = ("_next",)

    def __init__(self, seeds: Mapping[str, bytes]) -> None:
        """Take the seed of each handler by name."""
        self._next: dict[bytes, tuple[str, bytes]] = {}
        for name, seed in seeds.items():
            self._expect(name, seed)

    def _expect(self, name: str, seed: bytes) -> None:
        seed, address = ratchet(seed)
        self._next[address] = (name, seed)

    def take(self, address: bytes) -> str:
        """Return the handler at `address` and move it on; raises `AuthenticationFailed` where no handler is."""
        found = self._next.pop(address, None)
        if found is None:
            raise AuthenticationFailed
        self._expect(*found)
        return found[0]
