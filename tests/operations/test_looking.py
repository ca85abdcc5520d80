"""`trollbridge logs` and `top` over the operator's socket of a real application, which they do not touch."""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import pytest

from tests.ui_adapter.commands import PATIENCE, Dialogue, Ended, run, talk, talk_on_a_terminal
from trollbridge.actors.broker.uids import CREDIT
from trollbridge.actors.operations.log import Line
from trollbridge.ui_adapter.log_reading import LogReader
from trollbridge.ui_adapter.top_rates import Top

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME: Final = "inn"
CALLS: Final = 40


def take_the_rest(dialogue: Dialogue) -> None:
    """Take what a command writes until it ends: one that nobody reads would wait for room in its pipe."""
    poll = select.poll()
    poll.register(dialogue.terminal, select.POLLIN)
    while poll.poll(PATIENCE * 1000) and os.read(dialogue.terminal, 1 << 16):
        pass


class Running(NamedTuple):
    """An application that runs: its terminal, and where commands find it."""

    terminal: Dialogue
    more: dict[str, str]
    log: Path

    def look(self, *arguments: str) -> Ended:
        """Run a command beside it."""
        return run(*arguments, more=self.more)


@pytest.fixture(scope="module", name="running")
def running_application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run an application whose UI calls what it is told to on its input; one for all tests here."""
    folder = tmp_path_factory.mktemp("run")
    folder.chmod(0o700)
    more = {"XDG_RUNTIME_DIR": str(folder)}
    log = folder / "log"
    with talk("run", "declared:terminal", "--name", NAME, "--log", str(log), more=more) as terminal:
        terminal.say("members\n")
        terminal.hear("clerk")
        yield Running(terminal, more, log)
        terminal.say("quit\n")
        terminal.end()


def test_top_tells_what_was_called_and_how_each_process_is_kept(running: Running) -> None:
    """A12: calls of a UI, served by an enclave, timed by the broker; the level of each process as it was measured."""
    for number in range(CALLS):
        running.terminal.say(f"clerk.copy 'call {number}'\n")
        running.terminal.hear(f"call {number}")
    told = running.look("top", "--once", "--json", "--every", "0.2")
    assert (told.code, told.said) == (0, [])
    found = msgspec.json.decode(told.output, type=Top)
    assert (found.name, found.state, found.level) == (NAME, "sealed", "full")
    assert found.seconds >= 0.2
    by = {each.member: each for each in found.members}
    assert {each.role for each in found.members} >= {"broker", "enclave", "ui"}
    clerk, ui = by["clerk"], by["terminal"]
    assert (clerk.level, clerk.state, ui.in_flight, clerk.load, ui.refusals) == ("full", "running", 0, 0, 0)
    assert (clerk.rss > 1 << 20, ui.credit_held >= CREDIT, clerk.credit_held) == (True, True, 0)


def test_without_a_terminal_top_tells_it_once_as_plain_lines(running: Running) -> None:
    """For a pipe: no colour, no movement, one line for each process."""
    told = running.look("top", NAME, "--every", "0.1")
    assert (told.code, told.said) == (0, [])
    assert told.output.startswith(f"{NAME} (")
    assert [line.split()[0] for line in told.output.splitlines()[5:]] == ["supervisor", "broker", "clerk", "terminal"]
    assert "\x1b" not in told.output


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_on_a_terminal_top_goes_on_and_leaves_it_as_it_was(running: Running, number: signal.Signals, code: int) -> None:
    """Until Ctrl-C, which is the usual end of it, or a signal; the other screen and the cursor are put back."""
    with talk_on_a_terminal("top", NAME, "--every", "0.1", more=running.more) as top:
        top.hear("\x1b[?1049h")
        for _ in range(2):  # a second look, which has rates and plots
            top.hear("calls/s")
        if number is signal.SIGINT:  # a supervisor that is stopped: no old picture that looks like a new one
            running.terminal.popen.send_signal(signal.SIGSTOP)
            try:
                top.hear("NO ANSWER for ")
                assert int(top.hear(" s; before: ").split()[0]) >= 1
            finally:
                running.terminal.popen.send_signal(signal.SIGCONT)
            top.hear(f"\x1b[1m{NAME} (")
        if number is signal.SIGINT:
            top.say("\x03")
        else:
            top.popen.send_signal(number)
        top.hear("\x1b[?1049l")
        assert top.end() == code


def test_logs_are_told_as_they_were_written(running: Running) -> None:
    """From the application and from its file the same lines; those of a member, of an event, of the last minutes."""
    live, file = running.look("logs", NAME), running.look("logs", str(running.log))
    assert (live.code, file.code) == (0, 0)
    assert live.output == file.output == running.log.read_text(encoding="utf-8")
    some = running.look("logs", "--member", "clerk", "--event", "process", "--since", "10m", "--epoch", "1", "-n", "2")
    lines = [msgspec.json.decode(each, type=Line) for each in some.output.splitlines()]
    assert len(lines) == 2
    assert {(each.member, each.epoch, each.event.partition(".")[0]) for each in lines} == {("clerk", 1, "process")}
    none = running.look("logs", "--member", "nobody", "--event", "process.startet")
    assert (none.code, none.output, len(none.said)) == (0, "", 3)
    assert "did you mean process.started" in none.said[0]
    assert none.said[2].startswith("trollbridge: the lines there are of broker, clerk, supervisor")


def test_logs_are_told_in_words(running: Running) -> None:
    """A day and an epoch above their lines; in a pipe without colour."""
    told = running.look("logs", str(running.log), "--pretty", "--event", "ring.sealed", "--epoch", "1")
    head, line = told.output.splitlines()
    assert head.endswith(" UTC, epoch 1")
    assert line[14:].startswith("ring.sealed           supervisor  fingerprint ")
    told = running.look("logs", str(running.log), "--pretty", "--epoch", "1")
    [joined] = [each for each in told.output.splitlines() if each[14:27] == "member.joined"]
    assert [name in joined for name in ("broker (", "clerk (", "terminal (")] == [True] * 3


def test_what_is_no_line_of_a_log_is_told_and_the_rest_too(running: Running) -> None:
    """A file that was cut, or is another: the exit code says so. A pipe is a file as well."""
    torn = running.log.with_name("torn")
    torn.write_bytes(b"rubbish\n\xff\xfe\n" + running.log.read_bytes() + b'{"time":1')
    told = running.look("logs", str(torn))
    assert (told.code, told.output) == (1, running.log.read_text(encoding="utf-8"))
    count = len(told.output.splitlines())
    assert told.said == [f"trollbridge: line {number} is no line of a log" for number in (1, 2, count + 3)]


def test_what_failed_in_a_running_application_is_explained(running: Running) -> None:
    """Its last lines are asked for over the socket, instead of a file."""
    running.terminal.say("clerk.wait 1e300\n")
    running.terminal.hear("HandlerFailed")
    reader = LogReader(running.log)
    assert reader.wait(1, lambda line: line.event == "handler.failed", PATIENCE)
    told = running.look("explain", "declared:terminal", "--log", NAME)
    assert (told.code, told.said) == (0, [])
    assert "handler.failed: terminal" in told.output
    assert "  told by      clerk" in told.output


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("logs", "--since", "yesterday"), 2, "is no time"),
        (("logs", "--pretty", "--json"), 2, "exclude each other"),
        (("logs", "/nonexistent/log"), 2, "No such file"),
        (("logs", "nobody"), 1, "no application nobody runs here"),
        (("top", "nobody"), 1, "no application nobody runs here"),
        (("top", "--every", "0"), 2, "--every"),
    ],
)
def test_what_cannot_be_told_is_said_in_one_sentence(
    running: Running, arguments: tuple[str, ...], code: int, why: str
) -> None:
    """With the exit code of its kind."""
    told = running.look(*arguments)
    assert (told.code, told.output) == (code, "")
    assert why in told.said[-1]


def test_who_follows_sees_an_enclave_die_the_next_ring_and_the_end(running: Running) -> None:
    """A45, K4: in words, as it happens; `top` tells it afterwards; both end well when the application has ended."""
    more = running.more
    with talk("run", "declared:idle", "--name", "idler", "--quiet", more=more) as idle:
        idle.hear("ready\n")
        with (
            talk("logs", "idler", "--follow", "--pretty", "-n", "1", more=more) as following,
            talk("top", "idler", "--json", "--every", "0.1", more=more) as top,
        ):
            following.hear("epoch 1\n")
            first = msgspec.json.decode(top.hear("\n"), type=Top)
            pid = next(each.pid for each in first.members if each.member == "clerk")
            os.kill(pid, signal.SIGKILL)
            following.hear(f"clerk (enclave, {pid})  SIGKILL; unexpected")
            following.hear("epoch 2\n")
            following.hear("ring.sealed")
            second = first
            while (second.epoch, second.state) != (2, "sealed"):
                second = msgspec.json.decode(top.hear("\n"), type=Top)
            assert (second.restarts, "clerk" in second.fell, first.fell) == (1, True, "")
            idle.popen.send_signal(signal.SIGTERM)
            following.hear("application.stopping")
            take_the_rest(top)
            assert (top.end(), following.end()) == (0, 0)
        assert idle.end() == 128 + signal.SIGTERM
