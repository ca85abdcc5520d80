"""The table of allowed calls, by role and declaration, and that the programs made of it decide as it says."""

from __future__ import annotations

import errno
from itertools import product

import pytest

from tests.isolation.judge import decision, evaluate, expected, says, telling
from trollbridge.actors.isolation import filters
from trollbridge.actors.isolation.bpf import Allow, Checked, Errno, Kill, Policy, translate
from trollbridge.actors.isolation.syscalls import TABLES, Architecture
from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import NOTHING, Sandbox

PID = 4711
EVERYTHING = Sandbox(read=("/r",), write=("/w",), network=("unix", "udp", "tcp:443"), threads=True)
PROGRAMS = Sandbox(exec=("/usr/bin/gpg",), write=("/w",))
SANDBOXES = {
    "nothing": NOTHING,
    "read": Sandbox(read=("/r",)),
    "write": Sandbox(write=("/w",)),
    "everything": EVERYTHING,
    "programs": PROGRAMS,
}
POLICIES = [
    pytest.param(filters.policy(role, sandbox, PID), id=f"{role}-{name}")
    for role, (name, sandbox) in product(Role, SANDBOXES.items())
] + [
    pytest.param(filters.policy(Role.ENCLAVE, sandbox, PID, errands=True), id=f"enclave-{name}-errands")
    for name, sandbox in SANDBOXES.items()
]
STRICT = [(role, sandbox) for role, sandbox in product(Role, SANDBOXES.values()) if not sandbox.exec]
ALLOWED, EPERM, EACCES, ENOSYS = Allow(), Errno(errno.EPERM), Errno(errno.EACCES), Errno(errno.ENOSYS)
_KILLING = (
    "ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd pidfd_send_signal kcmp keyctl add_key "
    "request_key bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register mount umount2 "
    "pivot_root chroot unshare setns init_module finit_module kexec_load reboot swapon personality quotactl acct "
    "open_by_handle_at name_to_handle_at seccomp capset setuid setgid setresuid setgroups iopl ioperm settimeofday "
    "clock_settime sethostname syslog modify_ldt arch_prctl shmget shmat semget msgget mq_open vmsplice splice tee "
    "landlock_create_ruleset landlock_restrict_self move_pages migrate_pages fanotify_init open_tree fsopen"
)
KILLING = _KILLING.split()
_UNGOVERNED = (
    "chmod fchmod fchmodat chown fchownat link linkat symlinkat mknodat inotify_add_watch utimensat truncate chdir "
    "readlinkat faccessat statfs setxattr"
)
UNGOVERNED = _UNGOVERNED.split()


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("architecture", Architecture)
def test_the_program_of_every_list_decides_as_the_list_says(policy: Policy, architecture: Architecture) -> None:
    """All numbers from 0 to 600; for calls with checked arguments, everything that tells these apart (I1)."""
    program = translate(policy, architecture)
    names = {number: name for name, number in TABLES[architecture].items()}
    for number in range(601):
        says = expected(policy, architecture, number)
        for arguments in telling(policy, names.get(number, "")):
            found = decision(evaluate(program, architecture, number, arguments))
            assert found == says(arguments), (names.get(number), arguments)


@pytest.mark.parametrize("name", KILLING)
def test_what_only_an_attacker_calls_kills_in_every_role(name: str) -> None:
    """Under every declaration without programs; it is in our tables, so the word is not misspelt."""
    assert name in TABLES[Architecture.X86_64] or name in TABLES[Architecture.AARCH64]
    assert {type(says(filters.policy(role, sandbox, PID), name)) for role, sandbox in STRICT} == {Kill}


def test_whatever_is_new_in_a_kernel_kills() -> None:
    """A list of what is allowed does not age: the default kills, and nothing above the last known number is named."""
    for role, sandbox in STRICT:
        policy = filters.policy(role, sandbox, PID)
        assert policy.default == Kill()
        assert decision(evaluate(translate(policy, Architecture.X86_64), Architecture.X86_64, 590)) == Kill()


