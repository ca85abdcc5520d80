"""Calls into the kernel that Python has no function for. The only module of this folder that goes through ctypes.

May import: the standard library, `syscalls`. Invariant: a call that fails raises `OSError` with its errno; nothing here
allocates a callback, which a locked process could not.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

from trollbridge.actors.isolation.syscalls import number

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
_LIBC.prctl.restype = ctypes.c_int

PR_SET_PDEATHSIG: Final = 1
PR_GET_DUMPABLE: Final = 3
PR_SET_DUMPABLE: Final = 4
PR_SET_NAME: Final = 15
PR_GET_SECCOMP: Final = 21
PR_CAPBSET_DROP: Final = 24
PR_SET_SECUREBITS: Final = 28
PR_SET_NO_NEW_PRIVS: Final = 38
PR_GET_NO_NEW_PRIVS: Final = 39
PR_CAP_AMBIENT: Final = 47
PR_CAP_AMBIENT_CLEAR_ALL: Final = 4

Argument = int | bytes | ctypes.Array[ctypes.c_char] | None


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def syscall(name: str, *arguments: Argument) -> int:
    """Make a system call by its name; integers and pointers are passed as they are. Raises `OSError`."""
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return _checked(_LIBC.syscall(ctypes.c_long(number(name)), *wide))


def prctl(option: int, second: int = 0, third: int = 0, fourth: int = 0, fifth: int = 0) -> int:
    """Ask for one of the options of a process, with integers only (prctl(2)); raises `OSError`."""
    rest = [ctypes.c_ulong(each) for each in (second, third, fourth, fifth)]
    return _checked(_LIBC.prctl(ctypes.c_int(option), *rest))


def set_name(name: str) -> None:
    """Name the calling thread, 15 bytes at most: what `ps` and `top` show."""
    _checked(_LIBC.prctl(ctypes.c_int(PR_SET_NAME), name.encode()[:15], *[ctypes.c_ulong(0)] * 3))
