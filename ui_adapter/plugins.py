"""Foreign code in the core UI's own process: the window in which that process could reach the ring's keys closes first.

May import: `actors`. Invariant: no line of a plugin runs before the ring key is dropped and the supervisor has noted
that this process joins no ring again.

Only the boundary of a process protects. A plugin sees whatever the UI sees, and calls whatever the UI may call; code
that is not to do that is an extension, in a process of its own (`App(extensions=…)`).
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from typing import TYPE_CHECKING

from trollbridge.actors.reference import found_file, is_file
from trollbridge.messages.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

    from trollbridge.actors.calling.client import Client


def load_plugin(client: Client, reference: str | os.PathLike[str]) -> ModuleType:
    """Close the window for good and import a module, by its name or by its file; return it.

    A file is known by a slash, and is relative to the folder of whoever calls. Raises what importing it raises, and
    `UsageError`, `RingDismantled` or `DeclarationError` before anything is loaded.
    """
    if not isinstance(reference, str):
        reference = os.path.join(".", os.fspath(reference))  # noqa: PTH118  # a path without a slash is a file's, too
    if ":" in reference:
        msg = f"a plugin is a module, not a class: load {reference.partition(':')[0]!r}, and take the class from it"
        raise UsageError(msg)
    if reference.endswith(".py") and "/" not in reference:
        msg = f"{reference!r} names no module; a file is known by a slash: write './{reference}'"
        raise UsageError(msg)
    path = found_file(reference) if is_file(reference) else ""
    client.admit_foreign_code()
    if not path:
        return import_module(reference)
    name = f"trollbridge_plugin_{len(sys.modules)}"  # of its own: it stands for nothing that others import
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = sys.modules[name] = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