def test_only_programs_get_the_weaker_list() -> None:
    """It is told apart, so that the posture can say so; and a broker never gets it, whatever is asked for."""
    for role, sandbox in product(Role, SANDBOXES.values()):
        strict = not sandbox.exec or role is Role.BROKER
        assert filters.strict(filters.policy(role, sandbox, PID)) is strict
    assert filters.policy(Role.BROKER, EVERYTHING, PID) == filters.policy(Role.BROKER, NOTHING, PID)


def test_no_group_repeats_or_contradicts_itself_and_each_has_a_reason() -> None:
    """Grants stand above refusals; inside a group, a call stands once."""
    for role, sandbox in STRICT:
        found = filters.groups(role, sandbox, PID)
        for group in found:
            names = [rule.name for rule in group.rules]
            assert len(set(names)) == len(names), group.reason
            assert group.reason.endswith(".")
        kinds = [all(isinstance(rule.action, Errno) for rule in group.rules) for group in found]
        assert kinds == sorted(kinds), "first everything that is granted, then everything that is refused"


def test_the_summary_counts_what_the_list_says() -> None:
    """One line for people."""
    for role, sandbox in STRICT:
        policy = filters.policy(role, sandbox, PID)
        checked = sum(isinstance(rule.action, Checked) for rule in policy.rules)
        allowed = sum(isinstance(rule.action, Allow | Checked) for rule in policy.rules)
        failing = sum(isinstance(rule.action, Errno) for rule in policy.rules)
        assert filters.summary(role, sandbox) == (
            f"{allowed} calls allowed, {checked} of them with checked arguments; {failing} fail; everything else kills"
        )
    assert filters.summary(Role.ENCLAVE, PROGRAMS).endswith("everything else is allowed")


def test_the_link_sends_packets_and_nothing_else() -> None:
    """No address, no out-of-band byte, no fast open; a broker, a UI and an errand can be given a descriptor (I9)."""
    for role in Role:
        policy = filters.policy(role, NOTHING, PID)
        assert says(policy, "sendto", 3, 1, 1, 0x40) == ALLOWED
        assert says(policy, "recvfrom", 3, 1, 1, 0x60) == ALLOWED
        for flags in (0x1, 0x2000_0000, 0x0400_0000, 0x1_0000_0000 | 0x1):
            assert says(policy, "sendto", 3, 1, 1, flags) == EPERM
        assert says(policy, "recvfrom", 3, 1, 1, 0x1) == EPERM
        assert says(policy, "sendto", 3, 1, 1, 0, 1 << 32) == EPERM
        assert says(policy, "recvfrom", 3, 1, 1, 0, 1 << 32) == EPERM
        assert says(policy, "sendmsg", 3, 1, 0) == EPERM
        assert says(policy, "sendmmsg", 3, 1, 1, 0) == EPERM
        assert says(policy, "recvmmsg", 3, 1, 1, 0) == EPERM
        receives = says(policy, "recvmsg", 3, 1, 0x4000_0000)
        assert receives == (ALLOWED if role in (Role.BROKER, Role.UI, Role.ERRAND) else EPERM)


def test_memory_never_becomes_code() -> None:
    """Neither mapped nor changed to be executable; a UI and an extension may load libraries, but not write to them."""
    for role, sandbox in STRICT:
        policy = filters.policy(role, sandbox, PID)
        loads = role in (Role.UI, Role.EXTENSION)
        assert says(policy, "mmap", 0, 4096, 0x3, 0x22) == ALLOWED
        assert says(policy, "mmap", 0, 4096, 0x5, 0x22) == EACCES  # read, execute, anonymous
        assert says(policy, "mmap", 0, 4096, 0x7, 0x02) == EACCES
        assert says(policy, "mmap", 0, 4096, 0x5, 0x01) == EACCES  # shared
        assert says(policy, "mmap", 0, 4096, 0x5, 0x03) == EACCES  # shared, validated
        assert says(policy, "mmap", 0, 4096, 0x5, 0x802) == (ALLOWED if loads else EACCES)
        assert says(policy, "mprotect", 0, 4096, 0x5) == EACCES
        assert says(policy, "mprotect", 0, 4096, 0x1) == ALLOWED
        assert says(policy, "pkey_mprotect", 0, 4096, 0x1) == EPERM
        assert says(policy, "memfd_create") == says(policy, "execve") == EPERM
    assert says(filters.policy(Role.ENCLAVE, NOTHING, PID), "mmap", 0, 4096, 0x1, 0x02) == EACCES
    assert says(filters.policy(Role.ENCLAVE, Sandbox(read=("/r",)), PID), "mmap", 0, 4096, 0x1, 0x02) == ALLOWED


