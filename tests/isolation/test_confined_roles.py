"""What each role may do works under its filter, and what it must not do fails or ends its process."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import faulthandler
import fcntl
import importlib.util
import mmap
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.isolation import real_work
from tests.isolation.confined import BY_FILTER, Done, Killed, Raised, confined, forked
from trollbridge.actors.isolation import kernel
from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

THREADS = Sandbox(threads=True)
SHELL = Sandbox(exec=("/bin/sh",))
CALLERS = (Role.UI, Role.EXTENSION)
X32_GETPID: Final = 39 | 0x4000_0000


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Return a connected pair of packet sockets."""
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        yield one, other


# What each role does.


@pytest.mark.parametrize("role", Role)
def test_the_link_and_the_clock_work_in_every_role(role: Role, ends: tuple[socket.socket, socket.socket]) -> None:
    """Packets of any size, waiting, timeouts, logging, random numbers, garbage: with nothing declared."""
    assert confined(role, lambda: real_work.link_and_timers(*ends)) == Done("60000 2 back")
    assert confined(role, real_work.logging_and_collecting) == Done("41943040 True")


def test_a_vault_does_all_of_its_work(tmp_path: Path) -> None:
    """OpenPGP of both kinds, the password, the database and its journal, with the one folder declared (A1)."""
    path = str(tmp_path)
    os.chmod(path, 0o700)  # noqa: PTH101
    assert confined(Role.ENCLAVE, lambda: real_work.openpgp_and_database(path), Sandbox(write=(path,))) == Done(
        "True 4 -----BEGIN"
    )


@pytest.mark.parametrize("role", Role)
def test_threads_run_where_they_are_declared_or_always_do(role: Role) -> None:
    """A pykka actor and a lock; elsewhere Python says that it cannot start one."""
    refused = Raised("RuntimeError")
    works = Done("[5, True] False")
    assert confined(role, real_work.actors_and_threads, THREADS) == (refused if role is Role.BROKER else works)
    assert confined(role, real_work.actors_and_threads) == (works if role in CALLERS else refused)


@pytest.mark.parametrize("role", CALLERS)
def test_a_caller_loads_code_and_runs_an_event_loop(role: Role, tmp_path: Path) -> None:
    """Its code is loaded after the lock: a library that was never loaded before, and asyncio (K1)."""
    source = importlib.util.find_spec("_testbuffer") or importlib.util.find_spec("audioop")
    assert source is not None
    assert source.origin is not None
    library = tmp_path / Path(source.origin).name
    library.write_bytes(Path(source.origin).read_bytes())

    def act() -> str:
        spec = importlib.util.spec_from_file_location(source.name, library)
        assert spec is not None
        importlib.util.module_from_spec(spec)
        return str(asyncio.run(asyncio.sleep(0.001, "slept")))

    assert confined(role, act) == Done("slept")
    assert confined(Role.ENCLAVE, act, Sandbox(read=(str(tmp_path),))) == Raised("ImportError")


def test_a_ui_has_its_terminal_and_nobody_else_one() -> None:
    """It sets it up, asks for its size, moves to a group of its own; it cannot type for the user (TIOCSTI)."""
    leader, terminal = os.openpty()

    def act() -> str:
        tty = os.isatty(terminal)
        settings = termios.tcgetattr(terminal)
        termios.tcsetattr(terminal, termios.TCSAFLUSH, settings)
        os.setpgid(0, 0)
        size = os.get_terminal_size(terminal)
        try:
            fcntl.ioctl(terminal, termios.TIOCSTI, b"x")
        except OSError as problem:
            return f"{tty} {size.lines} {errno.errorcode[problem.errno or 0]}"
        return "typed"

    try:
        assert confined(Role.UI, act) == Done("True 0 ENOTTY")
        assert confined(Role.ENCLAVE, lambda: os.isatty(terminal)) == Done("False")
    finally:
        os.close(leader)
        os.close(terminal)


