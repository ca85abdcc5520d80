"""What of a machine bears on secrets beyond any one process: the kernel's interfaces, swap, core files, who sees whom.

May import: our actors' isolation, on Linux. Invariants: reading changes nothing; what is not there to be read is told
as unknown.
"""

from __future__ import annotations

import contextlib
import enum
import os
import re
import sys
from pathlib import Path
from typing import Final

import msgspec

from trollbridge.messages.sandbox import NOTHING


class Verdict(enum.StrEnum):
    """What a fact means for secrets."""

    GOOD = "good"
    WEAK = "weak"
    """Something could get out, or a mechanism has a lesser form."""
    BAD = "bad"
    """A mechanism that the level `full` needs is not there."""
    INFORMATION = "information"


class Fact(msgspec.Struct, frozen=True):
    """One fact about the machine."""

    name: str
    """Stable: programs look for it."""
    verdict: Verdict
    found: str
    remedy: str = ""


LANDLOCK_LATER: Final = (
    (2, "5.19", "moving files between folders that are declared"),
    (4, "6.7", "TCP ports"),
    (5, "6.10", "device controls"),
    (6, "6.12", "signals and abstract Unix sockets"),
    (8, "7.0", "all threads at once"),
)
"""What later versions of Landlock's interface cover, and the Linux that brought them."""
LEAST_MEMLOCK: Final = 64
"""KiB: what a process of ours locks at most."""
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


def elsewhere() -> tuple[Fact, ...]:
    """Return what is known on a system that is not Linux."""
    return (
        Fact("kernel", Verdict.BAD, f"{sys.platform}: no Landlock, no seccomp, no secret memory", "run it on Linux"),
    )


def facts() -> tuple[Fact, ...]:
    """Return every fact but the keychain, in the order in which people read them."""
    import resource  # noqa: PLC0415  # not on every system

    return (
        Fact("kernel", Verdict.INFORMATION, f"Linux {os.uname().release} on {os.uname().machine}"),
        _landlock(),
        seccomp(_read("/proc/sys/kernel/seccomp/actions_avail")),
        _secret_memory(),
        memfd_noexec(_read("/proc/sys/vm/memfd_noexec")),
        memlock(resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]),
        _swap(),
        hibernation(_read("/sys/power/state"), _read("/sys/power/disk")),
        core_pattern(_read("/proc/sys/kernel/core_pattern"), _read("/proc/sys/fs/suid_dumpable")),
        ptrace_scope(_read("/proc/sys/kernel/yama/ptrace_scope")),
        user_namespaces(
            _read("/proc/sys/user/max_user_namespaces"), _read("/proc/sys/kernel/unprivileged_userns_clone")
        ),
        hidepid(_read("/proc/self/mounts")),
    )


def _read(path: str) -> str:
    """Return what a file of /proc or /sys says; nothing if there is none or it may not be read."""
    with contextlib.suppress(OSError):
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    return ""


# What the kernel offers.


def _landlock() -> Fact:
    from trollbridge.actors.isolation import landlock  # noqa: PLC0415  # needs Linux

    found, needed = landlock.abi(), landlock.needed(NOTHING)
    if found < needed:
        return Fact("landlock", Verdict.BAD, "none", landlock.why_none())
    later = [f"{what} (from Linux {kernel})" for version, kernel, what in LANDLOCK_LATER if version > found]
    rest = f"; later kernels add {', '.join(later)}" if later else ""
    return Fact("landlock", Verdict.GOOD, f"ABI {found}{rest}")


def seccomp(actions: str) -> Fact:
    """Tell from the list of actions whether calls can be filtered."""
    if "kill_process" in actions.split():
        return Fact("seccomp", Verdict.GOOD, f"can {', '.join(actions.split())}")
    remedy = "run a kernel built with CONFIG_SECCOMP_FILTER, 4.14 or later"
    return Fact("seccomp", Verdict.BAD, f"can {actions or 'nothing'}: no kill_process", remedy)


def _secret_memory() -> Fact:
    from trollbridge.actors.isolation.secret_memory import SecretMemory  # noqa: PLC0415  # needs Linux

    evidence = SecretMemory().evidence()
    return Fact("secret_memory", Verdict.GOOD if evidence.holds else Verdict.WEAK, evidence.evidence, evidence.remedy)


def memfd_noexec(value: str) -> Fact:
    """Tell whether the execute-only copy of the interpreter can lie in a memfd."""
    if value != "2":
        return Fact("memfd_noexec", Verdict.GOOD, f"vm.memfd_noexec = {value or 'not there'}: memfds may be executed")
    text = "vm.memfd_noexec = 2: the interpreter is copied to an unnamed file instead"
    return Fact("memfd_noexec", Verdict.INFORMATION, text)


