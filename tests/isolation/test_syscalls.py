"""The numbers of the system calls, held against an independent library and against the kernel itself."""

from __future__ import annotations

import os
import platform

import pytest
from seccompy import syscalls as independent

from trollbridge.actors.isolation import kernel
from trollbridge.actors.isolation.filters import policy
from trollbridge.actors.isolation.syscalls import TABLES, Architecture, UnknownSyscall, here, number
from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import Sandbox

INDEPENDENT = {
    Architecture.X86_64: independent.X86_64_SYSCALLS,
    Architecture.AARCH64: independent.AARCH64_SYSCALLS,
}

SANDBOXES = (
    Sandbox(),
    Sandbox(write=("/w",), network=("unix", "udp", "tcp"), threads=True),
    Sandbox(exec=("/bin/true",)),
)


@pytest.mark.parametrize("architecture", Architecture)
def test_every_number_is_the_one_that_an_independent_library_has(architecture: Architecture) -> None:
    """Name by name, on both architectures, whatever this machine is (I1)."""
    ours, theirs = TABLES[architecture], INDEPENDENT[architecture]
    common = ours.keys() & theirs.keys()
    assert {name: ours[name] for name in common} == {name: theirs[name] for name in common}
    named = {rule.name for role in Role for each in SANDBOXES for rule in policy(role, each, 1).rules}
    assert named & ours.keys() <= common, "no filter rests on a number that only we have"
    assert len(common) > 300, "the comparison compares something"


@pytest.mark.parametrize("architecture", Architecture)
def test_no_two_calls_share_a_number(architecture: Architecture) -> None:
    """A filter could not tell them apart."""
    numbers = list(TABLES[architecture].values())
    assert len(set(numbers)) == len(numbers)
    assert 0 <= min(numbers) <= max(numbers) < 600


def test_the_architectures_are_those_that_the_kernel_reports() -> None:
    """AUDIT_ARCH values of <linux/audit.h>, from the independent library too."""
    theirs = [independent.AUDIT_ARCH_X86_64, independent.AUDIT_ARCH_AARCH64]
    assert [each.value for each in Architecture] == theirs
    assert here() == independent.audit_arch()
    assert here().name == platform.machine().upper()


def test_a_call_by_number_reaches_the_kernel() -> None:
    """The table of this machine is the one in use."""
    assert kernel.syscall("getpid") == os.getpid()
    assert number("getpid") == TABLES[here()]["getpid"]


def test_a_call_that_does_not_exist_is_named() -> None:
    """An old call is absent from the newer architecture, and a misspelt one from both."""
    assert "open" in TABLES[Architecture.X86_64]
    assert "open" not in TABLES[Architecture.AARCH64]
    with pytest.raises(UnknownSyscall, match="no system call opne on"):
        number("opne")
