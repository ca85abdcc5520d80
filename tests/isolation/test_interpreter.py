"""The execute-only start: nobody of the same user looks into the process at any moment. Root may, and is trusted."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from tests.enclave.children import in_child
from tests.isolation import watcher
from tests.isolation.refusing import refuse
from trollbridge.actors.isolation import capabilities
from trollbridge.actors.isolation import interpreter as module
from trollbridge.actors.isolation.interpreter import Interpreter, environment
from trollbridge.messages.posture import Evidence, Mechanism, State

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

ROOT: Final = os.geteuid() == 0
STARTS: Final = 12
PATIENCE: Final = 15.0
"""Seconds after which a watcher that has seen nobody is given up."""
CONTROL: Final = 3
"""The descriptor that a spawned process is given, whatever it was before."""
FIRST_THINGS: Final = (
    "import os, ctypes; os.write(3, b'here'); os.read(3, 1); libc = ctypes.CDLL(None); "
    "was = libc.prctl(3, 0, 0, 0, 0); "
    "libc.prctl(4, 0, 0, 0, 0); secret = ctypes.create_string_buffer(os.urandom(16).hex().encode()); "
    "os.write(3, b'%d %d %s' % (was, ctypes.addressof(secret), secret.value)); os.read(3, 1)"
)
"""A member in small: it is there, and waits; hides itself; makes a secret, and tells the test where it lies."""
AS_ROOT: Final = "root reads every file; only root could look in, and root is trusted"


@pytest.fixture
def interpreter() -> Iterator[Interpreter]:
    """Return a copy of this interpreter."""
    made = Interpreter.prepare()
    yield made
    made.close()


def start(path: str, program: str, control: int = 0) -> int:
    """Spawn the interpreter at `path` as a supervisor does; return its process id."""
    actions = [(os.POSIX_SPAWN_DUP2, control, CONTROL)]
    return os.posix_spawn(path, [sys.executable, "-I", "-c", program], {}, file_actions=actions)


@contextmanager
def member(path: str) -> Generator[tuple[int, int]]:
    """Start a process that has not hidden itself yet; give its id and our end of its control channel."""
    ours, theirs = (each.detach() for each in socket.socketpair())
    pid = start(path, FIRST_THINGS, theirs)
    os.close(theirs)
    try:
        assert os.read(ours, 16) == b"here"
        yield pid, ours
    finally:
        os.close(ours)
        os.waitpid(pid, 0)


def memory_of(pid: int) -> int | None:
    """Open the memory of a process; None if that is refused."""
    try:
        return os.open(f"/proc/{pid}/mem", os.O_RDONLY)
    except PermissionError:
        return None


def test_the_copy_is_this_interpreter_with_its_packages(interpreter: Interpreter) -> None:
    """The virtual environment is found as usual, isolated mode holds, and the descriptor 3 may be overwritten."""
    reader, writer = os.pipe()
    facts = "sys.executable, sys.prefix, sys.flags.isolated, msgspec.__file__"
    program = f"import os, sys, msgspec; os.write(3, repr(({facts})).encode())"
    pid = start(interpreter.path, program, writer)
    os.close(writer)
    with os.fdopen(reader) as stream:
        assert stream.read() == repr((sys.executable, sys.prefix, 1, msgspec.__file__))
    assert os.waitpid(pid, 0)[1] == 0
    assert int(interpreter.path.rpartition("/")[2]) >= 64


def test_the_copy_cannot_be_changed(interpreter: Interpreter) -> None:
    """It is sealed: who holds the descriptor can neither write, cut, extend nor unseal it, root included."""
    descriptor = int(interpreter.path.rpartition("/")[2])
    attempts: tuple[Callable[[], object], ...] = (
        lambda: os.pwrite(descriptor, b"x", 0),
        lambda: os.ftruncate(descriptor, 0),
        lambda: os.ftruncate(descriptor, 1 << 30),
        lambda: fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL),
    )
    assert [_error(each) for each in attempts] == [errno.EPERM] * len(attempts)
    assert oct(os.fstat(descriptor).st_mode) == "0o100111"
    assert not os.get_inheritable(descriptor)


def _error(act: Callable[[], object]) -> int | None:
    try:
        act()
    except OSError as error:
        return error.errno
    return None


def test_the_copy_can_be_executed_and_not_read(interpreter: Interpreter) -> None:
    """That is what makes the kernel hide the process; root reads it, and hides nothing."""
    assert _error(lambda: os.open(interpreter.path, os.O_RDONLY)) == (None if ROOT else errno.EACCES)
    assert not os.access(interpreter.path, os.W_OK) or ROOT


def test_a_member_is_hidden_before_its_first_instruction(interpreter: Interpreter) -> None:
    """K3: it has done nothing yet, and its memory cannot be opened; with the plain interpreter it can."""
    for path, hidden in ((interpreter.path, not ROOT), (sys.executable, False)):
        with member(path) as (pid, control):
            opened = memory_of(pid)
            assert (opened is None) == hidden
            os.write(control, b"!")
            was, address, secret = os.read(control, 256).split()
            assert int(was) == (0 if hidden else 1)
            assert (memory_of(pid) is None) == (not ROOT)
            if opened is not None:  # kept since before it hid itself: reads the secret that came after
                assert os.pread(opened, len(secret), int(address)) == secret
                os.close(opened)


def test_no_race_for_its_memory_is_won(interpreter: Interpreter) -> None:
    """K3: a watcher that tries from before the exec on opens none of the copies, and some of the plain ones."""

    def raced(path: str, awaited: bytes) -> str:
        capabilities.non_dumpable()
        words = [sys.executable, "-I", watcher.__file__, str(os.getpid())]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as watching:
            assert watching.stdout is not None
            assert watching.stdin is not None
            heard = watching.stdout.readline()
            assert heard == b"watching\n"
            until = time.monotonic() + PATIENCE
            starts = 0
            while starts < STARTS or (awaited not in heard and time.monotonic() < until):
                pid = start(path, "import ctypes; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)")
                os.waitpid(pid, 0)
                starts += 1
                while select.select([watching.stdout], [], [], 0)[0]:
                    heard += watching.stdout.readline()
            watching.stdin.close()
            return (heard + watching.stdout.read()).splitlines()[-1].decode()

    # A watcher that gets no processor would see nobody: there are more starts until it has.
    opened, seen = map(int, in_child(lambda: raced(interpreter.path, b"opened" if ROOT else b"seen")).split())
    plain, also_seen = map(int, in_child(lambda: raced(sys.executable, b"opened")).split())
    assert min(seen, also_seen) > 0
    assert plain > 0
    assert opened == 0 or ROOT
    if ROOT:
        assert opened > 0


def test_the_evidence_is_what_is_seen_of_the_process(interpreter: Interpreter) -> None:
    """A12: the owner of its files in /proc tells whether the kernel hides it, however it was meant to be started."""
    mechanism = Mechanism.EXECUTE_ONLY
    with member(interpreter.path) as (pid, _):
        found = interpreter.execute_only(pid)
    text = "/proc/PID/environ belongs to user 0 just after the exec"
    as_root = Evidence(mechanism, State.NOT_NEEDED, AS_ROOT)
    assert found == (as_root if ROOT else Evidence(mechanism, State.IN_FORCE, text))
    with member(sys.executable) as (pid, _):
        found = interpreter.execute_only(pid)
    text = f"/proc/PID/environ belongs to user {os.geteuid()} just after the exec"
    missing = Evidence(mechanism, State.MISSING, text, "it was started from a file that may be read")
    assert found == (as_root if ROOT else missing)
    gone = Evidence(mechanism, State.MISSING, "the process has ended", "its end is in the log")
    assert interpreter.execute_only(pid) == (as_root if ROOT else gone)


def test_a_member_that_makes_its_copy_readable_does_not_change_the_next_start(interpreter: Interpreter) -> None:
    """Whoever runs the copy owns it: what it gives away, the next start takes back."""
    descriptor = int(interpreter.path.rpartition("/")[2])
    pid = start(interpreter.path, "import os; os.chmod('/proc/self/exe', 0o755)")
    assert os.waitpid(pid, 0)[1] == 0
    assert oct(os.fstat(descriptor).st_mode) == "0o100755"
    with member(interpreter.path) as (pid, _):
        assert (memory_of(pid) is None) == (not ROOT)
    assert oct(os.fstat(descriptor).st_mode) == "0o100111"


def test_a_copy_that_is_closed_is_replaced_by_the_plain_interpreter() -> None:
    """A process that runs it goes on."""
    made = Interpreter.prepare()
    with member(made.path) as (_, control):
        made.close()
        made.close()
        assert made.path == sys.executable
        os.write(control, b"!")
        assert len(os.read(control, 256).split()) == 3


def evidence_and_hiding() -> str:
    """Return how a copy was made in this process, and whether it hides a member."""
    made = Interpreter.prepare()
    with member(made.path) as (pid, _):
        hidden = memory_of(pid) is None
        state = made.execute_only(pid).state
    return f"{made.evidence.state} | {made.evidence.evidence} | {made.evidence.remedy} | {state} | {hidden}"


def test_without_memfds_an_unnamed_file_does_the_same() -> None:
    """R9: as under vm.memfd_noexec=2."""

    def fallen_back() -> str:
        refuse("memfd_create", errno.EACCES)
        return evidence_and_hiding()

    state, text, remedy, seen, hidden = in_child(fallen_back).split(" | ")
    size = Path(sys.executable).stat().st_size
    assert text.startswith("an unnamed file in /")
    assert text.endswith(f", mode 0111, {size} bytes" + (f"; {AS_ROOT}" if ROOT else ""))
    assert (state, remedy, seen) == (("not needed", "", "not needed") if ROOT else ("in force", "", "in force"))
    assert hidden == str(not ROOT)


def test_the_unnamed_file_cannot_be_changed_either(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptor gives nothing but execution, and while a process runs it nobody can open it for writing."""
    monkeypatch.setattr(module, "_sealed", _refused)
    made = Interpreter.prepare()
    with member(made.path):
        descriptor = int(made.path.rpartition("/")[2])
        assert _error(lambda: os.pwrite(descriptor, b"x", 0)) == errno.EBADF
        assert _error(lambda: os.open(made.path, os.O_WRONLY)) == (errno.ETXTBSY if ROOT else errno.EACCES)
    made.close()


