"""What can be seen of a running application from outside: no address to reach it at, no key, no descriptor too many."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import re
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness import acts, proc
from tests.harness.probe import NULL
from tests.harness.puppeteer import Puppeteer, perform

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROOT = os.geteuid() == 0
MEMBERS = ("broker", "probe", "puppet")


def reachable(sockets: Iterable[int]) -> list[str]:
    """Return what each socket is, of these inodes, at which somebody else could reach its process."""
    open_to_others = proc.listening()
    return [f"{inode}: {open_to_others[inode]}" for inode in sockets if inode in open_to_others]


def mine() -> set[int]:
    """Return the sockets of the tests' own process."""
    return proc.sockets(os.getpid()) or set()


def told(puppet: Puppeteer) -> dict[str, set[int]]:
    """Return the sockets of those members that tell themselves which they have."""
    enclave = [line.split(" ", 1)[1] for line in puppet.result("probe.descriptors")]
    interface = puppet.act(acts.descriptors).values()
    return {"probe": proc.sockets_among(enclave), "puppet": proc.sockets_among(interface)}


@pytest.mark.parametrize(
    ("family", "kind", "address"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        (socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0)),
        (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
        (socket.AF_UNIX, socket.SOCK_STREAM, "\0"),
        (socket.AF_UNIX, socket.SOCK_DGRAM, "named"),
    ],
)
def test_the_scan_for_sockets_finds_one(
    family: int, kind: int, address: tuple[str, int] | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A21: the scan itself: it sees whatever can be reached, and not a connected pair."""
    monkeypatch.chdir(tmp_path)
    before = set(reachable(mine()))
    if isinstance(address, str) and address.startswith("\0"):
        address = f"\0{os.urandom(16).hex()}"  # the whole machine shares these names
    with socket.socket(family, kind) as end:
        end.bind(address)
        if kind == socket.SOCK_STREAM:
            end.listen()
        assert len(set(reachable(mine())) - before) == 1
    here, there = socket.socketpair()
    with here, there:
        assert set(reachable(mine())) == before


def test_no_process_of_the_tree_can_be_reached_at_an_address() -> None:
    """A21: no listening, bound or named socket in any of the four; in none of their new incarnations either.

    Root sees the sockets of all four; to their own user the kernel shows none, and two tell of their own.
    """
    with perform() as puppet:
        for epoch in (1, 2):
            puppet.await_epoch(epoch)
            assert puppet.result("probe.echo", b"hi") == b"hi"
            pids = {"supervisor": puppet.supervisor, **{member: puppet.pid(member) for member in MEMBERS}}
            seen = {member: proc.sockets(pid) for member, pid in pids.items()}
            own = told(puppet)
            assert all(len(sockets) >= 2 for sockets in own.values())
            for member, sockets in seen.items():
                assert (sockets is not None) == ROOT
                assert reachable(own.get(member, set()) | (sockets or set())) == []
                assert not ROOT or sockets == own.get(member, sockets)
            puppet.kill("probe")


def test_the_names_that_the_kernel_gives_lead_nowhere() -> None:
    """A21, I7: a socket that asks for credentials gets an abstract name when it sends; nobody can connect to it."""
    with perform() as puppet:
        names = {name[1:].decode() for name in puppet.act(acts.names_of_far_ends)}
        assert len(names) == 2
        for pid in (puppet.supervisor, puppet.pid("broker")):
            assert bool(names & set(proc.kernel_names(proc.sockets(pid) or set()))) == ROOT
            names |= set(proc.kernel_names(proc.sockets(pid) or set()))
        kinds_of_sockets = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM)
        for name, kind in itertools.product(names, kinds_of_sockets):
            with socket.socket(socket.AF_UNIX, kind) as stranger, pytest.raises(OSError, match=r"refused|wrong type"):
                stranger.connect(f"\0{name}")
        assert puppet.result("probe.echo", b"undisturbed") == b"undisturbed"


def kinds(found: Iterable[str]) -> list[str]:
    """Return what descriptors are, without the numbers."""
    return sorted(re.sub(r"\[\d+\]|\[[a-z]+\]", "", each) for each in found)


def test_each_process_has_the_descriptors_that_it_needs_and_no_other() -> None:
    """A40, I9: the control channel, the link, something to wait on; nothing of the supervisor's or another member's."""
    with perform() as puppet:
        own = dict(line.split(" ", 1) for line in puppet.result("probe.descriptors"))
        assert [own.pop(number) for number in "012"] == [NULL] * 3
        assert kinds(own.values()) == ["anon_inode:", "socket:", "socket:"]
        interface = puppet.act(acts.descriptors)
        assert kinds(interface.values()) == ["pipe:"] * 5 + ["socket:"] * 2
        seen = {member: proc.descriptors(puppet.pid(member)) for member in MEMBERS}
        shared = told(puppet)
        if ROOT:
            found = {member: kinds((each or {}).values()) for member, each in seen.items()}
            assert found == {
                "broker": ["/dev/null"] * 3 + ["anon_inode:"] + ["socket:"] * 3,
                "probe": ["/dev/null"] * 3 + ["anon_inode:"] + ["socket:"] * 2,
                "puppet": ["pipe:"] * 5 + ["socket:"] * 2,
            }
            shared["broker"] = proc.sockets(puppet.pid("broker")) or set()
        else:
            assert seen == dict.fromkeys(MEMBERS)
        for one, other in itertools.combinations(shared.values(), 2):
            assert not one & other


def test_nothing_piles_up_over_many_epochs() -> None:
    """A40, A59: after five rings supervisor and UI hold as many descriptors as after the first.

    The supervisor's are root's to see; to its own user they are closed.
    """
    with perform(restarts=20, beat=60.0) as puppet:  # no heartbeat that looks into /proc
        counts: list[list[int]] = []
        for epoch in range(1, 6):
            puppet.await_epoch(epoch)
            assert puppet.result("probe.echo", b"hi") == b"hi"
            supervisors = proc.descriptors(puppet.supervisor)
            assert (supervisors is not None) == ROOT
            first = counts[0][0] if counts else len(supervisors or ())
            count = proc.descriptors_at_rest(puppet.supervisor, first)
            counts.append([count, len(puppet.act(acts.descriptors))])
            puppet.kill(("probe", "broker")[epoch % 2])
        puppet.await_epoch(6)
        assert counts == counts[:1] * 5


def test_the_environment_of_every_child_is_chosen_and_not_inherited() -> None:
    """A37, A40, I9: no variable of the shell reaches enclave or broker; the UI gets what a terminal needs."""
    os.environ["TROLLBRIDGE_CANARY"] = "an API key in a shell"
    try:
        with Puppeteer("tests.harness.stage:puppet_app", {}, environment={"CANARY": "an API key in a shell"}) as puppet:
            puppet.await_epoch(1)
            inside = puppet.result("probe.environment")
            assert set(inside) <= {"LANG", "LC_ALL", "LC_CTYPE", "TZ"}
            interface = "".join(f"{name}={value}\n" for name, value in puppet.act(acts.environment).items())
            assert "PATH=" in interface
            shown = [proc.environment(puppet.pid(member)) for member in MEMBERS]
            assert [each is not None for each in shown] == [ROOT] * 3
            for seen in (interface.encode(), *(each or b"" for each in shown)):
                assert b"API key" not in seen
                assert b"PYTHON" not in seen
    finally:
        del os.environ["TROLLBRIDGE_CANARY"]


def forms(secret: bytes) -> Iterator[bytes]:
    """Return a secret as it could stand in a file or in a text."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield base64.b64encode(secret).rstrip(b"=")
    yield base64.urlsafe_b64encode(secret).rstrip(b"=")
    yield repr(secret)[2:-1].encode()


def files_below(*folders: Path) -> Iterator[bytes]:
    """Return the content of every regular file below some folders; others may make and remove theirs meanwhile.

    An ordinary user's processes leave files of this user only, who may read no others.
    """
    for folder in folders:
        for where, _, names in os.walk(folder):
            for path in (Path(where, name) for name in names):
                with contextlib.suppress(FileNotFoundError):
                    status = path.lstat()
                    if stat.S_ISREG(status.st_mode) and (ROOT or status.st_uid == os.geteuid()):
                        yield path.read_bytes()


def open_files(pid: int) -> Iterator[bytes]:
    """Return the content of every regular file that a process holds open, deleted ones and memory files too."""
    for number in proc.descriptors(pid) or ():
        path = Path(f"/proc/{pid}/fd/{number}")
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # closed, or of /proc, and its process ended
            if stat.S_ISREG(path.stat().st_mode):
                yield path.read_bytes()


def traces(places: Iterable[bytes], secrets: Iterable[bytes]) -> int:
    """Return how many of the secrets, in any of their forms, stand in how many of the places."""
    wanted = [form for secret in secrets for form in forms(secret)]
    return sum(form in place for place in places for form in wanted)


def test_the_search_for_a_secret_finds_one(tmp_path: Path) -> None:
    """A37: the search itself: each form of a secret, in a file and in an open file that has no name any more."""
    secret = os.urandom(32)
    for form in forms(secret):
        (tmp_path / "trace").write_bytes(b"before " + form + b" after")
        assert traces(files_below(tmp_path), [secret]) >= 1
    with (tmp_path / "trace").open("rb"):
        (tmp_path / "trace").unlink()
        assert traces(open_files(os.getpid()), [secret]) >= 1
    assert traces(files_below(tmp_path), [secret]) == 0


def test_keys_and_tokens_are_in_memory_and_nowhere_else(tmp_path: Path) -> None:
    """A37, A40, I9: not in a file, an argument, an environment, the log, nor after the end; core files are off."""
    folders = [tmp_path / name for name in ("home", "temporary", "here")]
    for each in folders:
        each.mkdir()
    home, temporary, here = folders
    environment = {"HOME": str(home), "TMPDIR": str(temporary)}
    with Puppeteer("tests.harness.stage:puppet_app", {}, folder=here, environment=environment) as puppet:
        puppet.await_epoch(1)
        assert puppet.result("probe.secret").startswith("the word")
        found = puppet.act(acts.secrets, of=1)
        secrets = [found["ring_key"], found["join_token"], *found["tickets"]]
        assert [len(secret) for secret in secrets] == [32, 32, 32]
        pids = [puppet.supervisor, *(puppet.pid(member) for member in MEMBERS)]
        places = [proc.arguments(pid) for pid in pids]
        places += [proc.environment(pid) or b"" for pid in pids]
        places += [content for pid in pids for content in open_files(pid)]
        places += [*files_below(*folders), *files_below(Path("/dev/shm"))]  # noqa: S108  # where POSIX keeps shared memory
        assert traces(places, secrets) == 0
        assert [proc.core_limit(pid) for pid in pids] == [("0", "0")] * 4
        puppet.kill("probe")
        puppet.await_epoch(2)
        assert puppet.leave() == 0
        log = "\n".join(puppet.said() + [repr(line) for line in puppet.lines()]).encode()
        assert traces([log, *files_below(*folders)], secrets) == 0
