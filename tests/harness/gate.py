"""A gate that holds a handler: a test learns that it runs, and decides when it goes on. Imports nothing of ours."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE: Final = 20.0


class Gate:
    """Holds whoever comes, one after the other, until it is opened for them."""

    def __init__(self, folder: Path) -> None:
        """Stand in `folder`."""
        self.path: Final = str(folder / "gate")
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(self.path)
        self._listening.listen()
        self._listening.settimeout(PATIENCE)
        self._held: list[socket.socket] = []

    def await_one(self) -> None:
        """Wait until somebody stands at the gate; raises `TimeoutError`."""
        end, _ = self._listening.accept()
        self._held.append(end)

    def open(self, word: str = "go on") -> None:
        """Let the one who has waited longest go on, with a word."""
        with self._held.pop(0) as end:
            end.sendall(word.encode())

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let everybody go."""
        for each in self._held:
            each.close()
        self._listening.close()
