"""The document soak: one very long document through the vault and back, in pieces, with nothing stored.

Imports the harness. It owns one rule: however long the document is, it comes back as it was, and no process takes more
memory than for a short one; else it raises `AssertionError`.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tests.harness.running import Running
from tests.ui_adapter.couriers import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

APPLICATION: Final = "tests.soak.carrier:application"
MOST: Final = 128 << 10
"""KiB that a process may take at its peak."""
MOST_DECRYPTING: Final = 300 << 10
"""The same for a scribe: the one that decrypts holds 25 MiB back, in several buffers of twice that."""
SLOWEST: Final = 2.0
"""MiB a second, on a machine that has much else to do."""
START: Final = 60.0
"""Seconds until the vault is open."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What a document soak has found: seconds, and the peak memory by the names of processes, in KiB."""

    mebibytes: int
    seconds: float
    peaks: Mapping[str, int]


def check_bounded(peaks: Mapping[str, int]) -> None:
    """Compare the peaks with what a process may take."""
    assert {"troll-ui", "troll-broker", "troll-enclave", "troll-errand"} <= peaks.keys()
    for name, peak in peaks.items():
        most = MOST_DECRYPTING if name == "troll-errand" else MOST
        assert peak <= most, f"{name}: {peak >> 10} MiB, {most >> 10} MiB at most"


def carry(mebibytes: int, tell: Callable[[str], None]) -> Carried:
    """Have a document of so many MiB carried; return what was found. Raises AssertionError."""
    wanted = f"{mebibytes} MiB"

    def told(line: str) -> bool:
        if line != wanted:
            tell(line)
        return line == wanted

    with (
        tempfile.TemporaryDirectory(prefix="trollbridge-soak-") as place,
        Running(APPLICATION, {"place": place}) as one,
    ):
        began = time.monotonic()
        with Watch(one) as peaks:
            one.stdin.write(f"{mebibytes}\n".encode())
            one.stdin.flush()
            one.output.wait(told, START + mebibytes / SLOWEST)
        seconds = time.monotonic() - began
        one.stdin.close()
        assert one.finish() == 0
        assert not one.said()
    check_bounded(peaks)
    return Carried(mebibytes, seconds, peaks)
