"""Attacks from inside that run something: programs, libraries, fresh machine code, more processes and threads.

May import: our actors' isolation, `attempt`. Invariant: what is executed is a copy in the ground, or six bytes of
machine code that return a number.
"""

# ruff: noqa: S606  # that no shell stands between is what is wanted

from __future__ import annotations

import _thread
import ctypes
import mmap
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import kernel
from trollbridge.ui_adapter.attack.attempt import BUILD, X86, Attempt, Failed, forgotten

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from trollbridge.ui_adapter.attack.ground import Ground

_AT_EMPTY_PATH: Final = 0x1000
_SAY: Final = ("sh", "-c", "echo +ran")
"""Its output is the attacker's report: `+` begins a success."""
_CODE: Final = {
    "x86_64": bytes.fromhex("b82a000000c3"),  # mov eax, 42; ret
    "aarch64": bytes.fromhex("40058052c0035fd6"),  # mov w0, 42; ret
}.get(os.uname().machine, b"")
_FUNCTION: Final = ctypes.CFUNCTYPE(ctypes.c_int)
_ANSWER: Final = 42
_READ_WRITE: Final = mmap.PROT_READ | mmap.PROT_WRITE
_ALL: Final = _READ_WRITE | mmap.PROT_EXEC
_SHM_EXEC: Final = 0o100000
_READ_IMPLIES_EXEC: Final = 0x0400000
_VFORK: Final = 0x4000
_DECLARED: Final = frozenset({"exec"})
_THREADS: Final = frozenset({"exec", "threads"})
_THREAD_WAIT: Final = 10.0


def _pointers(words: Sequence[str]) -> ctypes.Array[ctypes.c_char]:
    """Return `words` as argv or environment for a raw execveat(2): pointers, ended by a null one."""
    kept = [ctypes.create_string_buffer(os.fsencode(each)) for each in words]
    _KEPT.extend(kept)
    addresses = b"".join(ctypes.addressof(each).to_bytes(8, sys.byteorder) for each in kept)
    return ctypes.create_string_buffer(addresses + bytes(8))


_KEPT: Final[list[ctypes.Array[ctypes.c_char]]] = []


def _by_descriptor(ground: Ground) -> None:
    program = os.open(ground.tools.shell, os.O_PATH)
    kernel.syscall("execveat", program, b"", _pointers(_SAY), _pointers(()), _AT_EMPTY_PATH)


def _keep_shell(ground: Ground) -> None:
    ground.kept.append(os.open(ground.tools.shell, os.O_RDONLY))


def _kept_program(ground: Ground) -> None:
    kernel.syscall("execveat", ground.kept[0], b"", _pointers(_SAY), _pointers(()), _AT_EMPTY_PATH)


def _from_memory(ground: Ground) -> None:
    program = os.memfd_create("program", os.MFD_CLOEXEC)
    os.sendfile(program, ground.kept[0], 0, os.fstat(ground.kept[0]).st_size)
    os.execve(program, _SAY, {})


def _through_the_loader(ground: Ground) -> None:
    loader = str(ground.tools.loader)
    os.execve(loader, (loader, str(ground.tools.shell), *_SAY[1:]), {})


def _itself(_ground: Ground) -> None:
    program = ("python", "-I", "-S", "-c", "print('+ran')")
    os.execve(sys.executable, program, {})


def _answered(address: int) -> None:
    found = _FUNCTION(address)()
    if found != _ANSWER:
        msg = f"the code answered {found}"
        raise Failed(msg)


def _address(area: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(area))


def _fresh_code(_ground: Ground) -> None:
    area = mmap.mmap(-1, mmap.PAGESIZE, prot=_ALL)
    area.write(_CODE)
    _answered(_address(area))


def _made_executable(name: str, *more: int) -> Callable[[Ground], None]:
    def act(_ground: Ground) -> None:
        area = mmap.mmap(-1, mmap.PAGESIZE, prot=_READ_WRITE)
        area.write(_CODE)
        kernel.syscall(name, _address(area), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC, *more)
        _answered(_address(area))

    return act


def _mapped_file(ground: Ground) -> None:
    mmap.mmap(os.open(ground.tools.library, os.O_RDONLY), mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_EXEC)


def _kept_library(ground: Ground) -> None:
    mmap.mmap(ground.kept[0], mmap.PAGESIZE, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)


def _keep_library(ground: Ground) -> None:
    ground.kept.append(os.open(ground.tools.library, os.O_RDONLY))


