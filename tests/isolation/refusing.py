"""A kernel that refuses one call: a filter of four instructions, so that the error is the kernel's own.

Independent of the filters that are tested: classic BPF as in <linux/filter.h>, laid on by prctl(2).
"""

from __future__ import annotations

import ctypes
import struct

from trollbridge.actors.isolation import kernel
from trollbridge.actors.isolation.syscalls import number

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ERRNO, _ALLOW = 0x0005_0000, 0x7FFF_0000


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def refuse(call: str, error: int) -> None:
    """Have the kernel answer `call` with `error` in this process from now on; 0: it pretends to have done it."""
    instructions = (
        (_LOAD, 0, 0, 0),  # the number of the call, at the beginning of struct seccomp_data
        (_JUMP_IF_EQUAL, 0, 1, number(call)),
        (_RETURN, 0, 0, _ERRNO | error),
        (_RETURN, 0, 0, _ALLOW),
    )
    text = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in instructions))
    program = _Program(len(instructions), ctypes.addressof(text))
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program))
