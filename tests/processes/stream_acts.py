"""What a puppet does with streams, and with long replies."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from trollbridge.messages.errors import StreamEnded, TrollbridgeError
from trollbridge.messages.ring_key import Sealed

if TYPE_CHECKING:
    from tests.harness.puppet import Strings
    from trollbridge.actors.calling.stream import Stream

PATIENCE = 20.0


def _plain(item: object) -> object:
    return repr(item) if isinstance(item, Sealed) else item


def open_stream(  # noqa: PLR0913  # given by name
    strings: Strings, name: str, handler: str, positional: list[Any], *, within: float | None = None, of: str = "spring"
) -> None:
    """Call a handler that yields; keep the stream."""
    proxy = getattr(getattr(strings.bridge, of), handler)
    strings.kept[name] = (proxy if within is None else proxy.within(within))(*positional)


def item(strings: Strings, name: str) -> object:
    """Return the next item of a stream."""
    stream: Stream[Any] = strings.kept[name]
    return _plain(stream.get(timeout=PATIENCE))


def end(strings: Strings, name: str) -> list[object]:
    """Return what is left of a stream, then its result."""
    stream: Stream[Any] = strings.kept.pop(name)
    return [*(_plain(each) for each in stream), _plain(stream.result.get(timeout=PATIENCE))]


def leave(strings: Strings, name: str) -> str:
    """Take one item within a `with` block and leave it; return what the stream raises then."""
    with strings.kept.pop(name) as stream:
        stream.get(timeout=PATIENCE)
    try:
        stream.get(timeout=PATIENCE)
    except TrollbridgeError as error:
        return type(error).__name__
    return ""


def leave_all(strings: Strings) -> None:
    """Give every stream up that is kept, and see to it that the server knows."""
    while strings.kept:
        strings.kept.popitem()[1].cancel()
    strings.bridge.spring.gave().get(timeout=PATIENCE)


def break_off(strings: Strings) -> int:
    """Break out of a loop over a stream that nobody else holds; return the last item."""
    last = -1
    for last in strings.bridge.spring.count(100_000, "broken off"):
        if last == 3:
            break
    return last


def progress(strings: Strings) -> list[object]:
    """Return what is told of the progress of a stream's handler: by its function, and by the stream."""
    told: list[object] = []
    stream: Stream[Any] = strings.bridge.spring.steps.progress(lambda done, total: told.append([done, total]))(7)
    told.append(list(stream))
    told.append(stream.result.get(timeout=PATIENCE))
    told.append(repr(stream.progress))
    return told


def only_the_result(strings: Strings) -> object:
    """Take a stream's result and drop the stream."""
    result: object = strings.bridge.spring.count(1000, "unwatched").result.get(timeout=PATIENCE)
    return result


def ended(strings: Strings) -> str:
    """Return what a stream raises after its last item."""
    stream: Stream[Any] = strings.bridge.spring.count(0)
    try:
        stream.get(timeout=PATIENCE)
    except StreamEnded as error:
        return str(error)
    return ""


async def _several(strings: Strings) -> list[object]:
    spring = strings.bridge.spring

    async def count(items: int) -> int:
        return sum([1 async for _ in spring.count(items)])

    async with spring.events() as events:
        first = [await anext(events)]
        counts = await asyncio.gather(*(count(each) for each in (0, 1, 100, 1000)))
        closed = [await anext(events) for _ in range(4)]
    return [first, counts, sorted(set(closed)), await spring.gave()]


def loop(strings: Strings) -> list[object]:
    """Take several streams at a time in an asyncio loop."""
    return asyncio.run(_several(strings))


def order(strings: Strings, number: int) -> None:
    """Ask so many times for something long, and take none of it."""
    grow = strings.bridge.spring.grow
    grow().get(timeout=PATIENCE)  # which brings the lease
    strings.kept["ordered"] = [grow() for _ in range(number)]
    strings.bridge._client.flush()


def fetch(strings: Strings) -> list[int]:
    """Take what was ordered; return how long each is."""
    return [len(each.get(timeout=PATIENCE)) for each in strings.kept.pop("ordered")]
