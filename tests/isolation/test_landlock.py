"""Landlock as the kernel applies it: what is declared is reached, and nothing else. Each attempt is a real one."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import landlockpy
import pytest
from landlockpy import flags

from tests.enclave.children import in_child
from tests.isolation.reach import ACTS, REFUSALS, furnish, reached
from tests.isolation.refusing import refuse
from trollbridge.actors.isolation import landlock
from trollbridge.messages.errors import DeclarationError, UsageError
from trollbridge.messages.posture import Mechanism, State
from trollbridge.messages.sandbox import NOTHING, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from trollbridge.messages.posture import Evidence

EVERYTHING: Final = list(ACTS)
SIGNALS: Final = "signals to other processes and abstract Unix sockets (from Linux 6.12)"
CAT: Final = os.path.realpath("/bin/cat")


def told(evidence: Evidence) -> str:
    """Return evidence as one line."""
    return f"{evidence.mechanism} | {evidence.state} | {evidence.evidence} | {evidence.remedy}"


def restricted(sandbox: Sandbox, act: Callable[[], object]) -> str:
    """Return what `act` returns in a process that is restricted to `sandbox`."""

    def inside() -> str:
        landlock.prepare(sandbox)
        evidence = landlock.restrict(sandbox)
        assert evidence.state is State.IN_FORCE, evidence
        return str(act())

    return in_child(inside)


def refused(act: Callable[[], object]) -> bool:
    """Return whether the kernel refuses `act`; a link or move between folders is refused as one between devices."""
    try:
        act()
    except OSError as error:
        if error.errno in REFUSALS:
            return True
        raise
    return False


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    """Return the place that the tests declare."""
    return furnish(tmp_path / "inside")


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Return the place beside it."""
    return furnish(tmp_path / "outside")