def test_files_are_read_and_written_as_declared(tmp_path: Path) -> None:
    """The rights of seccomp alone: whether, and not which (that is Landlock's)."""
    path = tmp_path / "file"
    path.write_text("before")

    def writes() -> str:
        path.write_text("after")
        moved = path.rename(tmp_path / "moved")
        os.makedirs(tmp_path / "a" / "b")  # noqa: PTH103
        os.rmdir(tmp_path / "a" / "b")  # noqa: PTH106
        moved.rename(path)
        with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            mapped[0:1] = b"A"
            mapped.flush()
        return path.read_text()

    reading, writing = Sandbox(read=(str(tmp_path),)), Sandbox(write=(str(tmp_path),))
    refused = Raised("PermissionError", errno.EACCES)
    assert confined(Role.ENCLAVE, path.read_text) == refused
    assert confined(Role.BROKER, path.read_text, reading) == refused
    assert confined(Role.ENCLAVE, path.read_text, reading) == Done("before")
    assert confined(Role.EXTENSION, path.read_text) == Done("before")
    assert confined(Role.ENCLAVE, lambda: sorted(os.listdir(tmp_path)), reading) == Done("['file']")  # noqa: PTH208
    assert confined(Role.ENCLAVE, writes, reading) == refused
    assert path.read_text() == "before"
    assert confined(Role.ENCLAVE, writes, writing) == Done("After")
    for flags in (os.O_PATH, os.O_TRUNC, os.O_WRONLY | os.O_RDWR):
        assert confined(Role.ENCLAVE, partial(os.open, path, flags), writing) == refused
    assert path.read_text() == "After"


# What nobody may do.

ADDRESS: Final = ctypes.create_string_buffer(64)
KILLS: Final[dict[str, Callable[[], object]]] = {
    "ptrace": lambda: kernel.syscall("ptrace", 0, 0, 0, 0),
    "process_vm_readv": lambda: kernel.syscall("process_vm_readv", os.getpid(), None, 0, None, 0, 0),
    "process_vm_writev": lambda: kernel.syscall("process_vm_writev", os.getpid(), None, 0, None, 0, 0),
    "pidfd_getfd": lambda: kernel.syscall("pidfd_getfd", -1, 0, 0),
    "pidfd_send_signal": lambda: kernel.syscall("pidfd_send_signal", -1, 0, None, 0),
    "kcmp": lambda: kernel.syscall("kcmp", os.getpid(), os.getpid(), 0, 0, 0),
    "keyctl": lambda: kernel.syscall("keyctl", 0, -2, 0),
    "bpf": lambda: kernel.syscall("bpf", 99, None, 0),
    "perf_event_open": lambda: kernel.syscall("perf_event_open", None, 0, -1, -1, 0),
    "userfaultfd": lambda: kernel.syscall("userfaultfd", -1),
    "io_uring_setup": lambda: kernel.syscall("io_uring_setup", 0, None),
    "mount": lambda: kernel.syscall("mount", None, None, None, 0, None),
    "unshare": lambda: kernel.syscall("unshare", 0),
    "setns": lambda: kernel.syscall("setns", -1, 0),
    "personality": lambda: kernel.syscall("personality", 0xFFFF_FFFF),
    "shmget": lambda: kernel.syscall("shmget", 1, 0, 0),
    "seccomp": lambda: kernel.syscall("seccomp", 2, 0, ADDRESS),
    "landlock": lambda: kernel.syscall("landlock_create_ruleset", None, 0, 1),
    "capset": lambda: kernel.syscall("capset", None, None),
    "setuid": lambda: kernel.syscall("setuid", os.getuid()),
    "open_by_handle_at": lambda: kernel.syscall("open_by_handle_at", -1, None, 0),
    "splice": lambda: kernel.syscall("splice", -1, None, -1, None, 0, 0),
    "chroot": lambda: kernel.syscall("chroot", b"/nowhere"),
}


@pytest.mark.parametrize("name", KILLS)
def test_what_only_an_attacker_calls_ends_the_process(name: str) -> None:
    """At once, by SIGSYS, in every role and whatever is declared; without the filter the call comes back (I1)."""
    assert isinstance(forked(KILLS[name]), Done | Raised)
    assert [confined(role, KILLS[name]) for role in Role] == [BY_FILTER] * len(Role)
    sandbox = Sandbox(write=("/w",), network=("unix", "tcp", "udp"), threads=True)
    assert confined(Role.ENCLAVE, KILLS[name], sandbox) == BY_FILTER