O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, O_CLOEXEC = 0o1, 0o2, 0o100, 0o1000, 0o2000000
O_PATH, O_TMPFILE = 0o10000000, 0o20200000
OPENS = {
    # flags: (with read, with write)
    O_CLOEXEC: (ALLOWED, ALLOWED),
    O_RDWR | O_CREAT | O_CLOEXEC: (EACCES, ALLOWED),
    O_WRONLY | O_CREAT | O_TRUNC: (EACCES, ALLOWED),
    O_RDWR | O_TMPFILE: (EACCES, ALLOWED),
    O_CREAT: (EACCES, ALLOWED),
    O_WRONLY: (EACCES, ALLOWED),
    O_TRUNC: (EACCES, EACCES),
    O_PATH: (EACCES, EACCES),
    O_PATH | O_RDWR: (EACCES, EACCES),
    O_WRONLY | O_RDWR: (EACCES, EACCES),
}


@pytest.mark.parametrize("flags", OPENS)
def test_files_open_as_they_are_declared(flags: int) -> None:
    """No path alone (O_PATH), no truncation of what was opened to be read, no mode that means neither (A3, I7)."""
    reading, writing = OPENS[flags]
    for name, arguments in (("openat", (0, 1, flags)), ("open", (1, flags))):
        assert says(filters.policy(Role.ENCLAVE, NOTHING, PID), name, *arguments) == EACCES
        assert says(filters.policy(Role.BROKER, EVERYTHING, PID), name, *arguments) == EACCES
        assert says(filters.policy(Role.ENCLAVE, Sandbox(read=("/r",)), PID), name, *arguments) == reading
        assert says(filters.policy(Role.EXTENSION, NOTHING, PID), name, *arguments) == reading
        assert says(filters.policy(Role.ENCLAVE, Sandbox(write=("/w",)), PID), name, *arguments) == writing
        assert says(filters.policy(Role.ERRAND, NOTHING, PID), name, *arguments) == writing


def test_an_errand_opens_and_changes_nothing_by_name() -> None:
    """Its pipes have names in /proc; what makes, removes or renames a file is for whoever declares it."""
    found = filters.policy(Role.ERRAND, NOTHING, PID)
    for name in ("mkdir", "unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2", "ftruncate", "chmod"):
        assert isinstance(says(found, name), Errno), name
    assert says(found, "newfstatat") == ALLOWED
    assert says(found, "socket", 1, 1, 0) == EPERM


def test_errands_add_a_stream_and_sendmsg_to_the_list_of_an_enclave() -> None:
    """I9: two rules differ, and nothing else; to no other role do errands make a difference."""
    for role, sandbox in STRICT:
        plain = {rule.name: rule.action for rule in filters.policy(role, sandbox, PID).rules}
        other = {rule.name: rule.action for rule in filters.policy(role, sandbox, PID, errands=True).rules}
        differing = {name for name in plain.keys() | other.keys() if plain.get(name) != other.get(name)}
        sends = {"socketpair"} if sandbox.network else {"socketpair", "sendmsg"}
        assert differing == (sends if role is Role.ENCLAVE else set())
    policy = filters.policy(Role.ENCLAVE, NOTHING, PID, errands=True)
    pairs = {kind: says(policy, "socketpair", 1, kind | 0o2_000_000, 0) for kind in (1, 2, 3, 5)}
    assert pairs == {1: ALLOWED, 2: EPERM, 3: EPERM, 5: EPERM}
    assert says(policy, "socketpair", 2, 1, 0) == says(policy, "socketpair", 1, 1, 1) == EPERM
    assert [says(policy, "sendmsg", 3, 1, flags) for flags in (0, 0x40, 0x4000)] == [ALLOWED] * 3
    assert [says(policy, "sendmsg", 3, 1, flags) for flags in (0x1, 0x2000_0000, 0x0400_0000)] == [EPERM] * 3
    assert says(policy, "recvmsg", 3, 1, 0) == says(policy, "sendmmsg", 3, 1, 1, 0) == EPERM


