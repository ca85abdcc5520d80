"""A host of an application's own, with functions of its own."""

from __future__ import annotations

from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor


def late(self: object) -> str:
    """Be what nobody declared."""
    return f"late {type(self).__name__}"


class Boastful(HostActor):
    """Would have a result sealed."""

    @handler(sensitive=True)
    def secret(self) -> bytes:
        """Return what it cannot seal."""
        return b""


class Own(HostActor):
    """Has one function for callers, one for itself, and one that tries to have more."""

    @handler
    def double(self, number: int) -> int:
        """Return twice a number."""
        return self.plain(number)

    def plain(self, number: int) -> int:
        """Return it too, but for nobody outside."""
        return 2 * number

    @handler
    def register(self) -> bool:
        """Add a handler to the class while it runs; return whether it is there."""
        type(self).late = handler(late)  # type: ignore[attr-defined]  # what the test is about
        return hasattr(self, "late")
