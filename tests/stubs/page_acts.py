"""Acts of a user interface that has a page: the code that it gives it, and what it answers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from trollbridge.actors.processes.endpoint import Endpoint
from trollbridge.ui_adapter.page_calls import PageCalls

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.puppet import Strings
    from trollbridge.messages.record import Item


def texts(strings: Strings) -> dict[str, str]:
    """Return the session's generated code in each language."""
    stubs = strings.bridge.stubs
    return {"python": stubs.python(), "javascript": stubs.javascript(), "typescript": stubs.typescript()}


def names(strings: Strings) -> dict[str, str]:
    """Return each handler's name in this session."""
    return dict(strings.bridge.stubs.names)


def codes(strings: Strings) -> dict[str, str]:
    """Return each handler's session code."""
    return {name: route.entry.code.hex() for name, route in strings.client.routes().items()}


def new_page(strings: Strings) -> None:
    """Have a page that has been refused nothing yet."""
    strings.kept["page"] = PageCalls(strings.bridge)


def _page(strings: Strings) -> PageCalls:
    page = strings.kept["page"]
    assert isinstance(page, PageCalls)
    return page


def answer(strings: Strings, message: str) -> str:
    """Return the answer to a page's message."""
    return _page(strings).answer(message)


def answered(strings: Strings, message: str) -> str:
    """Return the same, by way of asyncio."""
    return asyncio.run(_page(strings).answered(message))


def refused(strings: Strings) -> int:
    """Return how many messages were refused."""
    return _page(strings).refused


def call_python(strings: Strings, handler: str, arguments: list[Any]) -> str:
    """Call a handler by the generated Python, run as a module of its own; return the `repr` of what came."""
    module: dict[str, Any] = {"__name__": "generated"}
    exec(compile(strings.bridge.stubs.python(), "generated", "exec"), module)  # noqa: S102  # a script of our own making
    found = module["NAMES"][handler](strings.bridge, *arguments)
    return repr(list(found) if hasattr(found, "result") else found.get(timeout=20))


def items_sent(strings: Strings, name: str) -> dict[str, int]:
    """Return how many items leave this process for one call by the bridge, by its session's name, and from a page."""
    page, sent = PageCalls(strings.bridge), [0]
    put = Endpoint.put

    def counting(self: Endpoint, item: Item, body: bytes = b"") -> None:
        sent[0] += 1
        put(self, item, body)

    found: dict[str, int] = {}
    ways: dict[str, Callable[[], object]] = {
        "bridge": lambda: strings.bridge.clerk.promise(None).get(timeout=20),
        "name": lambda: strings.bridge.stubs.handler(name)(None).get(timeout=20),
        "page": lambda: page.answer(f'{{"kind":"call","code":"{name}","arguments":[null]}}'),
    }
    strings.bridge.clerk.promise(None).get(timeout=20)  # there is credit from now on
    Endpoint.put = counting  # type: ignore[method-assign]
    try:
        for way, act in ways.items():
            sent[0] = 0
            act()
            found[way] = sent[0]
    finally:
        Endpoint.put = put  # type: ignore[method-assign]
    return found
