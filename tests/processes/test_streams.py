"""Streams between real processes: what a handler yields arrives, as fast as it is taken, and ends whatever happens."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tests.harness import acts
from tests.harness.puppeteer import Backstage, Hand, Puppeteer, Told
from tests.harness.running import PATIENCE
from tests.processes import spring, stream_acts
from trollbridge.messages.limits import FIRST_CREDIT

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

APP = "tests.processes.spring:spring_app"


class Scene(NamedTuple):
    """A ring with a spring."""

    ui: Puppeteer
    plugin: Hand
    back: Backstage


@contextmanager
def staged() -> Generator[Scene]:
    """Form a ring."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Backstage(Path(folder)) as back,
        Puppeteer(APP, {"backstage": back.path}) as ui,
    ):
        ui.await_epoch(1)
        yield Scene(ui, back.next_hand(), back)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """Form a ring for all tests of this module but the last."""
    with staged() as made:
        yield made


def begin(hand: Hand, name: str, handler: str, *positional: object, within: float | None = None) -> None:
    """Open a stream."""
    hand.act(stream_acts.open_stream, name=name, handler=handler, positional=list(positional), within=within)


def item(hand: Hand, name: str) -> Any:  # noqa: ANN401  # whatever the handler yields
    """Return the next item of a stream."""
    return hand.act(stream_acts.item, name=name)


def listen(hand: Hand) -> None:
    """Subscribe to what happens."""
    begin(hand, "events", "events")
    assert item(hand, "events") == "here"


def test_items_come_in_order_then_the_result(scene: Scene) -> None:
    """A14: to a UI, and to an extension."""
    for hand in (scene.ui, scene.plugin):
        begin(hand, "all", "count", 500)
        assert hand.act(stream_acts.end, name="all") == [*range(500), "up to 500"]
    assert "no more items" in scene.ui.act(stream_acts.ended)


def test_progress_is_told_and_is_no_item(scene: Scene) -> None:
    """A14: typed, to a function and on the stream."""
    last = "Progress(done=7, total=7, note='done')"
    assert scene.ui.act(stream_acts.progress) == [[0, 7], [7, 7], ["half"], 7, last]


def test_what_is_not_taken_is_not_given(scene: Scene) -> None:
    """P3: measured by the enclave's own count; it serves others meanwhile; the rest comes once it is wanted."""
    begin(scene.ui, "slow", "count", 1000)
    assert item(scene.ui, "slow") == 0
    until = time.monotonic() + PATIENCE
    while scene.ui.result("spring.gave") < FIRST_CREDIT and time.monotonic() < until:
        pass  # it gives a few in each turn, and serves us in between
    assert [scene.ui.result("spring.gave") for _ in range(10)] == [FIRST_CREDIT] * 10
    assert scene.ui.act(stream_acts.end, name="slow") == [*range(1, 1000), "up to 1000"]
    assert scene.ui.result("spring.gave") == 1000


def test_sensitive_items_reach_an_extension_sealed(scene: Scene) -> None:
    """A9, A42: and the core UI open."""
    begin(scene.plugin, "secrets", "secrets")
    sealed = scene.plugin.act(stream_acts.end, name="secrets")
    assert [each.partition(",")[0] for each in sealed] == [
        *[f"<Sealed result of spring.secrets[{number}]" for number in range(2)],
        "<Sealed result of spring.secrets",
    ]
    begin(scene.ui, "secrets", "secrets")
    assert scene.ui.act(stream_acts.end, name="secrets") == ["canary-one", "canary-two", None]


def test_whoever_leaves_a_stream_has_it_closed(scene: Scene) -> None:
    """A14: a `with` block, a loop that is broken off, a result that is given up: `finally` runs each time."""
    listen(scene.ui)
    begin(scene.ui, "left", "count", 100_000, "left")
    assert scene.ui.act(stream_acts.leave, name="left") == "Cancelled"
    assert item(scene.ui, "events") == "closed left of puppet"
    assert scene.ui.act(stream_acts.break_off) == 3
    assert item(scene.ui, "events") == "closed broken off of puppet"
    assert scene.ui.act(stream_acts.only_the_result) == "up to 1000"
    assert item(scene.ui, "events") == "closed unwatched of puppet"
    scene.ui.act(stream_acts.leave_all)


def test_a_deadline_ends_a_stream_on_both_sides(scene: Scene) -> None:
    """A14: its client is told, its handler cleans up."""
    listen(scene.plugin)
    begin(scene.ui, "idle", "count", 10**9, "idle", within=1.0)
    begin(scene.ui, "late", "count", 10**9, "late", within=1.0)
    with pytest.raises(Told) as told:
        scene.ui.act(stream_acts.end, name="late")
    assert told.value.kind == "DeadlineExceeded"
    closed = [item(scene.plugin, "events") for _ in range(2)]
    assert sorted(closed) == ["closed idle of puppet", "closed late of puppet"]
    scene.ui.act(stream_acts.leave_all)
    scene.plugin.act(stream_acts.leave_all)


