"""Keychains of a test's own, for what a real one cannot show: kept in a folder, forgetful, or watched."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from trollbridge.messages.errors import KeychainFailed, RootMissing
from trollbridge.messages.secret import Secret

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path


class FolderKeeper:
    """Keeps each root in a file, whole or absent, so that it outlives a process that is killed; notes what it is asked.

    Like the real one it removes the older ones too.
    """

    def __init__(self, folder: Path) -> None:
        """Take a folder, which is made if need be."""
        self.folder = folder
        self.asked: list[str] = []
        self.fails: set[str] = set()
        folder.mkdir(exist_ok=True)

    def _note(self, what: str) -> None:
        self.asked.append(what)
        if what in self.fails:
            raise KeychainFailed

    def fetch(self, vault: bytes, number: int) -> Secret:
        """Return a root."""
        self._note("fetch")
        try:
            return Secret.of((self.folder / f"{vault.hex()}.{number}").read_bytes())
        except FileNotFoundError:
            raise RootMissing from None

    def store(self, vault: bytes, number: int, root: Secret) -> None:
        """Keep a root."""
        self._note("store")
        (self.folder / "new").write_bytes(root.view)
        (self.folder / "new").replace(self.folder / f"{vault.hex()}.{number}")

    def remove(self, vault: bytes, number: int) -> None:
        """Forget a root and the older ones."""
        self._note("remove")
        for each in self.folder.glob(f"{vault.hex()}.*"):
            if int(each.suffix[1:]) <= number:
                each.unlink()

    def together(self) -> AbstractContextManager[None]:
        """Be told that a change begins."""
        return contextlib.nullcontext()

    def expect(self) -> None:
        """Be told that a request is likely."""
        self.asked.append("expect")

    def rest(self) -> None:
        """Be told that none is."""

    def roots(self) -> dict[str, bytes]:
        """Return what is kept: file name → root."""
        return {each.name: each.read_bytes() for each in self.folder.iterdir() if each.name != "new"}

    def restore(self, roots: dict[str, bytes]) -> None:
        """Keep exactly this."""
        for each in list(self.folder.iterdir()):
            each.unlink()
        for name, root in roots.items():
            (self.folder / name).write_bytes(root)


class Forgetful(FolderKeeper):
    """Says that it has kept a root, and has kept something else, or nothing."""

    def __init__(self, folder: Path, kept: bytes | None) -> None:
        """Take what it keeps in the place of each root."""
        super().__init__(folder)
        self._kept = kept

    def store(self, vault: bytes, number: int, root: Secret) -> None:
        """Keep something else."""
        self._note("store")
        assert len(root.view) == 32
        if self._kept is not None:
            (self.folder / f"{vault.hex()}.{number}").write_bytes(self._kept)


def random_root() -> bytes:
    """Return a root that is nobody's."""
    return os.urandom(32)
