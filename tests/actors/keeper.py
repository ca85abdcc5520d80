"""The actor that tests without processes call: plain methods with marks, of every shape that a handler may have."""

from __future__ import annotations

import msgspec

from trollbridge.actors.handlers import handler
from trollbridge.messages.errors import DeclaredError


class Note(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record type of an application's own."""

    text: str
    number: int | None


class NoPaper(DeclaredError):
    """There is no paper left."""


class Keeper:
    """Keeps nothing, returns what it is given."""

    @handler(max_bytes=4 << 20)
    def echo(self, data: bytes) -> bytes:
        """Return what came."""
        return data

    @handler
    def add(self, one: int, other: int = 1) -> int:
        """Add."""
        return one + other

    @handler(sensitive=True)
    def secret(self, word: str) -> str:
        """Return what only the core UI may read."""
        return f"secret {word}"

    @handler
    def note(self, note: Note) -> tuple[Note, ...]:
        """Return a record type."""
        return (note, note)

    @handler
    def refuse(self) -> None:
        """Raise a declared error."""
        raise NoPaper

    @handler(max_bytes=64)
    def small(self, size: int) -> bytes:
        """Return so many bytes, of which 64 may be sent."""
        return bytes(size)

    def unmarked(self) -> str:
        """Be no handler."""
        return "never"