def test_what_is_published_reaches_every_subscriber(scene: Scene) -> None:
    """Server push: to a UI and to an extension, until they leave."""
    listen(scene.ui)
    listen(scene.plugin)
    assert scene.ui.result("spring.publish", "news") == 2
    assert [item(hand, "events") for hand in (scene.ui, scene.plugin)] == ["news", "news"]
    scene.plugin.act(stream_acts.leave_all)
    assert scene.ui.result("spring.publish", "more") == 1
    assert item(scene.ui, "events") == "more"
    scene.ui.act(stream_acts.leave_all)


def test_a_failure_in_a_stream_is_an_incident(scene: Scene) -> None:
    """A14, I6: after what it has given; the class and the place are in the log, the text nowhere."""
    begin(scene.ui, "bad", "crash")
    assert item(scene.ui, "bad") == 1
    with pytest.raises(Told) as told:
        item(scene.ui, "bad")
    assert told.value.kind == "HandlerFailed"
    line = scene.ui.wait_for("handler.failed", member="puppet")
    assert (line.why, line.detail.split()[0]) == ("builtins.RuntimeError", "crash")


def test_no_time_that_anybody_names_ends_a_process(scene: Scene) -> None:
    """A14, P3: a deadline in years, a pause until the end of time: its server waits, and serves the others."""
    begin(scene.plugin, "far", "events", within=9e7)
    assert item(scene.plugin, "far") == "here"
    begin(scene.plugin, "ever", "doze", "inf")
    assert item(scene.plugin, "ever") == "here"
    begin(scene.plugin, "never", "doze", "nan")
    assert item(scene.plugin, "never") == "here"
    with pytest.raises(Told) as told:
        item(scene.plugin, "never")
    assert told.value.kind == "HandlerFailed"
    assert scene.ui.result("spring.publish", "awake") == 1
    assert item(scene.plugin, "far") == "awake"
    scene.plugin.act(stream_acts.leave_all)


def test_who_does_not_take_its_replies_has_no_more_calls_run(scene: Scene) -> None:
    """P3: the server holds a few of them, whoever has called how often; once they are taken, all come."""
    before = scene.ui.result("spring.grown")
    scene.plugin.act(stream_acts.order, number=8)
    found = [scene.ui.result("spring.grown") - before for _ in range(20)]  # each and one of the plugin's take turns
    assert found[-1] <= 3
    assert scene.plugin.act(stream_acts.fetch) == [spring.LONG] * 8
    assert scene.ui.result("spring.grown") - before == 8 + 1


def test_streams_run_in_an_asyncio_loop(scene: Scene) -> None:
    """A14: several at a time, with a subscription, over one link and without a thread."""
    first, counts, closed, gave = scene.ui.act(stream_acts.loop)
    assert (first, counts, closed) == (["here"], [0, 1, 100, 1000], ["closed  of puppet"])
    assert gave in {0, 1, 100, 1000}


def test_no_item_crosses_the_link_in_the_clear(scene: Scene) -> None:
    """A9: of all packets that the UI has sent and got, none has a word of a stream in it."""
    listen(scene.ui)
    scene.ui.result("spring.publish", "canary-of-the-day")
    assert item(scene.ui, "events") == "canary-of-the-day"
    packets = b"".join(b"".join(each) for each in scene.ui.act(acts.packets, of=1))
    assert len(packets) > 10_000
    assert b"canary" not in packets
    scene.ui.act(stream_acts.leave_all)


def test_what_dies_takes_its_streams_with_it_and_nothing_else() -> None:
    """A14, P3: of an extension that is killed, the server closes them; of an enclave that is, the client is told.

    Nobody else notices the first. The next ring has both again, with streams of their own.
    """
    with staged() as scene:
        listen(scene.ui)
        begin(scene.plugin, "orphan", "count", 10**9, "orphan")
        assert item(scene.plugin, "orphan") == 0
        begin(scene.ui, "other", "count", 1000, "other")
        os.kill(scene.ui.wait_for("process.started", member="plugin").pid, signal.SIGKILL)
        assert item(scene.ui, "events") == "closed orphan of plugin"
        assert scene.ui.act(stream_acts.end, name="other") == [*range(1000), "up to 1000"]
        begin(scene.ui, "cut", "count", 10**9)
        assert item(scene.ui, "cut") == 0
        os.kill(scene.ui.wait_for("process.started", member="spring").pid, signal.SIGKILL)
        with pytest.raises(Told) as told:
            scene.ui.act(stream_acts.end, name="cut")
        assert told.value.kind == "RingDismantled"
        scene.ui.await_epoch(2)
        for hand in (scene.ui, scene.back.next_hand()):
            begin(hand, "next", "count", 3)
            assert hand.act(stream_acts.end, name="next") == [0, 1, 2, "up to 3"]
