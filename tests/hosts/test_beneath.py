"""Every way out of a folder that a path could take, against the kernel's resolution of it."""

from __future__ import annotations

import errno
import itertools
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from tests.hosts.swapping import swapping
from tests.isolation.confined import Done, forked
from trollbridge.actors.hosts import beneath
from trollbridge.actors.hosts.folders import Declared
from trollbridge.actors.hosts.roots import Place, Roots, telling
from trollbridge.actors.hosts.values import NoSuchFile, OutOfScope, ReadOnly, WrongKind
from trollbridge.actors.isolation.lock import harden, lock
from trollbridge.messages.errors import DeclarationError, DeclaredError, InvalidName
from trollbridge.messages.ids import Role
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SECRET = b"the secret outside"
SWAPS = 10_000
PATIENCE = 20.0


@pytest.fixture
def scope(tmp_path: Path) -> Path:
    """Return a folder of notes, with a secret beside it."""
    tmp_path.joinpath("secret").write_bytes(SECRET)
    notes = tmp_path / "notes"
    notes.joinpath("deep").mkdir(parents=True)
    notes.joinpath("deep", "a.txt").write_bytes(b"inside")
    return notes


@pytest.fixture
def roots(scope: Path) -> Roots:
    """Return it opened to be read, and a folder that is made to be written."""
    return Roots(Declared({"notes": str(scope)}, {"out": f"{scope.parent}/out/"}, hidden=False, largest=1000))


def content(roots: Roots, path: str) -> bytes:
    """Read a file as a caller would; raises what a caller is told."""
    place = roots.place(path)
    with telling(path):
        opened = beneath.open_file(place.root, place.inside)
    try:
        return os.read(opened, 1000)
    finally:
        os.close(opened)


def test_what_lies_inside_is_read_and_a_missing_folder_was_made(roots: Roots, scope: Path) -> None:
    """A15: the honest half; a folder that ends in / is for its owner only."""
    assert content(roots, "notes/deep/a.txt") == b"inside"
    assert scope.parent.joinpath("out").stat().st_mode & 0o777 == 0o700
    assert roots.names == ("notes", "out")


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("notes/../secret", OutOfScope),
        ("notes/deep/../../secret", OutOfScope),
        ("notes/nowhere/../../secret", OutOfScope),
        ("notes/..", OutOfScope),
        ("notes/.hidden", OutOfScope),
        ("notes/.git/config", OutOfScope),
        ("notes/.trollbridge-1", OutOfScope),
        ("notes/nothing", NoSuchFile),
        ("notes/deep/a.txt/b", NoSuchFile),
        ("other/a.txt", NoSuchFile),
        ("*/deep/a.txt", NoSuchFile),
        ("notes/*/a.txt", NoSuchFile),
        ("/etc/passwd", InvalidName),
        ("notes//deep/a.txt", InvalidName),
        ("notes/./deep/a.txt", InvalidName),
        ("notes/deep/a.txt/", InvalidName),
        ("notes/a\0.txt", InvalidName),
        ("notes/\udcff", InvalidName),
        ("notes/" + "x" * 256, InvalidName),
        ("notes/" + "x/" * 3000, InvalidName),
        ("", NoSuchFile),
        ("notes", WrongKind),
        ("notes/deep", WrongKind),
    ],
)
def test_no_path_leads_outside_and_no_answer_names_one(
    roots: Roots, scope: Path, path: str, error: type[DeclaredError]
) -> None:
    """A15, S1, S2: a glob is a name like any other."""
    with pytest.raises(error) as told:
        content(roots, path)
    assert str(scope.parent) not in str(told.value)
    assert type(told.value) is error


