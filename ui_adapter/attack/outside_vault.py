"""Attacks from outside on what a locked process keeps in files, and on the moment before its lock.

May import: our actors' isolation, `attempt`. Invariant: the files are the ground's vault, the process is its zygote.
"""

# ruff: noqa: PTH101, PTH104, PTH108, PTH208, PTH211  # the system call itself is what is tried, not what a path object makes of it

from __future__ import annotations

import fcntl
import os
import stat
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import kernel
from trollbridge.ui_adapter.attack.attempt import contents, on_victim, shows_canary

if TYPE_CHECKING:
    from trollbridge.ui_adapter.attack.ground import Ground
    from trollbridge.ui_adapter.attack.zygote import Zygote


def _opened(ground: Ground, flags: int = os.O_RDONLY) -> int:
    return os.open(ground.record, flags)


def _changed(ground: Ground, _found: bytes) -> bool:
    """Tell whether the record is no longer what it was."""
    try:
        return ground.record.read_bytes() != ground.canary
    except OSError:
        return True


def _appended(ground: Ground) -> None:
    os.write(_opened(ground, os.O_WRONLY | os.O_APPEND), b"more")


def _locked(ground: Ground) -> None:
    fcntl.flock(_opened(ground), fcntl.LOCK_EX | fcntl.LOCK_NB)


def _exchanged(ground: Ground) -> None:
    os.unlink(ground.record)
    os.symlink(ground.bystander, ground.record)


def _readable_for_all(ground: Ground, _found: bytes) -> bool:
    return bool(ground.record.stat().st_mode & stat.S_IROTH)


def _watched(ground: Ground) -> None:
    watch = kernel.syscall("inotify_init1", 0)
    kernel.syscall("inotify_add_watch", watch, os.fsencode(ground.vault), 0xFFF)  # IN_ALL_EVENTS


def zygote(ground: Ground) -> Zygote:
    """Return the process that has been executed as an enclave is and has not locked itself."""
    if ground.zygote is None:
        msg = "only attacks from outside have a zygote"
        raise LookupError(msg)
    return ground.zygote


def _early_memory(ground: Ground) -> bytes:
    aim = zygote(ground)
    return os.pread(os.open(f"/proc/{aim.pid}/mem", os.O_RDONLY), len(aim.canary), aim.address)


def _early_canary(ground: Ground, found: bytes) -> bool:
    return found == zygote(ground).canary


def _early_trace(ground: Ground) -> None:
    aim = zygote(ground)
    kernel.syscall("ptrace", 16, aim.pid, 0, 0)  # PTRACE_ATTACH
    os.waitpid(aim.pid, 0x40000000)  # __WALL
    kernel.syscall("ptrace", 17, aim.pid, 0, 0)  # PTRACE_DETACH


def _early_map(ground: Ground) -> bytes:
    return contents(os.open(f"/proc/{zygote(ground).pid}/maps", os.O_RDONLY))


VAULT: Final = (
    on_victim("vault-read", "Read its vault's file", lambda g: contents(_opened(g)), shows_canary),
    on_victim(
        "vault-names",
        "List its vault",
        lambda g: " ".join(os.listdir(g.vault)).encode(),
        lambda _, found: b"record" in found,
    ),
    on_victim("vault-append", "Append to its vault's file", _appended, _changed),
    on_victim("vault-truncate", "Truncate it", lambda g: os.truncate(g.record, 1), _changed),
    on_victim("vault-replace", "Move another file over it", lambda g: os.rename(g.bystander, g.record), _changed),
    on_victim("vault-remove", "Remove it", lambda g: os.unlink(g.record), _changed),
    on_victim(
        "vault-exchange-link",
        "Put a symbolic link in its place",
        _exchanged,
        _changed,
    ),
    on_victim(
        "vault-link", "Link it elsewhere", lambda g: os.link(g.record, g.home / "new"), lambda g, _: g.made("new")
    ),
    on_victim(
        "vault-mode",
        "Open it to everyone",
        lambda g: os.chmod(g.record, 0o644),
        _readable_for_all,
    ),  # the mode that was set
    on_victim("vault-lock", "Lock it, so that nobody else can", _locked),
    on_victim("vault-watch", "Watch its vault", _watched),
)
EARLY: Final = (
    on_victim("early-mem", "Read its memory between its exec and its lock", _early_memory, _early_canary),
    on_victim("early-maps", "Read the map of its memory before its lock", _early_map, lambda _, found: bool(found)),
    on_victim("early-trace", "Attach to it before its lock", _early_trace),
)
