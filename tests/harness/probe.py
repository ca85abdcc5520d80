"""The enclave of the tests: it echoes, holds, fails and dies on request, and keeps a journal of what it has run.

The journal outlives it: tests count in there how often a handler ran, over all incarnations.
"""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import sys
import time
from collections.abc import Generator
from pathlib import Path

from trollbridge.actors.handlers import handler
from trollbridge.enclave.actor import EnclaveActor
from trollbridge.messages.errors import DeclaredError
from trollbridge.messages.sandbox import Sandbox

SECRET = "the word that only the core user interface may read"
MOST = 1024
"""Descriptors that are looked at."""
NULL = "device:[1:3]"
"""The null device, by its fixed numbers."""


def seen() -> list[str]:
    """Return each open descriptor of this process and what it is, without /proc, which a locked process cannot read."""
    found: list[str] = []
    for number in range(MOST):
        with contextlib.suppress(OSError):
            found.append(f"{number} {_kind(os.fstat(number))}")
    return found


def _kind(status: os.stat_result) -> str:
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFSOCK:
            return f"socket:[{status.st_ino}]"
        case stat.S_IFIFO:
            return f"pipe:[{status.st_ino}]"
        case stat.S_IFCHR:
            return f"device:[{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}]"
        case 0:
            return "anon_inode:"
        case other:
            return f"{other:#o}:[{status.st_ino}]"


class Unwilling(DeclaredError):
    """The probe does not want to."""


class Probe(EnclaveActor):
    """Does what tests need."""

    sandbox = Sandbox(write=("{journal}",), network=("unix",))

    def __init__(self, journal: str = os.devnull, broken: str = "") -> None:
        """Write to `journal`; raise in `on_start` if `broken`."""
        super().__init__()
        self._journal = Path(journal)
        self._broken = broken
        self._marks = 0

    def on_start(self) -> None:
        """Fail if asked to."""
        self._note("start")
        if self._broken:
            raise ValueError(self._broken)

    def _note(self, word: str) -> None:
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(f"{word}\n")

    @handler(max_bytes=4 << 20)
    def echo(self, data: bytes) -> bytes:
        """Return what came."""
        return data

    @handler
    def mark(self, word: str) -> int:
        """Write `word` into the journal; return how many words this incarnation has written."""
        self._note(word)
        self._marks += 1
        return self._marks

    @handler(sensitive=True)
    def secret(self) -> str:
        """Return what only the core UI may read."""
        return SECRET

    @handler
    def fail(self, text: str) -> None:
        """Fail with an exception that is not declared."""
        raise ValueError(text)

    @handler
    def refuse(self, text: str) -> None:
        """Refuse with a declared error."""
        raise Unwilling(text)

    @handler
    def hold(self, gate: str) -> str:
        """Wait at a `Gate`, which knows from then on that this handler runs; return what it says when it opens."""
        with socket.socket(socket.AF_UNIX) as end:
            end.connect(gate)
            return end.recv(1024).decode()

    @handler
    def busy(self, seconds: float) -> int:
        """Use the processor for so long; return how many rounds it took."""
        until, rounds = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            rounds += 1
        return rounds

    @handler
    def die(self, number: int) -> None:
        """End this process by a signal."""
        self._note("die")
        signal.raise_signal(number)

    @handler
    def leave(self, code: int) -> None:
        """End this process with an exit code."""
        os._exit(code)

    @handler
    def pid(self) -> int:
        """Return the process."""
        return os.getpid()

    @handler
    def drip(self, items: int) -> Generator[int, None, str]:
        """Count, an item at a time; return what was counted to."""
        yield from range(items)
        return f"up to {items}"

    @handler
    def modules(self) -> tuple[str, ...]:
        """Return the names of the modules that this process has imported."""
        return tuple(sorted(sys.modules))

    @handler
    def descriptors(self) -> tuple[str, ...]:
        """Return what each open descriptor of this process is."""
        return tuple(seen())

    @handler
    def environment(self) -> dict[str, str]:
        """Return the environment of this process."""
        return dict(os.environ)

    def unmarked(self) -> str:
        """Be a method that is not exported."""
        return "never"
