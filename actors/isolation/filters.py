"""Which system calls a process may make, by its role and its sandbox: the one table, with a reason for each group.

May import: `bpf`, `checks`, `deny_list`, our messages. Invariants: what no group names kills the process; an earlier
group decides before a later one, so that what is granted stands above what is refused; no list depends on anything but
role, sandbox and PID.

Refused with an error is what people's code does by mistake, so that Python raises `PermissionError`, and what libraries
try and can do without. The rest only an attacker calls: it kills.
"""

from __future__ import annotations

import errno
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.actors.isolation import checks, deny_list
from trollbridge.actors.isolation.bpf import Allow, Checked, Errno, Kill, Policy, Rule
from trollbridge.actors.isolation.checks import EACCES, ENOSYS, EPERM
from trollbridge.messages.ids import SERVING, Role
from trollbridge.messages.sandbox import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.actors.isolation.bpf import Action
    from trollbridge.messages.sandbox import Sandbox


class Group(NamedTuple):
    """Calls that are granted or refused together, and why."""

    reason: str
    rules: tuple[Rule, ...]


def _each(action: Action, names: str) -> tuple[Rule, ...]:
    return tuple(Rule(name, action) for name in names.split())


def _grant(names: str) -> tuple[Rule, ...]:
    return _each(Allow(), names)


_OWN_MEMORY: Final = Group(
    "The allocator. Nothing that is mapped becomes executable.",
    (
        Rule("madvise", checks.MADVISE),
        Rule("mprotect", checks.MPROTECT),
        *_grant("brk munmap mremap mlock munlock"),
    ),
)
_WAITING: Final = Group(
    "Locks, clocks and waiting; their state is this process's own.",
    (
        Rule("futex", checks.FUTEX),
        *_grant("poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2"),
        *_each(checks.CLOCK, "clock_gettime clock_getres clock_nanosleep"),
        *_grant("nanosleep gettimeofday time times sched_yield getcpu restart_syscall set_robust_list rseq"),
    ),
)
_DESCRIPTORS: Final = Group(
    "What is open already, and pipes to oneself: what else may be opened is decided elsewhere.",
    (
        Rule("fcntl", checks.FCNTL),
        *_grant("read write readv writev close lseek fstat shutdown dup dup2 dup3 getcwd pipe pipe2"),
    ),
)
_SIGNALS: Final = Group(
    "Handlers and masks of this process, and waiting for signals.",
    _grant("rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack pause"),
)
_IDENTITY: Final = Group(
    "Who we are; reading it tells nothing that the process does not know. Random numbers; the way out.",
    _grant(
        "getpid getppid gettid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp "
        "getrusage getrlimit getrandom exit exit_group"
    ),
)
_OWN_SOCKETS: Final = Group(
    "A pair of sockets whose two ends are its own: how an event loop wakes itself.",
    (Rule("socketpair", checks.SOCKETPAIR),),
)
_ERRANDS: Final = Group(
    "A stream to a one-shot process; its other end, and more descriptors, on their way to the supervisor. The address "
    "that sendmsg may be given lies in memory, where no filter sees it, and leads nowhere: packet sockets, which link "
    "and control channel are, ignore it, connected streams refuse it (net/unix/af_unix.c). Datagram pairs, which would "
    "go by it, cannot be made.",
    (Rule("socketpair", checks.STREAM_PAIR), Rule("sendmsg", checks.SENDMSG)),
)
_COMMON: Final = (_OWN_MEMORY, _WAITING, _DESCRIPTORS, _SIGNALS, _IDENTITY)

_READ: Final = "newfstatat stat lstat fstatfs getdents64 pread64 preadv preadv2 readahead fadvise64 msync"
_WRITE: Final = (
    "flock mkdir mkdirat unlink unlinkat rmdir rename renameat ftruncate fsync fdatasync sync_file_range "
    "pwrite64 pwritev pwritev2"
)

