"""The recorder of learn mode, on real processes: what the lock might forbid is told, and nothing is changed."""

# pyright: reportPrivateUsage=false
from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Final, Self

import pytest

from trollbridge.actors.isolation import filters, learning, told
from trollbridge.actors.isolation.bpf import LONGEST
from trollbridge.actors.isolation.told import Act, Told
from trollbridge.messages.control import Boot
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import Role
from trollbridge.messages.posture import Level, Mechanism, State

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

PATIENCE: Final = 30.0
HEAD: Final = """
import ctypes, os, socket, struct, subprocess, sys, threading
from trollbridge.actors.isolation.learning import record
from trollbridge.messages.ids import Role
libc = ctypes.CDLL(None, use_errno=True)
evidence = record(Role(sys.argv[1]))
print("recorded", flush=True)
sys.stdin.readline()
"""


class Recorded:
    """A process that records itself and then does what it is told, with its listener in our hands."""

    def __init__(self, acts: str, folder: Path, role: Role = Role.ENCLAVE) -> None:
        """Start it in `folder`, and wait until it is recorded."""
        program = HEAD + textwrap.dedent(acts)
        self.popen = subprocess.Popen(
            [sys.executable, "-I", "-c", program, role.value],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            text=True,
        )
        assert self.popen.stdout is not None
        assert self.popen.stdout.readline() == "recorded\n"
        self.pidfd = os.pidfd_open(self.popen.pid)
        self.listener = told.listener_of(self.popen.pid, self.pidfd)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave nothing behind."""
        self.popen.kill()
        self.popen.communicate()
        os.close(self.listener)
        os.close(self.pidfd)

    def go(self) -> tuple[str, set[Told]]:
        """Let it act, and answer it to its end; return its output and what was told. It must end well."""
        seen: set[Told] = set()
        thread = threading.Thread(target=self._answer, args=(seen,))
        thread.start()
        output, _ = self.popen.communicate("go\n", PATIENCE)
        thread.join()
        assert self.popen.returncode == 0
        return output, seen

    def _answer(self, seen: set[Told]) -> None:
        poll = select.poll()
        poll.register(self.listener, select.POLLIN)
        while poll.poll()[0][1] & select.POLLIN:
            seen.update(told.take(self.listener, self.popen.pid))


def _did(acts: str, folder: Path, role: Role = Role.ENCLAVE) -> tuple[str, set[Told]]:
    with Recorded(acts, folder, role) as process:
        return process.go()


def _files(seen: set[Told], folder: Path) -> set[tuple[Act, str]]:
    """Return what was done to files of a folder, by names relative to it."""
    root = os.path.realpath(folder) + "/"
    return {(each.act, each.subject.removeprefix(root)) for each in seen if each.subject.startswith(root)}


def test_what_c_does_is_told_as_well_as_what_python_does(tmp_path: Path) -> None:
    """An open by libc, by Python, by a folder's descriptor, through a link, of a folder, and of what is not there."""
    for name in ("c", "p", "d", "deep"):
        tmp_path.joinpath(name).write_text(name, encoding="ascii")
    tmp_path.joinpath("folder").mkdir()
    tmp_path.joinpath("link").symlink_to("deep")
    output, seen = _did(
        """
        at = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        found = [os.read(libc.open(b"c", os.O_RDONLY), 9), open("p", "rb").read()]
        found += [os.read(os.open("d", 0, dir_fd=at), 9)]
        found += [open("folder/../link", "rb").read(), os.listdir("folder"), libc.open(b"none", os.O_RDONLY)]
        print(*found)
        """,
        tmp_path,
    )
    assert output == "b'c' b'p' b'd' b'deep' [] -1\n"
    assert _files(seen, tmp_path) == {
        *((Act.READ, each) for each in ("c", "p", "d", "deep")),
        (Act.LIST, "folder"),
        (Act.MISS, "none"),
    }


def test_every_way_of_changing_files_is_told_as_what_it_is(tmp_path: Path) -> None:
    """Writing what is there, making what is not, folders, names that go and come; the process does it all the same.

    A file that is opened to be made is told as made, whether it is there or not: the next time it may be missing.
    """
    for name in ("old", "there"):
        tmp_path.joinpath(name).touch()
    _, seen = _did(
        """
        open("old", "r+").close(); open("new", "w").close(); os.truncate("old", 3)
        open("there", "w").close(); open("/dev/null", "w").close()
        os.mkdir("folder"); os.rename("new", "folder/moved"); os.unlink("folder/moved"); os.rmdir("folder")
        os.stat("old"); os.access("old", os.R_OK); os.path.exists("nowhere")
        """,
        tmp_path,
    )
    assert _files(seen, tmp_path) == {
        *((Act.WRITE, "old"), (Act.MAKE, "new"), (Act.MAKE, "there"), (Act.FOLDER, "folder"), (Act.REMOVE, "new")),
        *((Act.MAKE, "folder/moved"), (Act.REMOVE, "folder/moved"), (Act.REMOVE, "folder"), (Act.LOOK, "old")),
    }
    assert Told(own=True, call="openat", act=Act.WRITE, subject="/dev/null") in seen
    assert sorted(each.name for each in tmp_path.iterdir()) == ["old", "there"]
    assert tmp_path.joinpath("old").stat().st_size == 3