@pytest.mark.parametrize("path", ["../secret", "deep/../../secret", "/etc/passwd", "up", "deep/up/secret", "loop"])
def test_the_kernel_refuses_to_leave_where_no_name_is_looked_at(scope: Path, path: str) -> None:
    """A15, S1, S2: openat2 alone, without our own look at the names; whatever component it is."""
    scope.joinpath("up").symlink_to("../secret")
    scope.joinpath("deep", "up").symlink_to("../..")
    scope.joinpath("loop").symlink_to("loop")
    folder = os.open(scope, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError, match="Errno") as raised:
            beneath.open_file(folder, (path,))
        assert raised.value.errno in {errno.EXDEV, errno.ELOOP}
        inside = beneath.open_file(folder, ("deep", "a.txt"))
        assert os.read(inside, 100) == b"inside"
        os.close(inside)
    finally:
        os.close(folder)


@pytest.mark.parametrize("target", ["../secret", "deep/a.txt", "/proc/self/fd/0", "nowhere"])
def test_no_link_is_followed_not_even_one_that_stays_inside(roots: Roots, scope: Path, target: str) -> None:
    """S1: as the last name, and as a folder on the way."""
    scope.joinpath("link").symlink_to(target)
    for path in ("notes/link", "notes/link/a.txt"):
        with pytest.raises(OutOfScope, match=path):
            content(roots, path)


def test_a_second_name_of_a_file_is_refused(roots: Roots, scope: Path) -> None:
    """S1: a hard link may stand for a file that lies anywhere; without it, the same name is read."""
    scope.joinpath("borrowed").hardlink_to(scope.parent / "secret")
    with pytest.raises(WrongKind, match="notes/borrowed"):
        content(roots, "notes/borrowed")
    scope.parent.joinpath("secret").unlink()
    assert content(roots, "notes/borrowed") == SECRET


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR])
@pytest.mark.parametrize("end", ["removed", "made again", "renamed", "elsewhere"])
def test_a_second_name_that_is_gone_before_it_is_counted_is_refused(
    monkeypatch: pytest.MonkeyPatch, roots: Roots, scope: Path, end: str, flags: int
) -> None:
    """S1: between the opening and the look at the number of names; before anything is read or written."""
    place, secret = roots.place("notes/borrowed"), scope.parent / "secret"
    borrowed, real = scope / "borrowed", os.fstat
    if end == "renamed":
        place, borrowed = roots.place("notes/x (deleted)"), scope / "x (deleted)"
    borrowed.hardlink_to(secret)

    def fstat(descriptor: int) -> os.stat_result:
        monkeypatch.undo()  # once
        if end == "removed":
            borrowed.unlink()
        elif end == "made again":
            borrowed.unlink()
            found = real(descriptor)
            borrowed.hardlink_to(secret)
            return found
        elif end == "renamed":  # the kernel's word for a removed name is the name that was asked for
            borrowed.rename(scope / "x").unlink()
        else:
            borrowed.rename(scope.parent / "moved")
            secret.unlink()
        return real(descriptor)

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(WrongKind):
        beneath.open_file(place.root, place.inside, flags)


def tries(enough: Callable[[], bool]) -> Iterator[int]:
    """Count so many tries, and on until they were enough: how often another gets a turn is the kernel's to say."""
    until = time.monotonic() + PATIENCE
    for number in itertools.count():
        if number >= SWAPS and (enough() or time.monotonic() > until):
            return
        yield number


