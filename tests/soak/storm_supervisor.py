"""The storm's supervisor: `python -m tests.soak.storm_supervisor FOLDER PACE`. Its log is on a disk that can fill.

Imports trollbridge's actors layer. The clock of the day is what FOLDER/clock says, added to the machine's, so that it
can jump. The disk is a small one in a mount namespace of its own where that is allowed, else the folder's.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import socket
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from tests.harness.replacing import replace
from trollbridge.actors.app import App, Child
from trollbridge.actors.operations.log import Line, Log
from trollbridge.actors.operations.rotation import LogFile
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.actors.supervision.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

DISK: Final = 4 << 20
"""Bytes."""
LOG: Final = "storm.log"
_CLONE_NEWNS: Final = 0x20000
_MS_PRIVATE_ALL: Final = 0x40000 | 0x4000
_OFTEN: Final = Intensity(5, 0.001)
"""The storm kills on purpose, and as often as it likes."""


def application(folder: Path, pace: str) -> App:
    """Return a console, an enclave, a host and an extension that all call."""
    journals = {name: {"journal": str(folder / f"{name}.journal")} for name in ("keeper", "porter")}
    actors = "tests.soak.storm_actors"
    return App(
        ui=Child("tests.soak.storm_console:Console", settings={"report": str(folder / "report"), "pace": pace}),
        enclaves=[Child(f"{actors}:Keeper", settings=journals["keeper"])],
        hosts=[Child(f"{actors}:Porter", settings=journals["porter"])],
        extensions=[Child(f"{actors}:Caller", restart="permanent", settings={"pace": pace})],
        grants={"console": ["keeper.note", "keeper.repeat", "porter.note"], "caller": ["porter.note"]},
        intensity=_OFTEN,
        group_intensity=_OFTEN,
    )


def jumping(path: Path) -> Callable[[], float]:
    """Return a clock that is off by the seconds that a file says."""
    real = time.time
    with path.open("r+b") as file:
        page = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    return lambda: real() + float(struct.unpack("d", page[:8])[0])


def small_disk(folder: Path) -> bool:
    """Lay a small disk over a folder, for this process and its children; return whether that is allowed.

    Only to root: in a user namespace of its own, the kernel would show other owners of /proc/PID than are checked.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(_CLONE_NEWNS):
        return False
    if libc.mount(b"none", b"/", None, ctypes.c_ulong(_MS_PRIVATE_ALL), None):
        return False
    options = f"size={DISK},mode=700".encode()
    return not libc.mount(b"none", bytes(folder), b"tmpfs", ctypes.c_ulong(0), options)


def main(folder: Path, pace: str) -> int:
    """Run the storm's application."""
    small = small_disk(folder / "disk")
    descriptor = os.open(folder / "disk", os.O_RDONLY | os.O_DIRECTORY)
    with socket.socket(socket.AF_UNIX) as end:
        end.connect(str(folder / "place"))
        socket.send_fds(end, [json.dumps({"small": small}).encode()], [descriptor])
    os.close(descriptor)
    replace(time, time=jumping(folder / "clock"))
    log = Log(LogFile(str(folder / "disk" / LOG)))
    log.subscribe(told)
    return Supervisor(application(folder, pace), log, name="storm").run()


def told(line: Line) -> None:
    """Tell the storm each line at once, whatever becomes of the log."""
    os.write(2, msgspec.json.encode(line) + b"\n")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