def test_a_handler_cannot_catch_it() -> None:
    """Not as a signal's handler, and not in another thread."""

    def caught() -> None:
        signal.signal(signal.SIGSYS, signal.SIG_IGN)
        KILLS["personality"]()

    def threaded() -> None:
        thread = threading.Thread(target=KILLS["personality"])
        thread.start()
        thread.join()

    assert confined(Role.ENCLAVE, caught) == BY_FILTER
    assert confined(Role.ENCLAVE, threaded, THREADS) == BY_FILTER


@pytest.mark.parametrize("role", [Role.ENCLAVE, Role.EXTENSION])
def test_an_x32_call_ends_the_process(role: Role) -> None:
    """The numbers of the other kind of x86-64, which mean nothing on aarch64; so do numbers of the future."""
    attempts = [lambda: ctypes.CDLL(None).syscall(X32_GETPID), lambda: ctypes.CDLL(None).syscall(4000)]
    for attempt in attempts:
        assert isinstance(forked(attempt), Done)
        assert confined(role, attempt) == BY_FILTER


def _map_code() -> object:
    return mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)


def _make_code() -> object:
    memory = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return kernel.syscall("mprotect", address, 4096, mmap.PROT_READ | mmap.PROT_EXEC)


REFUSED: Final[dict[str, Callable[[], object]]] = {
    "a socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).fileno() > 0,
    "a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).fileno() > 0,
    "fork": lambda: os.fork() or os._exit(0),
    "a program": lambda: subprocess.run(["/bin/true"], check=True).returncode,
    "exec": lambda: os.execv("/bin/true", ["true"]),  # noqa: S606
    "exec of a descriptor": lambda: kernel.syscall("execveat", -1, b"", None, None, 0x1000),
    "a signal to the parent": lambda: os.kill(os.getppid(), 0),
    "a signal to its group": lambda: os.killpg(0, 0),
    "the parent's limits": lambda: resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE),
    "its own limits": lambda: kernel.syscall("prlimit64", 0, resource.RLIMIT_CORE, ADDRESS, None),
    "the parent's affinity": lambda: os.sched_setaffinity(os.getppid(), os.sched_getaffinity(0)),
    "the parent's priority": lambda: os.setpriority(os.PRIO_PROCESS, os.getppid(), 0),
    "the parent's scheduling": lambda: os.sched_setscheduler(os.getppid(), os.SCHED_OTHER, os.sched_param(0)),
    "the parent's disk priority": lambda: kernel.syscall("ioprio_set", 1, os.getppid(), 0x4004),
    "a mode": lambda: os.chmod(tempfile.gettempdir() + "/nothing.here", 0o600),  # noqa: PTH101
    "a hard link": lambda: os.link("/nothing.here", "/nothing.there"),
    "a symbolic link": lambda: Path("/proc/nothing").symlink_to("/nothing.here"),
    "a file in memory": lambda: os.memfd_create("x"),
    "secret memory": lambda: kernel.syscall("memfd_secret", 0),
    "dumpable": lambda: kernel.prctl(kernel.PR_SET_DUMPABLE, 1),
    "code in a mapping": _map_code,
    "code in its memory": _make_code,
}
WORKS_UNLOCKED: Final = REFUSED.keys() - {"a mode", "a hard link", "a symbolic link", "exec of a descriptor"}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("role", [Role.ENCLAVE, Role.EXTENSION, Role.UI, Role.BROKER])
def test_what_people_do_by_mistake_raises_permission_error(role: Role, name: str) -> None:
    """And what an extension might do to others: each act works without the filter (A12, K3, I7)."""
    found = confined(role, REFUSED[name], THREADS)
    assert isinstance(found, Raised), found
    assert (found.kind, found.number in (errno.EPERM, errno.EACCES)) == ("PermissionError", True)


