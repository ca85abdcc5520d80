"""References to an actor's code: by its module, by its file, or by its name among the installed entry points.

May import: our messages. Invariant: nothing that is referred to is imported here; of an installed distribution only
its metadata is read.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.messages.errors import DeclarationError

if TYPE_CHECKING:
    from types import FrameType

GROUP: Final = "trollbridge.extensions"
"""The group of entry points that extensions are installed under."""
ENTRY: Final = "entry"
"""What stands before the colon in the name of an entry point."""
_OURS: Final = "trollbridge."


class ActorRef(msgspec.Struct, frozen=True):
    """`package.module:Class` or `/folder/file.py:Class`: by name, only its own process imports it."""

    module: str
    """A module's full name, or a file's absolute path."""
    name: str

    @classmethod
    def parse(cls, text: str) -> ActorRef:
        """Return the reference that `text` is; raises `DeclarationError`.

        `entry:NAME` is looked up among the installed entry points. A file, which is known by a slash, is relative to
        the folder of the source file that declares it, and must be there.
        """
        module, colon, name = text.rpartition(":")
        if module == ENTRY:
            return cls._installed(name)
        if colon and name.isidentifier():
            if is_file(module):
                return cls(found_file(module), name)
            if all(part.isidentifier() for part in module.split(".")):
                return cls(module, name)
        msg = f"{text!r} does not name an actor; write package.module:Class"
        raise DeclarationError(msg)

    @classmethod
    def _installed(cls, name: str) -> ActorRef:
        from importlib.metadata import entry_points  # noqa: PLC0415  # 20 ms, for those who declare one only

        values = {each.value for each in entry_points(group=GROUP, name=name)}
        if len(values) != 1:
            msg = f"{len(values) or 'no'} entry points {name!r} are installed in the group {GROUP}; there must be one"
            raise DeclarationError(msg)
        reference = cls.parse(values.pop())
        if reference.file:
            msg = f"the entry point {name!r} names a file, not a module"
            raise DeclarationError(msg)
        return reference

    @property
    def file(self) -> str:
        """The path of its file; empty for a module."""
        return self.module if is_file(self.module) else ""

    def __str__(self) -> str:
        """Return it as it is written, the path of a file absolute."""
        return f"{self.module}:{self.name}"


def is_file(module: str) -> bool:
    """Return whether what stands before the colon is a file: a module's name has no slash."""
    return "/" in module and module.endswith(".py")


def found_file(path: str) -> str:
    """Return the absolute path of a file that is declared; raises `DeclarationError` if there is none."""
    found = os.path.normpath(os.path.join(_declaring_folder(), os.path.expanduser(path)))  # noqa: PTH111, PTH118  # texts
    if not os.path.isfile(found):  # noqa: PTH113  # the same
        msg = f"{path} is no file; it is looked for at {found}"
        raise DeclarationError(msg)
    return found


def _declaring_folder() -> str:
    """Return the folder of the innermost caller that is none of ours; the working folder if it has no file."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  # who declares
    while frame is not None and str(frame.f_globals.get("__name__")).startswith(_OURS):
        frame = frame.f_back
    name = "" if frame is None else frame.f_code.co_filename
    return os.path.dirname(os.path.abspath(name)) if os.path.isfile(name) else os.getcwd()  # noqa: PTH100, PTH109, PTH113, PTH120
