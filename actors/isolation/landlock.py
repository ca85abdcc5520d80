"""Landlock: which files, TCP ports and processes the kernel lets a process reach, as its `Sandbox` says.

May import: `messages`, `kernel`, `programs`. Invariants: what is not declared is refused, every right that the kernel
can handle being handled; the evidence tells what was opened, under its real name, and a refusal that was tried.

Source: Documentation/userspace-api/landlock.rst and <linux/landlock.h> of Linux 6.18.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import stat
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.actors.isolation import kernel, programs
from trollbridge.messages.errors import DeclarationError, UsageError
from trollbridge.messages.posture import Evidence, Mechanism, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trollbridge.messages.sandbox import Sandbox


class Access(enum.IntFlag):
    """What a process may do with files: LANDLOCK_ACCESS_FS_*."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    """Rename or link from one folder to another; without it always refused."""
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


class Network(enum.IntFlag):
    """What a process may do with TCP: LANDLOCK_ACCESS_NET_*."""

    BIND_TCP = 1 << 0
    CONNECT_TCP = 1 << 1


class Scope(enum.IntFlag):
    """What a process may not reach of processes outside its sandbox: LANDLOCK_SCOPE_*."""

    ABSTRACT_UNIX_SOCKET = 1 << 0
    SIGNAL = 1 << 1


READ: Final = Access.READ_FILE | Access.READ_DIR
WRITE: Final = (
    READ
    | (Access.WRITE_FILE | Access.TRUNCATE | Access.REMOVE_DIR | Access.REMOVE_FILE | Access.REFER)
    | (Access.MAKE_DIR | Access.MAKE_REG | Access.MAKE_SOCK | Access.MAKE_FIFO | Access.MAKE_SYM)
)
EXECUTE: Final = Access.EXECUTE | Access.READ_FILE
OF_FILES: Final = Access.EXECUTE | Access.WRITE_FILE | Access.READ_FILE | Access.TRUNCATE | Access.IOCTL_DEV
"""The rights that a rule for a file, rather than a folder, may give."""

_ACCESS_SINCE: Final = {Access.REFER: 2, Access.TRUNCATE: 3, Access.IOCTL_DEV: 5}
_NETWORK_SINCE: Final = 4
_SCOPES_SINCE: Final = 6
_ALL_THREADS_SINCE: Final = 8
_KERNELS: Final = {1: "5.13", 2: "5.19", 3: "6.2", 4: "6.7", 5: "6.10", 6: "6.12", 7: "6.15", 8: "7.0"}
"""Each version of Landlock's interface (ABI), and the Linux that brought it."""
_GAPS: Final = {
    3: "emptying files that may only be read",
    4: "TCP ports",
    5: "device controls (ioctl)",
    6: "signals to other processes and abstract Unix sockets",
}
"""What only this ABI and later ones cover. A seccomp list without these calls closes it as well."""

_CREATE_VERSION: Final = 1 << 0
_RULE_PATH_BENEATH: Final = 1
_RULE_NET_PORT: Final = 2
_RESTRICT_ALL_THREADS: Final = 1 << 3
_WHY_NONE: Final = {
    errno.ENOSYS: "this kernel is older than Linux 5.13, or was built without Landlock: run a kernel that has it",
    errno.EOPNOTSUPP: "it was not enabled when this kernel was started: add landlock to its lsm= parameter",
    errno.EPERM: "a filter around this process refuses it: allow landlock_* in the container's seccomp profile",
}


class Ruleset(NamedTuple):
    """What is handled, and so refused unless a rule allows it: struct landlock_ruleset_attr."""

    files: Access
    network: Network
    scopes: Scope

    def pack(self) -> bytes:
        """Return its 24 bytes; a kernel that knows fewer accepts zeros in the rest."""
        return struct.pack("=QQQ", self.files, self.network, self.scopes)


def _version() -> int | OSError:
    try:
        return kernel.syscall("landlock_create_ruleset", None, 0, _CREATE_VERSION)
    except OSError as error:
        return error


def abi() -> int:
    """Return the version of the kernel's Landlock interface; 0 if it has none."""
    found = _version()
    return found if isinstance(found, int) else 0


def why_none() -> str:
    """Return why there is no Landlock, and what to change; empty if there is one."""
    found = _version()
    if isinstance(found, int):
        return ""
    return _WHY_NONE.get(found.errno or 0, f"the kernel answered: {found.strerror}")


def needed(sandbox: Sandbox) -> int:
    """Return the least ABI that covers whatever the sandbox leaves its process the system calls for.

    Who may execute nothing and has no network has none left by which to use what the first ABI does not cover.
    """
    return max(_relevant(sandbox), default=1)


def _relevant(sandbox: Sandbox) -> set[int]:
    if sandbox.exec:
        return set(_GAPS)
    kinds = {each.partition(":")[0] for each in sandbox.network}
    return {since for kind, since in (("tcp", _NETWORK_SINCE), ("unix", _SCOPES_SINCE)) if kind in kinds}


