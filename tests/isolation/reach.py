"""What a process can do with a place in the file system: each act is tried, and those that succeed are named."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

REFUSALS: Final = (errno.EACCES, errno.EPERM, errno.EXDEV)
"""What Landlock answers; EXDEV, as between devices, for a link or a move from one folder to another."""
PROGRAM: Final = shutil.which("true") or "/bin/true"


def furnish(place: Path) -> Path:
    """Make a folder with what the acts need."""
    place.mkdir()
    for name in ("file", "moving", "dying", "shrinking"):
        (place / name).write_text("before")
    (place / "empty").mkdir()
    shutil.copy(PROGRAM, place / "program")
    return place


def _make_socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        os.chdir(place)  # the path of a socket is short; changing folders is never refused
        made.bind("made socket")


def _execute(place: Path) -> None:
    os.waitpid(os.posix_spawn(place / "program", ["program"], {}), 0)


ACTS: Final[Mapping[str, Callable[[Path], object]]] = {
    "read": lambda place: (place / "file").read_text(),
    "list": lambda place: list(place.iterdir()),
    "write": lambda place: os.open(place / "file", os.O_WRONLY),
    "truncate": lambda place: os.truncate(place / "shrinking", 0),
    "make": lambda place: (place / "made").write_text("new"),
    "make folder": lambda place: (place / "made folder").mkdir(),
    "make link": lambda place: (place / "made link").symlink_to("file"),
    "make fifo": lambda place: os.mkfifo(place / "made fifo"),
    "make socket": _make_socket,
    "link": lambda place: os.link(place / "file", place / "empty" / "linked"),
    "rename": lambda place: (place / "moving").rename(place / "moved"),
    "move": lambda place: (place / "dying").rename(place / "empty" / "dying"),
    "remove": lambda place: (place / "file").unlink(),
    "execute": _execute,
}


def reached(place: Path) -> list[str]:
    """Try each act on a furnished place, for good; return those that the kernel did not refuse."""
    done: list[str] = []
    for name, act in ACTS.items():
        try:
            act(place)
        except OSError as error:
            if error.errno not in REFUSALS:
                raise
        else:
            done.append(name)
    return done