def test_sockets_are_told_by_what_a_sandbox_calls_them(tmp_path: Path) -> None:
    """A connection by its port, and only if it is TCP; other families by their numbers."""
    _, seen = _did(
        """
        tcp, udp = socket.socket(), socket.socket(type=socket.SOCK_DGRAM)
        tcp.connect_ex(("127.0.0.1", 9)); udp.connect(("127.0.0.1", 53))
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM | socket.SOCK_NONBLOCK).connect_ex(("::1", 10))
        socket.socket(socket.AF_UNIX).connect_ex("nobody"); socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)
        """,
        tmp_path,
    )
    found = {(each.act, each.subject) for each in seen if each.act in (Act.SOCKET, Act.CONNECT)}
    sockets = {(Act.SOCKET, each) for each in ("tcp", "udp", "unix", "family 16, type 3")}
    assert found == sockets | {(Act.CONNECT, "tcp:9"), (Act.CONNECT, "tcp:10"), (Act.CONNECT, "unix")}


def test_programs_threads_and_forks_are_told_apart(tmp_path: Path) -> None:
    """What a program does is told as not the member's own; C libraries go back from clone3 to clone, which shows."""
    tmp_path.joinpath("text").write_text("text", encoding="ascii")
    output, seen = _did(
        """
        thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
        print(subprocess.run(["cat", "text"], capture_output=True, text=True, check=True).stdout, flush=True)
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        """,
        tmp_path,
    )
    assert output == "text\n"
    assert {each.act for each in seen if each.own} >= {Act.THREAD, Act.FORK}
    executed = {each.subject for each in seen if each.act is Act.EXECUTE}
    assert [each.rpartition("/")[2] for each in executed] == ["cat"]
    assert Told(own=False, call="openat", act=Act.READ, subject=os.path.realpath(tmp_path / "text")) in seen


def test_what_no_sandbox_allows_is_told_by_its_name(tmp_path: Path) -> None:
    """Refused with an error or by a kill, by its name or by its arguments; what is open already is not told."""
    output, seen = _did(
        """
        import mmap
        socket.socket().bind(("127.0.0.1", 0)); os.sched_setaffinity(0, os.sched_getaffinity(0)); libc.personality(-1)
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC); os.symlink("a", "b")
        os.fstat(0), os.getpid(), os.urandom(1), os.dup(0)
        print("all of it")
        """,
        tmp_path,
    )
    assert output == "all of it\n"
    others = {each.call for each in seen if each.act is Act.OTHER and each.own}
    assert others >= {"bind", "sched_setaffinity", "personality", "mmap", "symlink"}
    assert not others & {"fstat", "newfstatat", "getpid", "getrandom", "dup", "read", "write", "exit_group", "futex"}


def test_a_path_that_ends_where_memory_does_is_read(tmp_path: Path) -> None:
    """The string lies in the last bytes of a mapping, with nothing behind it."""
    tmp_path.joinpath("edge").write_text("edge", encoding="ascii")
    output, seen = _did(
        """
        libc.mmap.restype = ctypes.c_void_p
        libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
        libc.open.argtypes = (ctypes.c_void_p, ctypes.c_int)
        start = libc.mmap(None, 8192, 3, 0x22, -1, ctypes.c_long(0))
        libc.munmap(start + 4096, 4096)
        ctypes.memmove(start + 4091, b"edge\\0", 5)
        print(os.read(libc.open(start + 4091, 0), 9))
        """,
        tmp_path,
    )
    assert output == "b'edge'\n"
    assert (Act.READ, "edge") in _files(seen, tmp_path)


def test_a_call_whose_arguments_make_no_sense_is_let_go_on(tmp_path: Path) -> None:
    """A pointer to nowhere: the process gets the kernel's own answer, and goes on."""
    with Recorded("print(libc.open(None, 0), ctypes.get_errno())", tmp_path) as process:
        seen: list[Told] = []
        lost: list[OSError] = []
        assert process.popen.stdin is not None
        process.popen.stdin.write("go\n")
        process.popen.stdin.flush()
        poll = select.poll()
        poll.register(process.listener, select.POLLIN)
        while poll.poll(PATIENCE * 1000)[0][1] & select.POLLIN:
            try:
                seen += told.take(process.listener, process.popen.pid)
            except OSError as error:
                lost.append(error)
        assert process.popen.wait(PATIENCE) == 0
        assert process.popen.stdout is not None
        assert process.popen.stdout.read() == "-1 14\n"
        assert len(lost) == 1