def ruleset(sandbox: Sandbox, version: int) -> Ruleset:
    """Return what is handled for a sandbox under an ABI: everything that it knows, but `tcp` leaves ports alone."""
    files, network, scopes = Access(0), Network(0), Scope(0)
    for each in Access:
        if _ACCESS_SINCE.get(each, 1) <= version:
            files |= each
    if version >= _NETWORK_SINCE:
        network = Network.BIND_TCP if "tcp" in sandbox.network else Network.BIND_TCP | Network.CONNECT_TCP
    if version >= _SCOPES_SINCE:
        scopes = Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL
    return Ruleset(files, network, scopes)


def prepare(sandbox: Sandbox) -> None:
    """Make the missing folders of `write`, those that end in `/`, and check the rest; raises `DeclarationError`.

    `sandbox` is resolved. A folder that is made is for its owner only, and so are those around it that are made.
    """
    for path in sandbox.read:
        _check("read", path)
    for path in sandbox.write:
        if path.endswith("/"):
            _make(path)
        else:
            _check("write", path)
    searched = {os.path.basename(path) for path in sandbox.exec}  # noqa: PTH119
    for path in sandbox.exec:
        programs.program_paths(path)
        name = programs.searched_for(path)
        if name and os.path.basename(name) not in searched:  # noqa: PTH119
            msg = f"Sandbox(exec=[{path!r}]) is a script that asks env for {name}: declare the path of {name} too"
            raise DeclarationError(msg)
        _keep_apart(path, sandbox.write)


def _check(kind: str, path: str) -> None:
    try:
        os.stat(path)  # noqa: PTH116  # strings throughout, as the declaration has them
    except FileNotFoundError:
        what = "is a symbolic link to nothing" if os.path.islink(path) else "does not exist"  # noqa: PTH114
        advice = "make it, or end it with / to have it made as a folder" if kind == "write" else "make it first"
        msg = f"Sandbox({kind}=[{path!r}]) {what}: {advice}"
    except OSError as error:
        msg = f"Sandbox({kind}=[{path!r}]) cannot be looked at: {error.strerror}"
    else:
        return
    raise DeclarationError(msg)


def _make(path: str) -> None:
    """Make a folder, and those around it, where they are missing."""
    missing: list[str] = []
    folder = path.rstrip("/")
    while folder and not os.path.lexists(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)  # noqa: PTH120
    try:
        for each in reversed(missing):
            with contextlib.suppress(FileExistsError):  # another member's process was faster
                os.mkdir(each, 0o700)  # noqa: PTH102
        os.stat(path)  # noqa: PTH116  # with its slash, which only a folder may have
    except OSError as error:
        what = "is a symbolic link to nothing" if os.path.islink(folder) else f"cannot be made: {error.strerror}"  # noqa: PTH114
        if os.path.isfile(folder) and not missing:  # noqa: PTH113
            what = "is a file: write it without the / at its end"
        msg = f"Sandbox(write=[{path!r}]) {what}"
        raise DeclarationError(msg) from None


def _keep_apart(program: str, writable: Sequence[str]) -> None:
    """Refuse a program that could be replaced by whoever may execute it: it would stand for any program."""
    real = os.path.realpath(program)
    for path in writable:
        folder = os.path.realpath(path)
        if real == folder or real.startswith(folder.rstrip("/") + "/"):
            msg = f"Sandbox(exec=[{program!r}]) lies in write=[{path!r}]: what may be executed must not be writable"
            raise DeclarationError(msg)


def restrict(sandbox: Sandbox, readable: Sequence[str] = (), *, executable: Sequence[str] = ()) -> Evidence:
    """Refuse this process, and all that it will start, every file and port that is not declared; for good.

    `sandbox` is resolved and prepared. `readable` and `executable`: what our own code needs besides; readable paths
    that do not exist are left out. Sets no_new_privs. Returns what is in force. Raises `DeclarationError` if a path
    has vanished, `UsageError` if other threads run, which an ABI before 8 would leave free.
    """
    version = abi()
    if not version:
        return Evidence(Mechanism.LANDLOCK, State.MISSING, "no Landlock", why_none())
    flags = _RESTRICT_ALL_THREADS if version >= _ALL_THREADS_SINCE else 0
    try:
        count = 1 if flags else len(os.listdir("/proc/self/task"))  # noqa: PTH208  # names only
    except OSError as error:
        text = f"ABI {version}, and the threads cannot be counted: {error}"
        return Evidence(Mechanism.LANDLOCK, State.MISSING, text, "let the process read /proc")
    if count != 1:
        msg = f"Landlock ABI {version} would bind one of {count} threads: restrict the process before it starts others"
        raise UsageError(msg)
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    wanted = ruleset(sandbox, version)
    try:
        rules = kernel.syscall("landlock_create_ruleset", wanted.pack(), len(wanted.pack()), 0)
        try:
            opened = [_allow(rules, path, each, wanted.files) for path, each in _grants(sandbox, readable, executable)]
            if wanted.network & Network.CONNECT_TCP:
                _allow_ports(rules, sandbox)
            kernel.syscall("landlock_restrict_self", rules, flags)
        finally:
            os.close(rules)
    except OSError as error:
        return Evidence(Mechanism.LANDLOCK, State.MISSING, f"ABI {version}, refused: {error.strerror}", _refusal(error))
    return _evidence(sandbox, version, opened)


