"""Spans of OpenTelemetry from the lines of the log: one for each ring, and in it one for its boot (extra `otel`).

May import: `opentelemetry`, our actors' log. Invariant: what is in a span is in the log: names, numbers, fixed
sentences. The lines may come from a running supervisor (`SpanHandler`) or from a file long afterwards (`RingSpans`).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import msgspec
from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from trollbridge.actors.operations.log import Line

if TYPE_CHECKING:
    from opentelemetry.trace import Span, TracerProvider

_ENDS: Final = frozenset({"process.hung", "process.killed", "process.refused", "process.failed"})
"""Events that a ring's span tells, besides unexpected ends of processes."""


class RingSpans:
    """Turns lines into spans, with the lines' own times."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        """Take whose spans they are; the process's own without one."""
        self._tracer = trace.get_tracer("trollbridge", tracer_provider=provider)
        self._ring: Span | None = None
        self._boot: Span | None = None
        self._last = 0

    def take(self, line: Line) -> None:
        """Take the next line."""
        self._last = now = int(line.time * 1e9)
        match line.event:
            case "ring.forming":
                self._begin(line, now)
            case "ring.sealed":
                self._sealed(line, now)
            case "ring.dismantling" if self._ring is not None:
                self._ring.set_attribute("trollbridge.why", line.why)
            case "ring.dismantled" | "application.stopped":
                self.close()
            case "process.ended" if self._ring is not None and not line.expected:
                self._ring.add_event(line.event, _about(line), now)
                self._ring.set_status(Status(StatusCode.ERROR, f"{line.member} ended"))
            case event if event in _ENDS and self._ring is not None:
                self._ring.add_event(event, _about(line), now)
            case _:
                pass

    def close(self) -> None:
        """End what is open, with the time of the last line."""
        if self._boot is not None:
            self._boot.set_status(Status(StatusCode.ERROR, "the ring was not sealed"))
            self._boot.end(self._last)
        if self._ring is not None:
            self._ring.end(self._last)
        self._ring = self._boot = None

    def _begin(self, line: Line, now: int) -> None:
        self.close()
        attributes = {"trollbridge.epoch": line.epoch}
        root = trace.set_span_in_context(trace.INVALID_SPAN)  # a ring belongs to no request that happens to be open
        self._ring = self._tracer.start_span("trollbridge.ring", root, attributes=attributes, start_time=now)
        inside = trace.set_span_in_context(self._ring)
        self._boot = self._tracer.start_span("trollbridge.boot", inside, attributes=attributes, start_time=now)

    def _sealed(self, line: Line, now: int) -> None:
        if self._boot is not None:
            self._boot.end(now)
            self._boot = None
        if self._ring is not None:
            self._ring.set_attribute("trollbridge.fingerprint", line.fingerprint)


def _about(line: Line) -> dict[str, str | int]:
    about: dict[str, str | int] = {
        "member": line.member,
        "role": line.role,
        "pid": line.pid,
        "signal": line.signal,
        "why": line.why,
    }
    return {f"trollbridge.{name}": value for name, value in about.items() if value}


class SpanHandler(logging.Handler):
    """Takes the lines from the logger `trollbridge`, in the supervisor's process.

    `logging.getLogger("trollbridge").addHandler(SpanHandler())`, with the logger's level at INFO, before `App.run`.
    """

    def __init__(self, provider: TracerProvider | None = None) -> None:
        """Take whose spans they are; the process's own without one."""
        super().__init__(logging.INFO)
        self._spans = RingSpans(provider)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record; one that is no line of the log is none of ours."""
        try:
            line = msgspec.json.decode(record.getMessage(), type=Line)
        except msgspec.MsgspecError:
            return
        self._spans.take(line)

    def close(self) -> None:
        """End what is open."""
        self._spans.close()
        super().close()
