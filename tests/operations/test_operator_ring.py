"""A running application and its operator: what is told of it, what is done for whom, and who is not heard."""

from __future__ import annotations

import itertools
import os
import signal
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import pytest

from tests.harness import proc
from tests.harness.puppeteer import Backstage, Hand, Puppeteer, Told
from tests.harness.running import Running
from tests.operations import operated
from tests.operations.operated import NAME
from trollbridge.actors import exits
from trollbridge.actors.operations import runtime_folder
from trollbridge.actors.operations.log import Line
from trollbridge.ui_adapter.operator_client import (
    ConnectionEnded,
    NoAnswer,
    NotRunning,
    OperatorClient,
    OperatorRefused,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from trollbridge.messages.operator import Snapshot

ROOT: Final = os.geteuid() == 0
APPLICATION: Final = "tests.operations.operated:operated_app"
ASKED: Final = [("restart", ""), ("restart", "of probe, "), ("rekey", ""), ("restart", "of puppet, ")]
MEMBERS: Final = {"broker": "broker", "probe": "enclave", "puppet": "ui", "extra": "extension"}


class Stage(NamedTuple):
    """A ring with an extension that may use Unix sockets, and where everything lies."""

    puppet: Puppeteer
    extra: Hand
    folder: Path


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return one, in a runtime folder of its own; it must still stand at the end."""
    folder = tmp_path_factory.mktemp("runtime")
    folder.chmod(0o700)
    with pytest.MonkeyPatch.context() as patch, Backstage(tmp_path_factory.mktemp("backstage")) as backstage:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        settings = {"extensions": {"extra": backstage.path}}
        with Puppeteer(APPLICATION, settings, environment={"XDG_RUNTIME_DIR": str(folder)}) as puppet:
            puppet.await_epoch(1)
            extra = backstage.next_hand()
            puppet.wait_for("extension.joined", member="extra")  # the last line until something happens
            yield Stage(puppet, extra, folder)
            assert puppet.stop() == 128 + signal.SIGTERM
        assert list(folder.iterdir()) == []


def test_the_snapshot_is_what_the_log_and_the_kernel_say(stage: Stage) -> None:
    """Who runs as what, since when, how well kept; the ring, and where the log stands."""
    with OperatorClient(NAME) as client:
        assert client.pid == stage.puppet.supervisor
        found = client.status()
        last = msgspec.json.decode(client.recent(1)[0], type=Line)
    assert (found.name, found.pid, found.state, found.fell, found.restarts, found.level) == (
        *(NAME, stage.puppet.supervisor, "sealed", "", 0, "full"),
    )
    assert (found.most, found.period) == (5, 30.0)
    assert (found.seq, found.chain) == (last.seq, last.chain)
    assert found.since == stage.puppet.wait_for("ring.sealed", epoch=found.epoch).time
    members = {each.member: each for each in found.processes}
    assert {name: each.role for name, each in members.items()} == {"supervisor": "supervisor", **MEMBERS}
    assert {each.state for each in found.processes} == {"running"}
    forming = stage.puppet.wait_for("ring.forming").time
    for name in MEMBERS:
        started = stage.puppet.wait_for("process.started", member=name)
        assert (members[name].pid, members[name].incarnation) == (started.pid, started.incarnation)
        assert forming - 1 < members[name].since < started.time + 1  # seconds that two clocks may be apart
        assert members[name].rss > 1 << 20
        assert members[name].level == ("process-only" if name == "puppet" else "full")


def test_the_log_over_the_socket_is_the_log(stage: Stage) -> None:
    """The last lines, and then each that is written, byte for byte as on standard error."""
    with OperatorClient(NAME) as client, OperatorClient(NAME) as follower:
        past = follower.follow(recent=5)
        lines = [follower.line(20) for _ in range(past)]
        assert lines == client.recent(5)
        with pytest.raises(OperatorRefused):
            client.restart("nobody")  # which is no line
        with pytest.raises(Told, match="HandlerFailed"):
            stage.puppet.result("probe.fail", "a line")
        lines.append(follower.line(20))
        last = msgspec.json.decode(lines[-1] or "", type=Line)
    assert (last.event, last.member) == ("handler.failed", "puppet")
    stage.puppet.wait_for(last.event, seq=last.seq)
    written = [msgspec.json.encode(each).decode() for each in stage.puppet.lines()]
    assert [each for each in written if each in lines] == lines == written[-6:]


def test_what_the_broker_has_counted_is_told(stage: Stage) -> None:
    """Calls of the UI, as the broker passed them on."""
    with OperatorClient(NAME) as client:
        before = {each.member: each.calls for each in client.measures().measures}
        for _ in range(3):
            assert stage.puppet.result("probe.echo", b"hi") == b"hi"
        after = {each.member: each.calls for each in client.measures().measures}
    assert after["puppet"] - before["puppet"] == 3


def test_an_extension_cannot_be_an_operator(stage: Stage) -> None:
    """I3, I7: it may use Unix sockets, is the same user, reaches the path, and is not heard; the log says who tried."""
    path = str(stage.folder / "trollbridge" / NAME / runtime_folder.SOCKET)
    assert stage.extra.act(operated.operate, path=path) == ""
    refused = stage.puppet.wait_for("operator.refused")
    assert refused.pid == stage.puppet.pid("extra")
    with OperatorClient(NAME) as client:
        assert client.status().state == "sealed"
    assert stage.puppet.lines("application.stopping") == []


def test_nothing_listens_but_the_operators_socket(stage: Stage) -> None:
    """A21: of the whole tree; as root, who sees the sockets of others."""
    listening = proc.listening()
    found = {
        listening[inode]
        for each in stage.puppet.processes()
        for inode in proc.sockets(each.pid) or set()
        if inode in listening
    }
    path = str(stage.folder / "trollbridge" / NAME / runtime_folder.SOCKET)
    assert {each for each in found if path not in each} == set()
    assert len(found) == (1 if ROOT else 0)


def test_a_second_supervisor_of_the_application_starts_nothing(stage: Stage) -> None:
    """Two supervisors for one application: one sentence, exit code 75; the first does not notice."""
    with Running(APPLICATION, {}, environment={"XDG_RUNTIME_DIR": str(stage.folder)}) as second:
        assert second.finish() == exits.RUNNING
        assert second.lines() == []
        assert [f"application {NAME} runs already" in each for each in second.said()] == [True]
    with OperatorClient(NAME) as client:
        assert client.status().state == "sealed"


def test_a_supervisor_that_is_stopped_is_told_of_and_goes_on(stage: Stage) -> None:
    """Nobody waits for ever for one that does not answer."""
    stage.puppet.interrupt(signal.SIGSTOP)
    proc.await_stopped(stage.puppet.supervisor)
    try:
        with OperatorClient(NAME, 0.2) as client, pytest.raises(NoAnswer):
            client.status()
    finally:
        stage.puppet.interrupt(signal.SIGCONT)
    with OperatorClient(NAME) as client:
        assert client.status().state == "sealed"


def _sealed(client: OperatorClient, act: Callable[[], object]) -> None:
    """Wait for the next seal, after an act; the client follows."""
    act()
    while (text := client.line(20)) is not None:
        if msgspec.json.decode(text, type=Line).event == "ring.sealed":
            return
    raise AssertionError


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a runtime folder for a test that has a ring of its own: processes come and go in it."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_an_extension_is_started_anew_and_the_ring_stays(place: Path) -> None:
    """What is not bound to the ring has a new process in the same epoch, and the UI's calls go on."""
    environment = {"XDG_RUNTIME_DIR": str(place)}
    with (
        Backstage(place) as backstage,
        Puppeteer(
            APPLICATION, {"extensions": {"extra": backstage.path}, "grace": 0.3}, environment=environment
        ) as puppet,
    ):
        first = puppet.wait_for("extension.joined", member="extra")
        with OperatorClient(NAME) as client:
            client.restart("extra")
            second = puppet.wait_for("extension.joined", member="extra", incarnation=2)
            found = {each.member: each for each in client.status().processes}["extra"]
            puppet.kill("extra")
            puppet.wait_for("process.ended", member="extra", incarnation=2)
            away = {each.member: each for each in client.status().processes}["extra"]
        assert (away.pid, away.state, away.incarnation, away.ended) == (0, "away", 2, "SIGKILL")
        assert (second.epoch, found.pid, found.incarnation, found.state) == (1, second.pid, 2, "running")
        assert first.pid != second.pid
        assert puppet.lines("ring.dismantling") == []
        assert puppet.result("probe.echo", b"on") == b"on"
        assert puppet.stop() == 128 + signal.SIGTERM


def take_lines(client: OperatorClient) -> None:
    """Take every line that is followed; raises `ConnectionEnded` behind the last."""
    while client.line(20) is not None:
        pass


def _pids(snapshot: Snapshot) -> dict[str, int]:
    return {each.member: each.pid for each in snapshot.processes}


def test_what_an_operator_asks_forms_the_ring_anew_and_counts_as_no_failure(place: Path) -> None:
    """A45, A50: dismantled, reaped, formed under another key; a UI keeps its process unless it is the one meant."""
    with Puppeteer(APPLICATION, {}, environment={"XDG_RUNTIME_DIR": str(place)}) as puppet:
        puppet.await_epoch(1)
        with OperatorClient(NAME) as client:
            seen = [client.status()]
            client.follow()
            acts = (client.restart, lambda: client.restart("probe"), client.rekey, lambda: client.restart("puppet"))
            for epoch, act in enumerate(acts, 2):
                _sealed(client, act)
                seen.append(client.status())
                puppet.await_epoch(epoch)  # the log knows of the seal before the user interface does
                assert puppet.result("probe.echo", b"again") == b"again"
        assert puppet.stop() == 128 + signal.SIGTERM
    assert [(each.epoch, each.state, each.restarts) for each in seen] == [(n, "sealed", 0) for n in range(1, 6)]
    asked = [(each.why, each.detail, each.member, each.pid) for each in puppet.lines("operator.asked")]
    assert asked == [(why, f"{of}asked by PID {os.getpid()}", "supervisor", 0) for why, of in ASKED]
    assert len({each.fingerprint for each in puppet.lines("ring.sealed")}) == 5
    assert seen[2].fell == "the operator asked for a restart of probe"
    kept = [_pids(one)["puppet"] == _pids(other)["puppet"] for one, other in itertools.pairwise(seen)]
    assert kept == [True, True, True, False]
    assert len({_pids(each)["probe"] for each in seen}) == 5


def test_an_operators_restart_lifts_the_quarantine_of_that_server(place: Path) -> None:
    """K4: new keys do not; `status` names the calls, and who calls one is told its name and the way out."""
    deadly = int(signal.SIGSEGV)
    with Puppeteer(APPLICATION, {"restarts": 9}, environment={"XDG_RUNTIME_DIR": str(place)}) as puppet:
        for epoch in (1, 2):
            puppet.await_epoch(epoch)
            assert puppet.send("probe.die", deadly).outcome() == "RingDismantled: unknown"
        puppet.await_epoch(3)
        with OperatorClient(NAME) as client:
            client.rekey()
            puppet.await_epoch(4)
            with pytest.raises(Told, match=r"probe\.die .* until the application ends or an operator restarts probe"):
                puppet.result("probe.die", deadly)
            [found] = client.status().quarantine
            assert (found.handler, found.caller) == ("probe.die", "puppet")
            began, told = puppet.wait_for("ring.sealed", epoch=2), puppet.wait_for("call.quarantined")
            assert began.time < found.since <= told.time
            client.restart("probe")
            puppet.await_epoch(5)
            assert client.status().quarantine == ()
            assert puppet.send("probe.die", deadly).outcome() == "RingDismantled: unknown", "it is run again"
        assert puppet.wait_for("quarantine.cleared").member == "probe"
        puppet.await_epoch(6)
        assert puppet.stop() == 128 + signal.SIGTERM


def test_an_application_is_stopped_in_good_order_and_leaves_nothing(place: Path) -> None:
    """A59: exit code 0, no process, no socket; and after a kill -9 the next start is clean."""
    environment = {"XDG_RUNTIME_DIR": str(place)}
    with Running(APPLICATION, {}, environment=environment) as killed:
        killed.wait_for("ring.sealed")
        with OperatorClient(NAME) as client:
            client.follow()
            killed.interrupt(signal.SIGKILL)
            assert client.ended(20)
            with pytest.raises(ConnectionEnded):
                take_lines(client)
        assert killed.finish() == -signal.SIGKILL
    with pytest.raises(NotRunning):
        OperatorClient(NAME)
    with Running(APPLICATION, {}, environment=environment) as running:
        running.wait_for("ring.sealed")
        with OperatorClient(NAME) as client:
            client.follow()
            client.stop()
            told = [msgspec.json.decode(each, type=Line) for each in client.lines()]
            assert client.ended(20)
        assert running.finish() == 0
    assert (told[0].event, told[-1].event, told[-1].exit_code) == ("operator.asked", "application.stopped", 0)
    assert list(place.iterdir()) == []