@pytest.fixture
def ports() -> Iterator[tuple[int, int]]:
    """Listen on two ports of the loopback; return their numbers."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(2)]
        first, second = (int(each.getsockname()[1]) for each in listeners)
        yield first, second


def connects(port: int) -> bool:
    """Return whether a connection to a port of the loopback comes about; raises `OSError` unless refused."""
    with socket.socket() as made:  # by number: looking up names would import modules
        return not refused(lambda: made.connect(("127.0.0.1", port)))


def listens() -> bool:
    """Return whether a port can be bound."""
    with socket.socket() as made:
        return not refused(lambda: made.bind(("127.0.0.1", 0)))


@pytest.mark.parametrize("version", range(1, 9))
def test_the_numbers_are_those_of_an_independent_library(version: int) -> None:
    """Every right that an ABI up to 8 knows is handled, under the same number as in landlockpy."""
    handled = landlock.ruleset(NOTHING, version)
    assert int(handled.files) == flags.fs_for_abi(version)
    assert int(handled.network) == flags.net_for_abi(version)
    assert int(handled.scopes) == flags.scope_for_abi(version)
    assert {each.name: int(each) for each in landlock.Access}.items() <= {
        each.name: int(each) for each in flags.AccessFS
    }.items()


def test_the_version_is_the_one_that_an_independent_library_finds() -> None:
    """The kernel under test has Landlock, and both ask it alike."""
    assert landlock.abi() == landlockpy.abi_version() > 0
    assert landlock.why_none() == ""


def test_an_independent_library_refuses_the_same(inside: Path) -> None:
    """Nothing is reached under a rule set of landlockpy, as under ours: the acts measure what they claim to."""

    def theirs() -> str:
        landlockpy.Ruleset().restrict()
        return str(reached(inside))

    assert in_child(theirs) == "[]"


@pytest.mark.parametrize(
    ("opened", "expected"),
    [
        (Sandbox(), []),
        (Sandbox(read=("{inside}",)), ["read", "list"]),
        (Sandbox(read=("{inside}/file",)), ["read"]),
        (Sandbox(write=("{inside}",)), [each for each in EVERYTHING if each != "execute"]),
        (Sandbox(write=("{inside}/file",)), ["read", "write"]),
        (Sandbox(write=("{inside}/shrinking",)), ["truncate"]),
        (Sandbox(exec=("{inside}/program",)), ["execute"]),
    ],
)
def test_only_what_is_declared_is_reached(inside: Path, outside: Path, opened: Sandbox, expected: list[str]) -> None:
    """A15, S5: inside a declared place exactly the declared acts succeed; beside it, and by default, none."""
    sandbox = opened.resolved({"inside": str(inside)}, "/")
    assert restricted(sandbox, lambda: [reached(inside), reached(outside)]) == str([expected, []])


def test_without_restriction_every_act_succeeds(inside: Path) -> None:
    """The other half: what is refused above is possible otherwise."""
    assert in_child(lambda: str(reached(inside))) == str(EVERYTHING)


def test_no_way_leads_out_of_a_folder(inside: Path, outside: Path) -> None:
    """A15, S1, S2: not by .., a symlink in any component, a hard link or a rename, nor to what is not there yet."""
    (inside / "up").symlink_to("..")
    (inside / "link").symlink_to(outside / "file")
    ways: tuple[Callable[[], object], ...] = (
        (inside / ".." / "outside" / "file").read_text,
        (inside / "up" / "outside" / "file").read_text,
        (inside / "link").read_text,
        Path(f"/proc/self/root{outside}/file").read_text,
        lambda: (inside / "up" / "outside" / "new").write_text("x"),
        lambda: (inside.parent / ".hidden").write_text("x"),
        lambda: os.link(outside / "file", inside / "planted"),
        lambda: os.link(inside / "file", outside / "planted"),
        lambda: (inside / "file").rename(outside / "file"),
        lambda: (outside / "file").rename(inside / "taken"),
    )
    assert restricted(Sandbox(write=(str(inside),)), lambda: [refused(way) for way in ways]) == str([True] * len(ways))
    assert (outside / "file").read_text() == "before"
    assert not list(inside.glob("planted"))


def test_a_folder_swapped_for_a_link_after_the_lock_opens_nothing(inside: Path, outside: Path) -> None:
    """S2: the rule is bound to the folder that was opened, not to its name."""

    def swap() -> str:
        (inside / "empty").rmdir()
        (inside / "empty").symlink_to(outside)
        return str(refused((inside / "empty" / "file").read_text))

    assert restricted(Sandbox(write=(str(inside),)), swap) == "True"


def test_a_declared_link_is_followed_once(tmp_path: Path, inside: Path, outside: Path) -> None:
    """S2: what a link points to at the lock is opened, and shown by its real name; what it points to later is not."""
    links = tmp_path / "links"
    links.mkdir()
    link = links / "link"
    link.symlink_to(inside)

    def turned() -> str:
        evidence = landlock.restrict(Sandbox(read=(str(link),), write=(str(links),)))
        link.unlink()
        link.symlink_to(outside)
        return f"{evidence.evidence}; {refused((link / 'file').read_text)}; {(inside / 'file').read_text()}"

    start = f"ABI {landlock.abi()}: reads {inside}, writes {links}, nothing else; opening / was refused"
    assert in_child(turned) == f"{start}; True; before"


def test_a_declared_program_runs_with_its_libraries_and_no_other_does(inside: Path) -> None:
    """A16, S6: its output arrives, another program is refused, and it cannot read what is not declared either."""

    def run() -> str:
        shown = subprocess.run([CAT, inside / "file"], capture_output=True, text=True, check=False)
        beyond = subprocess.run([CAT, "/etc/passwd"], capture_output=True, text=True, check=False)
        other = refused(lambda: os.posix_spawn("/bin/ls", ["ls"], {}))
        return f"{shown.stdout} {beyond.stdout!r} {beyond.returncode} {other}"

    assert restricted(Sandbox(read=(str(inside),), exec=(CAT,)), run) == "before '' 1 True"


def test_a_script_runs_by_the_interpreter_that_it_names(inside: Path) -> None:
    """The interpreter comes with the script."""
    script = inside / "script"
    script.write_text("#!/bin/sh\necho from the script\n")
    script.chmod(0o700)

    def run() -> str:
        return subprocess.run([script], capture_output=True, text=True, check=True).stdout

    assert restricted(Sandbox(exec=(str(script),)), run) == "from the script\n"


def test_a_program_that_is_started_stays_inside(inside: Path, outside: Path) -> None:
    """What a restricted process starts is restricted as it is."""

    def run() -> str:
        words = ["/bin/sh", "-c", f"cat {inside}/file; cat {outside}/file; echo $?"]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout

    assert restricted(Sandbox(read=(str(inside),), exec=("/bin/sh", CAT)), run) == "before1\n"


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ((), (False, False, False)),
        (("unix", "udp"), (False, False, False)),
        (("tcp:{first}",), (True, False, False)),
        (("tcp",), (True, True, False)),
        (("tcp", "tcp:{first}"), (True, True, False)),
    ],
)
def test_only_declared_ports_are_connected_to_and_none_is_listened_on(
    ports: tuple[int, int], network: tuple[str, ...], expected: tuple[bool, ...]
) -> None:
    """A21: a port that is declared can be connected to; another cannot, and nobody listens whatever is declared."""
    sandbox = Sandbox(network=tuple(each.format(first=ports[0]) for each in network))
    tried: Callable[[], object] = lambda: (connects(ports[0]), connects(ports[1]), listens())  # noqa: E731
    assert restricted(sandbox, tried) == str(expected)
    assert in_child(lambda: str(tried())) == "(True, True, True)"


@pytest.mark.parametrize("network", [(), ("unix",)])
def test_an_abstract_socket_outside_is_not_reached(network: tuple[str, ...]) -> None:
    """Abstract names lie outside every sandbox, even where Unix sockets are declared; one of its own is reached."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("")
        listener.listen()

        def reach() -> str:
            with socket.socket(socket.AF_UNIX) as client, socket.socket(socket.AF_UNIX) as own:
                before = refused(lambda: client.connect(listener.getsockname()))
                own.bind("")
                own.listen()
                client.connect(own.getsockname())
                return str(before)

        assert restricted(Sandbox(network=network), reach) == "True"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(listener.getsockname())