_REFUSED: Final = (
    Group(
        "Libraries try these first and have another way; each would have to be checked, or cannot be.",
        (
            *_each(ENOSYS, "clone3 statx openat2 faccessat2 fchmodat2 membarrier close_range mseal map_shadow_stack"),
            *_each(ENOSYS, "copy_file_range sendfile get_mempolicy set_mempolicy mbind io_setup pidfd_open"),
            Rule("fallocate", Errno(errno.EOPNOTSUPP)),
            *_each(Errno(errno.ECHILD), "wait4 waitid"),
        ),
    ),
    Group(
        "Paths: undeclared, or not governed by Landlock whatever is declared.",
        (
            *_each(
                EACCES, "open openat creat stat lstat newfstatat access faccessat readlink readlinkat statfs fstatfs"
            ),
            *_each(EACCES, "chdir fchdir truncate mkdir mkdirat rmdir unlink unlinkat rename renameat renameat2"),
            *_each(
                EACCES, "ftruncate flock fsync fdatasync getdents getdents64 pread64 pwrite64 utime utimes utimensat"
            ),
            *_each(
                EPERM,
                "link linkat symlink symlinkat mknod mknodat chmod fchmod fchmodat umask chown fchown lchown fchownat",
            ),
            *_each(EPERM, "futimesat inotify_init inotify_init1 inotify_add_watch inotify_rm_watch"),
            *_each(
                Errno(errno.EOPNOTSUPP),
                "getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr listxattr llistxattr flistxattr "
                "removexattr lremovexattr fremovexattr",
            ),
        ),
    ),
    Group(
        "The network, and descriptors from others: undeclared.",
        (
            *_each(EPERM, "socket socketpair connect bind listen accept accept4 sendmsg recvmsg sendmmsg recvmmsg"),
            *_each(EPERM, "getsockopt setsockopt getsockname getpeername"),
        ),
    ),
    Group(
        "Programs and other processes.",
        (
            *_each(EPERM, "execve execveat fork vfork clone tkill rt_sigqueueinfo rt_tgsigqueueinfo"),
            *_each(EPERM, "setpgid setsid setpriority getpriority ioprio_set ioprio_get setrlimit get_robust_list"),
            *_each(EPERM, "sched_setaffinity sched_setscheduler sched_getscheduler sched_setparam sched_getparam"),
            *_each(EPERM, "sched_setattr sched_getattr sched_get_priority_max sched_get_priority_min"),
        ),
    ),
    Group(
        "New kinds of memory and descriptors, and facts about the machine.",
        (
            *_each(EPERM, "memfd_create memfd_secret mlock2 mlockall munlockall mincore pkey_alloc pkey_mprotect"),
            *_each(EPERM, "eventfd eventfd2 timerfd_create signalfd signalfd4 timer_create"),
            *_each(EPERM, "setitimer getitimer alarm uname sysinfo capget"),
        ),
    ),
)


def _files(role: Role, *, read: bool, write: bool) -> Iterator[Group]:
    if role is Role.ERRAND:
        opens = (Rule("openat", checks.opening(2, write=True)), Rule("open", checks.opening(1, write=True)))
        yield Group(
            "Opening, by its name in /proc, a pipe that it was handed. Every file that its module does not declare is "
            "refused by Landlock, which lets a pipe pass, since it lies nowhere.",
            (*opens, *_grant(_READ)),
        )
    elif read or write:
        opens = (Rule("openat", checks.opening(2, write=write)), Rule("open", checks.opening(1, write=write)))
        yield Group("Opening and looking at files: which ones is for Landlock to say.", (*opens, *_grant(_READ)))
    if write:
        yield Group(
            "Changing files. No mode, owner, time, attribute or second name of one: Landlock does not govern those.",
            (*_grant(_WRITE), Rule("renameat2", checks.RENAMEAT2)),
        )


_HOST_FILES: Final = Group(
    "A host's way to files: openat2, which resolves a path beneath an open folder and nowhere else. Its flags lie in "
    "memory, where no filter sees them; whatever they ask for, Landlock refuses what is not declared. And watching a "
    "folder: Landlock does not govern inotify, so a host that was taken over could learn the names of files elsewhere "
    "as they change, though not what is in them. And asking whether the name by which a file was opened is still "
    "there, of which the same holds: it could learn where symbolic links lead.",
    _grant("openat2 readlink readlinkat inotify_init1 inotify_add_watch inotify_rm_watch"),
)


def _network(kinds: frozenset[str]) -> Iterator[Group]:
    if not kinds:
        return
    addressed = bool(kinds & {"udp", "unix"})
    rules = [
        Rule("socket", checks.socket_of(kinds)),
        Rule("setsockopt", checks.SOCKET_OPTIONS),
        Rule("getsockopt", checks.SOCKET_OPTIONS),
        Rule("sendmsg", checks.SENDMSG),
        *_grant("connect getsockname getpeername"),
    ]
    if addressed:
        rules += [
            Rule("sendto", checks.SENDTO_ADDRESS),
            Rule("recvfrom", checks.RECVFROM_ADDRESS),
            Rule("sendmmsg", checks.SENDMMSG),
        ]
    if "unix" in kinds:
        rules.append(Rule("recvmsg", checks.RECVMSG))
    yield Group(
        "Outgoing connections; nobody listens. Where to is for Landlock to say, as far as it can.", tuple(rules)
    )


def _link(role: Role) -> Group:
    rules = [Rule("sendto", checks.SENDTO), Rule("recvfrom", checks.RECVFROM)]
    if role in (Role.BROKER, Role.UI, Role.ERRAND):
        rules.append(Rule("recvmsg", checks.RECVMSG))
    if role not in SERVING:
        rules += [Rule("getsockopt", checks.SOCKET_FACTS), *_grant("getsockname")]
    if role in (Role.UI, Role.EXTENSION):
        rules.append(Rule("setsockopt", checks.RECEIVE_TIMEOUT))
    return Group(
        "The link, an errand's stream: to whoever is connected. A broker, a UI and an errand are given descriptors.",
        tuple(rules),
    )


