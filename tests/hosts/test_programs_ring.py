"""Programs through a real ring: the honest half from the UI, the attacks from an extension with the same grants."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.harness.proc import await_stopped
from tests.harness.puppeteer import Told
from tests.hosts import stream_acts
from tests.hosts.host_app import OUTPUT, SCRIPTS
from tests.hosts.scene import ask, scene, take
from trollbridge.actors.hosts.watching import Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from tests.harness.puppeteer import Hand
    from tests.hosts.scene import Scene

PATIENCE: Final = 20.0
"""Seconds that anything may take on a busy machine."""


@pytest.fixture(scope="module", params=["as whoever runs the tests", "as an ordinary user"])
def ring(request: pytest.FixtureRequest) -> Iterator[Scene]:
    """Return the ring that these tests share."""
    with scene(as_ordinary=request.param == "as an ordinary user") as made:
        yield made


def run(hand: Hand, program: str, *arguments: str, given: bytes = b"") -> tuple[bytes, bytes, list[Any]]:
    """Run a program; return all that it wrote to both streams, and how it ended. Raises `Told`."""
    items, ended = take(hand, "programs.run", program, arguments, given)
    written = {name: b"".join(data for stream, data in items if stream == name) for name in ("out", "err")}
    return written["out"], written["err"], ended


def script(hand: Hand, name: str) -> tuple[bytes, bytes, list[Any]]:
    """Run one of the declared scripts."""
    return run(hand, name, "-c", SCRIPTS[name])


def begin(hand: Hand, program: str, *arguments: str, name: str = "") -> bytes:
    """Run a program, keep its stream under its name or another, and return the first that it writes."""
    hand.act(stream_acts.begin, name=name or program, handler="programs.run", positional=[program, arguments])
    stream, data = hand.act(stream_acts.item, name=name or program)
    assert stream == "out"
    assert isinstance(data, bytes)
    return data.splitlines()[0]


@contextmanager
def watched(numbers: bytes) -> Generator[list[int]]:
    """Hold a pidfd for each number that a script told; yield them."""
    ends = [os.pidfd_open(int(each)) for each in numbers.split()]
    try:
        yield ends
    finally:
        for each in ends:
            os.close(each)


def all_ended(ends: list[int]) -> bool:
    """Return whether all processes end within `PATIENCE` seconds."""
    return all(select.select([each], [], [], PATIENCE)[0] for each in ends)


def living(ends: list[int]) -> bool:
    """Return whether none has ended yet."""
    return not select.select(ends, [], [], 0)[0]


# What is declared works.


def test_both_streams_and_the_exit_code_come(ring: Scene) -> None:
    """A16: for both callers; arguments as they were given, an empty row for none."""
    for hand in (ring.ui, ring.plugin):
        out, err, (code, number, seconds, limit) = script(hand, "tell")
        assert (out, err, code, number, limit) == (b"out\n", b"err\n", 3, None, "")
        assert 0 < seconds < PATIENCE
        assert run(hand, "echo", "say", "42")[0] == b"say 42\n"
        assert run(hand, "echo")[0] == b"\n"
        assert run(hand, "echo", "-n", "a", "b-c")[0] == b"a b-c"


def test_standard_input_is_given_where_it_is_declared(ring: Scene) -> None:
    """A16: of any length up to what a call takes, and empty where none is given; elsewhere it is refused."""
    content = os.urandom(900_000)
    assert run(ring.ui, "cat", given=content)[:2] == (content, b"")
    assert run(ring.ui, "cat")[0] == b""
    assert run(ring.plugin, "waits", "-c", "read line; echo $line", given=b"first\nsecond\n")[0] == b"first\n"
    assert refusal(ring.plugin, "env", given=b"x") == "NotDeclared"


def test_what_a_program_writes_comes_while_it_runs(ring: Scene) -> None:
    """A16: the first line is here, and the program waits; cancelling ends it and all that it started."""
    with watched(begin(ring.ui, "brood", "-c", SCRIPTS["brood"])) as ends:
        assert len(ends) == 2
        assert living(ends)
        assert ring.ui.act(stream_acts.cancel, name="brood") is True
        assert all_ended(ends)


# And nothing else.


def refusal(hand: Hand, program: str, *arguments: str, given: bytes = b"") -> str:
    """Run what must be refused; return the error's name, which is all that it says."""
    with pytest.raises(Told) as told:
        run(hand, program, *arguments, given=given)
    if told.value.name == "NotDeclared":
        assert told.value.text == "No such program is declared, or none with these arguments."
    return told.value.name or told.value.kind


REFUSED: Final[list[tuple[str, tuple[str, ...]]]] = [
    ("sh", ()),
    ("/bin/echo", ("plain",)),
    ("../bin/echo", ("plain",)),
    ("", ()),
    ("none", ()),
    ("none", ("x",)),
    ("echo", ("other",)),
    ("echo", ("plain", "more")),
    ("echo", ("say",)),
    ("echo", ("say", "a1")),
    ("echo", ("say", "a\n")),
    ("echo", ("say", "a", "b")),
    ("echo", ("say", "-a")),
    ("echo", ("-n",)),
    ("echo", ("-n", "-e")),
    ("echo", ("-n", "a", "b", "c", "d")),
    ("echo", ("-e", "a")),
    ("tell", ("-c", "id")),
    ("tell", ("-c", SCRIPTS["tell"], "more")),
    ("env", ("/bin/sh",)),
    ("env", ("-i",)),
]