def nested(sandbox: Sandbox) -> int:
    """Return the descriptor of a ruleset for a program of this process's, to reach no more than `sandbox` says.

    It is laid on by `enter`, in between fork and exec, on top of this process's own. -1 if there is no Landlock. Raises
    `DeclarationError` if a path has vanished, `OSError` if the kernel refuses.
    """
    version = abi()
    if not version:
        return -1
    wanted = ruleset(sandbox, version)
    rules = kernel.syscall("landlock_create_ruleset", wanted.pack(), len(wanted.pack()), 0)
    try:
        for path, access in _grants(sandbox, (), ()):
            _allow(rules, path, access, wanted.files)
    except BaseException:
        os.close(rules)
        raise
    return rules


def enter(rules: int) -> None:
    """Restrict this process by a ruleset of `nested`; raises `OSError`. It has no_new_privs already."""
    if rules >= 0:
        kernel.syscall("landlock_restrict_self", rules, 0)


def _refusal(error: OSError) -> str:
    if error.errno == errno.E2BIG:
        return "16 sandboxes already lie one inside the other, the most that the kernel takes"
    return _WHY_NONE.get(error.errno or 0, "see landlock(7)")


def _grants(sandbox: Sandbox, readable: Sequence[str], executable: Sequence[str]) -> Iterator[tuple[str, Access]]:
    for path in (*sandbox.read, *(each for each in readable if os.path.exists(each))):  # noqa: PTH110
        yield path, READ
    for path in sandbox.write:
        yield path, WRITE
    started = [programs.program_paths(path) for path in (*sandbox.exec, *executable)]
    for path in dict.fromkeys(each for program in started for each in program.executable):
        yield path, EXECUTE
    for path in dict.fromkeys(each for program in started for each in program.readable):
        yield path, READ
    if started:
        for path in programs.DEVICES:
            yield path, WRITE


def _allow(rules: int, path: str, access: Access, handled: Access) -> tuple[str, Access]:
    """Add the rule for one path; return the real path that was opened, and what it was given."""
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)  # the one moment in which symbolic links are followed
    except OSError as error:
        msg = f"the sandbox's path {path!r} cannot be opened: {error.strerror}"
        raise DeclarationError(msg) from None
    try:
        mode = os.fstat(opened).st_mode
        given = access & handled
        if not stat.S_ISDIR(mode):
            given &= OF_FILES
        if stat.S_ISCHR(mode) and access & Access.WRITE_FILE:
            given |= Access.IOCTL_DEV & handled  # a device that is itself declared: a terminal is of no use without
        attributes = struct.pack("=Qi", given, opened)
        kernel.syscall("landlock_add_rule", rules, _RULE_PATH_BENEATH, attributes, 0)
        return os.readlink(f"/proc/self/fd/{opened}"), given  # noqa: PTH115
    finally:
        os.close(opened)


def _allow_ports(rules: int, sandbox: Sandbox) -> None:
    for entry in sandbox.network:
        if entry.startswith("tcp:"):
            attributes = struct.pack("=QQ", Network.CONNECT_TCP, int(entry.removeprefix("tcp:")))
            kernel.syscall("landlock_add_rule", rules, _RULE_NET_PORT, attributes, 0)


def _evidence(sandbox: Sandbox, version: int, opened: Sequence[tuple[str, Access]]) -> Evidence:
    """Try what must now be refused, and say what is in force."""
    try:
        os.close(os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except PermissionError:
        tried = "opening / was refused"
    else:
        text = f"ABI {version} took the rules, and yet / can be opened"
        return Evidence(Mechanism.LANDLOCK, State.MISSING, text, "report it: the kernel does not keep its word")
    text = f"ABI {version}: {_opened(sandbox, opened)}; {tried}"
    gaps = [f"{_GAPS[each]} (from Linux {_KERNELS[each]})" for each in sorted(_relevant(sandbox)) if each > version]
    if not gaps:
        return Evidence(Mechanism.LANDLOCK, State.IN_FORCE, text)
    return Evidence(Mechanism.LANDLOCK, State.WEAKER, text, f"not covered by this kernel: {', '.join(gaps)}")


def _opened(sandbox: Sandbox, opened: Sequence[tuple[str, Access]]) -> str:
    """Return what may be reached, in words."""
    verbs = {"writes": Access.WRITE_FILE, "executes": Access.EXECUTE, "reads": Access.READ_FILE}
    found: dict[str, list[str]] = {verb: [] for verb in reversed(verbs)}
    for path, given in opened:
        verb = next(verb for verb, right in verbs.items() if given & right)
        if path not in found[verb]:
            found[verb].append(path)
    parts = [f"{verb} {', '.join(paths)}" for verb, paths in found.items() if paths]
    ports = [f"connects to {each}" for each in sandbox.network if each.startswith("tcp")]
    return ", ".join([*parts, *ports, "nothing else" if parts or ports else "no file, no program, no TCP port"])