def test_what_landlock_does_not_govern_is_refused_whatever_is_declared() -> None:
    """Modes, owners, times, attributes, second names; and watching files and links, but for a host that has any."""
    for (role, sandbox), name in product(STRICT, UNGOVERNED):
        host = role is Role.HOST and bool(sandbox.read or sandbox.write)
        looks = host and name in {"inotify_add_watch", "readlinkat"}
        assert isinstance(says(filters.policy(role, sandbox, PID), name), Allow if looks else Errno), name


def test_a_socket_is_what_was_declared() -> None:
    """Family, type and protocol; MPTCP and SCTP, which Landlock does not know, are no TCP."""
    unix, tcp, udp, cloexec = (1, 1, 0), (2, 1, 0), (2, 2, 0), 0o2_000_000
    declared = {"unix": unix, "tcp": tcp, "udp": udp}
    assert says(filters.policy(Role.ENCLAVE, NOTHING, PID), "socket", *tcp) == EPERM
    for (entry, _), (other, arguments) in product(declared.items(), declared.items()):
        policy = filters.policy(Role.ENCLAVE, Sandbox(network=(entry,)), PID)
        family, kind, protocol = arguments
        assert says(policy, "socket", family, kind | cloexec, protocol) == (ALLOWED if entry == other else EPERM)
    policy = filters.policy(Role.ENCLAVE, EVERYTHING, PID)
    for arguments in (
        (2, 1, 262),
        (2, 1, 132),
        (10, 1, 262),
        (2, 2, 136),
        (2, 2, 1),
        (2, 3, 0),
        (16, 3, 0),
        (40, 1, 0),
    ):
        assert says(policy, "socket", *arguments) == EPERM
    for name in ("bind", "listen", "accept", "accept4"):
        assert says(policy, name) == EPERM
    assert says(policy, "setsockopt", 3, 6, 1) == ALLOWED
    for level, option in ((1, 26), (1, 50), (6, 31), (0, 35), (1, 25)):  # filters, ULP, IP options, a device
        assert says(policy, "setsockopt", 3, level, option) == EPERM


def test_an_address_is_for_datagrams() -> None:
    """A declared TCP connection has its one peer, which `connect` is checked for; descriptors need `unix`."""
    tcp = filters.policy(Role.ENCLAVE, Sandbox(network=("tcp:443",)), PID)
    udp = filters.policy(Role.ENCLAVE, Sandbox(network=("udp",)), PID)
    unix = filters.policy(Role.ENCLAVE, Sandbox(network=("unix",)), PID)
    assert [says(each, "sendto", 3, 1, 1, 0, 9) for each in (tcp, udp, unix)] == [EPERM, ALLOWED, ALLOWED]
    assert [says(each, "recvmsg", 3, 1, 0) for each in (tcp, udp, unix)] == [EPERM, EPERM, ALLOWED]
    for each in (tcp, udp, unix):
        assert says(each, "sendmsg", 3, 1, 0x2000_0000) == EPERM, "a fast open connects past Landlock"


def test_nobody_touches_another_process() -> None:
    """Signals, limits, affinity, priority: of this process at most (A12, and K3 as an extension)."""
    for role, sandbox in STRICT:
        policy = filters.policy(role, sandbox, PID)
        for name in ("kill", "tgkill"):
            assert says(policy, name, PID) == ALLOWED
            for other in (PID + 1, 0, 1, (1 << 64) - 1, (1 << 32) - PID):
                assert says(policy, name, other) == EPERM
        assert says(policy, "prlimit64", 0, 7, 0) == says(policy, "prlimit64", PID, 7, 0) == ALLOWED
        assert says(policy, "prlimit64", PID + 1, 7, 0) == says(policy, "prlimit64", 0, 7, 1 << 40) == EPERM
        for name in (
            "sched_setaffinity",
            "sched_setscheduler",
            "setpriority",
            "ioprio_set",
            "rt_sigqueueinfo",
            "tkill",
        ):
            assert says(policy, name, 0) == EPERM
        for option in (4, 1, 22, 24, 47, 59, 0x5961_6D61):
            assert says(policy, "prctl", option, 1) == EPERM
        assert says(policy, "prctl", 15, 1) == ALLOWED
        assert says(policy, "clock_gettime", 1) == says(policy, "clock_gettime", 3) == ALLOWED
        assert says(policy, "clock_gettime", (1 << 64) - 6) == Errno(errno.EINVAL), "the CPU clock of another process"
        assert says(policy, "fcntl", 3, 8, 1) == Errno(errno.EINVAL), "F_SETOWN would signal another process"


