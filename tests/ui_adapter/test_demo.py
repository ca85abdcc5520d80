"""The demonstration, whole: piped, on a terminal, without gpg, with too small a disk, and stopped in the middle."""

from __future__ import annotations

import re
import resource
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import descendants, outliving
from tests.ui_adapter.commands import run, talk, talk_on_a_terminal
from trollbridge.ui_adapter.demo_gnupg import GnuPG, end_agent

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 20.0
"""Seconds of processor time that it may take, of all of its processes together; others may be using the machine."""
PARTS = 11


@pytest.fixture
def place() -> Iterator[Path]:
    """Give a temporary folder with a short path, as a machine's own is; the demonstration must leave it empty."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # the socket of gpg's agent needs a short path
        yield Path(folder)
        assert list(Path(folder).iterdir()) == []


def _verdicts(output: str) -> dict[str, str]:
    _, _, table = output.replace("\r\n", "\n").partition("What was shown\n")
    return {what: verdict for verdict, what in re.findall(r"^  (shown|left out|FAILED) +(.+)$", table, re.MULTILINE)}


def test_the_main_job_is_done_and_everything_is_shown(place: Path) -> None:
    """Real processes and files, a replay, a kill, a new ring, in plain lines (A1, A23, A27, A28, A31, A45, A50, F1).

    Signed and encrypted for three, decrypted and verified, gpg too; no question, no display, under 20 seconds of work;
    nothing is left of it, gpg's agent included (A59). What it prints was seen: four PIDs, one parent; two refusals;
    calls that were told; epoch 1 dismantled before epoch 2 is formed (A58).
    """
    before = _worked()
    ended = run("demo", more={"TMPDIR": str(place)})
    seconds = _worked() - before
    assert (ended.code, ended.said, ended.log) == (0, [], []), ended.output
    assert list(_verdicts(ended.output).values()) == ["shown"] * PARTS
    assert "\x1b" not in ended.output
    assert "\r" not in ended.output
    assert seconds < LIMIT
    _check_what_was_seen(ended.output)


def _worked() -> float:
    """Return the seconds of processor time of all processes that have ended below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _check_what_was_seen(output: str) -> None:
    table = re.findall(r"^  (\d+) +(\d+) +(supervisor|broker|ui|enclave) ", output, re.MULTILINE)
    assert [role for _, _, role in table] == ["supervisor", "broker", "enclave", "ui"]
    assert {parent for _, parent, _ in table[1:]} == {table[0][0]}
    assert len(re.findall(r"epoch 1  uid\.refused +console", output)) == 2
    assert re.search(r"sign .*, sent +(unknown|not started)$", output, re.MULTILINE)
    assert re.search(r"sign .*, behind it +not started$", output, re.MULTILINE)
    events = re.findall(r"^  \+\S+ +epoch (\d) +(ring\.\w+)", output, re.MULTILINE)
    assert events == [
        ("1", "ring.dismantling"), ("1", "ring.dismantled"), ("1", "ring.restarting"), ("2", "ring.forming"),
        ("2", "ring.sealed"),
    ]  # fmt: skip


def test_a_terminal_gets_a_bar_and_a_machine_without_gpg_leaves_it_out(place: Path) -> None:
    """What cannot be shown is named and does not count as failed."""
    with talk_on_a_terminal("demo", more={"TMPDIR": str(place), "PATH": "/nonexistent"}) as demo:
        demo.hear(f"All {PARTS} parts are as they should be.")
        assert demo.end() == 0
    assert "━" in demo.heard
    assert [what for what, verdict in _verdicts(demo.heard).items() if verdict == "left out"] == [
        "A third recipient, made by gpg",
        "gpg decrypts and verifies them too",
    ]


def test_a_part_that_fails_is_named_and_the_rest_goes_on(place: Path) -> None:
    """With files of 4 MiB at most the long one cannot be written: exit code 1, no traceback, all else shown."""
    limited = ["/bin/sh", "-c", 'ulimit -f 8192; exec "$@"', "sh"]
    ended = run("demo", more={"TMPDIR": str(place), "PATH": "/nonexistent"}, prefix=limited)
    assert (ended.code, ended.said) == (1, [])
    assert [what for what, verdict in _verdicts(ended.output).items() if verdict == "FAILED"] == [
        "sources.txt: the same with 50 MiB"
    ]
    assert f"1 of {PARTS} parts FAILED." in ended.output


def test_an_agent_of_gpg_that_was_ended_has_ended(place: Path) -> None:
    """Not only been told: who removes its home next, or ends, leaves nobody behind (A59)."""
    before = descendants()
    home = place / "gnupg"
    GnuPG(home).generate("Gerda <gerda@example.org>")
    assert [each.name for each in descendants() - before] == ["gpg-agent"]
    end_agent(home)
    assert outliving(before, 0.0) == frozenset()
    end_agent(home)
    shutil.rmtree(home)
    end_agent(home)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_it_leaves_nothing(place: Path, number: signal.Signals) -> None:
    """While gpg's agent runs and the vault is open: all of it is gone, and the code is the signal's (A59)."""
    with talk("demo", more={"TMPDIR": str(place)}) as demo:
        demo.hear("in a home directory of its own")
        demo.popen.send_signal(number)
        assert demo.end() == 128 + number


def test_a_reader_that_goes_away_ends_it(place: Path) -> None:
    """`trollbridge demo | head -1`."""
    with talk("demo", more={"TMPDIR": str(place)}) as demo:
        demo.hear("Four processes")
        demo.hang_up()
        assert demo.end() == 74
