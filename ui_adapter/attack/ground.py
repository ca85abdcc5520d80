"""The attacker's ground: a folder, sockets and a victim, all made by the suite itself. Every attack aims here.

May import: the standard library, `victim`. Invariants: the folder is 0700 and vanishes with everything in it; no attack
reaches for a file, a socket or a process that is not of the ground, so that one that succeeds harms nobody.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

    from trollbridge.messages.sandbox import Sandbox
    from trollbridge.ui_adapter.attack.victim import Victim
    from trollbridge.ui_adapter.attack.zygote import Zygote

_LONGEST: Final = 60
"""Bytes that the path of the place may have: a socket's path must fit into 107."""
_BIND_WAIT: Final = 10.0
"""Seconds in which what was sent over the loopback must have come."""


class NoGround(Exception):
    """No folder was found for the attacks: every candidate is declared in the sandbox, not writable, or too long."""


def candidates() -> list[str]:
    """Return folders for temporary files, best first: in memory, where making and removing is cheap, then on disk."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    found = ("/dev/shm", runtime, tempfile.gettempdir(), "/var/tmp")  # noqa: S108  # what is made there is 0700
    return [each for each in found if each and os.path.isdir(each) and _may_execute(each)]  # noqa: PTH112  # strings


def _may_execute(folder: str) -> bool:
    return not os.statvfs(folder).f_flag & os.ST_NOEXEC


def place_outside(sandbox: Sandbox) -> str:
    """Return a folder for temporary files that `sandbox` does not reach; raises `NoGround`."""
    declared = [os.path.realpath(each) for each in (*sandbox.read, *sandbox.write, *sandbox.exec)]
    for each in candidates():
        real = os.path.realpath(each)
        reached = any(f"{real}/".startswith(f"{path.rstrip('/')}/") for path in declared)
        if not reached and len(os.fsencode(real)) <= _LONGEST and os.access(real, os.W_OK | os.X_OK):
            return real
    raise NoGround(NoGround.__doc__)


def _name(token: str) -> str:
    return f"tb-attack-{token}"


def _shared(token: str) -> str:
    return f"{_name(token)}-shared"


def remove_left(token: str) -> None:
    """Remove what a run has left that was killed."""
    for parent in candidates():
        shutil.rmtree(Path(parent, _name(token)), ignore_errors=True)
    with contextlib.suppress(OSError):
        Path("/dev/shm", _shared(token)).unlink()  # noqa: S108  # by a name that only this run has


class Tools:
    """Programs for attacks that execute: copies, so that nothing of the machine is aimed at."""

    def __init__(self, folder: Path) -> None:
        """Copy the shell, the smallest library that this process has mapped, and find the loader."""
        folder.mkdir(0o700)
        self.shell: Final = folder / "sh"
        shutil.copy(os.path.realpath("/bin/sh"), self.shell)
        self.shell.chmod(0o700)
        self.script: Final = folder / "script"
        self.script.write_text(f"#!{self.shell}\necho +ran\n", encoding="utf-8")
        self.script.chmod(0o700)
        mapped = sorted(_mapped(), key=lambda each: each.stat().st_size)
        self.loader: Final = next((each for each in mapped if each.name.startswith("ld-")), None)
        self.library: Final = folder / "library.so"
        shutil.copy(next(each for each in mapped if each.suffix == ".so"), self.library)


def _mapped() -> set[Path]:
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
    paths = {Path(line.split(maxsplit=5)[5]) for line in lines if line.count("/") and ".so" in line}
    return {path for path in paths if path.is_file()}


class Peers:
    """Sockets that nobody may reach: Unix by path and by abstract name, TCP and UDP on the loopback."""

    def __init__(self, folder: Path) -> None:
        """Bind them all; `tcp6` is None where there is no IPv6."""
        self.unix: Final = str(folder / "stream")
        self.unix_packets: Final = str(folder / "packets")
        self.abstract: Final = f"\0trollbridge-attack-{secrets.token_hex(8)}"
        stream, packet = socket.SOCK_STREAM, socket.SOCK_DGRAM
        self._sockets = [
            _bound(socket.AF_UNIX, stream, self.unix),
            _bound(socket.AF_UNIX, packet, self.unix_packets),
            _bound(socket.AF_UNIX, stream, self.abstract),
            _bound(socket.AF_UNIX, packet, f"{self.abstract}-packets"),
            tcp := _bound(socket.AF_INET, stream, ("127.0.0.1", 0)),
            udp := _bound(socket.AF_INET, packet, ("127.0.0.1", 0)),
        ]
        self.tcp: Final[int] = tcp.getsockname()[1]
        self.udp: Final[int] = udp.getsockname()[1]
        self.tcp6 = 0
        with contextlib.suppress(OSError):
            self._sockets.append(tcp6 := _bound(socket.AF_INET6, stream, ("::1", 0)))
            self.tcp6 = tcp6.getsockname()[1]

    def arrived(self, seconds: float = _BIND_WAIT) -> bool:
        """Tell whether anything came, and take it away."""
        ready = select.select(self._sockets, [], [], seconds)[0]
        for each in ready:
            if each.type == socket.SOCK_STREAM:
                each.accept()[0].close()
            else:
                each.recv(64)
        return bool(ready)

    def close(self) -> None:
        """Close them all."""
        for each in self._sockets:
            each.close()


def _bound(family: int, kind: int, address: str | tuple[str, int]) -> socket.socket:
    made = socket.socket(family, kind)
    try:
        made.bind(address)
        if kind == socket.SOCK_STREAM:
            made.listen(16)
    except OSError:
        made.close()
        raise
    return made


class Site:
    """One folder for a whole run, with what all attacks share."""

    def __init__(self, parent: str, token: str) -> None:
        """Make it, 0700, in `parent`, by a name that nobody else has."""
        self.root: Final = Path(parent, _name(token))
        self.root.mkdir(0o700)
        self.shared: Final = _shared(token)
        """A name for /dev/shm and for message queues, which have no folder of ours."""
        self._count = 0
        with contextlib.ExitStack() as undo:
            undo.callback(self._remove)
            self.tools: Final = Tools(self.root / "tools")
            self.peers: Final = Peers(self.root)
            undo.pop_all()

    def _remove(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        Path("/dev/shm", self.shared).unlink(missing_ok=True)  # noqa: S108  # the attack's own, by its random name

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove everything."""
        self.peers.close()
        self._remove()

    def ground(self) -> Ground:
        """Return fresh ground for one attack."""
        self._count += 1
        return Ground(self, self.root / str(self._count))


