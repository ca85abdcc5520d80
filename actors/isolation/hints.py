"""Which line of a `Sandbox` would have allowed what the kernel refused, or why there is none, for each kind of call.

May import: our messages, `failing`, `never`. Invariants: what it proposes is an entry that a `Sandbox` takes; what it
shows of an argument is a path, a program or a port, never data.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final, NamedTuple, TypeGuard

from trollbridge.actors.isolation import failing
from trollbridge.actors.isolation.never import NEVER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trollbridge.messages.sandbox import Sandbox


class Asked(NamedTuple):
    """What the interpreter was asked for: an audit event (PEP 578)."""

    event: str
    arguments: tuple[object, ...]


FILES: Final = frozenset(
    {
        *("open", "os.listdir", "os.scandir", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate"),
        *("os.link", "os.symlink", "os.chmod", "os.chown", "os.utime", "os.chdir"),
    }
)
SOCKETS: Final = frozenset({"socket.__new__", "socket.connect", "socket.bind"})
PROGRAMS: Final = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork", "os.forkpty"})

_LISTS: Final = frozenset({"os.listdir", "os.scandir"})
_RENAMES: Final = frozenset({"os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink"})
"""What changes folders, rather than files."""
_LINKS: Final = frozenset({"os.link", "os.symlink"})
_LOOKS: Final = frozenset({"stat", "lstat"})
_UNDECLARABLE: Final = ("/proc", "/sys")
_EVERYBODYS: Final = frozenset({"/", "/home", "/root", "/etc", "/usr", "/var", "/tmp", "/var/tmp", "/dev", "/dev/shm"})  # noqa: S108  # never proposed
_FAMILIES: Final = {1: "unix", 2: "tcp", 10: "tcp"}
_DATAGRAM: Final = 2
_PLAIN_NAMES: Final = frozenset({"os", "posix", "signal", "resource", "mmap", "fcntl", "select", "socket", "_socket"})
"""Modules whose functions are calls of the kernel."""
_FORKS: Final = frozenset({"fork", "forkpty", "fork_exec"})
_TCP: Final = "add network=['tcp'] to its Sandbox, or narrower ['tcp:PORT'] with the number of the port"
_LONGEST: Final = 200
"""Characters of a path that are shown."""


def shown(path: str) -> str:
    """Return a path as a string of Python, cut short."""
    return repr(path if len(path) <= _LONGEST else f"{path[:_LONGEST]}…")


def text_of(value: object) -> str:
    """Return a path as a string; empty for what is none."""
    return os.fsdecode(value) if _is_path(value) else ""


def _is_path(value: object) -> TypeGuard[str | bytes | os.PathLike[str]]:
    return isinstance(value, str | bytes | os.PathLike)


def _is_tuple(value: object) -> TypeGuard[tuple[object, ...]]:
    return isinstance(value, tuple)


def absolute(path: str) -> str:
    """Return a path that may not be looked at, as an absolute one."""
    try:
        return os.path.abspath(path)  # noqa: PTH100  # a string throughout
    except OSError:  # the current folder is gone
        return path


def add(kind: str, entries: Iterable[str]) -> str:
    """Return the advice to add entries."""
    return f"add {kind}=[{', '.join(map(shown, entries))}] to its Sandbox"


def covers(entries: Iterable[str], path: str) -> bool:
    """Return whether a path is one of the entries, or lies in one; links are not followed."""
    return any(path == each.rstrip("/") or path.startswith(each.rstrip("/") + "/") for each in entries)


# Files.


def of_file(asked: Asked, error: OSError, sandbox: Sandbox) -> str:
    """Return the hint for a file or folder; empty if the error names none."""
    paths = [text for each in (error.filename, error.filename2) if (text := text_of(each))]
    if not paths:
        return ""
    if asked.event not in FILES or paths[0] not in map(text_of, asked.arguments):
        return _looked_at(failing.call(error), absolute(paths[0]), sandbox)
    paths = [absolute(each) for each in (paths[1:] if asked.event == "os.symlink" else paths)]
    name = asked.event.removeprefix("os.")
    if name in NEVER and not (sandbox.exec and asked.event in {*_LINKS, "os.truncate"}):
        return f"{asked.event}({shown(paths[0])}): {NEVER[name]}"
    kind, needed = _needed(asked, paths)
    if asked.event == "open" and covers(sandbox.write, paths[0]):
        needed = paths  # a file that is declared itself
    if error.errno == errno.EXDEV and not _missing(kind, needed, sandbox):
        return ""  # two file systems, as it says
    return _file_line(f"{asked.event}({shown(paths[0])})", kind, needed, sandbox)


def _needed(asked: Asked, paths: list[str]) -> tuple[str, list[str]]:
    """Return whether it reads or writes, and the path or the folders that it takes."""
    flags = asked.arguments[2] if asked.event == "open" and len(asked.arguments) > 2 else 0  # noqa: PLR2004  # (path, mode, flags)
    if not isinstance(flags, int):
        flags = 0
    if asked.event in _RENAMES or flags & os.O_CREAT:
        folders = [f"{os.path.dirname(each).rstrip('/')}/" for each in paths]  # noqa: PTH120
        own = asked.event == "os.mkdir" and _everybodys(folders[0])
        return "write", [f"{paths[0]}/"] if own else folders
    if asked.event in _LISTS or (asked.event == "open" and not flags & (os.O_ACCMODE | os.O_TRUNC)):
        return "read", paths
    return "write", paths


def _file_line(what: str, kind: str, needed: list[str], sandbox: Sandbox) -> str:
    if any(covers(_UNDECLARABLE, each) for each in needed):
        return f"{what}: it shows other processes or the kernel, and cannot be declared"
    missing = _missing(kind, needed, sandbox)
    if not missing:
        return (
            f"{what}: its Sandbox covers it, but its user may not {kind} it (or a link leads out of what is declared)"
        )
    if kind == "write" and any(_everybodys(each) for each in missing):
        return f"{what}: it lies among everybody's things; give it a folder of its own, and add write=['…/'] for that"
    return f"{what}: {add(kind, missing)}"


def _missing(kind: str, needed: list[str], sandbox: Sandbox) -> list[str]:
    entries = sandbox.write if kind == "write" else (*sandbox.read, *sandbox.write)
    return [each for each in dict.fromkeys(needed) if not covers(entries, each.rstrip("/"))]


def _everybodys(path: str) -> bool:
    folder = path.rstrip("/") or "/"
    return path.endswith("/") and (folder in _EVERYBODYS or folder == os.path.expanduser("~"))  # noqa: PTH111


def _looked_at(name: str, path: str, sandbox: Sandbox) -> str:
    last = name.rpartition(".")[2]
    if last in NEVER:
        return f"{name}({shown(path)}): {NEVER[last]}"
    if last in _LOOKS and (sandbox.read or sandbox.write or sandbox.exec):  # then the lock forbids nobody to look
        return f"{name}({shown(path)}): its user may not look at it"
    return _file_line(f"{name or 'a call'}({shown(path)})", "read", [path], sandbox)


def of_home(error: OSError) -> str:
    """Return the hint for a path with a `~` that nobody has expanded; empty if there is none."""
    path = text_of(error.filename)
    if "~" not in path.split("/"):
        return ""
    return f"{shown(path)}: ~ is not expanded in a path that is opened; write os.path.expanduser({shown(path)})"


def of_database(database: str, sandbox: Sandbox) -> str:
    """Return the hint for a database of SQLite, which needs its folder for the journal."""
    path, _, options = database.removeprefix("file:").partition("?" if database.startswith("file:") else "\0")
    if not path or path == ":memory:":
        return ""
    path = absolute(path)
    what = f"sqlite3.connect({shown(path)})"
    if "mode=ro" in options or "immutable=1" in options:
        return _file_line(what, "read", [path], sandbox)
    return _file_line(what, "write", [f"{os.path.dirname(path).rstrip('/')}/"], sandbox)  # noqa: PTH120


# The network.


def of_socket(asked: Asked, error: OSError, sandbox: Sandbox) -> str:
    """Return the hint for a socket; empty if the sandbox allows what was asked for."""
    if asked.event == "socket.bind" or _listens(error):
        return f"listening: {NEVER['listen']}"
    if asked.event == "socket.connect":
        return _connect_line(asked.arguments, sandbox)
    family, kind = asked.arguments[:2] if len(asked.arguments) > 1 else (None, None)
    entry = _FAMILIES.get(int(family), "") if isinstance(family, int) else ""
    if entry == "tcp" and isinstance(kind, int) and kind & 0xF == _DATAGRAM:
        entry = "udp"
    if not entry:
        return "socket: no Sandbox allows this kind"
    if entry in {each.partition(":")[0] for each in sandbox.network}:
        return ""
    return f"socket: {_TCP if entry == 'tcp' else add('network', [entry])}"


def _listens(error: OSError) -> bool:
    names = {*failing.functions(error), failing.call(error).rpartition(".")[2]}
    return bool(names & {"create_server", "start_server", "listen", "bind", "accept"}) or (
        "socketserver" in failing.modules(error)
    )


def _connect_line(arguments: tuple[object, ...], sandbox: Sandbox) -> str:
    address = arguments[0] if arguments else None
    if isinstance(address, str | bytes):
        return "socket.connect: its user may not connect to this Unix socket, or it has an abstract name of another's"
    port = address[1] if _is_tuple(address) and len(address) > 1 else None
    entry = f"tcp:{port}" if isinstance(port, int) else "tcp"
    if not any(each.startswith("tcp") for each in sandbox.network):
        return ""  # no TCP socket could be made
    if "tcp" in sandbox.network or entry in sandbox.network:
        return f"socket.connect(port {port}): its Sandbox allows it; a firewall of this machine refuses the address"
    return f"socket.connect(port {port}): {add('network', [entry])}"


def of_name(sandbox: Sandbox) -> str:
    """Return the hint for the name of a host that could not even be encoded: no network at all is declared."""
    return "" if sandbox.network else f"looking up a host: {_TCP}"


def of_lookup(sandbox: Sandbox) -> str:
    """Return the hint for the name of a host that could not be looked up; empty if that was possible."""
    files = ("/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf")
    entries = (*sandbox.read, *sandbox.write)
    missing = [each for each in files if not covers(entries, each)]
    network = [] if "udp" in sandbox.network else ["udp"]
    if not missing and not network:
        return ""
    parts = [f"read=[{', '.join(map(repr, missing))}]"] if missing else []
    parts += [f"network={network}"] if network else []
    return f"looking up a host's name: add {' and '.join(parts)} to its Sandbox"


# Programs, and everything else.


def of_program(asked: Asked, error: OSError, sandbox: Sandbox) -> str:
    """Return the hint for a program that is to be started; empty if none is."""
    if asked.event in ("os.fork", "os.forkpty"):
        return "" if sandbox.exec else f"{asked.event}: {NEVER['fork']}"
    program = _program(asked.arguments[0]) if asked.arguments else "/bin/sh"
    if error.filename is not None and _program(error.filename) != program:
        return ""
    if program in sandbox.exec or program in map(os.path.basename, sandbox.exec):
        text = (
            f"{asked.event}({shown(program)}): its Sandbox covers it, but its user may not execute it or what it needs"
        )
        return "" if error.filename is None else text
    found = program if program.startswith("/") else _found(program)
    entry = shown(found) if found else f"the absolute path of {program}"
    partial = "" if sandbox.exec else ' and least="partial" to its Child(…)'
    return f"{asked.event}({shown(program)}): add exec=[{entry}] to its Sandbox{partial}"


def _program(given: object) -> str:
    text = text_of(given)
    return absolute(text) if "/" in text else text


def _found(name: str) -> str:
    """Return where a program lies that the search path finds; empty if that may not be looked at."""
    for folder in os.get_exec_path():
        path = os.path.join(folder, name)  # noqa: PTH118
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116
        except OSError:
            continue
        if path.startswith("/") and mode & 0o111:
            return path
    return ""


def of_call(error: OSError) -> str:
    """Return why no sandbox allows the call that failed; empty if it is none of the kernel's."""
    name = failing.call(error)
    first, _, last = name.rpartition(".")
    if last in NEVER:
        return f"{name}: {NEVER[last]}"
    return f"{name}: no Sandbox allows this call as it is made" if first in _PLAIN_NAMES else ""


def never(error: OSError) -> str:
    """Return `of_call`, if the call alone says it, whatever was asked for before."""
    last = failing.call(error).rpartition(".")[2]
    return of_call(error) if error.filename is None and last in NEVER and last not in _FORKS else ""
