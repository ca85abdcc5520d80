"""A host that dies comes back within its ring: who calls it waits or is told, and nothing of the old process counts.

A puppet, an extension, an enclave and another host call the porter.
"""

from __future__ import annotations

import signal
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

from tests.harness import acts
from tests.harness.gate import Gate
from tests.harness.puppeteer import Backstage, Hand, Puppeteer, Told
from tests.hosts import stream_acts
from tests.processes import returning_acts
from tests.processes.returning_app import LONG, SLOW
from tests.supervision import host_acts

if TYPE_CHECKING:
    from collections.abc import Generator

APP: Final = "tests.processes.returning_app:returning_app"


class Scene(NamedTuple):
    """What a test is given."""

    ui: Puppeteer
    plugin: Hand
    gate: Gate
    folder: Path

    @property
    def hands(self) -> tuple[Hand, Hand]:
        """Both puppets."""
        return self.ui, self.plugin

    def lose(self, host: str = "porter", number: int = signal.SIGKILL) -> None:
        """Kill a host, and wait until both puppets know; no puppet reads its link for that."""
        began = len(self.ui.log.items)
        self.ui.kill(host, number)
        self.ui.wait_for("process.ended", member=host, start=began)
        if host == "porter":
            self.told()

    def told(self) -> None:
        """Wait until both puppets know of every end of the porter's."""
        times = len(self.ui.lines("process.ended", member="porter"))
        assert [each.act(host_acts.lost, host="porter", times=times) for each in self.hands] == [True, True]

    def lose_blindly(self) -> None:
        """Kill the porter, whatever anybody knows."""
        began = len(self.ui.log.items)
        self.ui.kill("porter")
        self.ui.wait_for("process.ended", member="porter", start=began)
        self.ui.wait_for("process.started", member="porter", start=began)

    def back(self, host: str = "porter") -> int:
        """Wait until the host's youngest process has joined; return it."""
        pid = self.ui.pid(host)
        self.ui.wait_for("member.joined", member=host, pid=pid)
        return pid

    def open_for_the_dead(self) -> None:
        """Let whoever has waited longest at the gate go, who is not there any more."""
        with suppress(BrokenPipeError):
            self.gate.open()

    @contextmanager
    def slowly(self) -> Generator[None]:
        """Have the porter's next process stand at the gate before it is ready."""
        (self.folder / SLOW).touch()
        try:
            yield
        finally:
            (self.folder / SLOW).unlink()