def test_no_signal_leaves_the_sandbox(inside: Path) -> None:
    """K3, K6: it cannot stop or kill another process of its user; one that it has started it can, and others can it."""

    def signals() -> str:
        child = subprocess.Popen([CAT], stdin=subprocess.PIPE)
        child.terminate()
        child.communicate()
        return f"{refused(lambda: os.kill(os.getppid(), 0))} {child.returncode}"

    assert restricted(Sandbox(read=(str(inside),), exec=(CAT,)), signals) == f"True {-signal.SIGTERM}"
    assert in_child(lambda: str(refused(lambda: os.kill(os.getppid(), 0)))) == "False"


def test_the_supervisor_may_still_signal_who_is_restricted() -> None:
    """The wall stands in one direction: whoever is outside ends who is inside."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        landlock.restrict(NOTHING)
        os.write(writer, b"restricted")
        signal.pause()
        os._exit(1)
    assert os.read(reader, 16) == b"restricted"
    os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGTERM
    os.close(reader)
    os.close(writer)


def test_a_second_restriction_only_takes_away(inside: Path, outside: Path) -> None:
    """Nobody opens again what is closed, by restricting himself once more."""

    def again() -> str:
        first = landlock.restrict(Sandbox(read=(str(inside),)), ["/proc/self/task"])
        second = landlock.restrict(Sandbox(read=(str(outside),)))
        third = landlock.restrict(NOTHING)  # the threads can no longer be counted
        return str([first.holds, second.holds, third.holds, third.remedy, reached(inside), reached(outside)])

    assert in_child(again) == "[True, True, False, 'let the process read /proc', [], []]"


def test_a_process_with_other_threads_is_refused() -> None:
    """A thread that runs already would stay free: an ABI before 8 binds the calling thread only."""

    def threaded() -> str:
        over = threading.Event()
        thread = threading.Thread(target=over.wait)
        thread.start()
        try:
            landlock.restrict(NOTHING)
        except UsageError as error:
            return str(error)
        finally:
            over.set()
            thread.join()
        return "restricted"

    version = landlock.abi()
    refusal = f"Landlock ABI {version} would bind one of 2 threads: restrict the process before it starts others"
    assert in_child(threaded) == ("restricted" if version >= 8 else refusal)


def test_what_our_own_code_needs_is_opened_besides(inside: Path, outside: Path) -> None:
    """Library folders of the caller are read, its programs executed; folders that are not there are left out."""

    def needed() -> str:
        evidence = landlock.restrict(NOTHING, [str(inside), "/nowhere"], executable=[CAT])
        assert evidence.evidence.startswith(f"ABI {landlock.abi()}: reads {inside}, ")
        shown = subprocess.run([CAT, inside / "file"], capture_output=True, text=True, check=True).stdout
        return str([shown, reached(inside), reached(outside)])

    assert in_child(needed) == "['before', ['read', 'list'], []]"


def test_the_evidence_says_what_is_opened_and_that_the_rest_was_tried() -> None:
    """A12: whoever reads it sees that nothing is open, and that this was tried."""
    expected = f"Landlock | in force | ABI {landlock.abi()}: no file, no program, no TCP port; opening / was refused | "
    assert in_child(lambda: told(landlock.restrict(NOTHING))) == expected


@pytest.mark.parametrize(
    ("version", "opened", "missing"),
    [
        (1, Sandbox(), ""),
        (3, Sandbox(network=("tcp:443",)), "TCP ports (from Linux 6.7)"),
        (4, Sandbox(network=("tcp",)), ""),
        (5, Sandbox(network=("unix",)), SIGNALS),
        (
            4,
            Sandbox(exec=(CAT,)),
            "device controls (ioctl) (from Linux 6.10), " + SIGNALS,
        ),
        (6, Sandbox(exec=(CAT,), network=("tcp", "unix")), ""),
    ],
)
def test_an_older_kernel_is_reported_with_what_it_leaves_open(
    monkeypatch: pytest.MonkeyPatch, version: int, opened: Sandbox, missing: str
) -> None:
    """R9: what this sandbox needs and this ABI does not cover is named, with the Linux that does."""
    monkeypatch.setattr(landlock, "abi", lambda: version)
    remedy = f"not covered by this kernel: {missing}" if missing else ""
    ending = f" | {remedy}"
    found = in_child(lambda: told(landlock.restrict(opened)))
    assert found.startswith(f"Landlock | {State.WEAKER if missing else State.IN_FORCE} | ABI {version}: ")
    assert found.endswith(ending)
    assert (landlock.needed(opened) > version) == bool(missing)


@pytest.mark.parametrize("version", range(1, 8))
def test_each_older_set_of_rights_is_one_that_the_kernel_takes(
    monkeypatch: pytest.MonkeyPatch, inside: Path, outside: Path, version: int
) -> None:
    """What an old kernel would be asked for keeps the places apart as well."""
    monkeypatch.setattr(landlock, "abi", lambda: version)
    kept = [] if version > 2 else ["truncate"]
    expected = str([["read", "list", *kept], kept])
    sandbox = Sandbox(read=(str(inside),))

    def kept_apart() -> str:
        landlock.restrict(sandbox)
        return str([reached(inside), reached(outside)])

    assert in_child(kept_apart) == expected


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errno.ENOSYS, "this kernel is older than Linux 5.13, or was built without Landlock: run a kernel that has it"),
        (
            errno.EOPNOTSUPP,
            "it was not enabled when this kernel was started: add landlock to its lsm= parameter",
        ),
        (
            errno.EPERM,
            "a filter around this process refuses it: allow landlock_* in the container's seccomp profile",
        ),
        (errno.ENOMEM, "the kernel answered: Cannot allocate memory"),
    ],
)
def test_without_landlock_the_evidence_says_why_and_what_to_change(error: int, reason: str) -> None:
    """R9: a kernel that has none, has it switched off, or hides it; the answers are the kernel's own."""

    def none() -> str:
        refuse("landlock_create_ruleset", error)
        assert (landlock.abi(), landlock.why_none()) == (0, reason)
        return told(landlock.restrict(NOTHING))

    assert in_child(none) == f"Landlock | missing | no Landlock | {reason}"


