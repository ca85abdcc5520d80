"""Where code lies that any program of this machine may read: the interpreter's modules, ours, the system's libraries.

May import: the standard library. Invariant: it names folders of code only, never one of the application's or the
user's data.
"""

from __future__ import annotations

import os
import sys
from typing import Final

SYSTEM: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
"""Where the dynamic loader looks."""
_FOLDERS: Final = ("messages", "actors", "enclave", "ui_adapter")


def folders() -> tuple[str, ...]:
    """Return what a process must be able to read that loads its code after its lock; each exists.

    To be asked before an application's own folders are on `sys.path`.
    """
    ours = [
        os.path.dirname(os.path.realpath(module.__file__))  # noqa: PTH120  # an editable install links to the real files
        for name, module in tuple(sys.modules.items())
        if name.startswith("trollbridge.") and module.__file__
    ]
    top = {os.path.dirname(each) for each in ours if each.endswith("/actors")}  # noqa: PTH120
    siblings = [os.path.join(each, name) for each in top for name in _FOLDERS]  # noqa: PTH118
    found = dict.fromkeys(os.path.realpath(each) for each in (*sys.path, *SYSTEM, *ours, *siblings) if each)
    return tuple(each for each in found if os.path.exists(each))  # noqa: PTH110
