"""The folder of a running application, where its operator's socket lies: `$XDG_RUNTIME_DIR/trollbridge/NAME`.

Without a runtime folder of the user's own (XDG Base Directory Specification) it is `/tmp/trollbridge-UID/NAME`.

May import: the standard library, our messages. Invariants: a folder is used only if it is this user's, and nobody else
can enter it, whatever lies at its path: no link is followed. Its supervisor holds a lock on the folder itself (which
keeps systemd-tmpfiles from clearing it too), so that there is one for each name; the kernel takes the lock back
whatever the supervisor ends by.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from trollbridge.messages.errors import AlreadyRunning, BootFailed, TrollbridgeError
from trollbridge.messages.operator import APPLICATION, LARGEST_ANSWER, MOST_CLIENTS, application_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

SOCKET: Final = "operator"
_TMP: Final = "/tmp/trollbridge-{uid}"  # noqa: S108  # checked for owner, kind and mode before it is used
_LONGEST: Final = 107
"""Bytes of a socket's address (unix(7))."""
_CREDENTIALS: Final = struct.Struct("3i")
_TRIES: Final = 100


class Peer(NamedTuple):
    """The process at the other end of a connection, by the kernel's word, when it was made (SO_PEERCRED)."""

    pid: int
    uid: int


class NotSafe(TrollbridgeError):
    """The operator's folder, or what lies in it, is not this user's alone."""


def root() -> Path:
    """Return the folder that holds one folder for each application of this user; it need not exist."""
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    if named.startswith("/"):
        with contextlib.suppress(OSError):
            found = os.stat(named)  # noqa: PTH116  # beside the other calls of os
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022:
                return Path(named, "trollbridge")
    return Path(_TMP.format(uid=os.geteuid()))


def names() -> list[str]:
    """Return the names of the applications that have a folder; not all of them need run."""
    with contextlib.suppress(FileNotFoundError), _opened(root()) as folder:
        return sorted(each for each in os.listdir(folder) if APPLICATION.fullmatch(each))  # noqa: PTH208  # a descriptor
    return []


def held(name: str) -> bool:
    """Return whether a supervisor listens in the folder of that name; raises `NotSafe`."""
    try:
        end, _ = connect(name, 0)
    except BlockingIOError:  # so many wait to be taken that there is no room
        return True
    except OSError:
        return False
    end.close()
    return True


def connect(name: str, seconds: float) -> tuple[socket.socket, Peer]:
    """Return a connection to the supervisor of an application of this user, and who that is.

    Raises `FileNotFoundError` or `ConnectionRefusedError` if none runs, `OSError` for one that takes no connection
    within `seconds`, `NotSafe` for a folder or a socket that is not only this user's.
    """
    with _opened(root()) as above, _opened(name, above) as folder:
        found = os.stat(SOCKET, dir_fd=folder, follow_symlinks=False)
        path = root() / name / SOCKET
        if not stat.S_ISSOCK(found.st_mode):
            msg = f"{path} is no socket: remove it"
            raise NotSafe(msg)
        _demand_ours(path, found, 0o600)
        end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            end.settimeout(seconds)
            _by_address(end.connect, name, folder)
            peer = peer_of(end)
            if peer.uid != os.geteuid():
                msg = f"{path} is not this user's alone: another user, UID {peer.uid}, listens there"
                raise NotSafe(msg)
        except BaseException:
            end.close()
            raise
    return end, peer


def peer_of(end: socket.socket) -> Peer:
    """Return who made the connection, or, at the other end, who listens."""
    pid, uid, _ = _CREDENTIALS.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return Peer(pid, uid)


