"""Which declared paths are not there, or not for this user, and which let a process change the application's own code.

May import: our actors' isolation and messages. Invariants: nothing is made, executed or imported to find out; what is
said of a path holds for the user who asks.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from trollbridge.actors.reference import is_file
from trollbridge.messages.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from trollbridge.actors.app import App
    from trollbridge.messages.sandbox import Sandbox


def faults(sandbox: Sandbox) -> tuple[str, ...]:
    """Return one sentence for each path of a resolved sandbox that the process could not start with, or not use."""
    found = [f"read=[{path!r}] {why}" for path in sandbox.read if (why := _unreadable(path))]
    found += [f"write=[{path!r}] {why}" for path in sandbox.write if (why := _unwritable(path))]
    return (*found, *_not_executable(sandbox.exec))


def _missing(path: str) -> str:
    try:
        os.stat(path)  # noqa: PTH116  # strings throughout, as the declaration has them
    except FileNotFoundError:
        return "is a symbolic link to nothing" if os.path.islink(path) else "does not exist"  # noqa: PTH114
    except OSError as error:
        return f"cannot be looked at: {error.strerror}"
    return ""


def _unreadable(path: str) -> str:
    needed = os.R_OK | (os.X_OK if os.path.isdir(path) else 0)  # noqa: PTH112
    return _missing(path) or ("" if os.access(path, needed) else "may not be read by this user")


def _unwritable(path: str) -> str:
    if path.endswith("/") and not os.path.lexists(path.rstrip("/")):
        folder = _nearest(path)
        return "" if _open(folder) else f"does not exist, and this user cannot make it in {folder}"
    why = _missing(path)
    if why == "does not exist":
        return f"{why}: make it, or end it with / to have it made as a folder"
    if why:
        return why
    allowed = _open(path) if os.path.isdir(path) else os.access(path, os.W_OK)  # noqa: PTH112
    return "" if allowed else "may not be changed by this user"


def _nearest(path: str) -> str:
    """Return the innermost folder around a path that is there."""
    folder = os.path.dirname(path.rstrip("/"))  # noqa: PTH120
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)  # noqa: PTH120
    return folder


def _open(folder: str) -> bool:
    """Tell whether this user may make files in a folder."""
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)  # noqa: PTH112


def _not_executable(paths: Sequence[str]) -> Iterator[str]:
    from trollbridge.actors.isolation import programs  # noqa: PLC0415  # only for who declares programs

    for path in paths:
        try:
            programs.program_paths(path)
        except DeclarationError as error:
            yield str(error).removeprefix("Sandbox(").replace("])", "]", 1)


def code_of(app: App, path: Sequence[str]) -> dict[str, str]:
    """Return where the application's code lies: each real path, and what it is, in words.

    `path`: where modules are looked for, as in `sys.path`. Of an actor the module is found, and not imported.
    """
    found: dict[str, str] = {}
    for name in dict.fromkeys(child.actor.module for child, _ in app.children):
        for place in _files_of(name, path):
            found.setdefault(os.path.realpath(place), f"the code of {name}")
    for module in list(sys.modules.values()):
        file: object = getattr(module, "__file__", None)
        if isinstance(file, str) and any(value is app for value in vars(module).values()):
            found.setdefault(os.path.realpath(file), f"the declaration, {module.__name__}")
    for folder in path:
        if os.path.isdir(folder):  # noqa: PTH112
            found.setdefault(os.path.realpath(folder), "a folder that modules are imported from")
    return found


def _files_of(module: str, path: Sequence[str]) -> Iterator[str]:
    """Yield the file or the folder of a module in the first folder that has it."""
    if is_file(module):
        yield module
        return
    for folder in path:
        base = os.path.join(folder, *module.split("."))  # noqa: PTH118
        there = [each for each in (f"{base}.py", f"{base}/__init__.py") if os.path.exists(each)]  # noqa: PTH110
        if there:
            yield there[0]
            return


def over_code(writable: Iterable[str], code: Mapping[str, str]) -> tuple[str, ...]:
    """Return one sentence for each path that may be written and holds some of `code`."""
    found: list[str] = []
    for path in writable:
        real = os.path.realpath(path)
        held = [what for place, what in code.items() if place == real or place.startswith(real.rstrip("/") + "/")]
        if held:
            found.append(f"write=[{path!r}] holds {held[0]}: who breaks in could change what runs at the next start")
    return tuple(found)