def _caller(role: Role, pid: int) -> Iterator[Group]:
    """Yield what a UI or an extension needs for code of its own that is loaded after the lock."""
    if role in (Role.UI, Role.EXTENSION):
        pipes = _grant("eventfd eventfd2 timerfd_create timerfd_settime timerfd_gettime")
        yield Group(
            "An event loop and its timers, inside this process.",
            (*pipes, *_grant("setitimer getitimer alarm uname sysinfo")),
        )
    if role is Role.UI:
        own = Rule("setpgid", checks.own_or_zero(0, pid))
        yield Group("A process group of its own, to have the terminal's foreground.", (own,))


def _memory(role: Role, *, files: bool) -> Group:
    if role in (Role.UI, Role.EXTENSION):
        return Group(
            "Mappings; code from a file, since it is loaded after the lock.", (Rule("mmap", checks.MMAP_CODE),)
        )
    return Group("Mappings.", (Rule("mmap", checks.MMAP_FILES if files else checks.MMAP_ANONYMOUS),))


def _process(role: Role, sandbox: Sandbox, pid: int) -> Group:
    rules = [
        Rule("ioctl", checks.IOCTL_TERMINAL if role is Role.UI else checks.IOCTL),
        Rule("prctl", checks.PRCTL),
        Rule("prlimit64", checks.prlimit(pid, change=False)),
        Rule("tgkill", checks.own(0, pid)),
        Rule("kill", checks.own(0, pid)),
        *_each(checks.own_or_zero(0, pid), "sched_getaffinity getpgid getsid"),
    ]
    if sandbox.threads or role in (Role.UI, Role.EXTENSION):
        rules.append(Rule("clone", checks.CLONE_THREAD))
    return Group(
        "Signals to oneself, one's own limits, a thread's name; threads where they are declared.", tuple(rules)
    )


def kinds(sandbox: Sandbox) -> frozenset[str]:
    """Return which of `unix`, `udp`, `tcp` a sandbox declares."""
    return frozenset(each.partition(":")[0] for each in sandbox.network)


def groups(role: Role, sandbox: Sandbox, pid: int, *, errands: bool = False) -> tuple[Group, ...]:
    """Return the groups of the strict list, in the order in which they decide; `errands`: as for `policy`."""
    read = bool(sandbox.read) or role in (Role.UI, Role.EXTENSION)
    write = bool(sandbox.write)
    return (
        *((_ERRANDS,) if errands and role is Role.ENCLAVE else ()),
        *_network(kinds(sandbox)),
        _link(role),
        _memory(role, files=read or write),
        _process(role, sandbox, pid),
        *_COMMON,
        *(() if role is Role.BROKER else (_OWN_SOCKETS,)),
        *((_HOST_FILES,) if role is Role.HOST and (read or write) else ()),
        *_files(role, read=read, write=write),
        *_caller(role, pid),
        *_REFUSED,
    )


_HOT: Final = ("sendto", "recvfrom", "recvmsg", "futex", "sendmsg", "ioctl", "fcntl", "mmap", "madvise", "mprotect")


def _cost(rule: Rule) -> int:
    """Return where a rule stands: the lower, the sooner it is looked at.

    The kernel keeps in a table which calls are allowed whatever their arguments are; only the checked ones, and those
    that fail, run through the program each time.
    """
    if not isinstance(rule.action, Checked):
        return len(_HOT) + 1
    return _HOT.index(rule.name) if rule.name in _HOT else len(_HOT)


def policy(role: Role, sandbox: Sandbox, pid: int, *, errands: bool = False) -> Policy:
    """Return the policy of a process; `pid` is its own. A broker gets nothing, whatever `sandbox` says.

    `errands`: of an enclave that has one-shot processes.
    """
    if role is Role.BROKER:
        sandbox = NOTHING
    if sandbox.exec:
        return (deny_list.host if role is Role.HOST else deny_list.policy)(kinds(sandbox), pid)
    rules: dict[str, Rule] = {}
    for rule in chain.from_iterable(group.rules for group in groups(role, sandbox, pid, errands=errands)):
        rules.setdefault(rule.name, rule)
    return Policy(tuple(sorted(rules.values(), key=_cost)), Kill())


def strict(found: Policy) -> bool:
    """Return whether a policy lists what is allowed. Programs cannot live under it, and get the weaker list."""
    return isinstance(found.default, Kill)


def describe(found: Policy) -> str:
    """Return a policy in one line for people."""
    actions = [rule.action for rule in found.rules]
    checked = sum(isinstance(each, Checked) for each in actions)
    refused = sum(isinstance(each, Errno) for each in actions)
    if not strict(found):
        return f"{refused} calls refused, {checked} with checked arguments; everything else is allowed"
    granted = checked + sum(isinstance(each, Allow) for each in actions)
    return f"{granted} calls allowed, {checked} of them with checked arguments; {refused} fail; everything else kills"


def summary(role: Role, sandbox: Sandbox) -> str:
    """Return in one line for people what a role and a sandbox come to."""
    return describe(policy(role, sandbox, 1))
