"""Proxies: `vault.sign(…)` on one is a message to the vault's process, and a promise of its reply.

May import: our messages, `promise`. Invariants: names come from the manifest of the epoch, so what is not granted is
not there; a proxy holds names only and stays good across epochs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from trollbridge.messages.errors import NoSuchHandler, UsageError
from trollbridge.messages.grants import DECIDING
from trollbridge.messages.ids import HandlerName
from trollbridge.messages.limits import FARTHEST

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trollbridge.actors.calling.route import Route
    from trollbridge.messages.ring_key import Sealed


class Calls(Protocol):
    """What carries the calls of a process."""

    def call(
        self,
        name: HandlerName,
        positional: tuple[object, ...],
        named: Mapping[str, object],
        *,
        within: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Any:  # noqa: ANN401  # which it is, the manifest says
        """Call a handler; return the `Promise` of its result, or the `Stream` of one that yields."""
        ...

    def open_as(
        self, name: HandlerName, sealed: Sealed, positional: tuple[object, ...], named: Mapping[str, object]
    ) -> object:
        """Return what `sealed` holds if it is of this handler, for exactly these arguments."""
        ...

    def routes(self) -> Mapping[HandlerName, Route]:
        """Return the handlers that may be called in this epoch."""
        ...


class HandlerProxy:
    """One handler, ready to call."""

    __slots__ = ("_client", "_name", "_progress", "_within")

    def __init__(
        self,
        client: Calls,
        name: HandlerName,
        within: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Take which handler, and how it is to be called."""
        self._client = client
        self._name = name
        self._within = within
        self._progress = progress

    def __call__(self, *positional: object, **named: object) -> Any:  # noqa: ANN401  # which it is, the manifest says
        """Send the call and return the `Promise` of its result; the `Stream` of a handler that yields.

        Raises `InvalidArguments`, `TooLarge`, `NoSuchHandler`, `NotGranted` or `RingDismantled` before
        anything is sent.
        """
        return self._client.call(self._name, positional, named, within=self._within, progress=self._progress)

    def within(self, seconds: float) -> HandlerProxy:
        """Return the handler with a deadline, after which it is not started and its promise is `DeadlineExceeded`."""
        if not 0 <= seconds <= FARTHEST:
            msg = f"a deadline lies between 0 and {FARTHEST} seconds ahead"
            raise UsageError(msg)
        return HandlerProxy(self._client, self._name, seconds, self._progress)

    def progress(self, report: Callable[[int, int], None]) -> HandlerProxy:
        """Return the handler with `report(sent, total)` called in bytes as long arguments leave.

        Of a stream, it is what its handler says of itself: `report(done, total)`; `Stream.progress` has its note too.
        """
        return HandlerProxy(self._client, self._name, self._within, report)

    def open(self, sealed: Sealed, /, *positional: object, **named: object) -> Any:  # noqa: ANN401  # as above
        """Return what a `Sealed` holds, if it is a result of this handler for exactly these arguments.

        Whoever handed it on can substitute nothing but what the same call gave before, in this epoch: it may be out of
        date. Of a stream, it may also be any item: `sealed.handler`, which is bound too, has its number in brackets,
        and an item's absence does not show.

        Raises `AuthenticationFailed` for anything else, and wherever there is no ring key; `InvalidArguments`,
        `TooLarge`, `NoSuchHandler` or `NotGranted` as a call does; `UsageError` once foreign code was loaded.
        """
        return self._client.open_as(self._name, sealed, positional, named)

    @property
    def signature(self) -> str:
        """Its parameters and result as Python writes them; raises `NoSuchHandler`."""
        route = self._client.routes().get(self._name)
        if route is None:
            raise NoSuchHandler
        return route.signature()

    def __repr__(self) -> str:
        """Show the name."""
        return f"<handler {self._name}>"


class MemberProxy:
    """One enclave or host: its handlers are its attributes."""

    def __init__(self, client: Calls, member: str) -> None:
        """Take which."""
        self._client = client
        self._member = member

    def __getattr__(self, name: str) -> HandlerProxy:
        """Return the handler of that name; whether it is there shows when it is called."""
        if name.startswith("_"):
            raise AttributeError(name)
        return HandlerProxy(self._client, HandlerName(f"{self._member}.{name}"))

    def __dir__(self) -> list[str]:
        """List the handlers that may be called."""
        prefix = f"{self._member}."
        found = [name.removeprefix(prefix) for name in self._client.routes() if name.startswith(prefix)]
        return [each for each in found if each not in DECIDING]

    def __repr__(self) -> str:
        """Show the name and what may be called."""
        return f"<member {self._member}: {', '.join(dir(self))}>"
