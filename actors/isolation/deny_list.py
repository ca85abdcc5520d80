"""The weaker list, for a sandbox that declares programs: they make calls that nobody can list beforehand.

May import: `bpf`, `checks`. Invariant: what it refuses, it refuses with an error that programs know, and no program
that merely reads, writes, computes and starts others runs into it.

What it does not do, and the strict list does: it leaves the kernel's rarer calls open, and cannot tell whom a signal is
for. Landlock's scope (ABI 6) keeps signals inside.

A host that runs programs may besides put them into groups of their own, and end these whole; each program gets the list
as everybody has it on top (`programs`), and may not; nor may it have memory that its limit does not count.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import checks
from trollbridge.actors.isolation.bpf import Allow, Errno, Policy, Rule
from trollbridge.actors.isolation.checks import ENOSYS, EPERM

if TYPE_CHECKING:
    from trollbridge.actors.isolation.bpf import Decision

_REFUSED: Final[tuple[tuple[Decision, str], ...]] = (
    # Looking into other processes, and acting on them.
    (EPERM, "ptrace process_vm_readv process_vm_writev process_madvise process_mrelease pidfd_open pidfd_getfd"),
    (EPERM, "pidfd_send_signal tkill rt_sigqueueinfo rt_tgsigqueueinfo kcmp get_robust_list move_pages migrate_pages"),
    # Memory that is shared by name, which Landlock does not govern.
    (EPERM, "shmget shmat shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl"),
    (EPERM, "mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr"),
    # What Landlock does not govern: the modes, owners and times of any file of the user, and watching it change.
    (EPERM, "chmod fchmodat fchmodat2 chown lchown fchownat utime utimes futimesat utimensat"),
    (EPERM, "inotify_init inotify_init1 inotify_add_watch"),
    # Leaving the process group by which all of it is ended.
    (EPERM, "setsid setpgid"),
    # Large and often broken parts of the kernel, and a second way to make calls, which no filter sees.
    (ENOSYS, "io_uring_setup io_uring_enter io_uring_register io_setup io_submit io_getevents io_pgetevents"),
    (EPERM, "bpf perf_event_open userfaultfd add_key request_key keyctl fanotify_init fanotify_mark lookup_dcookie"),
    (EPERM, "modify_ldt vmsplice uselib nfsservctl"),
    # Its flags lie in memory, where they can be changed after the check; C libraries go back to clone.
    (ENOSYS, "clone3"),
    # Another view of the machine.
    (
        EPERM,
        "unshare setns mount umount2 pivot_root chroot move_mount open_tree open_tree_attr fsopen fsconfig fsmount",
    ),
    (EPERM, "fspick mount_setattr statmount listmount name_to_handle_at open_by_handle_at"),
    # The machine itself.
    (EPERM, "init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff syslog acct"),
    (EPERM, "quotactl quotactl_fd iopl ioperm sethostname setdomainname settimeofday clock_settime clock_adjtime"),
    (EPERM, "adjtimex vhangup"),
    # Nobody listens; a program that a descriptor names is none that was declared.
    (EPERM, "bind listen accept accept4 recvmmsg execveat"),
    (Errno(errno.EOPNOTSUPP), "setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr setxattrat"),
)


_HOST: Final = (
    # A group for each program, set in between fork and exec, and a signal to the whole of it.
    Rule("setpgid", checks.SETPGID_SELF),
    Rule("kill", checks.KILL_GROUP),
    # Waiting for the end of one's own child.
    Rule("pidfd_open", Allow()),
    # A program ends with its host.
    Rule("prctl", checks.PRCTL_HOST),
)


def host(kinds: frozenset[str], pid: int) -> Policy:
    """Return the policy for the process `pid` of a host that runs programs."""
    granted = {rule.name for rule in _HOST}
    return Policy((*_HOST, *(rule for rule in policy(kinds, pid).rules if rule.name not in granted)), Allow())


def programs(*, alone: bool) -> Policy:
    """Return the policy that a host's program gets on top of its host's: the list, for whatever process it is.

    `alone`: it starts no process, though it may have threads. Files in memory are refused: what is written to
    one and not mapped is not in the address space, which is what is limited.
    """
    own = [Rule("memfd_create", EPERM), Rule("memfd_secret", ENOSYS)]
    if alone:
        own += [Rule("clone", checks.CLONE_THREAD_PROGRAM), Rule("fork", EPERM), Rule("vfork", EPERM)]
    names = {rule.name for rule in own}
    return Policy((*own, *(rule for rule in policy(frozenset(), 0).rules if rule.name not in names)), Allow())


def policy(kinds: frozenset[str], pid: int) -> Policy:
    """Return the policy for the process `pid` and the programs that it starts."""
    checked = (
        Rule("ioctl", checks.IOCTL_PROGRAM),
        Rule("fcntl", checks.FCNTL_PROGRAM),
        Rule("clone", checks.CLONE_PROGRAM),
        Rule("kill", checks.KILL_PROGRAM),
        Rule("socket", checks.socket_of(kinds) if kinds else EPERM),
        Rule("socketpair", checks.SOCKETPAIR),
        Rule("sendto", checks.SENDTO_ADDRESS),
        Rule("sendmsg", checks.SENDMSG),
        Rule("sendmmsg", checks.SENDMMSG),
        Rule("memfd_create", checks.MEMFD_PROGRAM),
        Rule("prctl", checks.PRCTL_PROGRAM),
        Rule("personality", checks.PERSONALITY_PROGRAM),
        Rule("prlimit64", checks.prlimit(pid, change=True)),
        Rule("setpriority", checks.PRIORITY_PROGRAM),
        Rule("ioprio_set", checks.IOPRIO_PROGRAM),
        *(
            Rule(name, checks.own_or_zero(0, pid))
            for name in ("sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr")
        ),
    )
    refused = (Rule(name, decision) for decision, names in _REFUSED for name in names.split())
    return Policy((*checked, *refused), Allow())