def test_a_kernel_that_only_pretends_is_found_out() -> None:
    """The rules are taken, and nothing is refused: the attempt tells."""

    def pretended() -> str:
        refuse("landlock_restrict_self", 0)
        return told(landlock.restrict(NOTHING))

    text = f"ABI {landlock.abi()} took the rules, and yet / can be opened"
    assert in_child(pretended) == f"Landlock | missing | {text} | report it: the kernel does not keep its word"


def test_one_sandbox_too_many_is_reported() -> None:
    """The kernel lays 16 sandboxes one inside the other; the next is missing, and says so."""

    def many() -> str:
        found = [landlock.restrict(NOTHING, ["/proc/self/task"]) for _ in range(17)]
        assert {each.mechanism for each in found} == {Mechanism.LANDLOCK}
        assert {each.state for each in found[:16]} == {State.IN_FORCE}
        return told(found[16])

    remedy = "16 sandboxes already lie one inside the other, the most that the kernel takes"
    text = f"ABI {landlock.abi()}, refused: Argument list too long"
    assert in_child(many) == f"Landlock | missing | {text} | {remedy}"


def test_missing_folders_to_write_are_made_for_their_owner_only(tmp_path: Path, inside: Path) -> None:
    """An entry that ends in / is made, with the folders around it; what is there is left as it is."""
    inside.chmod(0o750)
    new = tmp_path / "new"
    landlock.prepare(Sandbox(write=(f"{new}/deep/er/", f"{inside}/", str(inside), str(inside / "file"))))
    assert [oct(each.stat().st_mode) for each in (new, new / "deep", new / "deep" / "er")] == ["0o40700"] * 3
    assert oct(inside.stat().st_mode) == "0o40750"
    assert (inside / "file").read_text() == "before"


