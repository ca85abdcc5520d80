"""Processes for tests of the vault's file: one forked to do one thing, and killed where the test says."""

from __future__ import annotations

import ctypes
import os
import signal
import traceback
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_TRACEME: Final = 0  # <sys/ptrace.h>
_SYSCALL: Final = 24
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def _ptrace(request: int, pid: int) -> None:
    if _LIBC.ptrace(request, pid, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def _run(function: Callable[[], str], answer: int) -> None:
    try:
        text = function()
    except BaseException:  # noqa: BLE001  # it is the parent that judges
        text = traceback.format_exc()
    os.write(answer, text.encode())


def in_child(function: Callable[[], str]) -> str:
    """Run `function` in a forked process and return what it returned, or its traceback."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _run(function, writer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        text = stream.read().decode()
    os.waitpid(pid, 0)
    return text


def killed_at(prepare: Callable[[], Callable[[], object]], step: int) -> bool:
    """Run what `prepare` returns in a forked process and kill it with SIGKILL at its `step`-th stop at a system call.

    Every system call stops twice: before it is carried out, and after. Returns False if it ended before that.
    """
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            function = prepare()
            _ptrace(_TRACEME, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
            function()
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSTOPPED(status), status
    for _ in range(step):
        _ptrace(_SYSCALL, pid)
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            return False
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True
