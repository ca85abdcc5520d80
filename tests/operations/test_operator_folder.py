"""The folder of a running application: whose it must be, who holds it, and what an unclean end leaves."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from trollbridge.actors.operations import runtime_folder
from trollbridge.actors.operations.runtime_folder import SOCKET, NotSafe, Seat
from trollbridge.messages.errors import AlreadyRunning, BootFailed, DeclarationError

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = os.geteuid() == 0
STRANGER: Final = 65534


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test a runtime folder of its own."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


@pytest.fixture
def seat() -> Iterator[Seat]:
    """Return a seat that listens."""
    with Seat("notary") as held:
        held.listen()
        yield held


def test_only_the_user_can_reach_the_socket(runtime: Path, seat: Seat) -> None:
    """A21, I7: 0700 folders, a 0600 socket, whatever the umask; and it can be reached."""
    places = [runtime / "trollbridge", runtime / "trollbridge" / "notary"]
    assert [stat.S_IMODE(each.stat().st_mode) for each in places] == [0o700, 0o700]
    found = (places[1] / SOCKET).stat()
    assert stat.S_ISSOCK(found.st_mode)
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o600, os.geteuid())
    assert os.listdir(places[1]) == [SOCKET]  # noqa: PTH208  # names
    end, peer = runtime_folder.connect(seat.name, 1.0)
    end.close()
    assert peer == (os.getpid(), os.geteuid())
    assert (runtime_folder.names(), runtime_folder.held("notary"), runtime_folder.held("other")) == (
        ["notary"],
        True,
        False,
    )


def test_nothing_is_left_of_a_seat_that_is_given_back(runtime: Path) -> None:
    """A59: no socket, no folder; and the next one is like the first."""
    for _ in range(2):
        with Seat("notary") as held:
            held.listen()
            assert runtime_folder.names() == ["notary"]
        assert list(runtime.iterdir()) == []
    assert runtime_folder.names() == []
    with pytest.raises(FileNotFoundError):
        runtime_folder.connect("notary", 1.0)


def test_a_name_is_held_once_and_others_beside_it(seat: Seat) -> None:
    """Two supervisors for one application: the second is told how to go on; the first does not notice."""
    with pytest.raises(AlreadyRunning, match=r"notary runs already.*trollbridge status notary.*--name"):
        Seat("notary")
    with Seat("another"):
        assert runtime_folder.names() == ["another", "notary"]
    assert runtime_folder.held(seat.name)


def test_a_name_that_is_none_is_refused() -> None:
    """I7: nothing that could lead out of the folder."""
    for name in ("", "..", "a/b"):
        with pytest.raises(DeclarationError):
            Seat(name)


HOLDER: Final = """
import sys
from trollbridge.actors.operations.runtime_folder import Seat
seat = Seat("notary")
listening = seat.listen()
print("listens", flush=True)
sys.stdin.read()
"""


def test_after_a_kill_the_next_start_is_clean(runtime: Path) -> None:
    """A59: a supervisor that is killed with -9 leaves a socket that nobody answers at; the next one takes its place."""
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"listens\n"
        with pytest.raises(AlreadyRunning):
            Seat("notary")
        holder.send_signal(signal.SIGKILL)
        holder.wait(20)
    assert (runtime / "trollbridge" / "notary" / SOCKET).is_socket()
    with pytest.raises(ConnectionRefusedError):
        runtime_folder.connect("notary", 1.0)
    assert not runtime_folder.held("notary")
    with Seat("notary") as held:
        held.listen()
        assert runtime_folder.held("notary")


def _link_to_elsewhere(place: Path, elsewhere: Path) -> None:
    elsewhere.mkdir(mode=0o700)
    place.symlink_to(elsewhere)


@pytest.mark.parametrize("which", ["trollbridge", "trollbridge/notary"])
def test_a_link_in_the_place_of_a_folder_is_not_followed(which: str, runtime: Path, tmp_path: Path) -> None:
    """I7: wherever it leads, even to a folder of the user's own; nothing is made there."""
    place = runtime / which
    place.parent.mkdir(mode=0o700, exist_ok=True)
    elsewhere = tmp_path / "elsewhere"
    _link_to_elsewhere(place, elsewhere)
    with pytest.raises(BootFailed, match="--no-operator"):
        Seat("notary")
    with pytest.raises(OSError, match=r"symbolic|directory"):
        runtime_folder.connect("notary", 1.0)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("which", ["trollbridge", "trollbridge/notary"])
