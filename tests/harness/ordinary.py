"""Runs a command as an ordinary user when the tests run as root; as an ordinary user it changes nothing.

`ordinary(command, home)` returns what to execute instead of the command; the process that is started becomes it. Where
the interpreter or the tests lie in a folder that is closed to others, the command gets a view of the file system (a
mount namespace of its own) in which they are open. Imports nothing of ours.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NOBODY: Final = 65_534
ROOT: Final = os.geteuid() == 0
_CLONE_NEWNS: Final = 0x20000
_MS_BIND: Final = 0x1000
_MS_MOVE: Final = 0x2000
_MS_PRIVATE_ALL: Final = 0x40000 | 0x4000
_NEEDED: Final = (sys.base_prefix, sys.prefix, str(Path(__file__).resolve().parents[2]))


def ordinary(command: Sequence[str], home: Path) -> list[str]:
    """Return a command that runs `command` as an ordinary user, whose home is `home`, a folder that exists."""
    if not ROOT:
        return list(command)
    os.chown(home, NOBODY, NOBODY)
    return [sys.executable, "-I", __file__, str(home), *command]


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    words = [each.encode() or None for each in (source, target, kind)]
    _checked(_libc().mount(*words, ctypes.c_ulong(flags), data.encode() or None))


def closed(paths: Sequence[str]) -> Iterator[Path]:
    """Yield the outermost folders on the way to `paths` that others may not pass."""
    found: set[Path] = set()
    for path in paths:
        for folder in reversed(Path(path).resolve().parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                found.add(folder)
                break
    yield from sorted(found)


def _open_up(folder: Path) -> None:
    """Put an open folder in the place of a closed one, with nothing in it but what is needed."""
    inside = sorted({Path(each).resolve() for each in _NEEDED if Path(each).resolve().is_relative_to(folder)})
    outermost = [each for each in inside if not any(other != each and each.is_relative_to(other) for other in inside)]
    kept = [(each, tempfile.mkdtemp()) for each in outermost]
    for each, aside in kept:
        _mount(str(each), aside, "", _MS_BIND)
    _mount("none", str(folder), "tmpfs", 0, "mode=755")
    for each, aside in kept:
        each.mkdir(parents=True)
        _mount(aside, str(each), "", _MS_MOVE)
        Path(aside).rmdir()


def main(home: str, *command: str) -> NoReturn:
    """Become an ordinary user, then the command."""
    _checked(_libc().unshare(_CLONE_NEWNS))
    _mount("none", "/", "", _MS_PRIVATE_ALL)
    for folder in closed(_NEEDED):
        _open_up(folder)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    os.environ.update(HOME=home, TMPDIR=home, PYTHONDONTWRITEBYTECODE="1")
    os.execv(command[0], command)  # noqa: S606  # that is what it is for


if __name__ == "__main__":
    main(*sys.argv[1:])
