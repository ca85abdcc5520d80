"""Spans: one for each ring, boot and call, from a running application, with nothing in them that was said."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from tests.harness.running import Running
from tests.operations.traced import SECRET, memory, told
from trollbridge.actors.operations.log import Line
from trollbridge.ui_adapter.otel_log import RingSpans

CALLS: Final = [
    ("probe.echo", "UNSET", None, None),
    ("probe.fail", "ERROR", "HandlerFailed", None),
    ("probe.refuse", "ERROR", "DeclaredError", None),
    ("probe.mark", "ERROR", "NotGranted", None),
    ("probe.drip", "UNSET", None, None),
    ("probe.drip", "ERROR", "Cancelled", None),
]
"""What is called within the UI's own span: name, status, error, outcome."""


def _call(span: dict[str, Any]) -> tuple[str, str, str | None, str | None]:
    attributes = span["attributes"]
    return span["name"], span["status"], attributes.get("error.type"), attributes.get("trollbridge.outcome")


def test_a_running_application_has_a_span_for_each_call_ring_and_boot() -> None:
    """A54, I6, A58: how each call ended, and what was known of it; the fall and its cause; no argument, no text."""
    with Running("", command=(sys.executable, "-m", "tests.operations.traced")) as running:
        running.wait_for("application.stopped")
        assert running.finish() == 143
        calls, rings = (json.loads(each) for each in running.output.items)
        pids = {each.epoch: each.pid for each in running.lines("process.started", member="probe")}
        [sealed, again] = running.lines("ring.sealed")
    [work] = [each for each in calls if each["name"] == "the work"]
    assert [_call(each) for each in calls if each["parent"] == work["id"]] == CALLS
    [died, asked] = [each for each in calls if each["parent"] is None and each is not work]
    assert _call(died)[:2] == ("probe.die", "ERROR")
    assert _call(died)[3] == "unknown", "it had begun, and never returned"
    assert _call(asked) == ("probe.pid", "UNSET", None, None)
    assert [each["attributes"]["trollbridge.epoch"] for each in (work, died, asked)[1:]] == [1, 2]
    assert {each["kind"] for each in calls} == {"CLIENT", "INTERNAL"}
    assert SECRET not in json.dumps(calls)

    assert [each["name"] for each in rings] == ["trollbridge.boot", "trollbridge.ring"] * 2
    assert [each["parent"] for each in rings] == [rings[1]["id"], None, rings[3]["id"], None]
    assert rings[1]["trace"] != rings[3]["trace"]
    assert [each["end"] for each in rings[::2]] == [int(each.time * 1e9) for each in (sealed, again)]
    assert [each["status"] for each in rings] == ["UNSET", "ERROR", "UNSET", "UNSET"]
    assert [each["attributes"].get("trollbridge.fingerprint") for each in rings[1::2]] == [
        sealed.fingerprint,
        again.fingerprint,
    ]
    [end] = rings[1]["events"]
    assert (end["name"], end["trollbridge.member"], end["trollbridge.pid"]) == ("process.ended", "probe", pids[1])


def test_spans_can_be_made_of_a_log_long_afterwards() -> None:
    """A boot that never came to a seal is an error; what is open at the end of a file ends with its last line."""
    provider, kept = memory()
    spans = RingSpans(provider)
    for time, event in ((1.0, "application.started"), (2.0, "ring.forming"), (3.5, "process.started")):
        spans.take(Line(time=time, event=event, epoch=1))
    spans.close()
    spans.close()
    boot, ring = (told(each) for each in kept.get_finished_spans())
    assert (boot["name"], boot["status"], boot["start"], boot["end"]) == (
        *("trollbridge.boot", "ERROR"),
        *(2_000_000_000, 3_500_000_000),
    )
    assert (ring["name"], ring["status"], ring["end"]) == ("trollbridge.ring", "UNSET", 3_500_000_000)
