"""The harness itself: it sees what is there, waits no longer than it may, and misses nothing that is left behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import REPOSITORY
from tests.harness import acts, proc, wire
from tests.harness.gate import Gate
from tests.harness.lone_broker import LoneBroker, ring_of_two
from tests.harness.puppeteer import Backstage, Puppeteer, Told, perform
from tests.harness.replacing import replace
from tests.harness.running import PATIENCE, Running
from tests.harness.streams import NothingCame, Stream
from trollbridge.messages.errors import HandshakeFailed

if TYPE_CHECKING:
    from collections.abc import Callable

PUPPETS = "tests.harness.stage:puppet_app"
LEAVES = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
TEXTS = st.text().filter(lambda text: text != "hex")
"""What no octets begin with: hypothesis also tries the words of the modules that are loaded."""
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20)


@given(VALUES)
def test_what_is_said_to_a_puppet_arrives_as_it_was(value: wire.Value) -> None:
    """Octets and text stay apart, however deep."""
    assert wire.decode(wire.encode([value])) == [value]


def test_a_stream_is_waited_for_and_ends() -> None:
    """What has come is found, from a place on; what has not raises at the deadline, or when the stream has ended."""
    read, write = os.pipe()
    stream = Stream(os.fdopen(read, "rb"), str)
    with os.fdopen(write, "wb", buffering=0) as far:
        far.write(b"one\ntwo\none\n")
        assert [stream.wait(lambda each: each == "one", PATIENCE, start=start) for start in (0, 1)] == ["one", "one"]
        with pytest.raises(NothingCame, match="did not come"):
            stream.wait(lambda each: each == "three", 0.01)
        with pytest.raises(NothingCame, match="still open"):
            stream.end(0.01)
    with pytest.raises(NothingCame, match="ended"):
        stream.wait(lambda each: each == "three", PATIENCE)
    stream.end(PATIENCE)
    assert stream.items == ["one", "two", "one"]


def test_a_puppet_calls_is_told_and_leaves() -> None:
    """A whole small life: a value, an error, the log, the exit code, nobody left."""
    with perform() as puppet:
        assert puppet.result("probe.echo", b"hi") == b"hi"
        with pytest.raises(Told, match="not today") as told:
            puppet.result("probe.refuse", "not today")
        assert (told.value.kind, told.value.name) == ("DeclaredError", "Unwilling")
        assert puppet.pid("probe") == puppet.result("probe.pid")
        assert len(puppet.processes()) == 4
        assert puppet.leave(3) == 3
        assert puppet.processes() == frozenset()
        assert puppet.wait_for("application.stopped", exit_code=3).epoch == 1


def test_a_puppet_backstage_obeys_too(tmp_path: Path) -> None:
    """An extension is pulled by strings of its own."""
    with Backstage(tmp_path) as back, perform(extensions={"extra": back.path}) as puppet:
        assert back.next_hand().act(acts.epoch) == puppet.epoch == 1


def test_a_line_that_does_not_come_fails_with_the_log() -> None:
    """The message of the failure shows what did come; what came several times is found."""
    with perform() as puppet:
        with pytest.raises(
            NothingCame, match=r"no log line ring\.sealed \{'epoch': 2\}(.|\n)*event=ring\.sealed epoch=1"
        ):
            puppet.wait_for("ring.sealed", seconds=0.01, epoch=2)
        assert puppet.said() == []
        assert [line.member for line in puppet.several(3, "process.started")] == ["broker", "probe", "puppet"]


def test_a_test_that_fails_inside_leaves_no_application() -> None:
    """The block is left by an exception: everything is killed, and the exception carries the log."""
    puppet = perform()
    with pytest.raises(ZeroDivisionError) as failed, puppet:
        raise ZeroDivisionError
    assert "ring.sealed" in failed.value.__notes__[0]
    with pytest.raises(ProcessLookupError):
        os.kill(puppet.supervisor, 0)


def test_who_is_told_to_stop_has_stopped() -> None:
    """And is no longer so once it goes on: what a test does in between, nobody else does."""
    with perform(beat=60.0) as puppet:
        pid = puppet.kill("broker", signal.SIGSTOP)
        assert proc.states(pid) == {"T"}
        os.kill(pid, signal.SIGCONT)
        assert puppet.result("probe.echo", b"on") == b"on"
        assert "T" not in proc.states(pid)


ORPHAN = """
import os, signal
if os.fork() == 0:
    os.close(0); os.close(1); os.close(2)
    os.setsid()
    signal.pause()
os._exit(0)
"""


def test_an_orphan_is_found() -> None:
    """A59: a process that is left behind, in a session of its own, fails the test, and is ended."""
    running = Running("", command=(sys.executable, "-c", ORPHAN))
    with pytest.raises(AssertionError, match=r"left behind by a supervisor that ended with 0: \w+ \(\d+\)"):
        running.finish()


def test_a_supervisor_that_was_killed_is_followed_by_its_children() -> None:
    """A59: what the kernel ends for it counts as gone, zombies are reaped."""
    with Puppeteer(PUPPETS, {}) as puppet:
        puppet.await_epoch(1)
        puppet.popen.kill()
        assert puppet.finish() == -signal.SIGKILL


def test_the_command_line_runs_an_application_too(tmp_path: Path) -> None:
    """A12: `trollbridge run module:app`, as a person starts it, in the folder of the module."""
    (tmp_path / "mine.py").write_text(
        "from tests.harness.stage import puppet_app\napp = puppet_app()\n", encoding="utf-8"
    )
    command = Path(sys.executable).with_name("trollbridge")
    with Puppeteer("", {}, folder=tmp_path, command=(str(command), "run", "mine:app")) as puppet:
        puppet.await_epoch(1)
        assert puppet.result("probe.echo", b"by hand") == b"by hand"
        assert puppet.leave(6) == 6
    assert tmp_path != REPOSITORY


def test_a_gate_holds_and_lets_go(tmp_path: Path) -> None:
    """Whoever stands at it is known, and goes on with the word."""
    with Gate(tmp_path) as gate, perform() as puppet:
        promise = puppet.send("probe.hold", gate.path)
        gate.await_one()
        assert not promise.done
        gate.open("a word")
        assert promise.get() == "a word"


def test_a_lone_broker_is_a_real_one() -> None:
    """It lets in who has the token, nobody else, and ends with its block."""
    with LoneBroker() as broker:
        pid = broker.process.pid
        ui, vault = ring_of_two(broker)
        assert (ui.name, vault.name, broker.alive(), broker.notices) == ("ui", "vault", True, [])
        with pytest.raises(HandshakeFailed):
            broker.open("late", ui.role).join()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_only_a_name_that_is_there_is_replaced() -> None:
    """A misspelt name does not go unnoticed."""
    with pytest.raises(AttributeError):
        replace(acts, no_such_name=1)
    kept: Callable[..., object] = acts.flush
    replace(acts, flush=kept)
    assert acts.flush is kept
