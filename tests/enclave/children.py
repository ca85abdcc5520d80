"""Processes for tests of the vault's file: one forked to do one thing, and what its death at any point leaves."""

from __future__ import annotations

import ctypes
import itertools
import os
import signal
import tempfile
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Found = TypeVar("Found")

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


def _files(folder: Path) -> dict[Path, bytes]:
    return {each.relative_to(folder): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def _laid(files: dict[Path, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)


def _system_calls(prepare: Callable[[], Callable[[], object]]) -> Iterator[None]:
    """Run what `prepare` returns in a forked process that stands still before each system call; killed when closed."""
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
    running = True
    try:
        _, status = os.waitpid(pid, 0)
        assert os.WIFSTOPPED(status), status
        for stop in itertools.count():
            _ptrace(_SYSCALL, pid)
            _, status = os.waitpid(pid, 0)
            if not os.WIFSTOPPED(status):
                running = False
                assert status == 0, status
                return
            assert os.WSTOPSIG(status) == signal.SIGTRAP, status
            if stop % 2 == 0:  # each call stops twice: before and after it
                yield
    finally:
        if running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def at_each_death(
    prepare: Callable[[], Callable[[], object]], folder: Path, examine: Callable[[Path], Found]
) -> list[Found]:
    """Return what `examine` finds in what SIGKILL would leave, before each system call of what `prepare` returns.

    The process stands still there, and what lies in `folder` is copied; `examine` gets a folder with the copy. So each
    death costs no run of its own. Between two calls nothing changes on a disk, and what is left twice is examined once.
    """
    found: list[Found] = []
    last: dict[Path, bytes] | None = None
    for _ in _system_calls(prepare):
        files = _files(folder)
        if files == last:
            found.append(found[-1])
            continue
        last = files
        with tempfile.TemporaryDirectory() as left:
            _laid(files, Path(left))
            found.append(examine(Path(left)))
    return found
