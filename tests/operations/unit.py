"""What a unit of systemd leaves a service of the kernel, laid around a command without systemd as the first process.

`SystemCallFilter=` is read as systemd.exec(5) says, its sets come from `systemd-analyze` itself, and the filter is an
independent library's. MemoryDenyWriteExecute= is laid on by prctl(2), as systemd does it. Imports nothing of ours.
"""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from platform import machine
from typing import TYPE_CHECKING, Final, NoReturn

from seccompy import syscalls

if TYPE_CHECKING:
    from collections.abc import Sequence

_PR_SET_MDWE: Final = 65
_REFUSE_EXEC_GAIN: Final = 1


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze(1)."""
    command = ["/usr/bin/env", "systemd-analyze", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def directives(text: str, name: str) -> list[str]:
    """Return the values of a directive, in their order."""
    return [value.strip() for key, _, value in (line.partition("=") for line in text.splitlines()) if key == name]


def _members(name: str, sets: dict[str, list[str]]) -> set[str]:
    """Return the calls of a set, those of the sets in it too; a call stands for itself."""
    if not name.startswith("@"):
        return {name}
    return {call for each in sets[name] for call in _members(each, sets)}


def _sets() -> dict[str, list[str]]:
    """Return every set that systemd knows, as `systemd-analyze syscall-filter` prints them."""
    told = analyze("syscall-filter").stdout
    found: dict[str, list[str]] = {}
    name = ""
    for line in told.splitlines():
        if line.startswith("@"):
            name = line.split()[0]
            found[name] = []
        elif line.startswith("    ") and name and not line.strip().startswith("#"):
            found[name].append(line.strip())
    return found


def allowed(text: str) -> set[str]:
    """Return the calls that a unit leaves: the first list allows, `~` takes away, a later list adds."""
    sets, left = _sets(), set[str]()
    for value in directives(text, "SystemCallFilter"):
        named = {call for each in value.removeprefix("~").split() for call in _members(each, sets)}
        left = left - named if value.startswith("~") else left | named
    return left


def refused(text: str) -> dict[str, int]:
    """Return the calls of this machine that a unit refuses, each with its error, for `lacking`."""
    table = syscalls.X86_64_SYSCALLS if machine() == "x86_64" else syscalls.AARCH64_SYSCALLS
    return dict.fromkeys(set(table) - allowed(text), errno.EPERM)


def without_new_code(command: Sequence[str]) -> list[str]:
    """Return a command that runs `command` where no memory that was writable becomes executable."""
    return [sys.executable, "-I", __file__, *command]


def main(*command: str) -> NoReturn:
    """Lay it on, and become the command."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_MDWE)")
    os.execv(command[0], command)  # noqa: S606  # that is what it is for


if __name__ == "__main__":
    main(*sys.argv[1:])
