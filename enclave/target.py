"""The target: an enclave of no use but to be attacked; it counts what of it has run. `trollbridge attack` starts it.

May import: our actors' handler, our enclave. Invariant: it keeps numbers and other people's messages in memory and
nothing else, so whatever gets through to it harms nobody.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from typing import Final

from trollbridge.actors.handlers import handler
from trollbridge.enclave.actor import EnclaveActor

SECRET: Final = "what only the core user interface may read"  # noqa: S105  # the same in every run: nobody's secret
MOST_LETTERS: Final = 64
"""Letters that wait for one reader; the oldest goes first."""
LETTER: Final = 512 * 1024
"""Bytes of a letter, at most."""


class Target(EnclaveActor):
    """Echoes, counts, keeps a secret, dies on request, and carries letters between the hostile members."""

    def __init__(self, **settings: str) -> None:
        """Take no setting."""
        super().__init__(**settings)
        self._marks: Counter[str] = Counter()
        self._letters: dict[str, deque[bytes]] = {}

    @handler
    def echo(self, data: bytes) -> bytes:
        """Return what came."""
        return data

    @handler
    def mark(self, word: str) -> int:
        """Count one more execution under `word`; return how many there are."""
        self._marks[word] += 1
        return self._marks[word]

    @handler
    def forbidden(self, word: str) -> int:
        """Count as `mark` does; granted to nobody."""
        self._marks[word] += 1
        return self._marks[word]

    @handler
    def count(self, word: str) -> int:
        """Return how often something has run under `word` since this process began."""
        return self._marks[word]

    @handler(sensitive=True)
    def secret(self) -> str:
        """Return what an extension gets sealed."""
        return SECRET

    @handler
    def die(self, code: int) -> None:
        """End this process, as a call that crashes its enclave does."""
        os._exit(code)

    @handler(max_bytes=LETTER + 1024)
    def post(self, reader: str, letter: bytes) -> None:
        """Leave a letter for `reader`."""
        self._letters.setdefault(reader, deque(maxlen=MOST_LETTERS)).append(letter)

    @handler(max_bytes=LETTER + 1024)
    def collect(self, reader: str) -> bytes:
        """Return the oldest letter for `reader`; nothing if there is none."""
        waiting = self._letters.get(reader)
        return waiting.popleft() if waiting else b""
