"""Enclaves and hosts that call each other, and replicas, in real rings."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING, TypeAlias

import pytest

from tests.harness import acts
from tests.harness.gate import Gate
from tests.harness.probe import SECRET
from tests.harness.puppeteer import Puppeteer, Told
from tests.harness.running import Running
from tests.processes.peer_ring import CATCH, LET_THROUGH, NOTES
from trollbridge.actors import exits
from trollbridge.actors.app import App, Child
from trollbridge.messages.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from trollbridge.messages.grants import Grant

Grants: TypeAlias = "dict[str | type, list[str | Grant | Callable[..., object]]]"
RING = "tests.processes.peer_ring:ring"
BOTH = pytest.mark.parametrize("asking", ["teller", "porter"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the servers leave their notes."""
    return tmp_path_factory.mktemp("notes")


@pytest.fixture(scope="module")
def ring(folder: Path) -> Generator[Puppeteer]:
    """Return a ring of a puppet, a teller, a porter, a probe and two workers."""
    with Puppeteer(RING, {"folder": str(folder)}) as puppet:
        puppet.await_epoch(1)
        yield puppet
        assert [line.why for line in puppet.lines("uid.refused") + puppet.lines("envelope.refused")] == []
        assert puppet.leave() == 0


@pytest.fixture
def gate(tmp_path: Path) -> Generator[Gate]:
    """Return a gate that holds whoever comes."""
    with Gate(tmp_path) as found:
        yield found


def told(ring: Puppeteer, handler: str, *arguments: object) -> tuple[str, str, str]:
    """Return what a call is told: the error's class, its text up to the incident, and its own name."""
    with pytest.raises(Told) as caught:
        ring.result(handler, *arguments)
    return caught.value.kind, caught.value.text.split("; incident")[0], caught.value.name


@BOTH
def test_a_server_calls_another(ring: Puppeteer, asking: str) -> None:
    """A57: enclave to enclave and host to enclave; short, in PARTs, and more at once than there is credit for."""
    assert ring.result(f"{asking}.ask", "probe", b"hi") == b"hi"
    assert ring.result(f"{asking}.long", "probe") is True
    assert ring.result(f"{asking}.many", "probe", 300) == 300


def test_an_enclave_calls_a_host_which_knows_who_calls(ring: Puppeteer) -> None:
    """A57, A22: the caller is known from the session, whoever it calls for."""
    assert ring.result("teller.ask", "porter", b"who?") == b"teller, enclave: who?"
    assert ring.result("porter.echo", b"who?") == b"puppet, ui: who?"
    assert ring.result("teller.swap", "porter") is True


@BOTH
def test_a_sensitive_result_is_readable_in_an_enclave_and_sealed_in_a_host(ring: Puppeteer, asking: str) -> None:
    """A41: whoever holds the ring key opens it; a host carries it."""
    assert ring.result(f"{asking}.secret") == (SECRET if asking == "teller" else "Sealed")


@BOTH
def test_a_server_sees_and_calls_what_it_is_granted(ring: Puppeteer, asking: str) -> None:
    """A22, A26: nothing else is there; its own mistake is an incident, and tells its caller nothing."""
    granted = ["echo", "fail", "hold", "refuse", "secret"]
    others = ["porter", "probe", "worker"] if asking == "teller" else ["probe"]
    assert ring.result(f"{asking}.names") == [*others, *granted]
    why = f"{asking} calls probe.leave, which is not granted to it"
    assert ring.result(f"{asking}.overreach", CATCH) == f"{why}; add it to App(grants=…)"
    found = told(ring, f"{asking}.overreach", LET_THROUGH)
    role = "enclave" if asking == "teller" else "host"
    assert found == ("HandlerFailed", f"overreach failed inside the {role}", "")
    ring.wait_for("handler.failed", why=why, told_by=asking, member="puppet")
    with pytest.raises(Told, match=r"NoSuchHandler|NotGranted"):
        ring.result("probe.nothing")


@BOTH
def test_what_another_declares_passes_if_the_handler_lets_it(ring: Puppeteer, asking: str) -> None:
    """A14: a declared error by its name, a failure by the number of its incident, with nothing of the cause."""
    assert ring.result(f"{asking}.refuse", CATCH) == "Unwilling: not today"
    assert told(ring, f"{asking}.refuse", LET_THROUGH) == ("DeclaredError", "not today", "Unwilling")
    assert told(ring, f"{asking}.fail") == ("HandlerFailed", "fail failed inside the enclave", "")
    ring.wait_for("handler.failed", why="builtins.ValueError", member=asking)


@BOTH
def test_while_a_handler_waits_calls_wait_and_others_are_served(ring: Puppeteer, gate: Gate, asking: str) -> None:
    """A57: one call at a time, as ever; the process still answers the supervisor, and nobody else waits for it."""
    waits = ring.send(f"{asking}.wait", gate.path)
    gate.await_one()
    behind = ring.send(f"{asking}.names")
    assert ring.result("worker.echo", b"not me") == b"not me"
    assert not waits.done
    assert not behind.done
    gate.open()
    assert waits.get() == "go on"
    assert "probe" in behind.get()


def test_a_wait_ends_in_time_and_the_promise_stays_good(ring: Puppeteer, gate: Gate) -> None:
    """A14: a time-out of `get` ends the wait only."""
    waits = ring.send("teller.wait_twice", gate.path)
    for _ in range(2):  # the probe, and a worker once a wait was in vain
        gate.await_one()
    gate.open()
    gate.open()
    assert waits.get() == "in vain, then: go on"


