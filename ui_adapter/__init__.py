"""Who asks: the bridge, the command line, the terminal, the asyncio front.

May import `actors` and `messages`, never `enclave`.

The names that applications use are re-exported; each is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trollbridge.ui_adapter.asyncio_front import AsyncUiActor as AsyncUiActor
    from trollbridge.ui_adapter.bridge import Bridge as Bridge
    from trollbridge.ui_adapter.bridge import ExtensionActor as ExtensionActor
    from trollbridge.ui_adapter.bridge import UiActor as UiActor

_HOMES = {"AsyncUiActor": "asyncio_front", "Bridge": "bridge", "ExtensionActor": "bridge", "UiActor": "bridge"}

__all__ = ["AsyncUiActor", "Bridge", "ExtensionActor", "UiActor"]


def __getattr__(name: str) -> object:
    """Load one of the re-exported names."""
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module  # noqa: PLC0415  # only where a name is asked for

    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    """List them."""
    return sorted(__all__)
