"""The actor of the tests of streams, and what they look at."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from trollbridge.actors.handlers import handler
from trollbridge.actors.serving.streaming import Pause, Progress, Topic
from trollbridge.messages.errors import DeclaredError

if TYPE_CHECKING:
    from tests.actors.memory_ring import MemoryRing
    from trollbridge.actors.calling.pending import Pending


class Tapped(DeclaredError):
    """The barrel is empty."""


class Source:
    """Yields."""

    def __init__(self) -> None:
        """Start dry."""
        self.gave = 0
        self.closed: list[str] = []
        self.topic: Topic[str] = Topic(bound=3)
        self.waiting: list[Pause] = []

    @handler
    def count(self, items: int) -> Generator[int, None, str]:
        """Count, and say how far."""
        try:
            for number in range(items):
                self.gave += 1
                yield number
        finally:
            self.closed.append("count")
        return f"up to {items}"

    @handler(max_bytes=1 << 20)
    def blocks(self, sizes: tuple[int, ...]) -> Iterator[bytes]:
        """Give blocks of these sizes."""
        for size in sizes:
            self.gave += 1
            yield bytes([size % 251]) * size

    @handler(sensitive=True)
    def secrets(self) -> Generator[str | Progress, None, str]:
        """Give secrets."""
        yield Progress(1, 2, "the secret is near")
        yield "canary-one"
        yield "canary-two"
        return "canary-last"

    @handler
    def work(self, steps: int) -> Generator[Progress, None, int]:
        """Give nothing but progress."""
        for step in range(steps):
            yield Progress(step + 1, steps, "rubbing")
        return steps

    @handler
    def news(self) -> Iterator[str | Pause]:
        """Give what is published."""
        yield from self.topic.subscribe()

    @handler
    def publish(self, text: str) -> int:
        """Publish; return how many there are to hear it."""
        self.topic.publish(text)
        return len(self.topic)

    @handler
    def waits(self, descriptor: int, seconds: float) -> Iterator[int | Pause]:
        """Wait as it is told."""
        yield Pause(None if descriptor == -2 else descriptor, time.monotonic() + seconds if seconds else None)
        yield 1

    @handler
    def wrong(self, how: str) -> Generator[int, None, int]:
        """Do it wrongly."""
        yield 1
        if how == "declared":
            raise Tapped
        if how == "raises":
            raise ValueError(how)
        if how == "item":
            yield "text"  # type: ignore[misc]  # what a careless handler does
        if how == "progress":
            yield Progress(-1, 0)  # type: ignore[misc]  # as above
        if how == "long":
            yield 10**30
        return "text" if how == "result" else 2  # type: ignore[return-value]  # as above


def source(ring: MemoryRing) -> Source:
    """Return the actor."""
    assert isinstance(ring.enclave.actor, Source)
    return ring.enclave.actor


def outcome(pending: Pending) -> object:
    """Return what a stream ended by."""
    assert pending.promise.done
    try:
        return pending.promise.get(timeout=0)
    except Exception as error:  # noqa: BLE001  # whatever it is, the test compares it
        return type(error)