def test_a_name_that_comes_and_goes_never_leads_to_what_lies_outside(scope: Path) -> None:
    """S1, S2: links made and removed by another process, as fast as it can, while files are opened; nothing of it."""
    outside, borrowed, seen = scope.parent / "secret", scope / "borrowed", set[str]()
    ready, told = os.pipe()
    attacker = os.fork()
    if not attacker:
        try:
            os.write(told, b"1")
            while True:
                borrowed.hardlink_to(outside)
                borrowed.unlink()
        finally:
            os._exit(1)
    folder = os.open(scope, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.read(ready, 1)
        for _ in tries(lambda: len(seen) > 1):
            try:
                os.close(beneath.open_file(folder, ("borrowed",)))
                seen.add("opened")
            except (OSError, WrongKind) as error:
                seen.add(type(error).__name__)
    finally:
        os.kill(attacker, signal.SIGKILL)
        os.waitpid(attacker, 0)
        for each in (folder, ready, told):
            os.close(each)
    assert seen == {"FileNotFoundError", "WrongKind"}, "the links were seen from both sides, and nothing was opened"


def test_pipes_sockets_and_devices_are_no_files_and_nothing_waits_for_them(roots: Roots, scope: Path) -> None:
    """S2: opening a pipe that nobody writes to would wait for ever."""
    os.mkfifo(scope / "pipe")
    with pytest.raises(WrongKind):
        content(roots, "notes/pipe")
    devices = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(WrongKind):
            beneath.open_file(devices, ("null",))
    finally:
        os.close(devices)


def test_dotfiles_are_in_scope_where_that_is_declared_or_the_root_is_one(scope: Path) -> None:
    """S1: `hidden=True`, or a root whose own name begins with a dot; ours never are."""
    scope.joinpath(".hidden").write_bytes(b"dot")
    scope.joinpath(".trollbridge-1").write_bytes(b"ours")
    declared = Declared({"notes": str(scope), ".own": str(scope / "deep")}, {}, hidden=True, largest=1)
    roots = Roots(declared)
    assert content(roots, "notes/.hidden") == b"dot"
    assert content(roots, ".own/a.txt") == b"inside"
    with pytest.raises(OutOfScope):
        content(roots, "notes/.trollbridge-1")


def test_only_what_is_declared_to_be_written_is_and_never_a_root_itself(roots: Roots) -> None:
    """A15: before the file system is asked at all."""
    with pytest.raises(ReadOnly, match="notes/a"):
        roots.writable("notes/a")
    with pytest.raises(OutOfScope):
        roots.writable("out")
    assert roots.writable("out/a").inside == ("a",)


def test_a_root_that_is_a_file_or_missing_stops_the_start(scope: Path) -> None:
    """The sentence says which, and what to do."""
    for path in (f"{scope}/deep/a.txt", f"{scope}/none"):
        with pytest.raises(DeclarationError, match=path):
            Roots(Declared({"x": path}, {}, hidden=False, largest=1))


def test_a_folder_that_becomes_a_link_between_check_and_use_never_leads_outside(roots: Roots, scope: Path) -> None:
    """S2: 10,000 reads, while another thread swaps the folder for a link as fast as it can."""
    seen: dict[bytes | type, int] = {}
    with swapping(scope, scope.parent, SECRET):
        for _ in tries(lambda: seen.keys() >= {b"inside", OutOfScope}):
            try:
                found: bytes | type = content(roots, "notes/swapped/a.txt")
            except (OutOfScope, NoSuchFile) as error:
                found = type(error)
            seen[found] = seen.get(found, 0) + 1
    assert SECRET not in seen
    assert seen.keys() <= {b"inside", OutOfScope, NoSuchFile}
    assert seen.keys() >= {b"inside", OutOfScope}, "the swaps were seen from both sides"


def test_a_folder_that_is_held_open_is_the_same_folder_whatever_its_path_becomes(roots: Roots, scope: Path) -> None:
    """S2: what is done inside of it is done to what was resolved."""
    place = roots.place("notes/deep")
    with roots.folder(place) as folder:
        scope.joinpath("deep").rename(scope / "moved")
        scope.joinpath("deep").symlink_to(scope.parent)
        assert os.listdir(folder) == ["a.txt"]  # noqa: PTH208  # by descriptor
    with pytest.raises(OSError, match="Errno"), roots.folder(Place(place.root, place.inside, place.path)):
        pass


def test_landlock_alone_keeps_a_host_inside(scope: Path) -> None:
    """A15, S2: the second wall, with the first one left out: plain open, by paths that lead out in every way."""
    scope.joinpath("up").symlink_to("../secret")

    def act() -> str:
        sandbox = Sandbox(read=(str(scope),))
        harden()
        lock(Role.HOST, sandbox)
        found: list[str] = []
        for each in (f"{scope}/deep/a.txt", f"{scope}/up", f"{scope}/../secret", "/etc/passwd", "/proc/self/environ"):
            try:
                os.close(os.open(each, os.O_RDONLY))
                found.append("opened")
            except PermissionError:
                found.append("refused")
        return " ".join(found)

    assert forked(act) == Done("opened refused refused refused refused")
