"""What the lock refused, in words: which call it was, and which line of the declaration would allow it.

May import: the standard library, `imports`. Invariant: it explains and decides nothing; what it shows of an argument is
a path, a program or the kind of a socket, never data.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

from trollbridge.actors.isolation.imports import ImportedLate

_WATCHED: Final = frozenset(
    {
        *("open", "os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"),
        *("os.link", "os.symlink", "os.chmod", "os.utime", "sqlite3.connect", "sqlite3.connect/handle"),
        *("socket.__new__", "socket.connect", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork"),
    }
)
"""Audit events of the interpreter (PEP 578) that a sandbox may stand behind."""
_PROGRAMS: Final = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork"})
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.ENOSYS})
_FAMILIES: Final = {1: "unix", 2: "tcp", 10: "tcp"}
_DATAGRAM: Final = 2
_NO_THREAD: Final = "can't start new thread"
"""What CPython says: not every version has an audit event for it."""
_LONGEST: Final = 200
"""Characters of a path that are shown."""

_last: list[tuple[str, tuple[object, ...]]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event in _WATCHED:
        _last[:] = [(event, arguments)]


def watch() -> None:
    """Remember from now on what the interpreter was last asked for; an audit hook cannot be removed."""
    sys.addaudithook(_note)


def forget() -> None:
    """Forget what was asked for before: what comes next is somebody else's call."""
    _last.clear()


def explain(error: BaseException | None) -> str:
    """Return what was refused and what to declare, in one line; empty if the lock has not refused anything."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        text = _explain(error)
        if text:
            return text
        error = error.__cause__ or error.__context__
    return ""


def _explain(error: BaseException) -> str:
    if isinstance(error, ImportedLate):
        return f"import {error.name}: import it at the top of the module, or in warm_up(), which run before the lock"
    if isinstance(error, RuntimeError) and str(error) == _NO_THREAD:
        return "start of a thread: add threads=True to its Sandbox"
    if not _last:
        return ""
    event, arguments = _last[0]
    if isinstance(error, OSError):
        return _advice(event, arguments, error) if error.errno in _REFUSED else ""
    if event.startswith("sqlite3.") and type(error).__module__ == "sqlite3":
        return _advice(event, arguments, error)
    return ""


def _advice(event: str, arguments: tuple[object, ...], error: BaseException) -> str:
    if event.startswith("socket."):
        return _socket_advice(arguments)
    if event in _PROGRAMS:
        program = _text(arguments[0]) if arguments else ""
        return f"{event}({program}): add exec=[{program or '…'}] to its Sandbox"
    named = error.filename if isinstance(error, OSError) and error.filename is not None else None
    path = named if named is not None else (arguments[0] if arguments else "")
    if not isinstance(path, str | bytes):
        return ""
    shown = _text(os.path.abspath(os.fsdecode(path)))  # noqa: PTH100  # a path that may not be looked at
    flags = arguments[2] if event == "open" and len(arguments) > 2 else None  # noqa: PLR2004  # (path, mode, flags)
    reads = event in ("os.listdir", "os.scandir") or (isinstance(flags, int) and flags & os.O_ACCMODE == os.O_RDONLY)
    return f"{event}({shown}): add {'read' if reads else 'write'}=[{shown}] to its Sandbox"


def _socket_advice(arguments: tuple[object, ...]) -> str:
    family, kind = (arguments[1], arguments[2]) if len(arguments) > 2 else (None, None)  # noqa: PLR2004  # (self, family, kind, protocol)
    entry = _FAMILIES.get(int(family), "") if isinstance(family, int) else ""
    if entry == "tcp" and isinstance(kind, int) and kind & 0xF == _DATAGRAM:
        entry = "udp"
    return f"socket: add network=[{entry!r}] to its Sandbox" if entry else "socket: no Sandbox allows this kind"


def _text(value: object) -> str:
    text = os.fsdecode(value) if isinstance(value, str | bytes) else str(value)
    return repr(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")
