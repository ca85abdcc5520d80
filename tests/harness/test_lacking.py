"""A kernel that lacks something, as far as a command can tell: it answers as asked, to descendants too, and goes."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from tests.conftest import descendants
from tests.harness.lacking import lacking, old_landlock

CALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    result = libc.syscall(ctypes.c_long(number), *(ctypes.c_long(each) for each in arguments))
    return result if result >= 0 else -ctypes.get_errno()
"""
LANDLOCK = 444
"""landlock_create_ruleset on every architecture that has it."""


def said(command: list[str]) -> str:
    """Return what a command prints; it must end well."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.strip()


def python(code: str) -> list[str]:
    """Return a command that runs a few lines."""
    return [sys.executable, "-I", "-c", CALL + code]


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM])
def test_a_call_that_is_lacking_fails_as_asked(number: int) -> None:
    """And one that is not named goes on as before."""
    code = python(f"print(call({LANDLOCK}, 0, 0, 1), os.getpid() > 0)")
    assert said(lacking(code, {"landlock_create_ruleset": number})) == f"-{number} True"


def test_several_calls_can_be_lacking_at_once() -> None:
    """Each with its own error, in a grandchild as well: the filter is inherited."""
    inner = f"import os; os._exit(0) if os.fork() else print(call({LANDLOCK}, 0, 0, 1))"
    outer = f"import subprocess; subprocess.run({python(inner)!r}, check=True)"
    refused = {"landlock_create_ruleset": errno.EPERM, "memfd_create": errno.EACCES}
    assert said(lacking(python(outer), refused)) == f"-{errno.EPERM}"
    attempt = "\ntry: os.memfd_create('x')\nexcept OSError as problem: print(problem.errno)"
    assert said(lacking(python(attempt), refused)) == str(errno.EACCES)


@pytest.mark.parametrize("abi", [1, 3, 6])
def test_landlock_can_be_as_old_as_asked(abi: int) -> None:
    """Only what it says of itself is changed; every process of the command is told the same, as often as it asks."""
    code = f"print([call({LANDLOCK}, 0, 0, 1) for _ in range(3)], call({LANDLOCK}, 0, 0, 0))"
    outer = f"import subprocess; subprocess.run({python(code)!r}, check=True)"
    for each in (code, outer):
        told, _, unchanged = said(old_landlock(python(each), abi)).rpartition(" ")
        assert told == f"[{abi}, {abi}, {abi}]"
        assert unchanged == said(python(f"print(call({LANDLOCK}, 0, 0, 0))"))


def test_the_process_is_the_command() -> None:
    """Its exit code and its PID are the command's; it has no child that it did not start."""
    code = "import sys\ntry: os.wait()\nexcept ChildProcessError: print(os.getpid(), flush=True)\nsys.exit(7)"
    with subprocess.Popen(old_landlock(python(code), 2), stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate(timeout=20)
    assert (process.returncode, output) == (7, f"{process.pid}\n")


def test_whoever_answers_ends_with_the_command() -> None:
    """Even if that is killed; conftest fails this test otherwise, and here it is seen to have been there."""
    with subprocess.Popen(
        old_landlock(python("print('up', flush=True)\nsys.stdin.read()"), 4),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert len(descendants() - {each for each in descendants() if each.pid == process.pid}) >= 1
        process.kill()
