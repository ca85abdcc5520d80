"""`trollbridge status`, `restart`, `rekey` and `stop` as a person types them, and which application is meant."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
import threading
from typing import TYPE_CHECKING, Final

import pytest
from click.testing import CliRunner
from msgspec import structs

from tests.ui_adapter.commands import APPLICATIONS, COMMAND, PATIENCE, environment, run, talk
from trollbridge.actors import exits
from trollbridge.actors.app import App, Child
from trollbridge.actors.operations.desk import groups
from trollbridge.actors.operations.runtime_folder import Seat
from trollbridge.actors.supervision.declaring import Group
from trollbridge.messages.errors import UsageError
from trollbridge.messages.operator import (
    ANSWER,
    LARGEST_REQUEST,
    ProcessState,
    QuarantinedCall,
    Snapshot,
    application_name,
)
from trollbridge.ui_adapter import operator_client, status_command
from trollbridge.ui_adapter.operator_client import NotRunning
from trollbridge.ui_adapter.operator_places import chosen_name, default_name, running_names
from trollbridge.ui_adapter.status_command import row, span, told

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

NAME: Final = default_name("declared:idle", str(APPLICATIONS))
PROCESS: Final = ProcessState("vault", "enclave", "", 42, 3, "running", "full", 40.0, 0, 3 << 20, 0, "")
SNAPSHOT: Final = Snapshot(
    "notary", 7, 0.0, "sealed", 3, 90.0, "vault ended (SIGKILL)", 1, 5, 30.0, "full", 9, "00ff", (PROCESS,)
)


@pytest.fixture
def seats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Have three applications that seem to run, and one that was killed; return the names of the three."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    names = ["notary-1", "notary-2", "vault"]
    with Seat(names[0]) as first, Seat(names[1]) as second, Seat(names[2]) as third:
        for each in (first, second, third):
            each.listen()
        with Seat("dead"):
            yield names


def test_an_application_is_named_by_its_name_its_head_or_where_it_was_started(seats: list[str]) -> None:
    """What could be several is not guessed, and what was killed does not run."""
    assert running_names() == seats
    assert [chosen_name(each) for each in ("vault", "v", "notary-1", "notary:app")] == [
        *("vault", "vault", "notary-1", default_name("notary:app")),
    ]
    for reference in (None, "", "n", "notary"):
        with pytest.raises(UsageError, match="notary-1, notary-2"):
            chosen_name(reference)
    for reference in ("dead", "other"):
        with pytest.raises(NotRunning, match=reference):
            chosen_name(reference)


def test_what_changes_something_is_never_told_the_head_of_a_name(seats: list[str]) -> None:
    """`stop vaul` leaves `vault` alone, also if nothing else has that head; a whole name and MODULE:APP do."""
    assert [chosen_name(each, exact=True) for each in ("vault", "notary:app")] == ["vault", default_name("notary:app")]
    for reference in ("vaul", "n", "", "notary-11", "dead"):
        with pytest.raises(NotRunning, match=f"name {reference} runs.*; there is {', '.join(seats)}$"):
            chosen_name(reference, exact=True)
    with pytest.raises(UsageError, match="notary-1, notary-2"):
        chosen_name(None, exact=True)


@pytest.mark.parametrize("reference", ["a:app", "deep.er:app", "_x:app", "ä:ö", f"{'m' * 300}:app", ".:..", "x-y:z"])
def test_every_application_has_a_name_of_its_own_in_each_folder(reference: str, tmp_path: Path) -> None:
    """Whatever Python may call it, and wherever it lies; the same folder by another way is the same."""
    (tmp_path / "link").symlink_to(tmp_path)
    names = [default_name(reference, str(each)) for each in (tmp_path, tmp_path / "link", tmp_path.parent)]
    assert [application_name(each) for each in names] == names
    assert names[0] == names[1] != names[2]
    assert default_name("a:app", str(tmp_path)) != default_name("a.app:", str(tmp_path))


def test_a_snapshot_in_words() -> None:
    """Sentences and a row that a person reads."""
    sentences = list(told(SNAPSHOT, 100.0))
    assert sentences[0] == "notary: the ring of epoch 3 is sealed, for 10 s"
    assert "PID 7, has run for 1 min 40 s." in sentences[1]
    assert "because vault ended (SIGKILL)" in sentences[3]
    assert "lost" not in sentences[-1]
    assert [*told(structs.replace(SNAPSHOT, dropped=7), 100.0)][-1].startswith("7 more could not be written there")
    assert [*told(structs.replace(SNAPSHOT, waiting=1), 100.0)][-1].startswith("1 more waits to be written there")
    many = [QuarantinedCall(f"vault.m{number}", "console", 40.0) for number in range(5)]
    [said] = [each for each in told(structs.replace(SNAPSHOT, quarantine=tuple(many)), 100.0) if "quarantine" in each]
    assert said == (
        "In quarantine: vault.m2 of console (1 min 0 s ago), vault.m3 of console (1 min 0 s ago), vault.m4 of console "
        "(1 min 0 s ago) and 2 more; `trollbridge restart notary MEMBER` of the server lifts that."
    )
    assert row(PROCESS, 100.0) == (
        *("vault", "enclave", "-", "42", "running", "full", "1 min 0 s", "3", "3 MiB", "0.00 s"),
    )
    assert [span(each) for each in (-1, 59.9, 60, 3661, 90000)] == ["0 s", "59 s", "1 min 0 s", "1 h 1 min", "1 d 1 h"]


@contextlib.contextmanager
def _answering(seat: Seat, answer: bytes) -> Generator[None]:
    """Have whoever asks at a seat given this answer."""
    listening = seat.listen()
    listening.settimeout(None)
    ends = list[socket.socket]()

    def answers() -> None:
        with contextlib.suppress(OSError):  # as it is shut
            while True:
                end, _ = listening.accept()
                ends.append(end)
                if end.recv(LARGEST_REQUEST):
                    end.send(answer)

    thread = threading.Thread(target=answers)
    thread.start()
    try:
        yield
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(20)
        for each in ends:
            each.close()


def test_one_application_that_cannot_be_asked_hides_no_other(
    seats: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I7: one of another version, one that does not answer, one whose folder others may enter: told one by one."""
    real = operator_client.OperatorClient
    patience = {**dict.fromkeys(seats, 0.1), "good": 20.0, "odd": 20.0, "open": 20.0}  # who is silent is so for ever

    def connected(name: str, _seconds: float) -> operator_client.OperatorClient:
        return real(name, patience[name])

    monkeypatch.setattr(operator_client, "OperatorClient", connected)
    held = (QuarantinedCall("vault.sign", "console", 40.0),)
    good = ANSWER.encode(structs.replace(SNAPSHOT, name="good", quarantine=held))
    with (
        Seat("good") as first,
        Seat("odd") as second,
        Seat("open"),
        _answering(first, good),
        _answering(second, b"\1x"),
    ):
        (tmp_path / "trollbridge" / "open").chmod(0o755)
        told = CliRunner().invoke(status_command.status, [])
        assert (told.exit_code, told.stdout.splitlines()[0][:16]) == (1, "good: the ring o")
        said = told.stderr.splitlines()
        assert [each.split(": ")[1] for each in said] == [*sorted([*seats, "odd", "open"])]
        assert "trollbridge: odd: The application runs another version of trollbridge; ask it with" in told.stderr
        assert f"chmod 700 {tmp_path}/trollbridge/open" in told.stderr
        assert "--no-operator" not in told.stderr
        found = json.loads(CliRunner().invoke(status_command.status, ["--json"]).stdout)
        assert {each["name"]: each["state"] for each in found["applications"]} == {
            **dict.fromkeys(seats, "no answer"),
            "good": "sealed",
            "odd": "another version",
            "open": "not safe",
        }
        assert [each["quarantine"] for each in found["applications"] if each["name"] == "good"] == [
            [{"handler": "vault.sign", "caller": "console", "since": 40.0}]
        ]
        assert found["unanswered"] == [*sorted([*seats, "odd", "open"])]