def test_a_folder_that_is_made_can_be_written_in(inside: Path, outside: Path) -> None:
    """The honest half of the / at the end: the rule is the same as without it, and reaches no further."""
    made = inside / "made"

    def write() -> str:
        (made / "file").write_text("written")
        return (
            f"{(made / 'file').read_text()} {refused((outside / 'file').read_text)} {refused((inside / 'file').unlink)}"
        )

    assert restricted(Sandbox(write=(f"{made}/",)), write) == "written True True"


@pytest.mark.parametrize(
    ("kind", "path", "complaint"),
    [
        ("read", "{0}/gone", "does not exist: make it first"),
        ("read", "{0}/gone/", "does not exist: make it first"),
        ("read", "{0}/dangling", "is a symbolic link to nothing: make it first"),
        ("read", "{0}/file/", "cannot be looked at: Not a directory"),
        ("write", "{0}/gone", "does not exist: make it, or end it with / to have it made as a folder"),
        ("write", "{0}/gone/deep", "does not exist: make it, or end it with / to have it made as a folder"),
        ("write", "{0}/file/deep", "cannot be looked at: Not a directory"),
        ("write", "{0}/file/deep/", "cannot be made: Not a directory"),
        ("write", "{0}/file/", "is a file: write it without the / at its end"),
        (
            "write",
            "{0}/dangling",
            "is a symbolic link to nothing: make it, or end it with / to have it made as a folder",
        ),
        ("write", "{0}/dangling/", "is a symbolic link to nothing"),
        ("write", "{0}/dangling/deep/", "is a symbolic link to nothing"),
    ],
)
def test_a_path_that_cannot_be_opened_is_named(inside: Path, kind: str, path: str, complaint: str) -> None:
    """One sentence with the entry, before anything is restricted."""
    (inside / "dangling").symlink_to("nothing")
    entry = path.format(inside)
    with pytest.raises(DeclarationError) as raised:
        landlock.prepare(Sandbox(read=(entry,)) if kind == "read" else Sandbox(write=(entry,)))
    assert str(raised.value) == f"Sandbox({kind}=[{entry!r}]) {complaint}"


def test_a_program_that_its_user_may_change_is_refused(tmp_path: Path, inside: Path) -> None:
    """S6: whoever writes where a declared program lies can put any program in its place; a link does not hide that."""
    (tmp_path / "link").symlink_to(inside)
    program = str(tmp_path / "link" / "program")
    with pytest.raises(DeclarationError) as raised:
        landlock.prepare(Sandbox(write=(str(inside),), exec=(program,)))
    complaint = f"lies in write=[{str(inside)!r}]: what may be executed must not be writable"
    assert str(raised.value) == f"Sandbox(exec=[{program!r}]) {complaint}"


def test_a_path_that_vanishes_before_the_lock_is_named(inside: Path) -> None:
    """Nothing is restricted by halves."""
    gone = str(inside / "gone")

    def vanished() -> str:
        try:
            landlock.restrict(Sandbox(read=(gone,)))
        except DeclarationError as error:
            return f"{error}; {len(reached(inside)) == len(EVERYTHING)}"
        return "restricted"

    assert in_child(vanished) == f"the sandbox's path {gone!r} cannot be opened: No such file or directory; True"
