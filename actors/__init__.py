"""Who runs: supervisor, broker, process actors, promises. May import `messages`, never `enclave` or `ui_adapter`.

The names that applications use are re-exported here; each is loaded when it is first asked for, since start-up time
counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trollbridge.actors.app import App as App
    from trollbridge.actors.app import Child as Child
    from trollbridge.actors.calling.promise import Promise as Promise
    from trollbridge.actors.calling.stream import Stream as Stream
    from trollbridge.actors.extension import Extension as Extension
    from trollbridge.actors.handlers import handler as handler
    from trollbridge.actors.host import HostActor as HostActor
    from trollbridge.actors.hosts.arguments import Several as Several
    from trollbridge.actors.hosts.declaring import Files as Files
    from trollbridge.actors.hosts.declaring import Programs as Programs
    from trollbridge.actors.hosts.program import Program as Program
    from trollbridge.actors.serving.streaming import Pause as Pause
    from trollbridge.actors.serving.streaming import Progress as Progress
    from trollbridge.actors.serving.streaming import Topic as Topic
    from trollbridge.actors.supervision.declaring import Group as Group
    from trollbridge.actors.supervision.intensity import Intensity as Intensity
    from trollbridge.actors.supervision.rekeying import Rekey as Rekey
    from trollbridge.messages.grants import Between as Between
    from trollbridge.messages.grants import Grant as Grant
    from trollbridge.messages.grants import Longest as Longest
    from trollbridge.messages.grants import Matching as Matching
    from trollbridge.messages.grants import OneOf as OneOf
    from trollbridge.messages.sandbox import Sandbox as Sandbox

_HOMES = {
    "App": "trollbridge.actors.app",
    "Between": "trollbridge.messages.grants",
    "Child": "trollbridge.actors.app",
    "Extension": "trollbridge.actors.extension",
    "Files": "trollbridge.actors.hosts.declaring",
    "Grant": "trollbridge.messages.grants",
    "Group": "trollbridge.actors.supervision.declaring",
    "HostActor": "trollbridge.actors.host",
    "Intensity": "trollbridge.actors.supervision.intensity",
    "Longest": "trollbridge.messages.grants",
    "Matching": "trollbridge.messages.grants",
    "OneOf": "trollbridge.messages.grants",
    "Pause": "trollbridge.actors.serving.streaming",
    "Program": "trollbridge.actors.hosts.program",
    "Programs": "trollbridge.actors.hosts.declaring",
    "Progress": "trollbridge.actors.serving.streaming",
    "Promise": "trollbridge.actors.calling.promise",
    "Rekey": "trollbridge.actors.supervision.rekeying",
    "Sandbox": "trollbridge.messages.sandbox",
    "Several": "trollbridge.actors.hosts.arguments",
    "Stream": "trollbridge.actors.calling.stream",
    "Topic": "trollbridge.actors.serving.streaming",
    "handler": "trollbridge.actors.handlers",
}

__all__ = [
    "App",
    "Between",
    "Child",
    "Extension",
    "Files",
    "Grant",
    "Group",
    "HostActor",
    "Intensity",
    "Longest",
    "Matching",
    "OneOf",
    "Pause",
    "Program",
    "Programs",
    "Progress",
    "Promise",
    "Rekey",
    "Sandbox",
    "Several",
    "Stream",
    "Topic",
    "handler",
]


def __getattr__(name: str) -> object:
    """Load one of the re-exported names."""
    home = _HOMES.get(name)
    if home is None:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    from importlib import import_module  # noqa: PLC0415  # only where a name is asked for

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    """List them."""
    return sorted(__all__)
