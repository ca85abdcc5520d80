"""Another process of the same user, aimed at the processes of the running application: rows K3 and I9.

May import: our actors' isolation, the stage, what a row is. Invariants: what is done to the application's processes
only reads, and changes nothing even where it works; each attack is shown to be live on a process of the attacker's own.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import kernel
from trollbridge.messages.ids import BROKER, SUPERVISOR
from trollbridge.ui_adapter.attack.catalogue import Position
from trollbridge.ui_adapter.attack.ring_trial import NotTried, Row, row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trollbridge.ui_adapter.attack.ring_stage import Stage
    from trollbridge.ui_adapter.attack.ring_trial import Run

OUTSIDER: Final = Position.OUTSIDER
WORKS: Final = "works"
PATIENCE: Final = 10.0
_SEIZE: Final = 0x4206
_COMPARE_FILES: Final = 2
_NOWHERE: Final = 4096
"""An address that nothing is mapped at: who may read gets EFAULT."""
_ENTRY: Final = "import sys; from trollbridge.ui_adapter.attack.ring_outsider import main; main(sys.argv[1:])"


# What the outsider's own process does.


def _open_memory(pid: int) -> None:
    os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY))


def _read_file(name: str) -> Callable[[int], None]:
    def act(pid: int) -> None:
        descriptor = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
        try:
            os.read(descriptor, 64)
        finally:
            os.close(descriptor)

    return act


def _list_descriptors(pid: int) -> None:
    os.listdir(f"/proc/{pid}/fd")  # noqa: PTH208  # the error is what counts


def _follow_link(pid: int) -> None:
    os.readlink(f"/proc/{pid}/cwd")  # noqa: PTH115  # the system call


def _seize(pid: int) -> None:
    kernel.syscall("ptrace", _SEIZE, pid, 0, 0)  # does not stop it, and ends with this process


def _read_memory(pid: int) -> None:
    ours = ctypes.create_string_buffer(8)
    here = struct.pack("=QQ", ctypes.addressof(ours), 8)
    try:
        kernel.syscall("process_vm_readv", pid, here, 1, struct.pack("=QQ", _NOWHERE, 8), 1, 0)
    except OSError as error:
        if error.errno != errno.EFAULT:
            raise


def _take_descriptor(pid: int) -> None:
    pidfd = os.pidfd_open(pid)
    try:
        os.close(kernel.syscall("pidfd_getfd", pidfd, 0, 0))
    finally:
        os.close(pidfd)


def _compare(pid: int) -> None:
    kernel.syscall("kcmp", pid, pid, _COMPARE_FILES, 0, 0)


ACTS: Final[dict[str, Callable[[int], None]]] = {
    "memory": _open_memory,
    "environment": _read_file("environ"),
    "map": _read_file("maps"),
    "vector": _read_file("auxv"),
    "descriptors": _list_descriptors,
    "folder": _follow_link,
    "seize": _seize,
    "read": _read_memory,
    "take": _take_descriptor,
    "compare": _compare,
}


def _met(act: str, pid: int) -> str:
    try:
        ACTS[act](pid)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error.errno))
    return WORKS


def main(arguments: Sequence[str]) -> None:
    """Do one act to a process of this one's own and to others by PID; print one line for each."""
    act, *pids = arguments
    inside, outside = os.pipe()
    own = os.fork()
    if not own:
        os.close(outside)
        os.read(inside, 1)  # until its parent is gone
        os._exit(0)
    try:
        print(_met(act, own), *(_met(act, int(pid)) for pid in pids), sep="\n")  # noqa: T201  # for whoever asked
    finally:
        os.kill(own, signal.SIGKILL)
        os.waitpid(own, 0)


# What the suite does with it.


def _members(stage: Stage) -> list[str]:
    """Return everyone that holds a key of the ring or watches over it, but the UI."""
    return [SUPERVISOR, BROKER, *stage.cast.enclaves, stage.cast.target]


