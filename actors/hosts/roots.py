"""The declared folders by their names, and where a caller's path leads in them.

May import: `isolation.landlock`, our `beneath` and `values`, our messages. Invariants: a folder's descriptor is opened
once, before the lock; no path of a caller's is ever resolved from anywhere else.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.actors.hosts import beneath
from trollbridge.actors.hosts.values import NoSuchFile, OutOfScope, ReadOnly, WrongKind, sentence, told
from trollbridge.actors.isolation import landlock
from trollbridge.messages.errors import DeclarationError, DeclaredError, InvalidName

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from trollbridge.actors.hosts.folders import Declared


_MOST_NAMED: Final = 8
"""Folders that a sentence names."""


class Place(msgspec.Struct, frozen=True):
    """Where a path leads: a root, and the names beneath it."""

    root: int
    """The root's descriptor."""
    inside: tuple[str, ...]
    path: str
    """As the caller gave it."""

    @property
    def name(self) -> str:
        """The last name."""
        return self.inside[-1]


class Roots:
    """The open folders of one host."""

    def __init__(self, declared: Declared) -> None:
        """Open them, and make those that are missing and end in `/`; raises `DeclarationError`."""
        beneath.check_kernel()
        home = os.path.expanduser("~")  # noqa: PTH111  # the child's entry has set HOME to what the sandbox was resolved by
        try:
            landlock.prepare(declared.sandbox.resolved({}, home))
        except DeclarationError as error:
            raise DeclarationError(str(error).replace("Sandbox(", "Files(", 1)) from None
        self.names: Final = (*declared.read, *declared.write)
        self._hidden: Final = declared.hidden
        self._writable: Final = frozenset(declared.write)
        self._open: Final = _opened(declared.read | declared.write)

    def place(self, path: str) -> Place:
        """Return where a path leads; raises `InvalidName`, `OutOfScope`, `NoSuchFile` if its root is none."""
        first, _, rest = path.partition("/")
        root = self._open.get(first)
        if root is None:
            raise self._astray(path)
        return Place(root, beneath.names(rest, path, hidden=self._hidden) if path != first else (), path)

    def _astray(self, path: str) -> DeclaredError:
        """Return why a path leads nowhere whose first name is no root's; raises `InvalidName` or `OutOfScope`."""
        beneath.names(path.strip("/"), path, hidden=True)
        where = f"a path begins with {' or '.join(f'{each}/' for each in self.names[:_MOST_NAMED])}"
        if path.startswith("/"):
            return InvalidName(f"{path}: {where}")
        return NoSuchFile(f"{path or 'an empty path'}: {sentence(NoSuchFile)}; {where}")

    def shows(self, name: str) -> bool:
        """Return whether a name that was found in a folder is in scope."""
        try:
            name.encode()
        except UnicodeEncodeError:  # no text could name it
            return False
        return not name.startswith(beneath.OWN) and (self._hidden or not name.startswith("."))

    def writable(self, path: str) -> Place:
        """Return where a path leads that is to be changed; raises `ReadOnly`, `OutOfScope` for a root itself."""
        found = self.place(path)
        if path.partition("/")[0] not in self._writable:
            msg = f"{path}: {sentence(ReadOnly)}"
            raise ReadOnly(msg)
        if not found.inside:
            msg = f"{path}: {sentence(OutOfScope)}"
            raise OutOfScope(msg)
        return found

    @contextmanager
    def folder(self, place: Place) -> Generator[int]:
        """Hold the folder that a path names open."""
        opened = beneath.open_folder(place.root, place.inside)
        try:
            yield opened
        finally:
            os.close(opened)

    @contextmanager
    def around(self, place: Place) -> Generator[int]:
        """Hold the folder open in which a path's last name is to be found."""
        with self.folder(Place(place.root, place.inside[:-1], place.path)) as opened:
            yield opened


def _opened(paths: Mapping[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, path in paths.items():
        try:
            found[name] = os.open(os.path.expanduser(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH111
        except OSError as error:
            msg = f"Files: the folder {path!r} cannot be opened: {error.strerror}"
            raise DeclarationError(msg) from None
    return found


@contextmanager
def telling(path: str) -> Generator[None]:
    """Turn a failure of the file system into what the caller of `path` is told."""
    try:
        yield
    except WrongKind:
        msg = f"{path}: {sentence(WrongKind)}"
        raise WrongKind(msg) from None
    except OSError as error:
        raise told(error, path) from None
