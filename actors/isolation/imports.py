"""No imports after the lock: a locked process could not read the file, and would fail in a way that nobody expects.

May import: the standard library. Invariant: once sealed, an import of what is not loaded yet raises `ImportedLate`, a
`ModuleNotFoundError`, so that code that can do without a module does without it.
"""

from __future__ import annotations

import codecs
import inspect
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from trollbridge.messages.posture import Evidence, Mechanism, State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType, ModuleType


_CODECS: Final = ("ascii", "latin-1", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "unicode_escape")
"""Encodings that nearly everything uses; the interpreter imports each when it is first named."""
_MACHINERY: Final = "<frozen importlib"
_refused: list[str] = []


class ImportedLate(ModuleNotFoundError):
    """A module was asked for after the process was locked."""

    def __init__(self, name: str, wanted: str) -> None:
        """Take the module that could not be found, and the one that the code names: itself, or one inside it."""
        super().__init__(
            f"{wanted} is imported after the lock; import it at the top of the module, or in warm_up()", name=name
        )
        self.wanted: Final = wanted


class _Seal:
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> NoReturn:
        del path, target
        frame = inspect.currentframe()
        wanted = _wanted(fullname, frame and frame.f_back)
        _refused[:] = [wanted]
        raise ImportedLate(fullname, wanted)


def _wanted(name: str, frame: FrameType | None) -> str:
    """Return what was to be imported when `name` was looked for: that, or a module inside it."""
    found = name
    while frame is not None and frame.f_code.co_filename.startswith(_MACHINERY):
        asked: object = frame.f_locals.get("name")
        if isinstance(asked, str) and asked.startswith(f"{name}."):
            found = asked
        frame = frame.f_back
    return found


def refused() -> str:
    """Return the module that was refused last; empty if none was."""
    return _refused[0] if _refused else ""


def seal(*, network: bool = False) -> Evidence:
    """Let nothing be found from now on; say so. `network`: the names of hosts will have to be encoded."""
    for each in (*_CODECS, *(("idna",) if network else ())):
        codecs.lookup(each)
    sys.meta_path[:] = [_Seal()]
    return Evidence(Mechanism.SEALED_IMPORTS, State.IN_FORCE, f"{len(sys.modules)} modules are loaded, no other can be")
