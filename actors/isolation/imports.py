"""No imports after the lock: a locked process could not read the file, and would fail in a way that nobody expects.

May import: the standard library. Invariant: once sealed, an import of what is not loaded yet raises `ImportedLate`, a
`ModuleNotFoundError`, so that code that can do without a module does without it.
"""

from __future__ import annotations

import codecs
import sys
from typing import TYPE_CHECKING, Final, NoReturn

from trollbridge.messages.posture import Evidence, Mechanism, State

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType


_CODECS: Final = ("ascii", "latin-1", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "unicode_escape")
"""Encodings that nearly everything uses; the interpreter imports each when it is first named."""


class ImportedLate(ModuleNotFoundError):
    """A module was asked for after the process was locked."""


class _Seal:
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> NoReturn:
        del path, target
        msg = f"{fullname} is imported after the lock; import it at the top of the module, or in warm_up()"
        raise ImportedLate(msg, name=fullname)


def seal(*, network: bool = False) -> Evidence:
    """Let nothing be found from now on; say so. `network`: the names of hosts will have to be encoded."""
    for each in (*_CODECS, *(("idna",) if network else ())):
        codecs.lookup(each)
    sys.meta_path[:] = [_Seal()]
    return Evidence(Mechanism.SEALED_IMPORTS, State.IN_FORCE, f"{len(sys.modules)} modules are loaded, no other can be")