class Ground:
    """What one attack aims at."""

    def __init__(self, site: Site, root: Path) -> None:
        """Make the files; the victim comes later, if one is needed."""
        self.tools: Final = site.tools
        self.peers: Final = site.peers
        self.shared: Final = site.shared
        self.canary: Final = f"canary-{secrets.token_hex(16)}".encode()
        self.root: Final = root
        self.home: Final = root / "home"
        """Outside every scope."""
        self.secret: Final = self.home / ".ssh" / "id_canary"
        self.bystander: Final = self.home / "notes"
        """A file that attacks try to change."""
        self.pointer: Final = self.home / "pointer"
        """A symbolic link whose target is the canary."""
        self.source: Final = self.home / "source"
        """A file with the canary, which has a hard link inside the scope."""
        self.vault: Final = root / "vault"
        """The folder that the sandbox declares, if it declares any file at all."""
        self.record: Final = self.vault / "record"
        self.planted: Final = self.vault / "planted"
        self.shortcut: Final = self.vault / "shortcut"
        self.way: Final = self.vault / "way"
        self._make()
        self.peer, self.link = socket.socketpair()
        """The runner's end and the attacker's end of what stands for an enclave's link."""
        self.kept: list[int] = []
        """What the attacker opened in its honest days."""
        self._victim: Victim | None = None
        self.zygote: Zygote | None = None
        """What the victim was forked from, in attacks from outside."""
        self._stat: Final = self.bystander.stat()
        self.inode: Final = self.record.stat().st_ino

    def _make(self) -> None:
        for folder in (self.root, self.home, self.home / ".ssh", self.home / "empty", self.vault):
            folder.mkdir(0o700)
        for file in (self.secret, self.source, self.record):
            file.write_bytes(self.canary)
            file.chmod(0o600)
        with contextlib.suppress(OSError):  # not every file system has attributes
            os.setxattr(self.secret, "user.canary", self.canary)
        self.bystander.write_bytes(b"a note of the user's")
        (self.home / self.canary.decode()).touch()
        self.pointer.symlink_to(self.canary.decode())
        self.planted.hardlink_to(self.source)
        self.shortcut.symlink_to(self.secret)
        self.way.symlink_to(self.home)

    @property
    def victim(self) -> Victim:
        """The process that is aimed at."""
        if self._victim is None:
            msg = "this attack did not ask for a victim"
            raise LookupError(msg)
        return self._victim

    @victim.setter
    def victim(self, victim: Victim) -> None:
        self._victim = victim

    def changed(self) -> bool:
        """Tell whether the user's note is no longer as it was: content, mode, times or place."""
        try:
            now = self.bystander.stat()
            content = self.bystander.read_bytes()
        except OSError:
            return True
        before = (self._stat.st_ino, stat.S_IMODE(self._stat.st_mode), self._stat.st_mtime_ns)
        return (now.st_ino, stat.S_IMODE(now.st_mode), now.st_mtime_ns) != before or content != b"a note of the user's"

    def made(self, *parts: str) -> bool:
        """Tell whether something new is in the home, by name."""
        return os.path.lexists(self.home.joinpath(*parts))

    def close(self) -> None:
        """End the victim and remove the files."""
        if self._victim is not None:
            self._victim.end()
        self.peer.close()
        self.link.close()
        shutil.rmtree(self.root, ignore_errors=True)
