"""What decides on the calls whose arguments matter. `filters` says who gets which of them.

May import: `bpf`. Invariants: flags are checked against what is allowed, never against what is known to be bad, so that
a flag that a later kernel adds is refused; an argument is compared at the width at which the kernel reads it.
"""

from __future__ import annotations

import errno
from typing import Final

from trollbridge.actors.isolation.bpf import Allow, Case, Checked, Comparison, Decision, Errno, Low, Whole

EPERM: Final = Errno(errno.EPERM)
EACCES: Final = Errno(errno.EACCES)
ENOSYS: Final = Errno(errno.ENOSYS)
EINVAL: Final = Errno(errno.EINVAL)
_ALL: Final = 0xFFFF_FFFF


def allowed(*alternatives: tuple[Comparison, ...], otherwise: Decision = EPERM) -> Checked:
    """Allow a call if all comparisons of one alternative hold."""
    return Checked(tuple(Case(each, Allow()) for each in alternatives), otherwise)


def one_of(argument: int, *values: int) -> tuple[Comparison, ...]:
    """Demand one of these values."""
    return (Low(argument, values),)


def nothing_but(argument: int, flags: int) -> Comparison:
    """Demand that no bit is set that is not in `flags`."""
    return Low(argument, (0,), _ALL & ~flags)


def without(argument: int, flags: int) -> Comparison:
    """Demand that none of the bits in `flags` is set."""
    return Low(argument, (0,), flags)


NULL: Final = 0

# Messages. A kernel reads flags as an int. MSG_OOB on Unix sockets has been a way into the kernel (CVE-2025-38236);
# MSG_FASTOPEN connects without asking Landlock.

_MSG_PEEK, _MSG_TRUNC, _MSG_DONTWAIT, _MSG_EOR, _MSG_WAITALL = 0x2, 0x20, 0x40, 0x80, 0x100
_MSG_NOSIGNAL, _MSG_MORE, _MSG_CMSG_CLOEXEC = 0x4000, 0x8000, 0x4000_0000
_SENDING: Final = _MSG_DONTWAIT | _MSG_EOR | _MSG_NOSIGNAL | _MSG_MORE
_RECEIVING: Final = _MSG_PEEK | _MSG_TRUNC | _MSG_DONTWAIT | _MSG_WAITALL | _MSG_CMSG_CLOEXEC

SENDTO: Final = allowed((Whole(4, NULL), nothing_but(3, _SENDING)))
SENDTO_ADDRESS: Final = allowed((nothing_but(3, _SENDING),))
RECVFROM: Final = allowed((Whole(4, NULL), nothing_but(3, _RECEIVING)))
RECVFROM_ADDRESS: Final = allowed((nothing_but(3, _RECEIVING),))
SENDMSG: Final = allowed((nothing_but(2, _SENDING),))
SENDMMSG: Final = allowed((nothing_but(3, _SENDING),))
RECVMSG: Final = allowed((nothing_but(2, _RECEIVING),))

# Memory. The kernel reads the low half of prot; a mapping that may be executed comes from a file and cannot be written.

_PROT_WRITE, _PROT_EXEC = 0x2, 0x4
_MAP_PRIVATE, _MAP_ANONYMOUS = 0x02, 0x20
_MAP_TYPE: Final = 0x0F
_UNREADABLE: Final = Low(2, (0,), _PROT_EXEC)
_MADVICE: Final = (3, 4, 8, 10, 14, 15, 16, 18, 102, 103)
"""WILLNEED DONTNEED FREE DONTFORK HUGEPAGE NOHUGEPAGE DONTDUMP WIPEONFORK GUARD_INSTALL GUARD_REMOVE."""

MMAP_ANONYMOUS: Final = allowed((_UNREADABLE, Low(3, (_MAP_ANONYMOUS,), _MAP_ANONYMOUS)), otherwise=EACCES)
MMAP_FILES: Final = allowed((_UNREADABLE,), otherwise=EACCES)
MMAP_CODE: Final = allowed(
    (_UNREADABLE,),
    (without(2, _PROT_WRITE), Low(3, (_MAP_PRIVATE,), _MAP_TYPE | _MAP_ANONYMOUS)),
    otherwise=EACCES,
)
MPROTECT: Final = allowed((_UNREADABLE,), otherwise=EACCES)
MADVISE: Final = allowed(one_of(2, *_MADVICE), otherwise=EINVAL)

# Threads and waiting.

_THREAD: Final = 0x3D_0F00
"""VM FS FILES SIGHAND THREAD SYSVSEM SETTLS PARENT_SETTID CHILD_CLEARTID: what glibc's pthread_create passes."""
_DETACHED: Final = 0x40_0000  # musl adds it; the kernel ignores it
_FUTEX_FLAGS: Final = 128 | 256  # private, real-time clock
_FUTEX: Final = (0, 1, 3, 4, 5, 9, 10)
"""WAIT WAKE REQUEUE CMP_REQUEUE WAKE_OP WAIT_BITSET WAKE_BITSET: none of those that inherit priority."""