class Seat:
    """The folder of one application, and its lock, held by its supervisor."""

    def __init__(self, name: str) -> None:
        """Make the folder if need be, and lock it.

        Raises `AlreadyRunning` if another supervisor has it, `BootFailed` if it is not only this user's or the system
        refuses, `DeclarationError` for a name that is none.
        """
        self.name: Final = application_name(name)
        self.path: Final = root() / name
        try:
            self._folder = self._claim()
        except NotSafe as error:
            msg = f"{error}; or run with --no-operator"
            raise BootFailed(msg) from None
        except OSError as error:
            msg = f"{self.path}: {error.strerror}; name another folder by XDG_RUNTIME_DIR, or run with --no-operator"
            raise BootFailed(msg) from None
        self._listening: socket.socket | None = None

    def _claim(self) -> int:
        for _ in range(_TRIES):
            try:
                with (
                    _opened(self.path.parent, create=True) as above,
                    _opened(self.name, above, create=True) as folder,
                ):
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if _same(folder, self.name, above):
                        return os.dup(folder)  # the lock is that of the open folder, and goes with its last descriptor
            except FileNotFoundError:  # another supervisor that ends removes it, between two steps of ours
                continue
            except BlockingIOError:
                msg = (
                    f"the application {self.name} runs already; `trollbridge status {self.name}` shows it. To run it "
                    "twice, give this one a name of its own with --name"
                )
                raise AlreadyRunning(msg) from None
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    def listen(self) -> socket.socket:
        """Return the operator's socket, 0600, in place of one that a supervisor has left that was killed.

        Raises `BootFailed` if the system refuses.
        """
        end = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            self._unlink()
            os.fchmod(end.fileno(), 0o600)  # bind gives the file this mode, so it never has another
            _by_address(end.bind, self.name, self._folder)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LARGEST_ANSWER)  # connections inherit it
            end.listen(MOST_CLIENTS)
        except OSError as error:
            end.close()
            msg = f"{self.path / SOCKET}: {error.strerror}; remove it, or run with --no-operator"
            raise BootFailed(msg) from None
        self._listening = end
        return end

    def close(self) -> None:
        """Remove socket and folder, and give the lock back."""
        if self._listening is not None:
            self._listening.close()
            self._unlink()
        with contextlib.suppress(OSError):  # others run, or somebody has put something into it
            for each in (self.path, self.path.parent):
                each.rmdir()
        os.close(self._folder)

    def _unlink(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(SOCKET, dir_fd=self._folder)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        self.close()


@contextlib.contextmanager
def _opened(path: str | Path, above: int | None = None, *, create: bool = False) -> Generator[int]:
    """Open a folder that is this user's alone, by its name in the folder `above` or by its path.

    Raises `OSError` if it cannot be opened or made, or is a link; `NotSafe` if it is not this user's alone.
    """
    if create:
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700, dir_fd=above)  # beneath a descriptor
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    try:
        _demand_ours(path if above is None else root() / path, os.fstat(folder), 0o700)
        yield folder
    finally:
        os.close(folder)


def _same(folder: int, name: str, above: int) -> bool:
    """Return whether an open folder is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(folder), os.stat(name, dir_fd=above, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _by_address(act: Callable[[str], object], name: str, folder: int) -> None:
    """Bind or reach the socket by its path, which a list of sockets then shows.

    Every folder on the way has been found to be this user's, or sticky with one of this user's in it: nobody else can
    have put another there since. A path that is too long for an address is shortened by standing in its folder for the
    moment: what /proc has of a supervisor's descriptors, its own user cannot use.
    """
    path = str(root() / name / SOCKET)
    if len(os.fsencode(path)) <= _LONGEST:
        act(path)
        return
    here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fchdir(folder)
        act(SOCKET)
    finally:
        os.fchdir(here)
        os.close(here)


def _demand_ours(path: str | Path, found: os.stat_result, mode: int) -> None:
    """Raise `NotSafe`, with what is wrong and what to do, unless it is this user's and nobody else has any right."""
    if found.st_uid != os.geteuid():
        why = f"it belongs to UID {found.st_uid}; remove it, or name another folder by XDG_RUNTIME_DIR"
    elif found.st_mode & 0o777 & ~mode:
        why = f"its mode is {stat.S_IMODE(found.st_mode):04o}, it must be {mode:04o}: chmod {mode:o} {path}"
    else:
        return
    msg = f"{path} is not this user's alone: {why}"
    raise NotSafe(msg)