@pytest.mark.parametrize("name", sorted(WORKS_UNLOCKED))
def test_what_is_refused_would_work_without_the_filter(name: str) -> None:
    """The other half; what replaces the process by a program ends well."""
    assert isinstance(forked(REFUSED[name]), Done)


def test_a_callback_and_a_lazy_library_fail_without_ending_the_process() -> None:
    """A callback of ctypes needs executable memory: an error that can be handled."""

    def callback() -> str:
        with_code = ctypes.CFUNCTYPE(ctypes.c_int)
        try:
            return str(with_code(lambda: 5)())
        except (MemoryError, OSError) as problem:
            return type(problem).__name__

    assert confined(Role.ENCLAVE, callback) in (Done("MemoryError"), Done("5"))


def test_signals_to_oneself_arrive() -> None:
    """`raise_signal`, `kill` of one's own PID, and a thread of one's own; `abort` ends it as it should."""

    def act() -> str:
        found: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, _frame: found.append(number))
        signal.raise_signal(signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGUSR1)
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        return str(len(found))

    for role in Role:
        assert confined(role, act) == Done("3")

    def abort() -> None:
        faulthandler.disable()  # the end is expected
        os.abort()

    assert confined(Role.ENCLAVE, abort) == Killed(signal.SIGABRT)


# Descriptors.


@pytest.mark.parametrize("role", Role)
def test_only_a_broker_a_ui_and_an_errand_can_be_given_a_descriptor(
    role: Role, ends: tuple[socket.socket, socket.socket]
) -> None:
    """The packet arrives, what came with it is closed by the kernel; to ask for it is refused (I9)."""
    one, other = ends
    read, write = os.pipe()
    try:
        socket.send_fds(other, [b"gift"], [write])
        socket.send_fds(other, [b"gift"], [write])
    finally:
        os.close(write)

    def act() -> str:
        data = one.recv(16)
        try:
            _, descriptors, _, _ = socket.recv_fds(one, 16, 1)
        except PermissionError:
            return f"{data.decode()} and nothing"
        return f"{data.decode()} and {len(descriptors)}"

    given = role in (Role.BROKER, Role.UI, Role.ERRAND)
    assert confined(role, act) == Done("gift and 1" if given else "gift and nothing")
    while select.select([one], [], [], 0)[0]:  # refused: still there, and with it the other end of the pipe
        one.recv(16)
    assert os.read(read, 1) == b"", "nobody holds the other end"
    os.close(read)


def test_nobody_gives_a_descriptor_away(ends: tuple[socket.socket, socket.socket]) -> None:
    """And no packet goes with an out-of-band byte, which Unix sockets have had trouble with."""
    for role in Role:
        assert confined(role, lambda: socket.send_fds(ends[0], [b"x"], [0])) == Raised("PermissionError", errno.EPERM)
        assert confined(role, lambda: ends[0].send(b"x", socket.MSG_OOB)) == Raised("PermissionError", errno.EPERM)