def test_an_extension_runs_no_other_program_and_passes_no_other_argument(ring: Scene) -> None:
    """A16, S3, S4, S5, S6: one refusal for all of them, which does not say what would be allowed."""
    for program, arguments in REFUSED:
        assert refusal(ring.plugin, program, *arguments) == "NotDeclared", (program, arguments)


def test_a_program_inherits_no_variable_and_no_descriptor(ring: Scene) -> None:
    """I9, A16: the language and what is declared; three descriptors, and none of its host's."""
    assert run(ring.plugin, "env")[0] == b"LANG=C.UTF-8\nGREETING=hello\n"
    assert script(ring.plugin, "ends")[0] == b"0\n1\n2\n"


def test_a_program_reaches_nothing_and_signals_nobody(ring: Scene) -> None:
    """A16, I1: its host, its own group as far as that is its host's to end, files that are not its own."""
    out, err, ended = script(ring.plugin, "escape")
    assert b"0" not in out.split()
    assert len(out.split()) == 4
    assert err.count(b"not permitted") + err.count(b"denied") + err.count(b"cannot") >= 4
    assert ended[0] is not None
    assert run(ring.ui, "echo", "plain")[0] == b"plain\n"


def test_a_program_cannot_leave_the_group_by_which_it_is_ended(ring: Scene) -> None:
    """A16: not even where it may start others."""
    _, err, ended = run(ring.plugin, "leaves", "-w", "/bin/sleep", "1000")
    assert b"not permitted" in err
    assert ended[3] == ""


def test_a_program_starts_no_other_unless_that_is_declared(ring: Scene) -> None:
    """A16: neither the one that it names, nor itself again."""
    out, err, _ = script(ring.plugin, "forks")
    assert (out, b"fork" in err) == (b"", True)


def test_who_prints_without_end_is_ended(ring: Scene) -> None:
    """A56: after just as many bytes as are declared, and the caller is told so."""
    out, _, (code, number, _, limit) = script(ring.plugin, "noisy")
    assert (len(out), code, number, limit) == (OUTPUT, None, signal.SIGKILL, "output")


def test_who_never_ends_is_ended(ring: Scene) -> None:
    """A56: with what it started, after the declared time; even if nobody takes what it writes."""
    _, _, (code, number, seconds, limit) = script(ring.plugin, "endless")
    assert (code, number, limit) == (None, signal.SIGKILL, "time")
    assert 0.4 <= seconds < PATIENCE
    with watched(begin(ring.plugin, "idle", "-c", SCRIPTS["idle"])) as ends:
        assert all_ended(ends)
        ended = ring.plugin.act(stream_acts.end, name="idle")
        assert ended[3] == "time"


def test_who_wants_too_much_memory_does_not_get_it(ring: Scene) -> None:
    """A56: it fails by itself."""
    _, err, (code, number, _, limit) = script(ring.plugin, "greedy")
    assert (code or number, limit) != (0, "")
    assert limit == ""
    assert b"x" * 100 not in err


def test_what_a_program_leaves_behind_ends_with_it(ring: Scene) -> None:
    """A16: a program that has ended has no children that go on."""
    number = begin(ring.ui, "orphans", "-c", SCRIPTS["orphans"])
    with suppress(ProcessLookupError), watched(number) as ends:  # it may be reaped already
        assert all_ended(ends)
    assert ring.ui.act(stream_acts.end, name="orphans")[0] == 0


def test_so_many_run_at_a_time_and_one_that_ends_makes_room(ring: Scene) -> None:
    """A56: whoever asks for more is told to wait, and others do not feel it."""
    names = [f"brood {number}" for number in range(4)]
    numbers = [begin(ring.plugin, "brood", "-c", SCRIPTS["brood"], name=name) for name in names]
    assert refusal(ring.plugin, "echo", "plain") == "Overloaded"
    assert run(ring.ui, "echo", "plain")[0] == b"plain\n"
    with watched(b" ".join(numbers)) as ends:
        for name in names:
            assert ring.plugin.act(stream_acts.cancel, name=name) is True
        assert all_ended(ends)
    assert run(ring.plugin, "echo", "plain")[0] == b"plain\n"


def test_the_host_says_how_well_it_is_kept_and_has_no_key_of_the_ring(ring: Scene) -> None:
    """A49: partial, as its declaration says; and no process of it is left over but its guard, which is as locked."""
    assert ring.ui.wait_for("process.locked", member="programs").level == "partial"
    host = ring.ui.pid("programs")
    until = time.monotonic() + PATIENCE
    while children(host) != [guard_of(host)]:  # programs of other tests that have ended may not be reaped yet
        assert time.monotonic() < until
    for one, other in zip(status(host), status(guard_of(host)), strict=True):
        if one.startswith((b"Seccomp", b"NoNewPrivs:", b"Cap")):
            assert one == other


