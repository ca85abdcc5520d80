"""The supervisor's log, read back from the file that it is appended to: for a UI that explains it to a person.

May import: `actors`. Invariant: a line is returned once it is complete, and each line once.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.actors.operations.log import Line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_LOOK_AGAIN: Final = 0.01
"""Seconds between two looks at the file."""


class LogReader:
    """One log file, from its beginning."""

    def __init__(self, path: Path) -> None:
        """Take the path of the file, which must exist."""
        self._path = path
        self._read = 0
        self.lines: list[Line] = []
        """What has been read so far."""

    def refresh(self) -> None:
        """Read what was added; raises `OSError`, and `msgspec.DecodeError` for a line that is none."""
        with self._path.open("rb") as file:
            file.seek(self._read)
            added, _, _ = file.read().rpartition(b"\n")
        if added:
            self._read += len(added) + 1
            self.lines += [msgspec.json.decode(each, type=Line) for each in added.split(b"\n")]

    def wait(self, count: int, fits: Callable[[Line], bool], seconds: float, start: int = 0) -> list[Line]:
        """Return the lines that fit, from line `start` on, once there are `count` or `seconds` have passed."""
        until = time.monotonic() + seconds
        pause = threading.Event()
        while True:
            self.refresh()
            found = [each for each in self.lines[start:] if fits(each)]
            if len(found) >= count or time.monotonic() >= until:
                return found
            pause.wait(_LOOK_AGAIN)


def told(line: Line, since: float) -> tuple[str, str, str, str]:
    """Return (seconds since `since`, epoch, event, who and why) for a table."""
    end = line.signal or ("" if line.exit_code is None else f"exit code {line.exit_code}")
    who = f"{line.member} ({line.pid})" if line.pid else line.member
    number = f"restart {line.restart} in {line.delay:.2f} s" if line.restart else ""
    parts = [who, end, line.why, line.detail, line.next, number]
    return f"{line.time - since:+.3f}", f"epoch {line.epoch}", line.event, "; ".join(filter(None, parts))
