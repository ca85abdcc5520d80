"""Learn mode inside a process: where the lock would be laid, a recorder is, which forbids nothing.

The kernel stops the process at each call that the lock might forbid, and goes on once the supervisor has noted it
(seccomp's user notification). So what a C library does is seen as well as what Python does.

May import: `messages`, the other modules of this folder. Invariants: what is stopped at is what `filters` would not let
every sandbox do; a process that is recorded says that nothing confines it; none of the modules that keep secrets is
ever run under it.

Source: seccomp(2), seccomp_unotify(2).
"""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.actors.isolation import bpf, capabilities, filters, kernel, seccomp, secret_memory
from trollbridge.actors.isolation.bpf import Allow, Case, Checked, Errno, Policy, Rule
from trollbridge.actors.isolation.lock import settle
from trollbridge.actors.isolation.syscalls import here
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import SERVING, Role
from trollbridge.messages.posture import Evidence, Mechanism, State
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from trollbridge.actors.isolation.bpf import Action, Decision
    from trollbridge.messages.control import Boot

NEW_LISTENER: Final = 1 << 3
"""SECCOMP_FILTER_FLAG_NEW_LISTENER: seccomp(2) returns the descriptor at which the calls are told."""
UNCONFINED: Final = "learn mode: nothing confines this process"
"""The remedy in the evidence of a process that is recorded: by it the supervisor knows one."""
WATCHED: Final = frozenset(
    {
        *("open", "openat", "creat", "stat", "lstat", "newfstatat", "access", "faccessat", "readlink", "readlinkat"),
        *("mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "truncate"),
        *("execve", "execveat", "socket", "connect", "clone", "fork", "vfork"),
    }
)
"""What is told always: a declaration decides on it."""
WITHOUT: Final = frozenset({"clone3", "openat2", "statx", "faccessat2", "fchmodat2"})
"""What libraries do without, as they must under the lock: the calls that they make instead show their arguments."""

_TOLD: Final = Errno(4095)
"""Stands for "tell the supervisor" until the program is made; no rule answers with this number."""
_STAND_IN: Final = bpf.Instruction(0x06, 0, 0, 0x0005_0000 | _TOLD.number)  # BPF_RET | BPF_K, SECCOMP_RET_ERRNO
_TELL: Final = _STAND_IN._replace(operand=0x7FC0_0000)  # SECCOMP_RET_USER_NOTIF
_REFUSED: Final = frozenset({errno.EPERM, errno.EACCES})
_FSTAT: Final = Case((bpf.Low(3, (0x1000,), 0x1000),), Allow())  # AT_EMPTY_PATH: looks at what is open already
_ANYTHING: Final = Sandbox(read=("/x",), write=("/x",), network=("unix", "udp", "tcp"), threads=True)
"""What declares everything, programs apart: what this is refused, every sandbox is."""
_MODULES: Final = "trollbridge.enclave."
_HARMLESS: Final = _MODULES + "actor"


def program(role: Role, pid: int) -> bytes:
    """Return the filter of a process with that role; raises as `bpf.translate`."""
    rules = [Rule(rule.name, _told(role, rule)) for rule in filters.policy(role, _ANYTHING, pid).rules]
    named = {rule.name for rule in rules}
    rules += [Rule(name, _TOLD) for name in sorted(WATCHED - named)]
    assembled = bpf.assemble(Policy(tuple(rules), _TOLD), here())
    return bpf.encode(_TELL if each == _STAND_IN else each for each in assembled)


def _told(role: Role, rule: Rule) -> Action:
    threads = rule.name == "clone" and role not in SERVING  # they always may start some
    if rule.name == "newfstatat":
        return Checked((_FSTAT,), _TOLD)
    if rule.name in WATCHED and not threads:
        return _TOLD
    match rule.action:
        case Checked(cases, otherwise):
            kept = tuple(Case(case.when, _decided(rule.name, case.then)) for case in cases)
            return Checked(kept, _decided(rule.name, otherwise))
        case decision:
            return _decided(rule.name, decision)


def _decided(name: str, decision: Decision) -> Decision:
    if not isinstance(decision, Errno):
        return Allow() if isinstance(decision, Allow) else _TOLD
    if name in WITHOUT:
        return decision
    return _TOLD if decision.number in _REFUSED else Allow()


class _KeepsApart:
    """Finds nothing of the vault's modules: code that is not confined has no business with a real vault."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        del path, target
        if fullname.startswith(_MODULES) and fullname != _HARMLESS:
            msg = f"{fullname} is not loaded in learn mode, which confines nothing"
            raise ImportError(msg, name=fullname)


def record(role: Role) -> tuple[Evidence, ...]:
    """Have this process recorded from now on; return what is in force, which is not much.

    Raises `DeclarationError` where the lock would: if more than one thread runs.
    """
    if len(os.listdir("/proc/self/task")) != 1:  # noqa: PTH208  # names only
        msg = "more than one thread runs where one must: start threads in on_start, not while a module is imported"
        raise DeclarationError(msg)
    settle()
    sys.meta_path.insert(0, _KeepsApart())
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # the supervisor looks into it, for the paths
    secret_memory.prepare()
    evidence = [
        Evidence(Mechanism.NON_DUMPABLE, State.MISSING, "PR_GET_DUMPABLE: 1", UNCONFINED),
        secret_memory.arena().evidence(),
        capabilities.no_new_privileges(),
        capabilities.drop(),
        Evidence(Mechanism.LANDLOCK, State.MISSING, "not laid on", UNCONFINED),
    ]
    try:
        seccomp.load(program(role, os.getpid()), NEW_LISTENER)
        text = "a filter that records and forbids nothing"
    except OSError as problem:
        text = f"no recorder: seccomp(2): {problem.strerror}"
    return (*evidence, Evidence(Mechanism.SECCOMP, State.MISSING, text, UNCONFINED))


def kept_real(boot: Boot, actor: type) -> Boot:
    """Return the part of an enclave in learn mode, with what must not be learnt put right.

    An enclave that ships is locked as ever, and its files lie in the folder for what must not be real: no secret that
    it keeps comes near a process that is not confined. Raises `DeclarationError` for another enclave that has loaded
    the modules of those.
    """
    if actor.__module__.startswith(_MODULES):
        moved = f"{boot.learn}/{boot.member}"
        settings = tuple((name, _moved(value, moved)) for name, value in boot.settings)
        return msgspec.structs.replace(boot, learn="", settings=settings)
    loaded = sorted(name for name in sys.modules if name.startswith(_MODULES) and name != _HARMLESS)
    if loaded:
        msg = f"learn mode does not run {boot.actor} without its lock, since it uses {loaded[0]}, which keeps secrets"
        raise DeclarationError(msg)
    return boot


def _moved(value: str, folder: str) -> str:
    return f"{folder}/{os.path.basename(value)}" if value.startswith("/") else value  # noqa: PTH119
