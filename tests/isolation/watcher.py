"""Another process of the same user, which opens the memory of each child of a process as soon as there is one."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path


def main(parent: int) -> None:
    """Until standard input ends, watch the children of `parent`; print how many were opened, and how many seen.

    The first that is seen, and the first that is opened, are told at once, by a line each.
    """
    os.set_blocking(0, False)
    seen: set[int] = set()
    opened: set[int] = set()
    children = Path(f"/proc/{parent}/task/{parent}/children")
    _tell("watching")
    while True:
        with suppress(BlockingIOError):
            if not os.read(0, 1):
                break
        for pid in map(int, children.read_bytes().split()):
            if pid not in {*opened, os.getpid()}:
                if not seen:
                    _tell("seen")
                seen.add(pid)
                with suppress(OSError):
                    os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY))
                    if not opened:
                        _tell("opened")
                    opened.add(pid)
    _tell(f"{len(opened)} {len(seen)}")


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]))
