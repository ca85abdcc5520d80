"""An application whose calls and rings are spans: `python -m tests.operations.traced` writes them as JSON, two lines.

The first line is the UI's: its calls, of every kind of end. The second is the supervisor's: rings and boots.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.harness.stage import JOURNAL, PROBE
from trollbridge.actors.app import App, Child
from trollbridge.messages.errors import CallError, DeclaredError, HandlerFailed, NotGranted
from trollbridge.ui_adapter.bridge import Bridge, UiActor
from trollbridge.ui_adapter.otel_calls import instrument
from trollbridge.ui_adapter.otel_log import SpanHandler

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

SECRET: Final = "the canary of the spans"
PATIENCE: Final = 20.0


def memory() -> tuple[TracerProvider, InMemorySpanExporter]:
    """Return who makes spans, and where they are kept."""
    provider, kept = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return provider, kept


def told(span: ReadableSpan) -> dict[str, Any]:
    """Return what a test looks at."""
    return {
        "name": span.name,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "description": span.status.description,
        "attributes": dict(span.attributes or {}),
        "events": [{"name": each.name, **dict(each.attributes or {})} for each in span.events],
        "parent": None if span.parent is None else span.parent.span_id,
        "id": None if span.context is None else span.context.span_id,
        "trace": None if span.context is None else span.context.trace_id,
        "start": span.start_time,
        "end": span.end_time,
    }


class Traced(UiActor):
    """Makes a call of every kind, loses the ring in one of them, and writes its spans."""

    def main(self, bridge: Bridge) -> None:
        """Call."""
        provider, kept = memory()
        probe = instrument(bridge, provider).probe
        with provider.get_tracer("test").start_as_current_span("the work"):
            probe.echo(SECRET.encode()).get(timeout=PATIENCE)
            with suppress(HandlerFailed):
                probe.fail(SECRET).get(timeout=PATIENCE)
            with suppress(DeclaredError):
                probe.refuse(SECRET).get(timeout=PATIENCE)
            with suppress(NotGranted):
                probe.mark(SECRET)
            list(probe.drip(3))
            with probe.drip(1_000_000) as stream:
                stream.get(timeout=PATIENCE)
        with suppress(CallError):
            probe.die(signal.SIGKILL).get(timeout=PATIENCE)
        bridge.wait_dismantled(1, PATIENCE)
        bridge.wait_sealed(PATIENCE)
        probe.pid().get(timeout=PATIENCE)
        print(json.dumps([told(each) for each in kept.get_finished_spans()]), flush=True)  # noqa: T201  # its output
        os.kill(os.getppid(), signal.SIGTERM)
        bridge.wait_dismantled(2, PATIENCE)


APP: Final = App(
    ui=Child("tests.operations.traced:Traced"),
    enclaves=[Child(PROBE, name="probe", settings=JOURNAL)],
    grants={"traced": [f"probe.{name}" for name in ("echo", "fail", "refuse", "drip", "die", "pid")]},
)


def main() -> int:
    """Run it, with the supervisor's lines made into spans."""
    provider, kept = memory()
    logger = logging.getLogger("trollbridge")
    logger.setLevel(logging.INFO)
    logger.addHandler(SpanHandler(provider))
    code = APP.run()
    logger.error("no line of the log")
    print(json.dumps([told(each) for each in kept.get_finished_spans()]))  # noqa: T201  # its output
    return code


if __name__ == "__main__":
    sys.exit(main())