def test_an_enclave_with_errands_gives_descriptors_to_its_peers_only(ends: tuple[socket.socket, socket.socket]) -> None:
    """Over its packet socket and a stream of its own; an address is ignored or refused, and no other pair is made."""
    elsewhere = b"\0" + os.urandom(16)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(elsewhere)

        def by_packet() -> str:
            read, write = os.pipe()
            sent = ends[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", write))])
            return f"{sent} {ends[0].sendmsg([b'y'], [], 0, elsewhere)} {read != write}"

        def by_stream() -> object:
            one, other = socket.socketpair()
            one.sendmsg([b"x"])
            return other.recv(1), one.sendmsg([b"x"], [], 0, elsewhere)

        def by_datagram() -> object:
            one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            return one.sendmsg([b"x"], [], 0, elsewhere)

        assert confined(Role.ENCLAVE, by_packet, errands=True) == Done("1 1 True")
        data, given, _, _ = socket.recv_fds(ends[1], 16, 1)
        assert (data, len(given), ends[1].recv(16)) == (b"x", 1, b"y"), "both came to the peer"
        os.close(given[0])
        assert confined(Role.ENCLAVE, by_stream, errands=True) == Raised("OSError", errno.EISCONN)
        assert forked(by_datagram) == Done("1")
        assert listening.recv(16) == b"x", "unconfined, a datagram pair reaches whom it likes"
        assert confined(Role.ENCLAVE, by_datagram, errands=True) == Raised("PermissionError", errno.EPERM)
        assert confined(Role.ENCLAVE, by_packet) == Raised("PermissionError", errno.EPERM)
        assert not select.select([listening], [], [], 0)[0]


# The network.


def test_a_declared_connection_works_and_no_other(tmp_path: Path) -> None:
    """TCP, UDP and Unix sockets, each against a listener of the test's own; nobody listens."""
    path = str(tmp_path / "s")
    "localhost".encode("idna")  # loads the codec, which a locked process could not
    tcp, udp, unix = socket.socket(), socket.socket(type=socket.SOCK_DGRAM), socket.socket(socket.AF_UNIX)
    with tcp, udp, unix:
        for each in (tcp, udp):
            each.bind(("127.0.0.1", 0))
        unix.bind(path)
        tcp.listen()
        unix.listen()

        def by_tcp() -> str:
            with socket.create_connection(tcp.getsockname(), 5) as end:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return str(end.send(b"hello"))

        def by_udp() -> str:
            with socket.socket(type=socket.SOCK_DGRAM) as end:
                return str(end.sendto(b"hello", udp.getsockname()))

        def by_unix() -> str:
            with socket.socket(socket.AF_UNIX) as end:
                end.connect(path)
                return str(end.send(b"hello"))

        acts = {"tcp": (by_tcp, "5"), "udp": (by_udp, "5"), "unix": (by_unix, "5")}
        refused = Raised("PermissionError", errno.EPERM)
        for declared in ("", *acts):
            sandbox = Sandbox(network=(declared,)) if declared else NOTHING
            for kind, (act, answer) in acts.items():
                for role in (Role.ENCLAVE, Role.EXTENSION):
                    assert confined(role, act, sandbox) == (Done(answer) if kind == declared else refused)
                assert confined(Role.BROKER, act, sandbox) == refused
    everything = Sandbox(network=("unix", "udp", "tcp"))
    assert confined(Role.ENCLAVE, lambda: socket.socket().listen(), everything) == refused
    assert confined(Role.ENCLAVE, lambda: socket.socket().bind(("127.0.0.1", 0)), everything) == refused
    mptcp = lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)  # noqa: E731
    assert confined(Role.ENCLAVE, mptcp, everything) == refused


# Programs.


def test_a_declared_program_runs_under_the_weaker_list(tmp_path: Path) -> None:
    """It starts others, pipes, waits, ends them; and it cannot trace, change its view, listen, or type."""

    def act() -> str:
        found = subprocess.run(
            ["/bin/sh", "-c", "(sleep 60 & kill $!; wait; echo one; echo two) | sort -r; (unshare -r true || echo no)"],
            check=True, capture_output=True, text=True, timeout=20,
        )  # fmt: skip
        process = subprocess.Popen(["/bin/sh", "-c", "read x"], stdin=subprocess.PIPE)
        process.terminate()
        code = process.wait(20)
        (tmp_path / "f").write_text("x")
        return f"{found.stdout.split()} {code}"

    assert confined(Role.ENCLAVE, act, SHELL) == Done(f"['two', 'one', 'no'] {-signal.SIGTERM}")
    for name in ("ptrace", "process_vm_readv", "keyctl", "bpf", "userfaultfd", "setns", "mount", "shmget"):
        found = confined(Role.ENCLAVE, KILLS[name], SHELL)
        assert found == Raised("PermissionError", errno.EPERM), name
    assert confined(Role.ENCLAVE, REFUSED["a socket"], SHELL) == Raised("PermissionError", errno.EPERM)
    assert confined(Role.ENCLAVE, lambda: os.killpg(0, 0), SHELL) == Raised("PermissionError", errno.EPERM)
    assert confined(Role.ENCLAVE, lambda: ctypes.CDLL(None).syscall(X32_GETPID), SHELL) == BY_FILTER
