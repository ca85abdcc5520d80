"""The documents of the demonstration: the README as it was installed, and a long file of real text.

May import: the standard library. Invariant: one installation makes the same files each time.
"""

from __future__ import annotations

import sysconfig
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG: Final = 50 << 20
"""Bytes of the long file."""


def readme() -> bytes:
    """Return the README of the installed distribution; raises `LookupError` if it was installed without one."""
    _, _, text = (metadata.distribution("trollbridge").read_text("METADATA") or "").partition("\n\n")
    if not text.strip():
        msg = "trollbridge was installed without its README"
        raise LookupError(msg)
    return text.encode()  # the body of METADATA is the long description (core metadata 2.1)


def _sources() -> Iterator[bytes]:
    folder = Path(sysconfig.get_path("stdlib"))
    for path in sorted(folder.rglob("*.py")):
        if "site-packages" not in path.parts and path.is_file():
            yield path.read_bytes()


def write_long(target: Path, size: int = LONG) -> None:
    """Write `size` bytes: the source of Python's standard library, file after file, as often as it takes."""
    left = size
    with target.open("wb") as file:
        while left:
            before = left
            for source in _sources():
                left -= file.write(source[:left])
                if not left:
                    return
            if left == before:
                msg = "there is no source of the standard library to write"
                raise LookupError(msg)
