"""The enclave that the specification's tests call; only the shipped enclave process imports it."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import msgspec

from trollbridge.actors import Progress
from trollbridge.actors.handlers import handler
from trollbridge.enclave.actor import EnclaveActor
from trollbridge.messages.errors import DeclaredError


class Person(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record type of its own."""

    name: str
    age: int | None


class OutOfInk(DeclaredError):
    """The pen is empty."""


class Sample(EnclaveActor):
    """One handler for each thing that the specification describes."""

    def __init__(self, **settings: str) -> None:
        """Take the greeting."""
        super().__init__()
        self._greeting = settings["greeting"]

    @handler
    def exit(self, code: int) -> None:
        """End at once, in the middle of a call."""
        os._exit(code)

    @handler(max_bytes=4 << 20, idempotent=True)
    def echo(self, data: bytes) -> bytes:
        """Return what came."""
        return data

    @handler
    def types(
        self,
        person: Person,
        scores: tuple[float, ...],
        pair: tuple[int, str],
        notes: dict[str, bool],
        missing: None = None,
    ) -> dict[str, Person | None]:
        """Return something made of every kind of type."""
        note = " ".join(sorted(key for key, value in notes.items() if value))
        name = f"{self._greeting} {person.name} {pair[1] * pair[0]} {note}"
        return {"made": Person(name, int(sum(scores))), "missing": missing}

    @handler(sensitive=True)
    def secret(self, size: int) -> str:
        """Return what only the core UI may read."""
        return "s" * size

    @handler(max_bytes=64)
    def zeros(self, size: int) -> bytes:
        """Return more than max_bytes if asked to."""
        return bytes(size)

    @handler
    def declared(self) -> None:
        """Refuse, and say why."""
        raise OutOfInk

    @handler
    def broken(self) -> None:
        """Fail in a way that nobody may read."""
        message = "the canary in the mine"
        raise ValueError(message)

    @handler(max_bytes=1 << 20)
    def numbers(self, count: int, length: int = 0) -> Generator[tuple[int, bytes] | Progress, None, str]:
        """Tell progress, give numbers with so many bytes each, return how many were given."""
        yield Progress(0, count, "begun")
        for number in range(count):
            yield number, bytes(length)
        return f"{count} numbers"

    @handler(sensitive=True)
    def whispers(self) -> Iterator[str | Progress]:
        """Give what only the core may read."""
        yield Progress(1, 2, "a canary")
        yield "psst"

    @handler
    def withheld(self) -> None:
        """Be granted to nobody."""
