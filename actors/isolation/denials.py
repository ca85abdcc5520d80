"""What the lock refused, in words: which call it was, and which line of the declaration would allow it.

May import: our messages, `failing`, `hints`, `imports`. Invariant: it explains and decides nothing; what it
shows of an argument is a path, a program, a port or the kind of a socket, never data.
"""

from __future__ import annotations

import encodings.aliases
import errno
import socket
import sys
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import failing, hints, imports
from trollbridge.actors.isolation.hints import FILES, PROGRAMS, SOCKETS, Asked
from trollbridge.actors.isolation.imports import ImportedLate
from trollbridge.messages.sandbox import NOTHING

if TYPE_CHECKING:
    from trollbridge.messages.sandbox import Sandbox

_DATABASE: Final = "sqlite3.connect"
_NO_THREAD: Final = "can't start new thread"
"""What CPython says: not every version has an audit event for it."""
_WHERE: Final = "at the top of the module, or in warm_up(), which run before the lock"
_ENCODINGS: Final = frozenset(encodings.aliases.aliases.values()) | {"idna", "punycode", "utf_8_sig", "charmap"}
_LOOKUPS: Final = frozenset({"getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"})
_ZONES: Final = "/usr/share/zoneinfo"
_NO_ACCESS: Final = frozenset({3, 8, 14})
"""SQLITE_PERM, SQLITE_READONLY, SQLITE_CANTOPEN."""

_sandbox: list[Sandbox] = []
"""The one that this process is locked by; empty before the lock."""
_last: list[Asked] = []
_databases: list[object] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    if event in FILES:
        _last[:] = [Asked(event, arguments)]
    elif event in SOCKETS:
        _last[:] = [Asked(event, arguments[1:])]  # not the socket, which would live longer
    elif event in PROGRAMS:
        _last[:] = [Asked(event, () if event == "os.system" else arguments[:1])]  # no argument of it, no environment
    elif event == _DATABASE:
        _databases[:] = arguments[:1]


def watch(sandbox: Sandbox = NOTHING) -> None:
    """Remember from now on what the interpreter was last asked for; an audit hook cannot be removed.

    `sandbox`: the resolved one, by which the process is locked.
    """
    if not _sandbox:
        sys.addaudithook(_note)
    _sandbox[:] = [sandbox]


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
    if isinstance(error, ImportError):
        return _of_import(error)
    if not _sandbox:
        return ""
    sandbox = _sandbox[0]
    if isinstance(error, RuntimeError):
        return "start of a thread: add threads=True to its Sandbox" if _thread(error, sandbox) else ""
    if type(error) is LookupError:
        return _of_encoding(error)
    if type(error).__module__ == "sqlite3":
        return _of_database(error, sandbox)
    return _of_call(error, sandbox) if isinstance(error, OSError) else ""


def _thread(error: RuntimeError, sandbox: Sandbox) -> bool:
    return str(error) == _NO_THREAD and not sandbox.threads


def _of_import(error: ImportError) -> str:
    if isinstance(error, ImportedLate):
        wanted = error.wanted
    else:  # `from package import module` says so in words of its own
        package, _, name = imports.refused().rpartition(".")
        if not package or error.name != package or f"'{name}'" not in str(error):
            return ""
        wanted = imports.refused()
    if "zoneinfo._common" in failing.modules(error):
        if hints.covers(_sandbox[0].read if _sandbox else (), _ZONES):
            return ""  # there is no zone of that name
        return f"zoneinfo reads files: {hints.add('read', [_ZONES])}, or look its zones up in warm_up()"
    return f"import {wanted}: import it {_WHERE}"


def _of_encoding(error: LookupError) -> str:
    """Return the hint for an encoding whose module is not loaded; only names of Python's own are shown."""
    if failing.call(error).rpartition(".")[2] in _LOOKUPS:
        return hints.of_name(_sandbox[0])
    package, _, name = imports.refused().rpartition(".")
    if package != "encodings" or name not in _ENCODINGS or not str(error).startswith("unknown encoding"):
        return ""
    return f"encoding {name}: it is a module too; import encodings.{name} {_WHERE}"


def _of_database(error: BaseException, sandbox: Sandbox) -> str:
    code: object = getattr(error, "sqlite_errorcode", None)
    if not isinstance(code, int) or code & 0xFF not in _NO_ACCESS:
        return ""
    if _databases:
        return hints.of_database(hints.text_of(_databases[0]), sandbox)
    return "sqlite3: add the folder of its database, with / at the end, as write=['…/'] to its Sandbox"


def _of_call(error: OSError, sandbox: Sandbox) -> str:
    if isinstance(error, socket.gaierror):
        return hints.of_lookup(sandbox)
    if error.errno == errno.ENOENT:
        if failing.modules(error)[-1:] == ("tempfile",) and error.filename is None:
            return "tempfile: no folder may be written in; give dir=… one of its own, and add write=['…/'] for that"
        return hints.of_home(error)
    moved = error.errno == errno.EXDEV and error.filename2 is not None  # what Landlock says of two folders
    if not isinstance(error, PermissionError) and error.errno != errno.ENOSYS and not moved:
        return ""
    asked = _last[0] if _last else Asked("", ())
    text = hints.of_home(error) or hints.never(error)
    if not text and asked.event in PROGRAMS:
        text = hints.of_program(asked, error, sandbox)
    if not text and error.filename is not None:
        text = hints.of_file(asked, error, sandbox)
    if not text and asked.event in SOCKETS and error.filename is None:
        text = hints.of_socket(asked, error, sandbox)
    return text or ("" if moved else hints.of_call(error))
