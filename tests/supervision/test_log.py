"""The log: typed lines, nobody else's words in them, and an application that runs on where it cannot be written."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from tests.conftest import REPOSITORY, descendants
from tests.harness import acts
from tests.harness.puppeteer import Puppeteer, perform
from tests.harness.running import PATIENCE
from tests.ui_adapter.commands import COMMAND, run
from trollbridge.actors.operations.log import Line
from trollbridge.actors.operations.verifying import Verifier

if TYPE_CHECKING:
    from pathlib import Path

ENDING: Final = "tests.supervision.consoles:ending"
LAUNCH: Final = [sys.executable, "-m", "tests.harness.launch", ENDING]


def launch(way: str, redirection: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    """Run an application to its end with its standard streams redirected as a shell does it."""
    before = descendants()
    ended = subprocess.run(
        ["/bin/sh", "-c", f'exec "$@" {redirection}', "sh", *LAUNCH, json.dumps({"way": way})],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)},
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert descendants() <= before, "the supervisor has reaped all"
    return ended


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "</dev/null 2>/dev/null"])
def test_a_log_that_cannot_be_written_stops_nothing(redirection: str, tmp_path: Path) -> None:
    """A59, P2: full disk, closed descriptors: through a fall and a new ring to the end, with the UI's own code."""
    ended = launch("second epoch 5", redirection, tmp_path)
    assert ended.returncode == 5
    assert list(tmp_path.iterdir()) == []


def test_a_reader_of_the_log_that_goes_away_stops_nothing() -> None:
    """A59: the far end of the pipe is closed after the first line; the application goes on to its end all the same."""
    command = [*LAUNCH, json.dumps({"way": "second epoch 5"})]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, cwd=REPOSITORY) as started:
        if started.stderr is None:
            raise AssertionError
        assert b"application.started" in started.stderr.readline()
        started.stderr.close()
        assert started.wait(30) == 5


def test_a_reader_of_the_log_that_never_reads_stops_nothing() -> None:
    """A55, A59: a pipe of one page is full long before the end; what it took is whole, and in order."""
    reads, writes = os.pipe()
    fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, 4096)
    command = [*LAUNCH, json.dumps({"way": "second epoch 5"})]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY)}
    with subprocess.Popen(command, stderr=writes, env=environment, cwd=REPOSITORY) as started:
        os.close(writes)
        assert started.wait(30) == 5
    with os.fdopen(reads, "rb") as pipe:
        taken = pipe.read().splitlines()
    verifier = Verifier()
    for number, each in enumerate(taken):
        verifier.take(each, str(number))
    assert (verifier.end("end").flaws, len(taken) > 10) == ((), True)
    assert msgspec.json.decode(taken[-1], type=Line).event != "application.stopped"


def test_an_application_outlives_a_disk_that_is_full_and_its_log_says_so(tmp_path: Path) -> None:
    """A55, A59, P2: no room for the log while a ring falls and the next one works; then there is, and nothing is lost.

    The room is that of a limit on the supervisor's files, which the kernel keeps as it does a disk's.
    """
    log = tmp_path / "log"
    command = (COMMAND, "run", "tests.operations.log_app:app", "--log", str(log), "--no-operator")
    with Puppeteer("", {}, command=command) as puppet:
        assert puppet.act(acts.wait_sealed, seconds=PATIENCE)
        _, most = resource.prlimit(puppet.supervisor, resource.RLIMIT_FSIZE)
        resource.prlimit(puppet.supervisor, resource.RLIMIT_FSIZE, (log.stat().st_size + 100, most))
        puppet.call("probe.leave", 1)
        assert puppet.act(acts.wait_dismantled, of=1, seconds=PATIENCE)
        assert puppet.act(acts.wait_sealed, seconds=PATIENCE)
        assert puppet.result("probe.echo", b"hi") == b"hi"
        full = log.read_bytes()
        assert full.count(b"ring.sealed") == 1
        resource.prlimit(puppet.supervisor, resource.RLIMIT_FSIZE, (most, most))
        assert puppet.leave() == 0
        failing, again = puppet.said()
        assert failing == f"trollbridge: the log {log} cannot be written: File too large"
        assert again.startswith(f"trollbridge: the log {log} can be written again, after ")
    events = [json.loads(each)["event"] for each in log.read_bytes().splitlines()]
    assert (events.count("ring.sealed"), events.count("log.resumed"), events.count("log.dropped")) == (2, 1, 0)
    assert run("log", "verify", str(log)).code == 0


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-", ""])
def test_an_output_that_cannot_be_written_is_the_user_interfaces_affair(redirection: str, tmp_path: Path) -> None:
    """A59: what the UI prints is lost where nobody takes it; the application ends in good order all the same."""
    ended = launch("print 100000", redirection, tmp_path)
    assert ended.returncode == (70 if "full" in redirection else 0)
    assert b"Traceback" not in ended.stderr
    assert b"application.stopped" in ended.stderr


def test_every_line_is_of_the_one_type_and_names_member_and_epoch() -> None:
    """A54, I6: no field but those of `Line`; no line without its event, time and member; epochs only go up."""
    with perform() as puppet:
        puppet.kill("probe")
        puppet.await_epoch(2)
        assert puppet.leave() == 0
        for line in puppet.lines():
            assert msgspec.json.decode(msgspec.json.encode(line), type=Line) == line
            assert line.event
            assert line.member
            assert line.time > 1_600_000_000
        epochs = [line.epoch for line in puppet.lines()]
        assert epochs == sorted(epochs)
        assert puppet.said() == []
