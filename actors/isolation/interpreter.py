"""The execute-only start: a copy of the interpreter that may be executed and not read.

The kernel lets nobody look into a process that runs what its user may not read, from its first instruction on. Without
it, another process of the same user that opens /proc/PID/mem between the exec and the child's own prctl(2) keeps it,
whatever the child does afterwards.

May import: `messages`. Invariants: the copy is what `sys.executable` was when it was made; only a copy that has been
seen to start is given out; what is in force is told by the kernel for each process, not by the way it was started.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sys
import tempfile
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from trollbridge.messages.ids import Role
from trollbridge.messages.posture import Evidence, Mechanism, State

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MFD_EXEC: Final = 0x10
"""Of Linux 6.3; before it, EINVAL, and every memfd can be executed."""
_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_EXECUTE_ONLY: Final = 0o111
_LOWEST: Final = 64
"""The least number of the descriptor: above every one that a spawned process is given in its place."""
_CHUNK: Final = 1 << 30
_LIBRARY: Final = "/libpython"
_AS_ROOT: Final = "root reads every file; only root could look in, and root is trusted"


class Interpreter:
    """What to give `posix_spawn` for an interpreter, with `sys.executable` as the first argument.

    Whoever runs the copy owns it, and could give it the right to be read again where no filter forbids chmod: each
    start takes that right back, and `execute_only` sees it. So those who could never run the same copy as those who
    must be kept from them (`Interpreters`).
    """

    def __init__(self, descriptor: int, environment: Mapping[str, str], evidence: Evidence) -> None:
        """Take a descriptor of the copy, or -1 for none."""
        self._descriptor = descriptor
        self.environment: Final = dict(environment)
        """Variables that the copy needs to find its shared library; mostly none."""
        self.evidence: Final = evidence
        """How it was made, or why it could not be."""

    @classmethod
    def prepare(cls) -> Self:
        """Make the copy: in a sealed memfd, else in an unnamed file; else `path` is `sys.executable` itself."""
        refusals: list[str] = []
        environment = _environment()
        for kind, opened in _copies(refusals):
            if (wrong := _trial(opened, environment)) is None:
                return cls(opened, environment, _made(kind, os.fstat(opened).st_size))
            os.close(opened)
            refusals.append(f"{kind}: {wrong}")
        remedy = "allow executable memfds (sysctl vm.memfd_noexec=1 or 0), or mount the temporary folder without noexec"
        text = f"no copy could be made: {'; '.join(refusals)}"
        return cls(-1, {}, Evidence(Mechanism.EXECUTE_ONLY, State.MISSING, text, remedy))

    @property
    def path(self) -> str:
        """What to execute. Stays good until `close`, for any process that has this one's descriptors."""
        if self._descriptor < 0:
            return sys.executable
        path = f"/proc/self/fd/{self._descriptor}"
        os.chmod(path, _EXECUTE_ONLY)  # noqa: PTH101  # the descriptor may be of the kind that fchmod refuses
        return path

    def execute_only(self, pid: int) -> Evidence:
        """Return whether the kernel keeps a process that was just spawned from others of its user, as seen outside.

        To be called at once: after the process's own prctl(2) it looks the same. What tells is the owner of a file in
        its folder of /proc; the folder itself belongs to the user in either case (task_dump_owner in fs/proc/base.c).
        """
        if os.geteuid() == 0:
            return Evidence(Mechanism.EXECUTE_ONLY, State.NOT_NEEDED, _AS_ROOT)
        if self._descriptor < 0:
            return self.evidence
        try:
            owner = os.stat(f"/proc/{pid}/environ").st_uid  # noqa: PTH116
        except FileNotFoundError:
            return _hidden(pid)
        text = f"/proc/PID/environ belongs to user {owner} just after the exec"
        if owner != os.geteuid():
            return Evidence(Mechanism.EXECUTE_ONLY, State.IN_FORCE, text)
        return Evidence(Mechanism.EXECUTE_ONLY, State.MISSING, text, _why_readable())

    def close(self) -> None:
        """Let the copy go; processes that run it keep it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Interpreters(NamedTuple):
    """One copy for the processes whose filter forbids chmod, and one for those that may do what their user may."""

    keepers: Interpreter
    callers: Interpreter

    @classmethod
    def prepare(cls) -> Self:
        """Make both."""
        return cls(Interpreter.prepare(), Interpreter.prepare())

    def of(self, role: Role) -> Interpreter:
        """Return what a process of this role runs."""
        return self.keepers if role in (Role.BROKER, Role.ENCLAVE, Role.ERRAND) else self.callers

    def close(self) -> None:
        """Let both go."""
        self.keepers.close()
        self.callers.close()


def runs_from_copy() -> bool:
    """Return whether this process runs a copy of the interpreter that has no name."""
    return os.readlink("/proc/self/exe").endswith(" (deleted)")  # noqa: PTH115  # a memfd, or an unnamed file


def start_over() -> None:
    """Execute this very program again from an execute-only copy, unless it runs from one, or as root.

    Returns if no copy can be made. Whoever opened this process's memory before keeps the memory of a program that is
    no more.
    """
    if os.geteuid() == 0 or runs_from_copy():
        return
    copy = Interpreter.prepare()
    if copy.path != sys.executable:
        os.execve(copy.path, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **copy.environment})  # noqa: S606  # ourselves


def of_this_process() -> Evidence:
    """Return how this very process was started."""
    if os.geteuid() == 0:
        return Evidence(Mechanism.EXECUTE_ONLY, State.NOT_NEEDED, _AS_ROOT)
    if runs_from_copy():
        return Evidence(
            Mechanism.EXECUTE_ONLY, State.IN_FORCE, "it runs from a copy without a name that nobody may read"
        )
    remedy = "start the application by `trollbridge run`, which starts itself again from a copy"
    return Evidence(Mechanism.EXECUTE_ONLY, State.MISSING, "it runs from a file that may be read", remedy)


def _made(kind: str, size: int) -> Evidence:
    text = f"{kind}, mode 0111, {size} bytes"
    if os.geteuid() == 0:
        return Evidence(Mechanism.EXECUTE_ONLY, State.NOT_NEEDED, f"{text}; {_AS_ROOT}")
    return Evidence(Mechanism.EXECUTE_ONLY, State.IN_FORCE, text)


def _hidden(pid: int) -> Evidence:
    """Tell a process that is gone from one that a /proc mounted with hidepid hides, since it may not be looked into."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return Evidence(Mechanism.EXECUTE_ONLY, State.MISSING, "the process has ended", "its end is in the log")
    return Evidence(Mechanism.EXECUTE_ONLY, State.IN_FORCE, "/proc (hidepid) does not even show it to its user")


