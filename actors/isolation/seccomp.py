"""The system calls of this process, restricted for good: the last mechanism of the lock.

May import: our messages, `bpf`, `filters`, `kernel`, `syscalls`. Invariant: a filter holds for every thread of the
process or is not there at all, and nothing takes it back.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import bpf, filters, kernel
from trollbridge.actors.isolation.syscalls import here
from trollbridge.messages.posture import Evidence, Mechanism, State

if TYPE_CHECKING:
    from trollbridge.messages.ids import Role
    from trollbridge.messages.sandbox import Sandbox

SET_MODE_FILTER: Final = 1
TSYNC: Final = 1
"""SECCOMP_FILTER_FLAG_TSYNC: all threads of the process, or none."""
_FILTER_MODE: Final = 2
_INSTRUCTION: Final = 8

_WEAKER: Final = (
    "exec=[…] is declared, and programs cannot live under the list of allowed calls; leave exec empty, and start "
    "programs in an actor that holds no secret"
)
_REMEDIES: Final = {
    errno.ENOSYS: "the kernel has no seccomp(2), or an outer filter (a container's) hides it: allow seccomp there",
    errno.EINVAL: "the kernel is built without CONFIG_SECCOMP_FILTER: use one that has it",
    errno.EPERM: "an outer filter (a container's) refuses seccomp(2): allow it there",
    errno.EACCES: "no_new_privs is not set, and could not be: an outer filter refuses prctl(2): allow it there",
    errno.ESRCH: "another thread has a filter of its own: start no thread before the lock",
}


class _Program(ctypes.Structure):
    """A struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def load(program: bytes, flags: int = TSYNC) -> int:
    """Have the kernel filter this process's calls by `program` from now on; return what seccomp(2) does.

    Raises `OSError`: EACCES without no_new_privs, ESRCH if a thread could not follow.
    """
    length = len(program) // _INSTRUCTION
    if not 0 < length <= bpf.LONGEST or len(program) % _INSTRUCTION:
        raise OSError(errno.EINVAL, "no whole program of at most 4096 instructions")
    argument = _Program(length, program)
    result = kernel.syscall("seccomp", SET_MODE_FILTER, flags, ctypes.addressof(argument))
    if flags & TSYNC and result:
        msg = f"thread {result} has a filter of its own"
        raise OSError(errno.ESRCH, msg)
    return result


def install(role: Role, sandbox: Sandbox, *, errands: bool = False) -> Evidence:
    """Restrict this process for good to what its role and its sandbox need, and its errands; say what is in force.

    Sets no_new_privs if it is not set. Raises nothing that a kernel could cause: a refusal is the evidence.
    """
    try:
        policy = filters.policy(role, sandbox, os.getpid(), errands=errands)
        program = bpf.translate(policy, here())
        if not kernel.prctl(kernel.PR_GET_NO_NEW_PRIVS):
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        load(program)
        mode = kernel.prctl(kernel.PR_GET_SECCOMP)
    except OSError as problem:
        remedy = _REMEDIES.get(problem.errno or 0, "the kernel refuses a filter, and says no more than that")
        return Evidence(Mechanism.SECCOMP, State.MISSING, f"seccomp(2): {problem.strerror}", remedy)
    if mode != _FILTER_MODE:
        return Evidence(Mechanism.SECCOMP, State.MISSING, f"PR_GET_SECCOMP: {mode}", "the kernel dropped the filter")
    text = f"{filters.describe(policy)}; PR_GET_SECCOMP: {mode}"
    if filters.strict(policy):
        return Evidence(Mechanism.SECCOMP, State.IN_FORCE, text)
    return Evidence(Mechanism.SECCOMP, State.WEAKER, text, _WEAKER)
