"""A span of OpenTelemetry for each call that a UI makes (extra `otel`).

May import: `opentelemetry`, our actors. Invariants: a span says which handler, which epoch and how it ended, by the
class of an error; no argument, no result and no error's text is in it; nothing of it leaves this process by our means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from trollbridge.actors.calling.proxies import MemberProxy
from trollbridge.actors.calling.stream import Stream
from trollbridge.ui_adapter.bridge import Bridge

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.trace import Span, TracerProvider

    from trollbridge.actors.calling.client import Client
    from trollbridge.actors.calling.promise import Promise
    from trollbridge.actors.calling.route import Route
    from trollbridge.messages.ids import HandlerName
    from trollbridge.messages.ring_key import Sealed

NAME: Final = "trollbridge"
"""The instrumentation's, and the system of remote calls."""


class _Traced:
    """What carries the calls of a process, with a span around each."""

    def __init__(self, client: Client, tracer: trace.Tracer) -> None:
        self._client = client
        self._tracer = tracer

    def call(
        self,
        name: HandlerName,
        positional: tuple[object, ...],
        named: Mapping[str, object],
        *,
        within: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Any:  # noqa: ANN401  # which it is, the manifest says
        member, _, handler = name.partition(".")
        attributes: dict[str, str | int] = {
            "rpc.system": NAME,
            "rpc.service": member,
            "rpc.method": handler,
            "trollbridge.epoch": self._client.epoch or 0,
        }
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
        try:
            found: Promise[Any] | Stream[Any] = self._client.call(
                name, positional, named, within=within, progress=progress
            )
        except BaseException as error:
            _end(span, error)
            raise
        if isinstance(found, Stream):
            found.when_ended(lambda promise: _end(span, _error(promise)))
        else:
            promise = found
            promise.when_done(lambda: _end(span, _error(promise)))
        return found

    def open_as(
        self, name: HandlerName, sealed: Sealed, positional: tuple[object, ...], named: Mapping[str, object]
    ) -> object:
        return self._client.open_as(name, sealed, positional, named)

    def routes(self) -> Mapping[HandlerName, Route]:
        return self._client.routes()


def _error(promise: Promise[Any]) -> BaseException | None:
    """Return what a resolved promise ended by, if it is an error."""
    try:
        promise.get(timeout=0)
    except BaseException as error:  # noqa: BLE001  # it is told, and whoever waits gets it as well
        return error
    return None


def _end(span: Span, error: BaseException | None) -> None:
    if error is not None:
        span.set_attribute("error.type", type(error).__name__)
        outcome = getattr(error, "outcome", None)
        if outcome is not None:
            span.set_attribute("trollbridge.outcome", str(outcome.value))
        span.set_status(Status(StatusCode.ERROR, type(error).__name__))
    span.end()


class TracedBridge(Bridge):
    """A bridge whose calls are spans."""

    def __init__(self, bridge: Bridge, tracer: trace.Tracer) -> None:
        """Take the bridge whose client carries the calls, and who makes the spans."""
        super().__init__(bridge._client)  # noqa: SLF001  # of its own class
        self._traced = _Traced(self._client, tracer)

    def __getattr__(self, name: str) -> MemberProxy:
        """Return the enclave or host of that name."""
        if name.startswith("_"):
            raise AttributeError(name)
        return MemberProxy(self._traced, name)


def instrument(bridge: Bridge, provider: TracerProvider | None = None) -> Bridge:
    """Return a bridge to the same members, each of whose calls is a span, a child of the caller's present one.

    It ends when the promise is resolved, or the stream has ended. `provider`: whose spans they are; the process's own
    without one. What a UI exports, and where to, is the UI's affair: its Sandbox must let it.
    """
    return TracedBridge(bridge, trace.get_tracer(NAME, tracer_provider=provider))