def _shared_segment(_ground: Ground) -> None:
    segment = kernel.syscall("shmget", 0, mmap.PAGESIZE, 0o700)
    address = kernel.syscall("shmat", segment, 0, _SHM_EXEC)
    kernel.syscall("shmctl", segment, 0, 0)
    ctypes.memmove(address, _CODE, len(_CODE))
    _answered(address)


def _readable_is_executable(_ground: Ground) -> None:
    kernel.syscall("personality", _READ_IMPLIES_EXEC)
    area = mmap.mmap(-1, mmap.PAGESIZE, prot=_READ_WRITE)
    area.write(_CODE)
    _answered(_address(area))


def _reaped(pid: int) -> None:
    """End at once in the child; wait for it in the parent."""
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _cloned(flags: int) -> Callable[[Ground], None]:
    return lambda _ground: _reaped(kernel.syscall("clone", flags | signal.SIGCHLD, 0, 0, 0, 0))


def _cloned_anew(_ground: Ground) -> None:
    arguments = b"".join(each.to_bytes(8, sys.byteorder) for each in (0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0))
    _reaped(kernel.syscall("clone3", arguments, len(arguments)))


def _spawned(ground: Ground) -> None:
    pid = os.posix_spawn(ground.tools.shell, _SAY, {})
    os.waitpid(pid, 0)


def _started_thread(_ground: Ground) -> None:
    lock = _thread.allocate_lock()
    lock.acquire()
    _thread.start_new_thread(lock.release, ())
    if not lock.acquire(timeout=_THREAD_WAIT):
        msg = "the thread did not run"
        raise Failed(msg)


def _ran(_ground: Ground, found: bytes) -> bool:
    """Tell whether the program's own output came."""
    return found.startswith(b"ran\n")


RUNNING: Final = (
    Attempt("S6.execve", "Execute a program", lambda g: os.execve(g.tools.shell, _SAY, {}), _ran, declared=_DECLARED),
    Attempt(
        "S6.execve-script",
        "Execute a script",
        lambda g: os.execve(g.tools.script, ("script",), {}),
        _ran,
        declared=_DECLARED,
    ),
    Attempt("S6.execveat", "Execute a program by its descriptor", _by_descriptor, _ran, declared=_DECLARED),
    Attempt(
        "S6.execveat-kept",
        "Execute a program that was open before the lock",
        _kept_program,
        _ran,
        declared=_DECLARED,
        before=_keep_shell,
    ),
    Attempt(
        "S6.execve-memory", "Execute a program from memory", _from_memory, _ran, declared=_DECLARED, before=_keep_shell
    ),
    Attempt("S6.loader", "Execute a program through the dynamic loader", _through_the_loader, _ran, declared=_DECLARED),
    Attempt("S6.itself", "Execute one's own interpreter", _itself, _ran, declared=_DECLARED),
    Attempt("S6.spawn", "Spawn a program", _spawned, _ran, declared=_DECLARED),
    Attempt("S6.library", "Load a library", lambda g: forgotten(ctypes.CDLL(str(g.tools.library))), declared=_DECLARED),
    Attempt("S6.map-file", "Map a file executable", _mapped_file, declared=_DECLARED),
    Attempt(
        "S6.map-kept",
        "Map a file executable that was open before the lock",
        _kept_library,
        declared=_DECLARED,
        before=_keep_library,
    ),
    Attempt(
        "S6.map-code", "Map memory that is writable and executable, and run code there", _fresh_code, declared=_DECLARED
    ),
    Attempt("S6.mprotect", "Write code, make it executable, run it", _made_executable("mprotect"), declared=_DECLARED),
    Attempt(
        "S6.pkey-mprotect", "The same by pkey_mprotect(2)", _made_executable("pkey_mprotect", -1), declared=_DECLARED
    ),
    Attempt("S6.shared-code", "Run code from an executable shared segment", _shared_segment, declared=_DECLARED),
    Attempt(
        "S6.personality",
        "Make all that is readable executable",
        _readable_is_executable,
        needs=X86 | BUILD,
        declared=_DECLARED,
    ),
    Attempt("I1.fork", "Fork", lambda _: _reaped(os.fork()), declared=_DECLARED),
    Attempt("I1.clone", "Fork by clone(2)", _cloned(0), declared=_DECLARED),
    Attempt("I1.clone-waiting", "Fork and wait, by clone(2) with CLONE_VFORK", _cloned(_VFORK), declared=_DECLARED),
    Attempt("I1.fork-old", "Fork by fork(2)", lambda _: _reaped(kernel.syscall("fork")), needs=X86, declared=_DECLARED),
    Attempt("I1.clone3", "Fork by clone3(2)", _cloned_anew, declared=_DECLARED),
    Attempt("I1.thread", "Start a thread", _started_thread, declared=_THREADS),
)