def _other(more: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command by which processes of another application come and go, which `run` takes for its own."""
    command, env = [COMMAND, *words], environment(more)
    return subprocess.run(
        command, cwd=APPLICATIONS, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, str]:
    """Return an environment with a runtime folder in which no other test has left anything."""
    tmp_path.chmod(0o700)
    return {"XDG_RUNTIME_DIR": str(tmp_path)}


def test_each_process_is_told_of_in_the_group_that_supervises_it() -> None:
    """The innermost one; whoever stands in none, and whoever is bound to the ring, in none."""
    names = ["one", "two", "three"]
    app = App(
        ui="a:Window",
        enclaves=["a:Vault"],
        extensions=[Child("a:Extra", name=each) for each in names],
        groups=[Group("inner", ["one"]), Group("outer", ["two", "inner"])],
    )
    assert groups(app) == {"one": "inner", "two": "outer"}


def test_a_running_application_is_told_of_restarted_and_stopped(alone: dict[str, str], tmp_path: Path) -> None:
    """The whole way: its default name, a second one refused, each command once, each with its exit code."""
    with talk("run", "declared:idle", "-q", more=alone) as idle:
        idle.hear("ready\n")
        second = run("run", "declared:idle", "-q", more=alone)
        assert (second.code, second.output) == (exits.RUNNING, "")
        assert [f"{NAME} runs already" in each for each in second.said] == [True]
        shown = run("status", more=alone)
        assert (shown.code, shown.said) == (0, [])
        assert shown.output.startswith(f"{NAME}: the ring of epoch 1 is sealed, for ")
        assert re.search(r"^  clerk +enclave +- +\d+ +running +full ", shown.output, re.MULTILINE)
        restarted = _other(alone, "restart", "declared:idle", "clerk")
        assert (restarted.returncode, restarted.stderr) == (0, "")
        ready = rf"{NAME}: clerk is ready, in the ring of epoch 2, after \d+\.\d\d s\n"
        assert re.fullmatch(ready, restarted.stdout)
        status = json.loads(run("status", NAME, "--json", more=alone).output)
        assert (status["format"], status["unanswered"]) == (1, [])
        [found] = status["applications"]
        assert (found["name"], found["epoch"], found["state"], found["restarts"]) == (NAME, 2, "sealed", 0)
        assert {each["member"] for each in found["processes"]} == {"supervisor", "broker", "clerk", "asker"}
        refused = run("restart", NAME, "nobody", more=alone)
        assert (refused.code, refused.output, refused.said) == (
            *(1, "", ["trollbridge: there is no member of that name; there are asker, broker, clerk"]),
        )
        headed = run("stop", "declared", more=alone)
        assert (headed.code, headed.output) == (1, "")
        assert headed.said == [
            f"trollbridge: no application of the name declared runs here as this user; there is {NAME}"
        ]
        stopped = run("stop", "declared:idle", more=alone)
        assert re.fullmatch(rf"{NAME}: it has ended, after \d+\.\d\d s\n", stopped.output)
        assert (stopped.code, idle.end()) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def test_without_an_application_each_command_says_so(alone: dict[str, str]) -> None:
    """One line, exit code 1, as JSON an object all the same; and --no-operator is the way to have none."""
    with talk("run", "declared:idle", "-q", "--no-operator", more=alone) as idle:
        idle.hear("ready\n")
        for words in (("status",), ("status", "--json"), ("stop", NAME)):
            ended = run(*words, more=alone)
            shown = '{"format":1,"applications":[],"unanswered":[]}\n' if "--json" in words else ""
            assert (ended.code, ended.output, len(ended.said)) == (1, shown, 1)
            assert "runs here as this user" in ended.said[0]
        idle.popen.send_signal(signal.SIGTERM)
        assert idle.end() == 128 + signal.SIGTERM
    for name in ("../x", ""):
        wrong = run("run", "declared:right", "--name", name or "a b", more=alone)
        assert (wrong.code, wrong.output, wrong.log) == (2, "", [])
