"""Where code lies that any program of this machine may read: the interpreter's modules, ours, the system's libraries.

May import: the standard library. Invariant: it names folders of installed code only: the standard library, installed
packages, our own, and the system's libraries; never one of the application's or the user's work.
"""

from __future__ import annotations

import os
import sys
from typing import Final

SYSTEM: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
"""Where the dynamic loader looks."""
_FOLDERS: Final = ("messages", "actors", "enclave", "ui_adapter")


def _of_the_interpreter(path: str) -> bool:
    """Return whether an entry of `sys.path` is the standard library's or one for installed packages.

    Whatever else stands there, by a `.pth` file or by an editable install, is a folder of somebody's own work.
    """
    library = os.path.dirname(os.path.realpath(os.__file__))  # noqa: PTH120
    return path.endswith(("-packages", ".zip")) or os.path.realpath(path).startswith(library)


def folders() -> tuple[str, ...]:
    """Return what a process must be able to read that loads its code after its lock; each exists.

    To be asked before an application's own folders are on `sys.path`.
    """
    files = [
        module.__file__
        for name, module in tuple(sys.modules.items())
        if name.startswith("trollbridge.") and module.__file__
    ]
    # an editable install links to the real files: both ends of each link are read
    ours = {os.path.dirname(each) for file in files for each in (file, os.path.realpath(file))}  # noqa: PTH120
    top = {os.path.dirname(each) for each in ours if each.endswith("/actors")}  # noqa: PTH120
    siblings = [os.path.join(each, name) for each in top for name in _FOLDERS]  # noqa: PTH118
    code = [each for each in sys.path if each and _of_the_interpreter(each)]
    found = dict.fromkeys(os.path.realpath(each) for each in (*code, *SYSTEM, *sorted(ours), *siblings))
    return tuple(each for each in found if os.path.exists(each))  # noqa: PTH110