CLONE_THREAD: Final = allowed(one_of(0, _THREAD, _THREAD | _DETACHED))
FUTEX: Final = allowed((Low(1, _FUTEX, _ALL & ~_FUTEX_FLAGS),), otherwise=ENOSYS)

CLOCK: Final = allowed((without(0, 1 << 31),), otherwise=EINVAL)
"""A negative number is a clock of some process, perhaps another's, or of a device."""

# Descriptors.

_FCNTL: Final = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030)
"""DUPFD GETFD SETFD GETFL SETFL GETLK SETLK SETLKW, the three OFD locks, DUPFD_CLOEXEC: no owner, lease or seal."""
_IOCTL: Final = (0x5421, 0x5450, 0x5451, 0x541B)
"""FIONBIO FIONCLEX FIOCLEX FIONREAD."""
_TERMINAL: Final = (0x5401, 0x5402, 0x5403, 0x5404, 0x5409, 0x540B, 0x540F, 0x5410, 0x5413)
"""TCGETS TCSETS TCSETSW TCSETSF TCSBRK TCFLSH TIOCGPGRP TIOCSPGRP TIOCGWINSZ: nothing types for the user."""
_TERMINAL_2: Final = (0x802C_542A, 0x402C_542B, 0x402C_542C, 0x402C_542D)
"""TCGETS2 and its three setters, which newer C libraries use."""

FCNTL: Final = allowed(one_of(1, *_FCNTL), otherwise=EINVAL)
IOCTL: Final = allowed(one_of(1, *_IOCTL), otherwise=Errno(errno.ENOTTY))
IOCTL_TERMINAL: Final = allowed(one_of(1, *_IOCTL, *_TERMINAL, *_TERMINAL_2), otherwise=Errno(errno.ENOTTY))

# Files. Flags have the same values on both architectures. An access mode of 3 opens for ioctl alone; O_PATH opens what
# may not be read; and truncating needs write access in the mode, since Landlock checks it as such only from ABI 3 on.

_O_ACCMODE, _O_RDONLY, _O_WRONLY, _O_RDWR = 0o3, 0o0, 0o1, 0o2
_O_CREAT, _O_TRUNC, _O_PATH, _O_TMPFILE = 0o100, 0o1000, 0o10_000_000, 0o20_000_000
_RENAME_FLAGS: Final = 1 | 2  # no-replace, exchange


def opening(argument: int, *, write: bool) -> Checked:
    """Return what decides on the flags of an open call."""
    if not write:
        return allowed((without(argument, _O_ACCMODE | _O_CREAT | _O_TRUNC | _O_PATH | _O_TMPFILE),), otherwise=EACCES)
    return allowed(
        (without(argument, _O_ACCMODE | _O_TRUNC | _O_PATH),),
        (Low(argument, (_O_WRONLY, _O_RDWR), _O_ACCMODE | _O_PATH),),
        otherwise=EACCES,
    )


RENAMEAT2: Final = allowed((nothing_but(4, _RENAME_FLAGS),), otherwise=EINVAL)

# This process and others.

_PRCTL: Final = (2, 3, 15, 16, 21, 23, 39)
"""GET_PDEATHSIG GET_DUMPABLE SET_NAME GET_NAME GET_SECCOMP CAPBSET_READ GET_NO_NEW_PRIVS."""
_PR_SET_VMA: Final = 0x5356_4D41

PRCTL: Final = Checked((Case(one_of(0, *_PRCTL), Allow()), Case(one_of(0, _PR_SET_VMA), EINVAL)), EPERM)


def own(argument: int, pid: int) -> Checked:
    """Allow a call whose argument names this process."""
    return allowed(one_of(argument, pid))


def own_or_zero(argument: int, pid: int) -> Checked:
    """Allow a call whose argument names this process, or is 0, which stands for the caller."""
    return allowed(one_of(argument, 0, pid))


def prlimit(pid: int, *, change: bool) -> Checked:
    """Allow this process's limits to be read, or changed too."""
    mine = Low(0, (0, pid))
    return allowed((mine,) if change else (mine, Whole(2, NULL)))


# Sockets.

_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_STREAM, _DGRAM, _SEQPACKET = 1, 2, 5
_TYPE: Final = _ALL & ~(0o2_000_000 | 0o4_000)  # close-on-exec, non-blocking
_IPPROTO_TCP, _IPPROTO_UDP = 6, 17
_SOL_SOCKET: Final = 1
_UNIX: Final = (Low(0, (_AF_UNIX,)), Low(1, (_STREAM, _DGRAM, _SEQPACKET), _TYPE), Low(2, (0,)))
_TCP: Final = (Low(0, (_AF_INET, _AF_INET6)), Low(1, (_STREAM,), _TYPE), Low(2, (0, _IPPROTO_TCP)))
_UDP: Final = (Low(0, (_AF_INET, _AF_INET6)), Low(1, (_DGRAM,), _TYPE), Low(2, (0, _IPPROTO_UDP)))
_KINDS: Final = {"unix": _UNIX, "tcp": _TCP, "udp": _UDP}
_OPTIONS: Final = {
    _SOL_SOCKET: (2, 3, 4, 6, 7, 8, 9, 13, 17, 20, 21, 30, 38, 39, 66, 67),
    0: (1, 2, 10, 11),
    _IPPROTO_TCP: (1, 4, 5, 6, 12, 18),
    41: (16, 23, 25, 26),
}
"""By level. The socket: REUSEADDR TYPE ERROR BROADCAST SNDBUF RCVBUF KEEPALIVE LINGER PEERCRED RCVTIMEO SNDTIMEO
ACCEPTCONN PROTOCOL DOMAIN, the two timeouts again; IP: TOS TTL MTU_DISCOVER RECVERR; TCP: NODELAY KEEPIDLE KEEPINTVL
KEEPCNT QUICKACK USER_TIMEOUT; IPv6: UNICAST_HOPS MTU_DISCOVER RECVERR V6ONLY."""

