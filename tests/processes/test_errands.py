"""One-shot processes of an enclave: what they get, what they cannot reach, how they end, and what their end means."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.harness import acts, proc
from tests.harness.ordinary import ROOT, ordinary
from tests.harness.puppeteer import Puppeteer, Told, perform

if TYPE_CHECKING:
    from collections.abc import Iterator

APPLICATION: Final = "tests.processes.errand_app:application"
KEYCHAIN: Final = "employer.keychain.0"
SCRIBE: Final = "employer.scribe.0"


@pytest.fixture(params=["as whoever runs the tests", "as an ordinary user"])
def either(request: pytest.FixtureRequest) -> Iterator[Puppeteer]:
    """Yield the application, run by either user."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        home = Path(name) / "home"
        home.mkdir()
        prefix = ordinary([], home) if request.param == "as an ordinary user" else []
        command = (*prefix, sys.executable, "-m", "tests.harness.launch", APPLICATION)
        with Puppeteer(APPLICATION, {}, command=command) as puppet:
            puppet.await_epoch(1)
            yield puppet


def test_an_errand_is_a_process_of_its_own_that_answers_its_enclave(either: Puppeteer) -> None:
    """DESIGN 7: fresh, the supervisor's child, locked as well as its enclave; it answers, ends, and nothing falls."""
    found: dict[str, Any] = json.loads(either.result("employer.fetch", "facts"))
    line = either.wait_for("errand.ended", member=KEYCHAIN)
    assert (line.pid, line.exit_code, line.expected, line.next) == (found["pid"], 0, True, "")
    assert found["pid"] not in {either.supervisor, either.pid("employer"), either.pid("puppet")}
    assert found["parent"] == either.lines("application.started")[0].pid
    assert (found["descriptors"], len(found["prepared"])) == ([], 1)
    events = [(each.event, each.role, each.level) for each in either.lines(member=KEYCHAIN)]
    assert events == [
        ("errand.started", "errand", ""),
        ("process.locked", "errand", "full"),
        ("errand.ended", "errand", ""),
    ]
    assert {each[0] for each in either.act(acts.members)} == {"supervisor", "broker", "employer", "puppet"}
    assert either.epoch == 1


def test_a_scribe_opens_the_pipes_that_it_was_handed_and_no_file(either: Puppeteer) -> None:
    """A3: by their names in /proc, as whoever runs it; Landlock refuses it every file, seccomp every socket."""
    data = os.urandom(30_000)
    assert either.result("employer.copy", data) == [data, b"30000"]
    assert either.result("employer.carry", "open /etc/passwd") == b"PermissionError"
    assert either.result("employer.carry", "open /proc/self/status") == b"PermissionError"
    assert either.result("employer.carry", "write /tmp/from an errand") == b"PermissionError"
    assert not Path("/tmp/from an errand").exists()  # noqa: S108
    assert either.result("employer.carry", "dial") == b"refused"


def test_an_errand_opens_nothing_of_another_process(either: Puppeteer) -> None:
    """A3: the names in /proc are good for its own pipes only."""
    pids = [either.lines("application.started")[0].pid, either.pid("employer"), either.pid("puppet")]
    for pid in pids:
        for path in (f"/proc/{pid}/fd/1", f"/proc/{pid}/environ", f"/proc/{pid}/mem"):
            assert either.result("employer.carry", f"open {path}") == b"PermissionError"


def test_a_keychain_errand_gets_the_bus_and_no_display(tmp_path: Path) -> None:
    """R4: three variables beside the locale; nothing by which a window could be opened, or the user's things found."""
    given = {
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere",
        "XDG_RUNTIME_DIR": str(tmp_path),
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
    }
    unwanted = {"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0", "SECRET": "x", "LD_PRELOAD": "", "XDG_DATA_HOME": "/x"}
    with Puppeteer(APPLICATION, {}, environment={**given, **unwanted}) as puppet:
        puppet.await_epoch(1)
        found: dict[str, Any] = json.loads(puppet.result("employer.fetch", "facts"))
        assert found["environment"] == given