def test_a_process_that_is_killed_while_it_waits_leaves_nobody_waiting(tmp_path: Path) -> None:
    """The listener tells its end, and what had been told cannot be taken any more."""
    with Recorded('open("/etc/hosts")', tmp_path) as process:
        assert process.popen.stdin is not None
        process.popen.stdin.write("go\n")
        process.popen.stdin.flush()
        poll = select.poll()
        poll.register(process.listener, select.POLLIN)
        assert poll.poll(PATIENCE * 1000) == [(process.listener, select.POLLIN)]
        process.popen.kill()
        assert process.popen.wait(PATIENCE) == -signal.SIGKILL
        assert poll.poll(PATIENCE * 1000)[0][1] & select.POLLHUP


def test_its_own_evidence_says_that_nothing_confines_it(tmp_path: Path) -> None:
    """The level follows from it by the one rule, and is the least; the mechanisms that could mislead are named."""
    acts = """
        from trollbridge.messages.posture import level_of
        print("level", level_of(evidence), sep="=")
        print(*(f"{each.mechanism}={each.state}" for each in evidence), sep="\\n")
        """
    output, _ = _did(acts, tmp_path)
    found = dict(line.split("=") for line in output.splitlines())
    for each in (Mechanism.NON_DUMPABLE, Mechanism.LANDLOCK, Mechanism.SECCOMP):
        assert found[each] == State.MISSING
    assert found["level"] == Level.PROCESS_ONLY


@pytest.mark.parametrize("role", [Role.ENCLAVE, Role.UI, Role.EXTENSION])
def test_every_role_has_a_program_that_the_kernel_takes(role: Role) -> None:
    """Of whole instructions, within the kernel's limit, and it watches nothing that `filters` does not know."""
    program = learning.program(role, 1)
    assert len(program) % 8 == 0
    assert 0 < len(program) // 8 <= LONGEST
    known = {rule.name for rule in filters.policy(role, learning._ANYTHING, 1).rules}  # pyright: ignore[reportPrivateUsage]
    assert known >= learning.WATCHED


def test_a_process_with_two_threads_is_refused_as_the_lock_would(tmp_path: Path) -> None:
    """The older thread would not be recorded."""
    program = (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "from trollbridge.actors.isolation.learning import record\nfrom trollbridge.messages.ids import Role\n"
        "from trollbridge.messages.errors import DeclarationError\n"
        "try:\n    record(Role.ENCLAVE)\nexcept DeclarationError as error:\n    print(error, flush=True)\n"
        "import os\nos._exit(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=PATIENCE,
        check=True,
    )
    assert done.stdout.startswith("more than one thread runs where one must")


def _boot() -> Boot:
    settings = (("path", "/srv/real/my.vault"), ("speed", "fast"))
    return Boot("keeper", Role.ENCLAVE.value, "trollbridge.enclave.vault:Vault", settings, (), learn="/tmp/scratch")  # noqa: S108  # nothing is made there


def test_an_enclave_that_ships_is_locked_and_gets_other_files() -> None:
    """Every path among its settings leads into the scratch folder, and it does not learn (R10)."""
    shipped = type("Vault", (), {"__module__": "trollbridge.enclave.vault"})
    kept = learning.kept_real(_boot(), shipped)
    assert (kept.learn, kept.settings) == ("", (("path", "/tmp/scratch/keeper/my.vault"), ("speed", "fast")))  # noqa: S108


def test_an_enclave_of_the_application_learns_unless_it_has_loaded_what_keeps_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both halves: a module of the shipped enclaves anywhere in the process is enough (R10)."""
    own = type("Own", (), {"__module__": "application"})
    for name in [each for each in sys.modules if each.startswith("trollbridge.enclave.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "trollbridge.enclave.actor", sys)
    assert learning.kept_real(_boot(), own) == _boot()
    monkeypatch.setitem(sys.modules, "trollbridge.enclave.storage", sys)
    with pytest.raises(DeclarationError, match=r"uses trollbridge\.enclave\.storage, which keeps secrets"):
        learning.kept_real(_boot(), own)


def test_a_recorded_process_loads_nothing_that_keeps_secrets_later_on_either() -> None:
    """R10: an import in a handler is refused as well; everything else is found where it was."""
    keeps_apart = learning._KeepsApart()
    with pytest.raises(ImportError, match=r"trollbridge\.enclave\.access is not loaded in learn mode"):
        keeps_apart.find_spec("trollbridge.enclave.access", None)
    for name in ("trollbridge.enclave", "trollbridge.enclave.actor", "json"):
        keeps_apart.find_spec(name, None)
