"""How a command finds the application that a person names: the folder, the system, the module, the name in it.

May import: our actors and messages. Invariant: whatever is wrong with what was named is one line, never a traceback;
nothing of ours that only Linux has is loaded before the system is known to be Linux.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module

from trollbridge.actors.app import App
from trollbridge.messages.errors import DeclarationError, NotIsolated


class NotRunnable(DeclarationError):
    """What was named is not an application that can be run."""


def load(reference: str) -> App:
    """Import `module:name` and return the `App` that it is; raises `NotRunnable` with the cause in one line."""
    module, colon, name = reference.partition(":")
    if module.endswith(".py") or "/" in module:
        folder, _, file = module.removesuffix(".py").rpartition("/")
        where = f", in the folder {folder or '/'}" if folder not in {"", "."} or module.startswith("/") else ""
        msg = f"{reference!r} names a file; an application is named by its module: run {file}:{name or 'app'}{where}"
        raise NotRunnable(msg)
    if not colon or not module or not name:
        msg = f"{reference!r} does not name an application; write module:app"
        raise NotRunnable(msg)
    try:
        found: object = import_module(module)
    except DeclarationError as error:
        msg = f"{reference}: {error}"
        raise NotRunnable(msg) from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise NotRunnable(_why(module, error)) from None
    for part in name.split("."):
        if not hasattr(found, part):
            msg = f"{reference}: the module {module} has no {name}"
            raise NotRunnable(msg)
        found = getattr(found, part)
    if not isinstance(found, App):
        msg = f"{reference} is a {type(found).__name__}, not an App"
        raise NotRunnable(msg)
    return found


def _why(module: str, error: BaseException) -> str:
    """Return one line: what went wrong while the module was imported, and where in the user's own code."""
    if isinstance(error, ModuleNotFoundError) and error.name in (module, module.partition(".")[0]):
        return f"there is no module {error.name} here; run the command in the folder that holds it"
    text = " ".join(str(error).split())[:300]
    frames = [each for each in traceback.extract_tb(error.__traceback__) if not each.filename.startswith("<frozen")]
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if len(frames) > 1 and "line " not in text else ""
    return f"{module} cannot be imported: {type(error).__name__}: {text}".rstrip(": ") + where


def demand_linux() -> None:
    """Raise `NotIsolated` on a system that has none of what keeps processes apart."""
    if sys.platform != "linux":
        msg = f"only Linux can isolate the processes of an application, and this is {sys.platform}"
        raise NotIsolated(msg)


def import_from_here() -> None:
    """Put the current folder on the path where the children have it too: behind the standard library."""
    here = os.getcwd()  # noqa: PTH109  # what the shell calls it, links included
    packages = next((n for n, each in enumerate(sys.path) if each.endswith("-packages")), len(sys.path))
    sys.path[packages:packages] = [here]
