"""What no `Sandbox` allows, in the words of a developer: the reason for each call, and what to do instead.

May import: nothing of ours. Invariant: the names are those of the kernel's calls, and of Python's functions where these
differ; it decides nothing.
"""

from __future__ import annotations

from typing import Final


def _each(reason: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), reason)


NEVER: Final = {
    **_each(
        "nobody may listen for connections or bind an address: they only go out",
        "bind listen accept accept4",
    ),
    **_each(
        "it asks for the machine's name or figures, which are not told; ask in warm_up(), or pass them as a setting",
        "uname gethostname sysinfo sysconf",
    ),
    **_each(
        "a second name of a file (a link) is never allowed; copy the file",
        "link linkat symlink symlinkat",
    ),
    **_each(
        "modes, owners, times and attributes of files cannot be changed; what it makes is its user's own, mode 0600",
        "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat "
        "setxattr lsetxattr fsetxattr removexattr lremovexattr fremovexattr",
    ),
    **_each("the mask of new files is 077, and stays so", "umask"),
    **_each("the current folder stays as it is; use absolute paths", "chdir fchdir"),
    **_each("where a symbolic link leads is not told; resolve paths in warm_up()", "readlink readlinkat"),
    **_each("facts about file systems are not told", "statfs fstatfs statvfs fstatvfs"),
    **_each("named pipes and devices cannot be made", "mknod mknodat mkfifo"),
    **_each("a file is not truncated by its path; open it, and truncate what is open", "truncate"),
    **_each(
        "files cannot be watched; look at them from time to time",
        "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch",
    ),
    **_each(
        "a locked process cannot fork; a program can be started, if exec=[…] declares it",
        "fork vfork clone fork_exec forkpty",
    ),
    **_each(
        "other processes cannot be looked into, signalled or waited for",
        "kill killpg tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_open pidfd_getfd pidfd_send_signal ptrace "
        "process_vm_readv process_vm_writev kcmp get_robust_list",
    ),
    **_each("sessions and process groups stay as they are", "setpgid setpgrp setsid"),
    **_each(
        "priorities, processors and limits are not its own to choose",
        "nice setpriority getpriority ioprio_set ioprio_get setrlimit prlimit prlimit64 sched_setaffinity "
        "sched_setscheduler sched_getscheduler sched_setparam sched_getparam sched_setattr sched_getattr "
        "sched_get_priority_max sched_get_priority_min",
    ),
    **_each(
        "memory that can be executed: code that is loaded, or a ctypes callback that is made, only after the lock; do "
        "it at the top of the module, or in warm_up()",
        "mmap mprotect pkey_mprotect",
    ),
    **_each(
        "memory that outlives its locks or has a descriptor; use bytes, or a file in a folder of write=[…]",
        "memfd_create memfd_secret mlockall munlockall mlock2 mincore pkey_alloc",
    ),
    **_each(
        "an enclave has no timers and event descriptors of the kernel; wait with time.sleep, select or a queue",
        "eventfd eventfd2 timerfd_create signalfd signalfd4 timer_create setitimer getitimer alarm",
    ),
    **_each(
        "no descriptors are passed, and no packets but over sockets that network=[…] declares",
        "sendmsg recvmsg sendmmsg recvmmsg",
    ),
}
"""By name: why not, as the end of a sentence that begins with the name."""