def test_a_thread_is_no_process() -> None:
    """Exactly a thread's flags, only where threads are declared or always run; a fork never."""
    thread, fork, namespace = 0x3D_0F00, 0x0120_0011, 0x3D_0F00 | 0x1000_0000
    for role, sandbox in STRICT:
        policy = filters.policy(role, sandbox, PID)
        threaded = role in (Role.UI, Role.EXTENSION) or (sandbox.threads and role is not Role.BROKER)
        assert says(policy, "clone", thread) == (ALLOWED if threaded else EPERM)
        assert says(policy, "clone", fork) == says(policy, "clone", namespace) == says(policy, "fork") == EPERM
        assert says(policy, "clone3") == ENOSYS


def test_only_a_ui_has_a_terminal() -> None:
    """It may set it up and take its foreground; nobody types for the user (TIOCSTI)."""
    for role, sandbox in STRICT:
        policy = filters.policy(role, sandbox, PID)
        for request in (0x5401, 0x5402, 0x5410, 0x5413):
            granted = ALLOWED if role is Role.UI else Errno(errno.ENOTTY)
            assert says(policy, "ioctl", 0, request) == granted
        for request in (0x5412, 0x541C, 0x8901, 0x5412 | 1 << 32):
            assert says(policy, "ioctl", 0, request) == Errno(errno.ENOTTY)


def test_the_weaker_list_still_refuses_the_worst() -> None:
    """A sandbox with programs: no tracing, no namespaces, no second call interface, nothing that types or listens."""
    policy = filters.policy(Role.ENCLAVE, PROGRAMS, PID)
    for name in KILLING[:17]:
        assert says(policy, name) in (EPERM, ENOSYS), name
    assert says(policy, "socket", 2, 1, 0) == EPERM
    assert says(policy, "clone", 0x1000_0000) == says(policy, "unshare") == EPERM
    assert says(policy, "clone", 0x0120_0011) == says(policy, "execve") == ALLOWED
    assert says(policy, "clone3") == ENOSYS
    assert [says(policy, "kill", each) for each in (PID + 1, 0, (1 << 64) - 1, (1 << 64) - PID)] == [
        ALLOWED, EPERM, EPERM, EPERM,
    ]  # fmt: skip
    assert says(policy, "prlimit64", 0, 7, 1) == ALLOWED
    assert says(policy, "prlimit64", PID + 1, 7, 1) == EPERM
    assert says(policy, "sched_setaffinity", PID + 1) == EPERM
    assert says(policy, "ioctl", 0, 0x5412) == EPERM
    assert says(policy, "ioctl", 0, 0x5401) == ALLOWED
    assert says(policy, "prctl", 4, 1) == says(policy, "prctl", 0x5961_6D61, 1) == EPERM
    assert says(policy, "prctl", 4, 0) == says(policy, "prctl", 15) == ALLOWED
    assert says(policy, "prctl", 1, 0) == says(policy, "prctl", 36, 1) == EPERM  # nothing outlives the application
    assert says(policy, "clone", 0x0120_8011) == says(policy, "setsid") == says(policy, "setpgid") == EPERM
    for name in ("chmod", "fchmodat", "chown", "utimensat", "inotify_add_watch"):  # Landlock governs none of these
        assert says(policy, name) == EPERM, name
    assert says(policy, "memfd_create", 1, 0) == EPERM
    assert says(policy, "memfd_create", 1, 9) == ALLOWED
    networked = filters.policy(Role.ENCLAVE, Sandbox(exec=("/bin/true",), network=("tcp",)), PID)
    assert says(networked, "socket", 2, 1, 0) == ALLOWED
    assert says(networked, "sendto", 3, 1, 1, 0x2000_0000, 9) == EPERM