def test_a_keychain_errand_reaches_a_unix_socket_and_no_file(tmp_path: Path) -> None:
    """A3: as its module declares."""
    path = tmp_path / "bus"
    with socket.socket(socket.AF_UNIX) as bus, perform(APPLICATION) as puppet:
        bus.bind(str(path))
        bus.listen()
        promise = puppet.call("employer.fetch", f"dial {path}")
        end, _ = bus.accept()
        with end:
            end.sendall(b"a secret")
        assert promise.get() == b"a secret"
        assert puppet.result("employer.fetch", "open /etc/passwd") == b"PermissionError"


def test_nobody_else_ever_holds_what_passes_between_an_errand_and_its_enclave() -> None:
    """A28, K1: while errands hold on, the supervisor has no descriptor of theirs, and neither has the UI.

    The supervisor's are root's to see; to its own user they are closed.
    """
    with perform(APPLICATION, beat=60.0) as puppet:  # no heartbeat that looks into /proc
        own = proc.descriptors(puppet.supervisor)
        assert (own is not None) == ROOT
        interface = puppet.act(acts.descriptors)
        assert puppet.result("employer.send_off", "keychain", "hold") == b"held"
        assert puppet.result("employer.crowd", 2) == [b"held"] * 2
        started = puppet.several(3, "errand.started")
        assert len(started) == 3
        assert puppet.act(acts.descriptors) == interface
        kept = 0 if own is None else len(own) + 2 * 3  # a channel and a pidfd of each
        assert proc.descriptors_at_rest(puppet.supervisor, kept) == kept
        assert puppet.result("employer.drop") == 3
        for each in started:
            puppet.wait_for("errand.ended", pid=each.pid)
        assert puppet.leave() == 0


def test_an_errand_that_fails_tells_its_enclave_by_the_end_of_the_stream() -> None:
    """R7: by an exception, and by a signal: no ring falls, the log tells how, no text of the exception is shown."""
    with perform(APPLICATION) as puppet:
        assert puppet.result("employer.fetch", "fail with a secret") == b""
        failed = puppet.wait_for("errand.ended", member=KEYCHAIN)
        assert (failed.expected, failed.why) == (False, "")
        assert puppet.result("employer.fetch", "kill") == b""
        killed = puppet.wait_for("errand.ended", pid=puppet.several(2, "errand.started")[1].pid)
        assert (killed.signal, killed.expected, killed.next) == ("SIGKILL", False, "")
        assert puppet.result("employer.fetch", "hm") == b"what?"
        assert puppet.epoch == 1
        assert [each for each in puppet.said() if "a secret" in each] == []
        assert any("ValueError" in each for each in puppet.said())


def test_no_more_than_eight_errands_of_a_kind_run_at_a_time() -> None:
    """P3: the ninth is refused, and its enclave sees the end of the stream; once one has ended, there is room again.

    However many scribes there are, an enclave can reach its keychain.
    """
    with perform(APPLICATION) as puppet:
        assert puppet.result("employer.crowd", 9) == [b"held"] * 8 + [b""]
        refused = puppet.wait_for("errand.refused", member="employer")
        assert (refused.why, refused.detail) == ("8 such errands of this enclave run already", "scribe")
        assert puppet.result("employer.fetch", "hm") == b"what?"
        assert puppet.result("employer.drop") == 9
        for each in puppet.lines("errand.started"):
            assert puppet.wait_for("errand.ended", pid=each.pid).expected
        assert puppet.result("employer.crowd", 1) == [b"held"]
        assert puppet.epoch == 1


def test_an_enclave_cannot_ask_for_errands_without_end() -> None:
    """P3: so many within a minute, each kind for itself."""
    with perform(APPLICATION, a_minute=2) as puppet:
        assert [puppet.result("employer.fetch", "hm") for _ in range(4)] == [b"what?"] * 2 + [b""] * 2
        assert puppet.result("employer.carry", "hm") == b"what?"
        puppet.several(3, "errand.started")  # so what was refused before is told too
        refused = puppet.lines("errand.refused", detail="keychain")
        assert [each.why for each in refused] == ["it was asked for 2 times within a minute"] * 2
        assert [puppet.result("employer.fetch", "hm") for _ in range(98)] == [b""] * 98
        assert puppet.result("employer.carry", "hm") == b"what?"
        puppet.several(4, "errand.started")
        refused = puppet.lines("errand.refused", detail="keychain")
        assert len(refused) == 7, "of a hundred the 1st, 2nd, 4th, 8th, 16th, 32nd, 64th"
        assert puppet.epoch == 1


