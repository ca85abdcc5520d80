"""A folder that is a link to the outside every other moment."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextmanager
def swapping(folder: Path, outside: Path, secret: bytes) -> Generator[None]:
    """Swap `folder/swapped` for a link to a folder made in `outside`, as fast as a thread can; both hold an `a.txt`."""
    real, link, aside, target = folder / "swapped", folder / "link", folder / "aside", outside / "target"
    for each, content in ((real, b"inside"), (target, secret)):
        each.mkdir()
        each.joinpath("a.txt").write_bytes(content)
    link.symlink_to(target)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            real.rename(aside)
            link.rename(real)
            real.rename(link)
            aside.rename(real)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