def _why_readable() -> str:
    with contextlib.suppress(OSError), open("/proc/sys/fs/suid_dumpable", encoding="utf-8") as file:  # noqa: PTH123
        if file.read().strip() == "1":
            return "this machine is set to debug what nobody may read: sysctl fs.suid_dumpable=0"
    return "it was started from a file that may be read"


def _copies(refusals: list[str]) -> Iterator[tuple[str, int]]:
    """Yield each copy that can be made, in the order of preference, with its kind; note why others cannot."""
    try:
        yield "a sealed memfd", _high(_sealed())
    except OSError as error:
        refusals.append(f"memfd: {error.strerror}")
    for folder in _folders():
        try:
            yield f"an unnamed file in {folder}", _high(_unnamed(folder))
        except OSError as error:
            refusals.append(f"{folder}: {error.strerror}")


def _folders() -> dict[str, None]:
    """Return where an unnamed file may lie; memory before disk."""
    found = (os.environ.get("XDG_RUNTIME_DIR"), "/dev/shm", tempfile.gettempdir(), os.environ.get("HOME"), "/var/tmp")  # noqa: S108  # the file has no name
    usable = [each for each in found if each and os.path.isdir(each)]  # noqa: PTH112
    return dict.fromkeys(each for each in usable if not os.statvfs(each).f_flag & os.ST_NOEXEC)


def _sealed() -> int:
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        made = os.memfd_create("python", flags | _MFD_EXEC)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        made = os.memfd_create("python", flags)
    try:
        _fill(made)
        fcntl.fcntl(made, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(made)
        raise
    return made


def _unnamed(folder: str) -> int:
    """Return a descriptor of a file without a name, which can be executed only once nobody holds it for writing."""
    made = os.open(folder, os.O_TMPFILE | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o700)
    try:
        _fill(made)
        return os.open(f"/proc/self/fd/{made}", os.O_PATH | os.O_CLOEXEC)
    finally:
        os.close(made)


def _fill(made: int) -> None:
    source = os.open(sys.executable, os.O_RDONLY | os.O_CLOEXEC)
    try:
        at = 0
        while count := os.sendfile(made, source, at, _CHUNK):
            at += count
    finally:
        os.close(source)
    os.fchmod(made, _EXECUTE_ONLY)


def _high(descriptor: int) -> int:
    """Move a descriptor to a number that no spawned process has a use for."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LOWEST)
    finally:
        os.close(descriptor)


def _environment() -> dict[str, str]:
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:  # noqa: PTH123
        mapped = maps.read()
    if _LIBRARY not in mapped:
        return {}
    with open(sys.executable, "rb") as file:  # noqa: PTH123  # small, where the library is shared
        return environment(mapped, file.read())


def environment(maps: str, program: bytes) -> dict[str, str]:
    """Return what a copy of `program` needs to find Python's shared library, in a process with the mappings `maps`.

    Nothing, unless the program looks for it beside itself ($ORIGIN, ld.so(8)): the copy lies nowhere.
    """
    found = [f"/{line.partition('/')[2]}" for line in maps.splitlines() if _LIBRARY in line]
    return {"LD_LIBRARY_PATH": os.path.dirname(found[0])} if found and b"$ORIGIN" in program else {}  # noqa: PTH120


def _trial(descriptor: int, environment: Mapping[str, str]) -> str | None:
    """Start the copy once, to print its version; return what was wrong."""
    null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_RDWR, 0)
    try:
        pid = os.posix_spawn(
            f"/proc/self/fd/{descriptor}",
            [sys.executable, "-V"],
            environment,
            file_actions=[null, (os.POSIX_SPAWN_DUP2, 1, 2)],
        )
    except OSError as error:
        return f"it cannot be executed: {error.strerror}"
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return None if code == 0 else f"it does not start ({code})"
