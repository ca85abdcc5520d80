"""The rules of every test run: how it is started, how much hypothesis tries, and that no test leaves a process behind.

The process of the tests adopts orphans (`PR_SET_CHILD_SUBREAPER`): whatever a test starts stays a descendant, daemons
too, so none escapes the scan of /proc. The price: a dead orphan is a zombie until the scan reaps it. A test that waits
for a process to end waits for its pidfd, or takes a zombie for dead; it does not wait for /proc/PID to vanish.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from xdist.remote import Producer  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

REPOSITORY: Final = Path(__file__).resolve().parents[1]
DEADLINE: Final = 5.0  # seconds that what a test started may take to end after the test
_PR_SET_CHILD_SUBREAPER: Final = 36  # <linux/prctl.h>
_WALL: Final = 0x4000_0000  # <linux/wait.h>: children that were made without SIGCHLD, too
_LOOK_AGAIN: Final = 0.05  # seconds; only for a zombie that is not ours to reap, which no descriptor reports

# What a shell lets its background jobs ignore would be ignored by every process of a test, too.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    max_examples=60,
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow],  # the machine's, not ours
)
settings.register_profile(
    "deep",
    deadline=None,
    max_examples=2_000,
    print_blob=True,
    stateful_step_count=80,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


class _Scheduling(LoadFileScheduling):  # type: ignore[misc]  # what xdist has carries no types
    """A file of tests stays with one worker. So do those that make attacks: each looks at what others leave behind."""

    _TOGETHER: Final = "tests/attack/"

    def _split_scope(self, nodeid: str) -> str:
        return self._TOGETHER if nodeid.startswith(self._TOGETHER) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Scheduling:
    """Give the tests out as above."""
    return _Scheduling(config, log)


class Process(NamedTuple):
    """One incarnation of a pid: the start time (clock ticks since boot) tells it from the next one of that number."""

    pid: int
    start: int
    name: str


class _Entry(NamedTuple):
    process: Process
    parent: int
    zombie: bool


def _entries() -> Iterator[_Entry]:
    """Read every /proc/PID/stat: `pid (name) state parent …`, where the name may hold any character (proc(5))."""
    for number in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208  # names only; a glob looks into each
        with suppress(OSError), open(f"/proc/{number}/stat", "rb", buffering=0) as stat:  # noqa: PTH123  # a tenth of the time
            head, _, tail = stat.read().decode(errors="replace").rpartition(")")  # an error: it ended meanwhile
            pid, _, name = head.partition(" (")
            fields = tail.split()
            yield _Entry(Process(int(pid), int(fields[19]), name), int(fields[1]), fields[0] in "ZX")


def _below(root: int) -> dict[Process, _Entry]:
    """Return the descendants of `root`, at any depth."""
    children: dict[int, list[_Entry]] = {}
    for entry in _entries():
        children.setdefault(entry.parent, []).append(entry)
    found: dict[Process, _Entry] = {}
    pending = [root]
    while pending:
        for entry in children.get(pending.pop(), ()):
            found[entry.process] = entry
            pending.append(entry.process.pid)
    return found


def _childless() -> bool:
    """Return whether this process has no child at all, dead or alive: then nothing descends from it, as it adopts.

    One call instead of a scan of /proc. It reaps nothing, and counts the children of every thread and of every kind.
    """
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT | _WALL)
    except ChildProcessError:
        return True
    return False


def descendants() -> frozenset[Process]:
    """Return every process that descends from this one, zombies and adopted orphans too."""
    return frozenset() if _childless() else frozenset(_below(os.getpid()))


def outliving(before: frozenset[Process], seconds: float) -> frozenset[Process]:
    """Wait until every descendant that is not in `before` has ended; return those that live after `seconds`.

    Reaps the zombies among them that are its own children: adopted orphans, and children that nobody waited for.
    """
    deadline = time.monotonic() + seconds
    while True:
        if _childless():
            return frozenset()
        alive: set[Process] = set()
        running: set[Process] = set()
        for process, entry in _below(os.getpid()).items():
            if process in before:
                continue
            if entry.zombie and entry.parent == os.getpid():
                with suppress(ChildProcessError):
                    os.waitpid(process.pid, os.WNOHANG)
                continue
            alive.add(process)
            if not entry.zombie:
                running.add(process)
        remaining = deadline - time.monotonic()
        if not alive or remaining <= 0:
            return frozenset(alive)
        _await_an_end(running, remaining if len(running) == len(alive) else min(remaining, _LOOK_AGAIN))


def _await_an_end(running: set[Process], seconds: float) -> None:
    """Return when one of `running` ends, or after `seconds`."""
    with _pidfds(running) as descriptors:
        if len(descriptors) < len(running):
            return  # one has ended already
        poll = select.poll()
        for descriptor in descriptors.values():
            poll.register(descriptor, select.POLLIN)
        poll.poll(seconds * 1000)


@contextmanager
def _pidfds(processes: set[Process] | frozenset[Process]) -> Generator[dict[Process, int]]:
    """Open a pidfd for each of `processes` that still exists; close them all at the end."""
    opened: dict[Process, int] = {}
    try:
        for process in processes:
            with suppress(ProcessLookupError):
                opened[process] = os.pidfd_open(process.pid)
        yield opened
    finally:
        for descriptor in opened.values():
            os.close(descriptor)


def end_all(processes: frozenset[Process]) -> None:
    """Kill `processes`, which must be descendants, and wait for their end, so that the next test starts clean."""
    with _pidfds(processes) as descriptors:
        below = descendants()  # a pidfd whose process is still listed afterwards belongs to that very process
        for process, descriptor in descriptors.items():
            if process in below:
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    outliving(descendants() - processes, DEADLINE)


@contextmanager
def no_process_left(seconds: float = DEADLINE) -> Generator[None]:
    """Fail if a process that starts inside the block outlives it by `seconds`, and kill it."""
    before = descendants()
    yield
    left = outliving(before, seconds)
    if left:
        end_all(left)
        names = ", ".join(sorted(f"{process.name} ({process.pid})" for process in left))
        pytest.fail(f"left behind: {names}", pytrace=False)


def pytest_configure() -> None:
    """Refuse a run that has the top level on the import path; from here on, adopt orphans."""
    if any(Path(entry).resolve() == REPOSITORY for entry in sys.path):
        complaint = (
            "Run `pytest`, not `python -m pytest`: with the top level on the import path, `messages` can be imported."
        )
        raise pytest.UsageError(complaint)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


@pytest.fixture(scope="session", autouse=True)
def _no_process_outlives_the_run() -> Iterator[None]:
    """Hold the fixtures of wider scopes to the same rule as the tests."""
    with no_process_left():
        yield


@pytest.fixture(autouse=True)
def _no_process_outlives_its_test() -> Iterator[None]:
    """Hold every test to it; what a fixture of a wider scope started before may go on."""
    with no_process_left():
        yield


@pytest.fixture
def planted(tmp_path: Path) -> Callable[[Mapping[str, str]], Path]:
    """Return a function that writes a small tree (path → text) and returns its root: bad examples for the checkers."""

    def plant(files: Mapping[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return plant