@contextmanager
def ring(**settings: object) -> Generator[Scene]:
    """Form the ring, in a folder of its own."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        with Backstage(folder) as back, Gate(folder) as gate:
            given = {"folder": str(folder), "backstage": back.path, **settings}
            with Puppeteer(APP, given) as ui:
                ui.await_epoch(1)
                yield Scene(ui, back.next_hand(), gate, folder)


def test_a_host_that_dies_comes_back_within_its_ring() -> None:
    """A50, A58, F8: all of it in one ring, since each host that dies costs a process; see each step."""
    with ring() as scene:
        for step in (
            everybody_calls_the_new_process,
            what_was_sent_is_told_and_the_rest_waits,
            a_server_that_waits_is_told_too,
            a_stream_ends_with_its_host,
            long_contents_go_there_and_back,
            who_calls_a_host_joins_after_it,
            no_call_hangs_under_load,
            nobody_else_is_replaced,
        ):
            step(scene)


def everybody_calls_the_new_process(scene: Scene) -> None:
    """A4, A50, F8: UI, extension, enclave and host; another process, session codes and UIDs; a UI that only waited."""
    first = scene.ui.result("porter.pid")
    before = [each.act(returning_acts.secrets_of, host="porter", handler="porter.pid") for each in scene.hands]
    assert scene.plugin.result("porter.pid") == first
    scene.lose()
    assert scene.ui.act(returning_acts.knows, host="porter", here=True)
    second = scene.ui.result("porter.pid")
    assert second == scene.back() != first
    assert [scene.plugin.result("porter.pid"), scene.ui.result("teller.porter"), scene.ui.result("runner.porter")] == [
        second
    ] * 3
    after = [each.act(returning_acts.secrets_of, host="porter", handler="porter.pid") for each in scene.hands]
    assert not {old for old, _ in before} & {new for new, _ in after}
    assert not any(set(old[1]) & set(new[1]) for old, new in zip(before, after, strict=True))
    assert scene.ui.epoch == 1
    assert {member: pid for member, _, pid in scene.ui.act(acts.members)}["porter"] == second


def what_was_sent_is_told_and_the_rest_waits(scene: Scene) -> None:
    """A58, A45: sent: the host has begun it, so unknown; waiting: done by the next; deadline and cancel as ever."""
    with scene.slowly():
        sent = [each.send("porter.hold", scene.gate.path) for each in scene.hands]
        scene.gate.await_one()
        scene.lose()
        assert sorted(each.outcome() for each in sent) == ["ServerLost: not started", "ServerLost: unknown"]
        scene.gate.await_one()
        waiting = [each.call("porter.note", "one") for each in scene.hands]
        cancelled = scene.ui.call("porter.note", "cancelled")
        late = scene.ui.call("porter.note", "late", within=0.01)
        assert (cancelled.cancel(), late.outcome()) == (True, "DeadlineExceeded")
        assert [each.done for each in waiting] == [False, False]
        scene.open_for_the_dead()
        scene.gate.open()
    pid = scene.back()
    assert [each.get() for each in waiting] == [pid, pid]
    assert (scene.folder / "notes").read_text(encoding="utf-8") == "one\none\n"


def a_server_that_waits_is_told_too(scene: Scene) -> None:
    """A58, A57: an enclave in the midst of a handler, and the promise of its own caller goes on."""
    waits = scene.ui.send("teller.wait", scene.gate.path)
    scene.gate.await_one()
    scene.lose()
    assert waits.get() == "ServerLost: unknown"
    scene.open_for_the_dead()
    assert scene.ui.result("teller.porter") == scene.back()


def a_stream_ends_with_its_host(scene: Scene) -> None:
    """A14, A58: what had come is there, and then the error; the next stream is whole."""
    scene.ui.act(stream_acts.begin, name="drip", handler="porter.drip", positional=[1000])
    assert scene.ui.act(stream_acts.item, name="drip") == 0
    scene.lose()
    with pytest.raises(Told) as told:
        scene.ui.act(stream_acts.rest, name="drip")
    assert told.value.kind == "ServerLost"
    scene.back()
    assert scene.ui.act(stream_acts.take, handler="porter.drip", positional=[100]) == {
        "items": list(range(100)),
        "result": "up to 100",
    }


def long_contents_go_there_and_back(scene: Scene) -> None:
    """F7: the windows of both directions begin anew, for each of the callers."""
    scene.ui.call("porter.echo", bytes(LONG))
    scene.lose()
    scene.back()
    assert [each.result("porter.echo", b"x" * LONG) == b"x" * LONG for each in scene.hands] == [True, True]
    assert [scene.ui.result(f"{each}.carry", LONG) for each in ("teller", "runner")] == [True, True]


def who_calls_a_host_joins_after_it(scene: Scene) -> None:
    """A50, R7: it joins once the one that it calls is there, so that it has everything that it is granted."""
    with scene.slowly():
        scene.lose()
        scene.gate.await_one()
        began = len(scene.ui.log.items)
        scene.lose("runner")
        assert scene.ui.act(returning_acts.knows, host="runner", here=False)
        runner = scene.ui.wait_for("process.locked", member="runner", start=began).pid
        answer = scene.ui.call("runner.porter")
        assert scene.ui.lines("member.joined", pid=runner) == []
        scene.gate.open()
    pid = scene.back()
    scene.back("runner")
    assert answer.get() == pid


def no_call_hangs_under_load(scene: Scene) -> None:
    """F7, F8, K5: no call hangs, none is told anything but its result or what became of it; then all is as before."""
    scene.ui.tell(returning_acts.mixed, handler="porter.echo", calls=60, threads=4)
    for _ in range(2):
        scene.back()
        scene.lose_blindly()
    ends = scene.ui.answer()
    assert sum(ends.values()) == 240
    assert set(ends) <= {"value", "unknown", "done", "not started"}
    scene.told()
    assert scene.ui.result("porter.pid") == scene.back()


def nobody_else_is_replaced(scene: Scene) -> None:
    """R4, R7, I5: whatever is said of an enclave, its client refuses; and when one dies, the ring falls."""
    for word in ("away", "withdrawn", "renew"):
        for member, role in (("teller", "enclave"), ("nobody", "host"), ("broker", "broker")):
            assert scene.ui.act(returning_acts.forged, word=word, member=member, role=role) == "Malformed"
    assert scene.ui.act(returning_acts.forged, word="renew", member="porter", role="enclave") == "Malformed"
    assert scene.ui.result("teller.porter") == scene.back()
    assert scene.ui.lines("ring.dismantling") == []
    scene.ui.kill("teller")
    scene.ui.await_epoch(2)
    assert scene.ui.result("teller.porter") == scene.back()


def test_a_host_that_is_gone_for_good_is_told_of() -> None:
    """A58, A50: what waits for it was not started, nor is what comes later; all others go on in their ring."""
    with ring(final=True) as scene:
        assert scene.ui.result("porter.pid") == scene.ui.pid("porter")
        with scene.slowly():
            scene.lose()
            scene.gate.await_one()
        waiting = [each.call("porter.pid") for each in scene.hands]
        scene.ui.kill("porter")
        assert [each.outcome() for each in waiting] == ["ServerLost: not started"] * 2
        for each in scene.hands:
            with pytest.raises(Told, match="does not come back"):
                each.call("porter.pid")
        assert (scene.ui.result("teller.wait", "nowhere"), scene.ui.epoch) == ("ServerLost: not started", 1)