SOCKETPAIR: Final = allowed(_UNIX)
STREAM_PAIR: Final = allowed((Low(0, (_AF_UNIX,)), Low(1, (_STREAM,), _TYPE), Low(2, (0,))))
SOCKET_OPTIONS: Final = allowed(*((Low(1, (level,)), Low(2, names)) for level, names in _OPTIONS.items()))
SOCKET_FACTS: Final = allowed((Low(1, (_SOL_SOCKET,)), Low(2, (3, 4, 7, 8, 38, 39))))
"""TYPE ERROR SNDBUF RCVBUF PROTOCOL DOMAIN: what a socket object asks about a descriptor."""
RECEIVE_TIMEOUT: Final = allowed((Low(1, (_SOL_SOCKET,)), Low(2, (20, 66))))


def socket_of(kinds: frozenset[str]) -> Checked:
    """Allow sockets of `unix`, `tcp` and `udp`, whichever are in `kinds`.

    The protocol is checked too: Landlock does not know MPTCP and SCTP, which stream sockets can also speak.
    """
    return allowed(*(_KINDS[each] for each in sorted(kinds)))


# Programs, which live under the weaker list.

_NAMESPACES: Final = 0x7E02_0000
_MFD_NOEXEC_SEAL: Final = 8
_SET_OWNER: Final = (8, 10, 15)
"""F_SETOWN F_SETSIG F_SETOWN_EX: a signal to another process, on input."""
_IOCTL_REFUSED: Final = (0x5412, 0x541C, 0x541D, 0x5423, 0x8901, 0x8902)
"""TIOCSTI TIOCLINUX TIOCCONS TIOCSETD FIOSETOWN SIOCSPGRP: they type for the user, or signal others."""
_PR_SET_DUMPABLE: Final = 4
_PRCTL_REFUSED: Final = (_PR_SET_DUMPABLE, 0x5961_6D61, 1, 36)
"""SET_DUMPABLE but to 0, SET_PTRACER: whoever is outside could look in. SET_PDEATHSIG, SET_CHILD_SUBREAPER: nothing
may outlive the application."""

_CLONE_PARENT: Final = 0x8000
"""A child of one's parent, which is the supervisor."""
CLONE_PROGRAM: Final = allowed((without(0, _NAMESPACES | _CLONE_PARENT),))
_CLONE_THREAD: Final = 0x1_0000
CLONE_THREAD_PROGRAM: Final = allowed(
    (without(0, _NAMESPACES | _CLONE_PARENT), Low(0, (_CLONE_THREAD,), _CLONE_THREAD))
)
"""A thread, with whatever else a C library asks for; no process."""
MEMFD_PROGRAM: Final = allowed((Low(1, (_MFD_NOEXEC_SEAL,), _MFD_NOEXEC_SEAL),))
FCNTL_PROGRAM: Final = Checked((Case(one_of(1, *_SET_OWNER), EPERM),), Allow())
IOCTL_PROGRAM: Final = Checked((Case(one_of(1, *_IOCTL_REFUSED), EPERM),), Allow())
PRCTL_PROGRAM: Final = Checked(
    (Case((Low(0, (_PR_SET_DUMPABLE,)), without(1, _ALL)), Allow()), Case(one_of(0, *_PRCTL_REFUSED), EPERM)), Allow()
)
PRCTL_HOST: Final = Checked((Case(one_of(0, 1), Allow()), *PRCTL_PROGRAM.cases), PRCTL_PROGRAM.otherwise)
"""SET_PDEATHSIG too: a host's programs end with it."""
PERSONALITY_PROGRAM: Final = allowed(one_of(0, _ALL))  # asks, and changes nothing
KILL_PROGRAM: Final = Checked((Case(one_of(0, 0), EPERM), Case((without(0, 1 << 31),), Allow())), EPERM)
"""One process at a time, never a group; whose processes it may be is for Landlock's scope to say."""
KILL_GROUP: Final = Checked((Case(one_of(0, 0, _ALL), EPERM),), Allow())
"""A host: one process, or one group; neither its own group nor everybody. Whose it may be is for Landlock's scope."""
SETPGID_SELF: Final = allowed((Low(0, (0,)), Low(1, (0,))))
PRIORITY_PROGRAM: Final = allowed((Low(0, (0,)), Low(1, (0,))))
IOPRIO_PROGRAM: Final = allowed((Low(0, (1,)), Low(1, (0,))))