def _refused() -> int:
    raise OSError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_kernel_before_6_3_makes_the_copy_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not know MFD_EXEC, and needs none: any bit that it does not know stands for that here."""
    monkeypatch.setattr(module, "_MFD_EXEC", 1 << 30)
    made = Interpreter.prepare()
    assert made.evidence.evidence.startswith("a sealed memfd, ")
    made.close()


def test_without_any_copy_it_is_said_and_the_plain_interpreter_runs() -> None:
    """R9: why, and what to change."""

    def none() -> str:
        refuse("fchmod", errno.EPERM)
        made = Interpreter.prepare()
        assert made.path == sys.executable
        assert made.environment == {}
        return evidence_and_hiding()

    state, text, remedy, seen, hidden = in_child(none).split(" | ")
    assert text.startswith("no copy could be made: memfd: Operation not permitted; ")
    assert remedy.startswith("allow executable memfds (sysctl vm.memfd_noexec=1 or 0)")
    assert (state, seen, hidden) == ("missing", "not needed" if ROOT else "missing", "False")


@pytest.mark.parametrize(
    ("program", "wrong"),
    [("/bin/false", "it does not start (1)"), ("/etc/passwd", "it cannot be executed: Exec format")],
)
def test_a_copy_that_does_not_start_is_not_given_out(monkeypatch: pytest.MonkeyPatch, program: str, wrong: str) -> None:
    """As one whose libraries lie beside the original: found out by starting it once."""
    monkeypatch.setattr(sys, "executable", program)
    made = Interpreter.prepare()
    assert made.path == program
    assert made.evidence.state is State.MISSING
    assert f"a sealed memfd: {wrong}" in made.evidence.evidence


def test_a_shared_library_beside_the_interpreter_is_found_by_its_folder() -> None:
    """Only if the interpreter looks for it relative to itself, and has one."""
    maps = "7f00-7f01 r-xp 0 00:01 1 /opt/my python/lib/libpython3.11.so.1.0\n7f02-7f03 rw-p 0 00:00 0\n"
    assert environment(maps, b"...$ORIGIN/../lib...") == {"LD_LIBRARY_PATH": "/opt/my python/lib"}
    assert environment(maps, b".../opt/my python/lib...") == {}
    assert environment("7f00-7f01 r-xp 0 00:01 1 /lib/libc.so.6\n", b"...$ORIGIN/../lib...") == {}