def test_a_deadline_of_a_servers_own_call_is_no_word_about_its_callers(ring: Puppeteer, gate: Gate) -> None:
    """A14: the handler gets `DeadlineExceeded`; let through, it is an incident: its own call did run."""
    held = ring.send("probe.hold", gate.path)
    gate.await_one()
    assert ring.result("teller.late", CATCH) == "DeadlineExceeded"
    assert told(ring, "teller.late", LET_THROUGH)[0] == "HandlerFailed"
    gate.open()
    assert held.get() == "go on"


def test_a_server_takes_another_ones_stream(ring: Puppeteer, folder: Path) -> None:
    """A57: to its end, and part of it: then the other's generator is closed."""
    notes = folder / f"Porter {NOTES}"
    assert ring.result("teller.add_up", "porter", 1000, 0) == sum(range(1000))
    assert ring.result("teller.add_up", "porter", 1_000_000, 10) == sum(range(10))
    assert ring.result("porter.echo", b"") == b"puppet, ui: "
    assert notes.read_text("utf-8") == "closed\nclosed\n"


def test_replicas_are_members_of_one_name(ring: Puppeteer) -> None:
    """A57, A11: two processes, each with its line in the log, its posture and its place in the ring."""
    members = {name: role for name, role, _ in ring.act(acts.members)}
    assert members == {
        "supervisor": "supervisor",
        "broker": "broker",
        "puppet": "ui",
        "porter": "host",
        **dict.fromkeys(("teller", "probe", "worker", "worker_2"), "enclave"),
    }
    assert {each.split(".")[0] for each in ring.act(acts.handlers)} == {"teller", "porter", "probe", "worker"}
    assert {line.member for line in ring.lines("process.locked")} >= {"worker", "worker_2"}
    with pytest.raises(Told, match="NoSuchHandler"):
        ring.result("worker_2.pid")
    assert ring.result("worker.secret") == SECRET


def test_a_held_replica_gets_no_more_calls(ring: Puppeteer, gate: Gate) -> None:
    """A57: neither from whoever holds it, nor from a server that has called nobody yet; once it is free, it does."""
    held = ring.send("worker.hold", gate.path)
    gate.await_one()
    [free] = {ring.result("worker.pid") for _ in range(10)}
    assert set(ring.result("teller.pids", 10)) == {free}
    gate.open()
    assert held.get() == "go on"
    pids = {line.pid for line in ring.lines("process.started") if line.member.startswith("worker")}
    assert free in pids
    found = [ring.call("worker.pid") for _ in range(40)]
    assert {each.get() for each in found} == pids


@pytest.mark.parametrize(
    ("grants", "way"),
    [
        ({"teller": ["porter.echo"], "porter": ["teller.echo"]}, "teller"),
        ({"teller": ["teller.echo"]}, "teller → teller"),
    ],
)
def test_who_would_wait_for_each_other_is_told_before_anything_starts(grants: Grants, way: str) -> None:
    """A57, A14: no ring of waiting servers can be declared."""
    with pytest.raises(DeclarationError, match=f"{way}.*wait for each other"):
        App(ui="desk:Desk", enclaves=[Child("a:Teller")], hosts=[Child("b:Porter")], grants=grants)


def test_a_ring_that_falls_ends_every_wait(tmp_path: Path) -> None:
    """A50, A14, K4: a replica dies of a call, twice, and is spared the third; then who is waited for, and who waits."""
    deadly = int(signal.SIGKILL)
    with Gate(tmp_path) as gate, Puppeteer(RING, {"folder": str(tmp_path)}) as ring:
        ring.await_epoch(1)
        for epoch, dies in enumerate(["", "", "probe", "teller"], 1):
            waits = ring.send("teller.wait", gate.path)
            gate.await_one()
            if dies:
                ring.kill(dies)
            else:
                assert ring.call("worker.die", deadly).outcome() == "RingDismantled: unknown"
            assert waits.outcome() == "RingDismantled: unknown"
            ring.wait_for("process.ended", epoch=epoch, member="teller")  # else the probe could still answer it
            with contextlib.suppress(BrokenPipeError):  # the probe is dead
                gate.open()
            ring.await_epoch(epoch + 1)
            assert ring.result("teller.ask", "probe", b"again") == b"again"
        assert told(ring, "worker.die", deadly)[0] == "Quarantined"
        assert ring.leave() == 0
        assert (tmp_path / f"Teller {NOTES}").read_text("utf-8") == "RingDismantled\n" * 3
        assert ring.lines("process.killed") == ring.lines("handler.failed") == []
        ended = [line.member for line in ring.lines("process.ended", signal="SIGKILL")]
        assert [each.split("_")[0] for each in ended] == ["worker", "worker", "probe", "teller"]


def test_an_actor_that_keeps_what_it_knows_to_itself_has_no_replicas(tmp_path: Path) -> None:
    """A57: it is said why, and before anything is written."""
    (tmp_path / "home").mkdir()
    path = tmp_path / "home" / "a.vault"
    with Running("tests.processes.peer_ring:two_vaults", {"path": str(path)}) as running:
        assert running.finish() == exits.DECLARATION
        [said] = running.said()
    name = "trollbridge.enclave.vault:Vault"
    wanted = f"{name} keeps what it knows to one process, so it has no replicas; take replicas=… away"
    assert said == f"trollbridge: vault_2: {wanted}"
    assert not path.exists()
