"""Who runs: supervisor, broker, process actors, promises. May import `messages`, never `enclave` or `ui_adapter`.

The names that applications use are re-exported here; each is loaded when it is first asked for, since start-up time
counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trollbridge.actors.app import App as App
    from trollbridge.actors.app import Child as Child
    from trollbridge.actors.promise import Promise as Promise
    from trollbridge.messages.sandbox import Sandbox as Sandbox

_HOMES = {
    "App": "trollbridge.actors.app",
    "Child": "trollbridge.actors.app",
    "Promise": "trollbridge.actors.promise",
    "Sandbox": "trollbridge.messages.sandbox",
}

__all__ = ["App", "Child", "Promise", "Sandbox"]


def __getattr__(name: str) -> object:
    """Load one of the re-exported names."""
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module  # noqa: PLC0415  # only where a name is asked for

    return getattr(import_module(home), name)
