"""One cached virtual environment for each third-party peer, under `.bench/` in the checkout.

Imports the standard library and the roster. It owns one rule: what cannot be installed is an answer, not a crash.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.benchmarks.roster import Entry

CACHE = Path(__file__).resolve().parents[2] / ".bench"
LOGS = (CACHE if os.access(CACHE.parent, os.W_OK) else Path(gettempdir()) / f"bench-{os.getuid()}") / "log"
"""What contenders write to standard error; elsewhere where the checkout is somebody else's."""
INSTALL_SECONDS = 240.0


class CannotInstallError(Exception):
    """The peer cannot be installed here; the benchmark goes on without it."""

    def __init__(self, pinned: str) -> None:
        """Name what pip was asked for."""
        super().__init__(f"{pinned} could not be installed")


def interpreter_for(entry: Entry) -> str:
    """Give the interpreter that has the contender's packages, installing them once.

    Raises CannotInstallError.
    """
    if entry.requirement is None:
        return sys.executable
    pinned = f"{entry.requirement}=={entry.version}"
    place = CACHE / f"{entry.requirement}-{entry.version}"
    complete = place / "complete"
    python = place / "bin" / "python"
    if not complete.exists():
        shutil.rmtree(place, ignore_errors=True)
        try:
            install(place, python, pinned)
        except (subprocess.SubprocessError, OSError) as problem:
            shutil.rmtree(place, ignore_errors=True)
            raise CannotInstallError(pinned) from problem
        complete.touch()
    return str(python)


def install(place: Path, python: Path, pinned: str) -> None:
    """Make a virtual environment at `place` and install `pinned` into it. Raises SubprocessError, OSError."""
    for command in (
        [sys.executable, "-m", "venv", str(place)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", pinned],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=INSTALL_SECONDS, stdin=subprocess.DEVNULL)