def memlock(limit: int) -> Fact:
    """Tell what of memory may be locked; `limit` in bytes, negative for no limit."""
    if limit < 0:
        return Fact("memlock", Verdict.GOOD, "no limit")
    kib = limit // 1024
    text = f"each process may lock {kib} KiB; ours lock at most {LEAST_MEMLOCK}"
    if kib >= LEAST_MEMLOCK or os.geteuid() == 0:
        return Fact("memlock", Verdict.GOOD, text)
    return Fact("memlock", Verdict.WEAK, text, f"raise it: ulimit -l {LEAST_MEMLOCK}, or LimitMEMLOCK= in systemd")


# Where memory may end up.


def _swap() -> Fact:
    table = _read("/proc/swaps")
    if not table:
        return Fact("swap", Verdict.WEAK, "unknown: /proc/swaps cannot be read", "look on the host: swapon --show")
    names = [_ESCAPED.sub(lambda match: chr(int(match[1], 8)), line.split()[0]) for line in table.splitlines()[1:]]
    return swap({name: _read(f"/sys/block/{Path(name).resolve().name}/dm/uuid") for name in names})


def swap(places: dict[str, str]) -> Fact:
    """Tell whether memory can be written to a disk; `places`: each swap space, and its device mapper's uuid if any."""
    if not places:
        return Fact("swap", Verdict.GOOD, "none")
    kinds = {name: _swap_kind(name, uuid) for name, uuid in places.items()}
    text = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
    if set(kinds.values()) <= {"encrypted", "in memory"}:
        return Fact("swap", Verdict.GOOD, text)
    remedy = "secret memory is never swapped, but what is decrypted may be: encrypt the swap, or swapoff -a"
    return Fact("swap", Verdict.WEAK, text, remedy)


def _swap_kind(name: str, uuid: str) -> str:
    if uuid.startswith("CRYPT-"):
        return "encrypted"
    return "in memory" if Path(name).name.startswith("zram") else "encryption unknown"


def hibernation(state: str, disk: str) -> Fact:
    """Tell whether the whole memory can be written to a disk."""
    if "disk" not in state.split() or disk in ("", "[disabled]"):
        return Fact("hibernation", Verdict.GOOD, "not possible")
    remedy = "secret memory in use forbids it; all the same, encrypt the disk that it writes to"
    return Fact("hibernation", Verdict.WEAK, f"possible: {disk}", remedy)


def core_pattern(pattern: str, suid_dumpable: str) -> Fact:
    """Tell where core files go, and whether processes that nobody may look into leave any."""
    text = f"core files go to {pattern or 'an unknown place'}; ours leave none"
    if suid_dumpable != "1":
        return Fact("core_pattern", Verdict.INFORMATION, text)
    remedy = "sysctl fs.suid_dumpable=0"
    return Fact("core_pattern", Verdict.WEAK, "fs.suid_dumpable = 1: who may not be read can be debugged", remedy)


# Who sees whom: for information, since our processes are kept from each other whatever it says.

_SCOPES: Final = {
    "": "no Yama: any process of a user may trace that user's others, but not ours",
    "0": "any process of a user may trace that user's others, but not ours",
    "1": "only descendants may be traced",
    "2": "only root traces",
    "3": "nobody traces",
}


def ptrace_scope(value: str) -> Fact:
    """Tell whom Yama lets trace."""
    return Fact("ptrace_scope", Verdict.INFORMATION, f"{value or 'none'}: {_SCOPES.get(value, 'unknown')}")


def user_namespaces(most: str, unprivileged: str) -> Fact:
    """Tell whether ordinary users may make user namespaces; ours cannot after the lock."""
    allowed = most not in ("", "0") and unprivileged != "0"
    text = f"ordinary users may {'' if allowed else 'not '}make them; our locked processes cannot"
    return Fact("user_namespaces", Verdict.INFORMATION, text)


def hidepid(mounts: str) -> Fact:
    """Tell whether users see each other's processes."""
    options = [line.split()[3] for line in mounts.splitlines() if line.split()[1:3] == ["/proc", "proc"]]
    found = [each for each in (options[-1].split(",") if options else ()) if each.startswith("hidepid=")]
    if found and found[0] not in ("hidepid=0", "hidepid=off"):
        return Fact("hidepid", Verdict.INFORMATION, f"{found[0]}: users do not see each other's processes")
    return Fact("hidepid", Verdict.INFORMATION, "off: users see each other's processes, and the command lines of these")