def _pid(stage: Stage, member: str) -> int:
    return stage.supervisor if member == SUPERVISOR else stage.pid(member)


def outsider(act: str, pids: Sequence[int]) -> list[str]:
    """Have a fresh process of this user do `act` to each PID; return what it met. Raises `NotTried`."""
    if os.geteuid() == 0:
        msg = "the user is root, who may do all of it: run the suite as an ordinary user"
        raise NotTried(msg)
    command = [sys.executable, "-P", "-c", _ENTRY, act, *map(str, pids)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)  # noqa: S603  # ours
    own, *found = done.stdout.split() or ["no answer"]
    if own != WORKS or len(found) != len(pids):
        msg = f"it does not work on an unprotected process either: {own}"
        raise NotTried(msg)
    return found


def _on_everyone(act: str) -> Run:
    def run(stage: Stage, _word: str) -> list[str]:
        members = _members(stage)
        met = outsider(act, [_pid(stage, each) for each in members])
        return [f"{who}: it works" if what == WORKS else what for who, what in zip(members, met, strict=True)]

    return run


def _on_extensions(stage: Stage, _word: str) -> list[str]:
    return outsider("memory", [stage.pid(each) for each in (stage.cast.extension, stage.cast.accomplice)])


def _on_ui(stage: Stage, _word: str) -> list[str]:
    [met] = outsider("memory", [stage.pid(stage.cast.ui)])
    locked = stage.lines("process.locked", member=stage.cast.ui)
    if met == WORKS and locked and locked[-1].level:
        return [f"reported: {locked[-1].level}"]
    return [met]


def _command_lines(stage: Stage, _word: str) -> list[str]:
    """Read what everybody may read, and look whether it says more than who runs."""
    settings = {value for child, _ in stage.cast.app.children for _, value in child.settings if len(value) > 1}
    found: list[str] = []
    for member in (*_members(stage)[1:], stage.cast.ui, stage.cast.extension):
        with open(f"/proc/{_pid(stage, member)}/cmdline", "rb") as file:  # noqa: PTH123  # a file of /proc
            words = file.read().decode(errors="replace").split("\0")
        told = settings.intersection(words)
        found.append(f"{member} shows a setting" if told else TELLS_NOTHING)
    return found


TELLS_NOTHING: Final = "role and descriptor only"
_REFUSED: Final = ("EPERM", "EACCES")
_LIVE: Final = (
    ("K3.memory-file", "open /proc/PID/mem", "memory"),
    ("K3.memory", "read memory by process_vm_readv", "read"),
    ("K3.ptrace", "seize by ptrace", "seize"),
    ("K3.descriptor", "take a descriptor by pidfd_getfd", "take"),
    ("K3.compare", "compare kernel objects by kcmp", "compare"),
    ("K3.map", "read the map of the memory", "map"),
    ("K3.vector", "read where the program lies", "vector"),
    ("K3.folder", "follow the working folder", "folder"),
    ("I9.environment", "read the environment", "environment"),
    ("I9.descriptors", "list the descriptors", "descriptors"),
)

ROWS: Final[tuple[Row, ...]] = (
    *(
        row(name, f"{title}, of supervisor, broker and every enclave", "the kernel refuses", _on_everyone(act),
            by=OUTSIDER, fates=_REFUSED)
        for name, title, act in _LIVE
    ),
    row("K3.extensions", "open /proc/PID/mem of the extensions", "the kernel refuses", _on_extensions,
        by=OUTSIDER, fates=_REFUSED),
    row("K3.ui", "open /proc/PID/mem of the UI", "the kernel refuses, or posture() says so", _on_ui,
        by=OUTSIDER, fates=[*_REFUSED, "reported: process-only", "reported: partial"]),
    row("I9.command-lines", "read the command line of every process", "no secret and no setting", _command_lines,
        by=OUTSIDER, fates=[TELLS_NOTHING]),
)  # fmt: skip
