"""What the filter of a host adds to that of an enclave, and what the program of a host is left."""

from __future__ import annotations

import errno
import os

import pytest

from tests.isolation.confined import Done, Raised, confined, forked
from tests.isolation.judge import says
from trollbridge.actors.hosts import beneath
from trollbridge.actors.isolation import bpf, deny_list, filters, kernel, seccomp
from trollbridge.actors.isolation.bpf import Allow, Checked, Errno, Policy
from trollbridge.actors.isolation.syscalls import here
from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox

PID = 4711
FILES = Sandbox(read=("/r",), write=("/w",))
SHELL = Sandbox(exec=("/bin/sh",))
EPERM = Errno(errno.EPERM)


def _actions(policy: Policy) -> dict[str, object]:
    return {rule.name: rule.action for rule in policy.rules}


@pytest.mark.parametrize("sandbox", [Sandbox(read=("/r",)), FILES])
def test_a_host_with_files_has_openat2_and_inotify_beyond_an_enclave_and_nothing_else(sandbox: Sandbox) -> None:
    """S1, S2: these and no more; without a declared file, a host has what an enclave has."""
    host, enclave = (_actions(filters.policy(role, sandbox, PID)) for role in (Role.HOST, Role.ENCLAVE))
    differing = {name for name in host.keys() | enclave.keys() if host.get(name) != enclave.get(name)}
    assert differing == {
        *("openat2", "inotify_init1", "inotify_add_watch", "inotify_rm_watch", "readlink", "readlinkat"),
    }
    assert {type(host[name]) for name in differing} == {Allow}
    bare = (_actions(filters.policy(role, NOTHING, PID)) for role in (Role.HOST, Role.ENCLAVE))
    assert next(bare) == next(bare)


def test_a_host_that_runs_programs_may_group_and_end_them_and_nothing_else() -> None:
    """A16: four rules differ from what any other actor with programs has."""
    host, enclave = (filters.policy(role, SHELL, PID) for role in (Role.HOST, Role.ENCLAVE))
    one, other = _actions(host), _actions(enclave)
    assert {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)} == {
        *("setpgid", "kill", "pidfd_open", "prctl"),
    }
    assert says(host, "setpgid", 0, 0) == Allow()
    assert says(host, "setpgid", 0, 1) == says(host, "setpgid", 7, 0) == says(host, "setsid") == EPERM
    assert [says(host, "kill", pid) for pid in (5, -5)] == [Allow(), Allow()]
    assert [says(host, "kill", pid) for pid in (0, -1)] == [EPERM, EPERM]
    assert says(host, "prctl", 1, 9) == Allow()
    assert says(host, "prctl", 36, 1) == says(host, "prctl", 4, 1) == EPERM


def test_a_program_of_a_host_has_the_list_that_every_program_has() -> None:
    """A16: it neither leaves its group nor signals one; alone, it starts no process, and has its threads."""
    usual, alone = deny_list.programs(alone=False), deny_list.programs(alone=True)
    one, other = _actions(usual), _actions(deny_list.policy(frozenset(), 0))
    assert {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)} == {
        *("memfd_create", "memfd_secret"),
    }
    for policy in (usual, alone):
        for name in ("setpgid", "setsid", "pidfd_open", "socket", "ptrace", "unshare", "inotify_add_watch"):
            assert says(policy, name, 0, 0) == EPERM, name
        assert says(policy, "kill", -5) == says(policy, "prctl", 1, 9) == says(policy, "prctl", 36, 1) == EPERM
        assert says(policy, "prlimit64", PID, 7, 1) == EPERM
        assert says(policy, "clone", 0x3D_0F00) == Allow()
    assert [says(usual, name) for name in ("fork", "vfork", "clone")] == [Allow(), Allow(), Allow()]
    assert [says(alone, name) for name in ("fork", "vfork", "clone")] == [EPERM, EPERM, EPERM]
    assert says(alone, "clone", 0x4111) == EPERM  # what posix_spawn passes: VM, VFORK and the signal
    assert says(alone, "clone", 0x1_0000 | 0x1000_0000) == EPERM  # a thread in a namespace of its own
    assert isinstance(_actions(alone)["clone"], Checked)


def test_a_program_of_a_host_has_no_memory_that_its_limit_does_not_count() -> None:
    """A56: a file in memory is in no address space until it is mapped; alone or not, and whatever its flags are."""
    for policy in (deny_list.programs(alone=False), deny_list.programs(alone=True)):
        assert [says(policy, "memfd_create", 0, flags) for flags in (0, 8, 1)] == [EPERM] * 3
        assert says(policy, "memfd_secret", 0) == Errno(errno.ENOSYS)
        assert says(policy, "shmget", 0, 1) == says(policy, "mq_open") == EPERM

    def act() -> int:
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        seccomp.load(bpf.translate(deny_list.programs(alone=True), here()), 0)
        return os.memfd_create("x", 8)

    assert forked(act) == Raised("PermissionError", errno.EPERM)


def test_a_kernel_without_openat2_is_told_before_anything_is_opened() -> None:
    """S2: where a filter hides the call, as a container's may, the host does not start."""
    assert confined(Role.ENCLAVE, beneath.check_kernel, Sandbox(read=("/usr",))) == Raised("DeclarationError")
    assert confined(Role.HOST, beneath.check_kernel, Sandbox(read=("/usr",))) == Done("None")


def test_a_host_ends_a_group_and_cannot_signal_its_own() -> None:
    """The kernel's word for the table above."""

    def act() -> str:
        found: list[str] = []
        for name, arguments in (("kill", (0, 0)), ("kill", (-1, 0)), ("kill", (-0x3FFF_FFFF, 0)), ("setsid", ())):
            try:
                kernel.syscall(name, *arguments)
            except OSError as error:
                found.append(errno.errorcode[error.errno or 0])
        return " ".join(found)

    assert confined(Role.HOST, act, SHELL) == Done("EPERM EPERM ESRCH EPERM")