def children(host: int) -> list[int]:
    """Return the children of a host, those too that it has not reaped yet."""
    return [int(each) for each in Path(f"/proc/{host}/task/{host}/children").read_text(encoding="ascii").split()]


def guard_of(host: int) -> int:
    """Return the guard among the children of a host."""
    guards: list[int] = []
    for each in children(host):
        with suppress(FileNotFoundError, ProcessLookupError):  # a program, which is over
            guards += [each] if b"Name:\ttroll-guard" in status(each) else []
    (found,) = guards
    return found


def status(process: int) -> list[bytes]:
    """Return what the kernel tells of a process."""
    return Path(f"/proc/{process}/status").read_bytes().splitlines()


def test_a_function_of_ones_own_is_called_through_the_manifest_and_nothing_registers_later(ring: Scene) -> None:
    """A17: what is marked when the class is loaded, and nothing else, whatever the host does to its class."""
    for hand in (ring.ui, ring.plugin):
        assert ask(hand, "own.double", 21) == 42
        assert ask(hand, "own.register") is True
        for name in ("late", "plain", "on_start", "register_"):
            with pytest.raises(Told) as told:
                ask(hand, f"own.{name}", *([21] if name == "plain" else []))
            assert told.value.kind == "NoSuchHandler"


# Ends of other kinds.


@contextmanager
def half_written(ring: Scene) -> Generator[Callable[[], bool]]:
    """Have the extension begin a file; yield what waits until nothing is left of it, and returns whether that is so."""
    ask(ring.plugin, "files.put", ask(ring.plugin, "files.begin", "out/half"), 0, b"half")
    folder = os.open(ring.out, os.O_RDONLY | os.O_DIRECTORY)
    watch = Watch(folder)
    assert len(os.listdir(folder)) == 1  # noqa: PTH208  # by descriptor

    def gone() -> bool:
        return bool(select.select([watch.descriptor], [], [], PATIENCE)[0]) and not os.listdir(folder)  # noqa: PTH208  # as above

    yield gone
    watch.close()
    os.close(folder)


def test_what_was_begun_ends_with_the_extension_and_programs_end_with_their_host() -> None:
    """A15, A16, A50, R8: the extension is killed; then the host is, whose programs are in groups of their own."""
    with scene(as_ordinary=False) as ring, half_written(ring) as gone:
        numbers = [begin(hand, "brood", "-c", SCRIPTS["brood"]) for hand in (ring.plugin, ring.ui)]
        with watched(numbers[0]) as ends, watched(numbers[1]) as others:
            ring.ui.kill("plugin")
            assert all_ended(ends)
            assert living(others)
            assert gone()
            guard = another_guard(ring)
            ring.ui.kill("programs")
            assert all_ended(others)
        ring.ui.wait_for("member.joined", member="programs", incarnation=2)
        adopt(*map(int, b" ".join(numbers).split()), guard)
        assert run(ring.ui, "echo", "plain")[0] == b"plain\n"
        what_a_killed_host_has_left_can_be_removed(ring)
        nothing_outlives_the_supervisor(ring)


def what_a_killed_host_has_left_can_be_removed(ring: Scene) -> None:
    """A15, R8: the next host removes it, where somebody writes and where somebody removes the folder around it."""
    for each in ("one", "two"):
        ask(ring.ui, "files.make_folder", f"out/{each}")
        ask(ring.ui, "files.put", ask(ring.ui, "files.begin", f"out/{each}/file"), 0, b"half")
    ring.ui.kill("files")
    ring.ui.wait_for("member.joined", member="files", incarnation=2)
    assert [len(list(each.iterdir())) for each in ring.out.iterdir()] == [1, 1]
    ask(ring.ui, "files.remove", "out/one")
    ask(ring.ui, "files.abandon", ask(ring.ui, "files.begin", "out/two/file"))
    assert [list(each.iterdir()) for each in ring.out.iterdir()] == [[]]


def another_guard(ring: Scene) -> int:
    """Kill the guard of the host; return the one that it starts before the next program."""
    host = ring.ui.pid("programs")
    guard = guard_of(host)
    with watched(str(guard).encode()) as ends:
        os.kill(guard, signal.SIGKILL)
        assert all_ended(ends)
    assert run(ring.ui, "echo", "plain")[0] == b"plain\n"
    assert guard_of(host) != guard
    return guard_of(host)


def adopt(*orphans: int) -> None:
    """Reap what whoever runs the tests has adopted."""
    for each in orphans:
        with suppress(ChildProcessError):  # its host has reaped it
            os.waitpid(each, 0)


def nothing_outlives_the_supervisor(ring: Scene) -> None:
    """A16, R8: neither what a program has started; nor if its host is stopped, and so cannot tidy up."""
    host = ring.ui.pid("programs")
    with watched(begin(ring.ui, "brood", "-c", SCRIPTS["brood"])) as ends:
        assert living(ends)
        os.kill(host, signal.SIGSTOP)
        await_stopped(host)
        ring.ui.popen.kill()
        assert all_ended(ends)
    ring.ui.finish()
