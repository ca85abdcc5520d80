"""What a process gives up for good: root's powers, the gain of new ones, and being looked into.

May import: `messages`, `kernel`. Invariant: the evidence is what the kernel shows of every thread afterwards, whatever
the calls have answered.

Source: capabilities(7), prctl(2), proc(5).
"""

from __future__ import annotations

import errno
import os
import struct
from typing import Final

from trollbridge.actors.isolation import kernel
from trollbridge.messages.posture import Evidence, Mechanism, State

_VERSION_3: Final = 0x20080522
"""_LINUX_CAPABILITY_VERSION_3: 64 capabilities, in two halves."""
_MOST: Final = 64
_LOCKED_SECUREBITS: Final = 0xEF
"""NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE, each with its lock, and KEEP_CAPS_LOCKED: being root, or becoming
it, gives no capability any more."""
_HELD: Final = ("CapEff", "CapPrm", "CapInh", "CapAmb")


def _threads() -> list[dict[str, str]]:
    """Return /proc/self/task/*/status, field by field, of each thread."""
    found: list[dict[str, str]] = []
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208  # names only
        with open(f"/proc/self/task/{task}/status", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            found.append(dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line))
    return found


def _values(threads: list[dict[str, str]], field: str) -> str:
    return ", ".join(sorted({each.get(field, "?") for each in threads}))


def no_new_privileges() -> Evidence:
    """Make sure that no program that it executes can do more than this process: set-user-id and the like do nothing."""
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    value = _values(_threads(), "NoNewPrivs")
    text = f"NoNewPrivs: {value} in /proc/self/task/*/status"
    if value == "1":
        return Evidence(Mechanism.NO_NEW_PRIVILEGES, State.IN_FORCE, text)
    return Evidence(Mechanism.NO_NEW_PRIVILEGES, State.MISSING, text, "threads that ran before are not bound by it")


def drop() -> Evidence:
    """Give up every capability; a process of root keeps its user id, and nothing that comes with it.

    Goes on where it may not do a step: an ordinary user cannot empty the bounding set, which then gives nothing either,
    since no_new_privs is set as well.
    """
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    _tolerate(kernel.PR_CAP_AMBIENT, kernel.PR_CAP_AMBIENT_CLEAR_ALL)
    for each in range(_MOST):
        if not _tolerate(kernel.PR_CAPBSET_DROP, each):
            break
    _tolerate(kernel.PR_SET_SECUREBITS, _LOCKED_SECUREBITS)
    refused = _capset_refused()
    threads = _threads()
    held = {field: value for field in _HELD if (value := _values(threads, field)).strip("0")}
    if held:
        text = ", ".join(f"{field}: {value}" for field, value in held.items())
        remedy = refused or "threads that ran before keep theirs: drop them before any starts"
        return Evidence(Mechanism.NO_CAPABILITIES, State.MISSING, text, remedy)
    bound = _values(threads, "CapBnd")
    rest = "CapBnd too" if not bound.strip("0") else f"CapBnd {bound} gives none, since NoNewPrivs is 1"
    text = f"CapEff, CapPrm, CapInh, CapAmb are 0 in /proc/self/task/*/status, {rest}"
    return Evidence(Mechanism.NO_CAPABILITIES, State.IN_FORCE, text)


def _capset_refused() -> str:
    """Give up what is held; return why that was refused, if it was."""
    try:
        kernel.syscall("capset", struct.pack("=Ii", _VERSION_3, 0), bytes(24))
    except OSError as error:
        return f"a filter around this process refuses capset(2) ({error.strerror}): allow it there"
    return ""


def _tolerate(option: int, second: int) -> bool:
    """Call prctl; return whether it was allowed. Without CAP_SETPCAP, and past the last capability, it is not."""
    try:
        kernel.prctl(option, second)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EINVAL):
            return False
        raise
    return True


def non_dumpable() -> Evidence:
    """Refuse every look into this process to others of its user: ptrace, /proc/PID/mem and the like, core files."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    value = kernel.prctl(kernel.PR_GET_DUMPABLE)
    text = f"PR_GET_DUMPABLE: {value}"
    if value == 0:
        return Evidence(Mechanism.NON_DUMPABLE, State.IN_FORCE, text)
    return Evidence(Mechanism.NON_DUMPABLE, State.MISSING, text, "prctl(2) was refused")