@pytest.mark.parametrize("mode", [0o701, 0o770, 0o777])
def test_a_folder_that_others_can_enter_is_not_used(which: str, mode: int, runtime: Path) -> None:
    """I7: at neither end, and it is not mended silently: who made it so may have been somebody else."""
    place = runtime / which
    place.mkdir(mode=0o700, parents=True)
    place.parent.chmod(0o700)
    place.chmod(mode)
    why = f"^{place} is not this user's alone: its mode is 0{mode:o}, it must be 0700: chmod 700 {place}"
    with pytest.raises(BootFailed, match=f"{why}; or run with --no-operator$"):
        Seat("notary")
    with pytest.raises(NotSafe, match=f"{why}$"):  # who only asks has no such option
        runtime_folder.connect("notary", 1.0)
    assert stat.S_IMODE(place.stat().st_mode) == mode


def test_a_runtime_folder_that_is_not_the_users_own_is_not_asked(
    runtime: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I7: one that others may write to, a link's name of none, a relative one: the folder in /tmp has its place."""
    fallback = Path(f"/tmp/trollbridge-{os.geteuid()}")  # noqa: S108  # its name only
    assert runtime_folder.root() == runtime / "trollbridge"
    runtime.chmod(0o722)
    for value in (str(runtime), str(tmp_path / "missing"), "runtime", "", "/etc/passwd"):
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        assert runtime_folder.root() == fallback
    if ROOT:
        runtime.chmod(0o700)
        os.chown(runtime, STRANGER, STRANGER)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime) if ROOT else "/usr")
    assert runtime_folder.root() == fallback


def test_whoever_squats_is_refused(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """I7: another user's folder or socket (where the test may make one), a file, a socket that others may use."""
    place = runtime / "trollbridge" / "notary"
    place.mkdir(mode=0o700, parents=True)
    place.parent.chmod(0o700)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as squatter:
        monkeypatch.chdir(place)  # an address is short
        squatter.bind(SOCKET)
        squatter.listen()
        (place / SOCKET).chmod(0o666)
        with pytest.raises(NotSafe, match=f"its mode is 0666, it must be 0600: chmod 600 {place / SOCKET}$"):
            runtime_folder.connect("notary", 1.0)
        if ROOT:
            (place / SOCKET).chmod(0o600)
            os.chown(place / SOCKET, STRANGER, STRANGER)
            with pytest.raises(NotSafe, match=f"it belongs to UID {STRANGER}; remove it"):
                runtime_folder.connect("notary", 1.0)
            os.chown(place, STRANGER, STRANGER)
            with pytest.raises(BootFailed):
                Seat("notary")
            os.chown(place, 0, 0)
    (place / SOCKET).unlink()
    (place / SOCKET).write_bytes(b"")
    with pytest.raises(NotSafe, match="is no socket: remove it"):
        runtime_folder.connect("notary", 1.0)
    with Seat("notary") as held:  # the folder is the user's own, and so is what lies in it: it gives way
        held.listen()
        assert runtime_folder.held("notary")


def test_what_cannot_be_removed_is_told_of(runtime: Path) -> None:
    """A folder in the socket's place: one sentence, and no lock is kept."""
    place = runtime / "trollbridge" / "notary"
    (place / SOCKET).mkdir(parents=True)
    for each in (place, place.parent):
        each.chmod(0o700)
    with Seat("notary") as held, pytest.raises(BootFailed, match="--no-operator"):
        held.listen()
    (place / SOCKET).rmdir()
    with Seat("notary") as held:
        held.listen()


def test_a_path_that_is_too_long_for_an_address_is_reached_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel takes 107 bytes (unix(7)); folders may be deeper. The current folder stays what it was."""
    here = os.getcwd()  # noqa: PTH109  # beside the other calls of os
    deep = tmp_path / ("d" * 100)
    deep.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    with Seat("n" * 64) as held:
        held.listen()
        end, peer = runtime_folder.connect(held.name, 1.0)
        end.close()
        assert peer.pid == os.getpid()
        assert (held.path / SOCKET).is_socket()
    assert list(deep.iterdir()) == []
    assert os.getcwd() == here  # noqa: PTH109  # as above


BETWEEN: Final = """
import sys
from trollbridge.actors.operations.runtime_folder import Seat, held
from trollbridge.messages.errors import AlreadyRunning

first = Seat("notary")
left = [first]

def hook(event, _):
    if event == "fcntl.flock" and left:
        left.pop().close()

sys.addaudithook(hook)
with Seat("notary") as second:
    assert not left
    second.listen()
    assert held("notary")
    try:
        Seat("notary")
    except AlreadyRunning:
        print("once")
"""


def test_a_folder_that_goes_between_opening_and_locking_is_not_held() -> None:
    """I7: the last supervisor removes it just then: a lock on what has no name any more would keep nobody out."""
    done = subprocess.run([sys.executable, "-c", BETWEEN], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "once\n", "")
