"""What the kernel and the loader open to start a program: itself, its interpreter, its libraries.

May import: our errors. Invariants: nothing is executed to find out, and no search path is consulted: a program is what
its absolute path says.
"""

from __future__ import annotations

import os
import stat
import struct
from typing import Final, NamedTuple

from trollbridge.messages.errors import DeclarationError

LIBRARIES: Final = (
    *("/lib", "/lib32", "/lib64", "/libx32", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/local/lib"),
    *("/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/usr/share/locale", "/usr/share/zoneinfo"),
)
"""What programs read before they do anything: libraries, the loader's cache, language and time zone."""
DEVICES: Final = ("/dev/null",)
"""What programs write to, and nobody can do harm with."""

_MOST_INTERPRETERS: Final = 5
"""A script may name a script as its interpreter, to this depth (<linux/fs/exec.c>)."""
_HEADER: Final = 256
"""Bytes of a file that the kernel looks at to find out what it is (BINPRM_BUF_SIZE)."""
_ELF: Final = b"\x7fELF"
_ELFCLASS64: Final = 2
_LITTLE_ENDIAN: Final = 1
_PT_INTERP: Final = 3
_LONGEST_PATH: Final = 4096


class ProgramPaths(NamedTuple):
    """What a sandbox must allow so that a program starts; absolute paths."""

    executable: tuple[str, ...]
    """Files that the kernel executes, the program first; the loader (ld.so) among them."""
    readable: tuple[str, ...]
    """Folders and files that they read, as far as they exist."""


def program_paths(path: str) -> ProgramPaths:
    """Return what starting the program at `path` takes; raises `DeclarationError` if it cannot be executed."""
    found: list[str] = []
    following = path
    while following and following not in found:
        if len(found) > _MOST_INTERPRETERS:
            msg = f"Sandbox(exec=[{path!r}]): its interpreters form a chain longer than the kernel follows"
            raise DeclarationError(msg)
        found.append(following)
        try:
            following = _interpreter(following)
        except DeclarationError as error:
            needed_for = "" if found[-1] == path else f" its interpreter {found[-1]}"
            msg = f"Sandbox(exec=[{path!r}]):{needed_for} {error}"
            raise DeclarationError(msg) from None
    return ProgramPaths(tuple(found), tuple(each for each in LIBRARIES if os.path.exists(each)))  # noqa: PTH110


def searched_for(path: str) -> str:
    """Return the program that a script asks `env` to search for; empty if it is no such script."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # the head of a file that may be anything
            words = _shebang(file.read(_HEADER))
    except PermissionError:
        return ""
    if not words or os.path.basename(words[0]) != "env":  # noqa: PTH119  # a string, not a file
        return ""
    wanted = [each for each in " ".join(words[1:]).split() if not each.startswith("-") and "=" not in each]
    return wanted[0] if wanted else ""


def _interpreter(path: str) -> str:
    """Return what the kernel starts in order to start `path`, or nothing; raises `DeclarationError`, unprefixed."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  # symlinks are followed, as the kernel does
    except OSError as error:
        msg = f"cannot be executed: {error.strerror}"
        raise DeclarationError(msg) from None
    if not stat.S_ISREG(mode) or not os.access(path, os.X_OK):
        msg = "is not an executable file"
        raise DeclarationError(msg)
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            head = file.read(_HEADER)
            if head.startswith(_ELF):
                return _loader(file.fileno(), head)
    except PermissionError:
        msg = "may be executed and not read, so what it needs cannot be found out"
        raise DeclarationError(msg) from None
    except (struct.error, UnicodeDecodeError, IndexError):
        msg = "is damaged: its ELF headers cannot be read"
        raise DeclarationError(msg) from None
    words = _shebang(head)
    if not words or not words[0].startswith("/"):
        msg = "is neither an ELF program nor a script that begins with #! and an absolute path"
        raise DeclarationError(msg)
    return words[0]


def _shebang(head: bytes) -> list[str]:
    """Return the interpreter and its argument, which is one word to the kernel; empty if this is no script."""
    if not head.startswith(b"#!"):
        return []
    return os.fsdecode(head[2:].split(b"\n", 1)[0]).strip(" \t").split(None, 1)


def _loader(descriptor: int, head: bytes) -> str:
    """Return the text of the segment PT_INTERP (elf(5)); empty for a program that is linked statically."""
    order = "<" if head[5] == _LITTLE_ENDIAN else ">"
    wide = head[4] == _ELFCLASS64
    word = order + ("Q" if wide else "I")
    (table,) = struct.unpack_from(word, head, 32 if wide else 28)
    size, count = struct.unpack_from(f"{order}HH", head, 54 if wide else 42)
    for index in range(count):
        entry = os.pread(descriptor, size, table + index * size)
        (kind,) = struct.unpack_from(f"{order}I", entry)
        if kind == _PT_INTERP:
            (offset,) = struct.unpack_from(word, entry, 8 if wide else 4)
            (length,) = struct.unpack_from(word, entry, 32 if wide else 16)
            return os.pread(descriptor, min(length, _LONGEST_PATH), offset).rstrip(b"\0").decode()
    return ""
