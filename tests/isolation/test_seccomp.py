"""The filter in the kernel: it holds for the whole process and for good, and what is in force is told truthfully."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

import pytest

from tests.harness.lacking import lacking
from tests.isolation.confined import BY_FILTER, Done, Fate, Raised, forked
from trollbridge.actors.isolation import kernel, seccomp
from trollbridge.actors.isolation.bpf import Allow, Errno, Policy, Rule, translate
from trollbridge.actors.isolation.syscalls import Architecture, here, number
from trollbridge.messages.ids import Role
from trollbridge.messages.posture import Mechanism, State
from trollbridge.messages.sandbox import NOTHING, Sandbox

SHELL: Final = Sandbox(exec=("/bin/sh",))


def _evidence(role: Role, sandbox: Sandbox) -> Fate:
    def act() -> str:
        evidence = seccomp.install(role, sandbox)
        return f"{evidence.mechanism.name} {evidence.state.name} {evidence.evidence} {evidence.remedy}"

    return forked(act)


def test_the_evidence_says_what_is_in_force() -> None:
    """In force with the list; weaker, with the reason, for a sandbox that declares programs (R9, R12)."""
    strict, weaker = _evidence(Role.ENCLAVE, NOTHING), _evidence(Role.ENCLAVE, SHELL)
    assert isinstance(strict, Done)
    assert isinstance(weaker, Done)
    assert strict.value.startswith("SECCOMP IN_FORCE ")
    assert strict.value.endswith("everything else kills; PR_GET_SECCOMP: 2 ")
    assert weaker.value.startswith("SECCOMP WEAKER ")
    assert "exec=[…] is declared" in weaker.value


def test_the_kernel_says_so_from_outside() -> None:
    """`Seccomp: 2` and `NoNewPrivs: 1` in /proc/PID/status, which the supervisor reads."""
    ready, tell = os.pipe()
    go, wait = os.pipe()

    def act() -> None:
        seccomp.install(Role.ENCLAVE, NOTHING)
        os.write(tell, b"x")
        os.read(go, 1)

    pid = os.fork()
    if pid == 0:
        act()
        os._exit(0)
    try:
        assert os.read(ready, 1) == b"x"
        status = Path(f"/proc/{pid}/status").read_text()
    finally:
        os.write(wait, b"x")
        os.waitpid(pid, 0)
        for each in (ready, tell, go, wait):
            os.close(each)
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert (fields["Seccomp"], fields["NoNewPrivs"]) == ("2", "1")


def test_a_filter_holds_for_every_thread_of_the_process() -> None:
    """One that was started before it, too."""

    def act() -> str:
        locked, found = threading.Event(), list[str]()

        def later() -> None:
            locked.wait()
            try:
                socket.socket()
            except PermissionError:
                found.append("refused")

        thread = threading.Thread(target=later)
        thread.start()
        seccomp.install(Role.EXTENSION, NOTHING)
        locked.set()
        thread.join()
        return str(found)

    assert forked(act) == Done("['refused']")


def test_a_thread_that_cannot_follow_is_an_error_and_no_filter_is_laid_on() -> None:
    """TSYNC is all or nothing."""
    program = translate(Policy((Rule("getppid", Errno(errno.EPERM)),), Allow()), here())

    def act() -> str:
        ready, done, raised = threading.Event(), threading.Event(), ""

        def apart() -> None:
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            seccomp.load(program, flags=0)  # of this thread alone
            ready.set()
            done.wait()

        thread = threading.Thread(target=apart)
        thread.start()
        ready.wait()
        evidence = seccomp.install(Role.EXTENSION, NOTHING)
        done.set()
        thread.join()
        with socket.socket() as free:
            raised = str(free.fileno() > 0)
        return f"{evidence.state.name} {evidence.remedy} {raised}"

    assert forked(act) == Done("MISSING another thread has a filter of its own: start no thread before the lock True")


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        ({"seccomp": errno.ENOSYS}, "no seccomp(2), or an outer filter"),
        ({"seccomp": errno.EINVAL}, "CONFIG_SECCOMP_FILTER"),
        ({"seccomp": errno.EPERM}, "an outer filter (a container's) refuses seccomp(2)"),
        ({"prctl": errno.EPERM}, "an outer filter (a container's) refuses"),
        ({"seccomp": errno.E2BIG}, "the kernel refuses a filter"),
    ],
)
def test_a_kernel_that_refuses_is_reported_with_a_remedy(refused: dict[str, int], words: str) -> None:
    """Nothing is raised, nothing is claimed (R9): run where the calls really fail."""
    code = (
        "from trollbridge.actors.isolation import seccomp\n"
        "from trollbridge.messages.ids import Role\n"
        "from trollbridge.messages.sandbox import NOTHING\n"
        "found = seccomp.install(Role.ENCLAVE, NOTHING)\n"
        "print(found.mechanism.name, found.state.name, found.remedy)\n"
    )
    command = lacking([sys.executable, "-I", "-c", code], refused)
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout
    assert output.startswith(f"{Mechanism.SECCOMP.name} {State.MISSING.name} ")
    assert words in output


def test_a_machine_without_a_table_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """On another architecture nothing is guessed (R9)."""
    here.cache_clear()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "", "6.1", "", "riscv64")))
    try:
        evidence = seccomp.install(Role.ENCLAVE, NOTHING)
    finally:
        here.cache_clear()
    assert evidence.state is State.MISSING
    assert evidence.evidence == "seccomp(2): no table of system calls for riscv64 with 64 bits"


def test_what_is_no_program_is_not_loaded() -> None:
    """Half an instruction, none, too many, and one that the kernel does not take."""
    for program in (b"", b"1234567", bytes(8 * 4097)):
        with pytest.raises(OSError, match="no whole program"):
            seccomp.load(program)
    astray = struct.pack("<HBBI", 0x05, 0, 0, 7)  # jumps behind its end

    def act() -> None:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        seccomp.load(astray)

    assert forked(act) == Raised("OSError", errno.EINVAL)


def test_an_ordinary_process_needs_no_new_privileges_first() -> None:
    """`install` sets it; `load` alone is refused without, unless an outer process has set it for good."""
    program = translate(Policy((), Allow()), here())

    def act() -> int:
        if os.geteuid() == 0:
            os.setresuid(65534, 65534, 65534)  # and with it every capability
        return seccomp.load(program)

    inherited = kernel.prctl(kernel.PR_GET_NO_NEW_PRIVS)
    assert forked(act) == (Done("0") if inherited else Raised("PermissionError", errno.EACCES))


def test_a_filter_stays_for_good() -> None:
    """A second one can only take more away; and what the first refuses is refused before the second is asked."""
    allow = translate(Policy((), Allow()), here())

    def act() -> str:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        seccomp.load(translate(Policy((Rule("getppid", Errno(errno.EPERM)),), Allow()), here()))
        seccomp.load(allow)
        try:
            return str(kernel.syscall("getppid"))
        except PermissionError:
            return "refused"

    assert forked(act) == Done("refused")


def test_a_foreign_program_kills() -> None:
    """One made for the other architecture: the first thing that it looks at is wrong."""
    other = Architecture.AARCH64 if here() is Architecture.X86_64 else Architecture.X86_64

    def act() -> None:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        seccomp.load(translate(Policy((), Allow()), other))

    assert forked(act) == BY_FILTER


def test_every_number_of_a_policy_is_the_kernels() -> None:
    """A policy that refuses one call with an odd error refuses that very call, for a few that are safe to make."""
    for name in ("getpid", "getppid", "sched_yield", "getuid", "umask", "getcwd"):

        def act(name: str = name) -> object:
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            seccomp.load(translate(Policy((Rule(name, Errno(errno.EXFULL)),), Allow()), here()))
            return ctypes.CDLL(None).syscall(number(name), 0, 0) == -1

        assert forked(act) == Done("True")