def test_an_errand_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    """A23: a keychain that does not answer: its enclave sees the end, and the supervisor was busy with nothing."""
    later = tmp_path / "later"
    with perform(APPLICATION, clock=str(later)) as puppet:
        assert puppet.result("employer.send_off", "keychain", "hold") == b"held"
        assert puppet.lines("process.killed") == []
        later.touch()
        assert puppet.wait_for("process.killed", member=KEYCHAIN).why == "it did not end in time"
        assert puppet.wait_for("errand.ended", member=KEYCHAIN).signal == "SIGKILL"
        assert puppet.result("employer.pid") == puppet.pid("employer")
        assert puppet.epoch == 1


def test_a_stopped_errand_is_found_and_killed() -> None:
    """K6, A50: a scribe has no limit; one that somebody has stopped goes all the same."""
    with perform(APPLICATION, beat=0.1) as puppet:
        pid = int(puppet.result("employer.send_off", "scribe", "stop"))
        assert puppet.wait_for("process.hung", member=SCRIBE).why == "it is stopped by a signal"
        assert puppet.wait_for("errand.ended", pid=pid).signal == "SIGKILL"
        assert puppet.epoch == 1


@pytest.mark.parametrize("member", ["employer", "broker"])
def test_a_ring_that_falls_takes_its_errands_with_it(member: str) -> None:
    """A50, A59: also those that are stopped: each is reaped before the next ring forms."""
    with perform(APPLICATION, beat=60.0, grace=20.0) as puppet:
        assert puppet.result("employer.crowd", 2) == [b"held"] * 2
        stopped = int(puppet.result("employer.send_off", "scribe", "stop"))
        puppet.kill(member)
        puppet.await_epoch(2)
        lines = puppet.lines()
        second = next(n for n, line in enumerate(lines) if (line.event, line.epoch) == ("ring.forming", 2))
        ended = [line.pid for line in lines[:second] if line.event == "errand.ended"]
        assert sorted(ended) == sorted(each.pid for each in puppet.lines("errand.started"))
        assert puppet.wait_for("errand.ended", pid=stopped).signal == "SIGKILL"
        found = puppet.lines("process.killed") + puppet.lines("process.hung")
        assert found == [], "they go at once, and not when their time is up"
        assert puppet.result("employer.fetch", "hm") == b"what?"


def test_an_application_that_stops_leaves_no_errand() -> None:
    """A59: in good order, with errands that hold on; and no child is left when the supervisor is killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with perform(APPLICATION) as puppet:
            assert puppet.result("employer.crowd", 2) == [b"held"] * 2
            puppet.interrupt(number)
            assert puppet.finish() == (143 if number == signal.SIGTERM else -9)


def test_an_errand_that_is_not_locked_gets_nothing() -> None:
    """A12, R9: less than the application asks for: it is killed before the first descriptor reaches it."""
    with perform(APPLICATION, weakened="lock") as puppet:
        assert puppet.result("employer.fetch", "facts") == b""
        line = puppet.wait_for("process.locked", member=KEYCHAIN)
        assert (line.level, "full is asked for" in line.why) == ("process-only", True)
        assert puppet.wait_for("errand.ended", member=KEYCHAIN).signal == "SIGKILL"
        assert puppet.epoch == 1


def test_an_enclave_with_errands_gives_descriptors_away_to_nobody_else() -> None:
    """I9: it makes streams only, sends to no address, makes no other socket, and takes no descriptor."""
    with perform(APPLICATION) as puppet:
        assert {name: puppet.result("employer.attack", name) for name in (
            "a datagram pair", "a socket", "a stream to an address", "take a descriptor",
        )} == {
            "a datagram pair": "PermissionError",
            "a socket": "PermissionError",
            "a stream to an address": "OSError",
            "take a descriptor": "PermissionError",
        }  # fmt: skip
        assert puppet.epoch == 1


def test_what_a_class_does_not_declare_it_does_not_get() -> None:
    """I3: neither by the method, nor by a message of its own making."""
    with perform(APPLICATION) as puppet:
        with pytest.raises(Told, match="HandlerFailed"):
            puppet.result("employer.undeclared")
        assert puppet.wait_for("handler.failed").why == "trollbridge.messages.errors.UsageError"
        assert puppet.lines("errand.started") == []
