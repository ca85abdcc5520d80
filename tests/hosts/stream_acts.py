"""What a puppet does with the streams of hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from trollbridge.messages.errors import DeclaredError
from trollbridge.messages.ids import HandlerName

if TYPE_CHECKING:
    from tests.harness.puppet import Strings

PATIENCE = 20.0


def _told(item: object) -> object:
    """Return an item in a form that has one in JSON: of a struct, its fields."""
    fields = getattr(item, "__struct_fields__", None)
    if isinstance(item, tuple):
        return [_told(each) for each in cast("tuple[object, ...]", item)]
    return item if fields is None else [getattr(item, each) for each in fields]


def ask(strings: Strings, handler: str, positional: list[Any]) -> object:
    """Call a handler; return its result."""
    return _told(strings.client.call(HandlerName(handler), tuple(map(_deep, positional)), {}).get(timeout=PATIENCE))


def take(strings: Strings, handler: str, positional: list[Any]) -> dict[str, Any]:
    """Call a stream's handler; return all of its items, and its result."""
    stream: Any = strings.client.call(HandlerName(handler), tuple(map(_deep, positional)), {})
    items = [_told(each) for each in stream]
    return {"items": items, "result": _told(stream.result.get(timeout=PATIENCE))}


def _deep(value: object) -> object:
    return tuple(map(_deep, cast("list[object]", value))) if isinstance(value, list) else value


def begin(strings: Strings, name: str, handler: str, positional: list[Any]) -> None:
    """Call a stream's handler, and keep the stream."""
    strings.kept[name] = strings.client.call(HandlerName(handler), tuple(map(_deep, positional)), {})


def item(strings: Strings, name: str) -> object:
    """Return the next item of a stream that was kept."""
    return _told(strings.kept[name].get(timeout=PATIENCE))


def cancel(strings: Strings, name: str) -> bool:
    """Give a stream that was kept up."""
    return bool(strings.kept.pop(name).cancel())


def rest(strings: Strings, name: str) -> list[object]:
    """Return what is left of a stream that was kept."""
    return [_told(each) for each in strings.kept.pop(name)]


def end(strings: Strings, name: str) -> object:
    """Take what is left of a stream that was kept; return its result."""
    stream = strings.kept.pop(name)
    for _ in stream:
        pass
    return _told(stream.result.get(timeout=PATIENCE))


def race(strings: Strings, path: str, times: int) -> dict[str, int]:
    """Read a file again and again; return how often it had which content, or was refused by which error's name."""
    seen: dict[str, int] = {}
    for _ in range(times):
        try:
            found = b"".join(strings.client.call(HandlerName("files.read"), (path,), {})).decode()
        except DeclaredError as error:
            found = error.name
        seen[found] = seen.get(found, 0) + 1
    return seen
