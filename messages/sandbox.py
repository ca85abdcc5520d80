"""What a process may reach beyond its own memory: the declaration, as a value. By default nothing.

May import: `msgspec`, our errors. Invariants: a `Sandbox` that exists is well formed, path by path; a resolved one
holds absolute paths only, without `..`, placeholders or `~`; a `/` at a path's end is kept until the path is opened.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Protocol, TypeGuard, TypeVar, runtime_checkable

import msgspec

from trollbridge.messages.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NETWORK: Final = re.compile(r"unix|udp|tcp(?::(?P<port>[1-9][0-9]{0,4}))?", re.ASCII)
"""What a network entry may be: `unix`, `udp`, `tcp` to any port, `tcp:443` to that port. Nobody ever listens."""
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\.parent)?\}", re.ASCII)
_LAST_PORT: Final = 65_535
_FORBIDDEN: Final = ("/proc", "/sys", "/dev/mem", "/dev/kmem")
_NAMES: Final = ("read", "write", "exec", "network", "threads")
_T = TypeVar("_T")


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple)


@runtime_checkable
class _PathLike(Protocol):
    """`os.PathLike`, which is none of this folder's business."""

    def __fspath__(self) -> object:
        """Return the path."""


class _ByName(msgspec.StructMeta):
    """Says what there is to declare to whoever misspells it: msgspec's own words do not."""

    def __call__(cls: type[_T], *values: object, **named: object) -> _T:  # noqa: N805  # a metaclass's cls is the class
        """Make the value; raises `DeclarationError`."""
        wrong = [*map(repr, values), *sorted(named.keys() - set(_NAMES))]
        if wrong:
            msg = f"Sandbox(…) takes read=, write=, exec=, network= and threads=, and no {wrong[0]}"
            raise DeclarationError(msg)
        return super().__call__(**named)  # type: ignore[misc,no-any-return]  # the checkers take cls for an instance


class Sandbox(
    msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True, metaclass=_ByName
):
    """What an actor's process may reach. Empty: nothing but its link, its memory and the clock.

    Paths are strings or `os.PathLike`, absolute, or begin with `~/`; `{name}` stands for the actor's setting of that
    name, `{name.parent}` for the folder that such a path lies in. A folder stands for everything beneath it. Raises
    `DeclarationError`.
    """

    read: tuple[str, ...] = ()
    """Files and folders that may be read; they must exist when the process starts."""
    write: tuple[str, ...] = ()
    """Files and folders that may be read, changed, made and removed.

    An entry that ends in `/` is a folder, and is made (0700, and the folders around it) where it is missing; any other
    must exist when the process starts. A `pathlib.Path` never ends in `/`.
    """
    exec: tuple[str, ...] = ()
    """Programs that may be executed, by absolute path. They inherit the sandbox."""
    network: tuple[str, ...] = ()
    """`unix`, `udp`, `tcp` or `tcp:PORT`: outgoing connections only."""
    threads: bool = False
    """Whether it may start threads. They inherit the sandbox."""

    def __post_init__(self) -> None:
        """Check every entry, and take lists for tuples."""
        for name in ("read", "write", "exec", "network"):
            msgspec.structs.force_setattr(self, name, _texts(name, getattr(self, name)))
        for name in ("read", "write", "exec"):
            for path in getattr(self, name):
                _check_path(name, path)
        for entry in self.network:
            match = NETWORK.fullmatch(entry)
            if match is None or int(match["port"] or 1) > _LAST_PORT:
                msg = f"Sandbox(network=[{entry!r}]): write unix, udp, tcp, or tcp:PORT with a port up to {_LAST_PORT}"
                raise DeclarationError(msg)
        threads: object = self.threads
        if type(threads) is not bool:
            msg = f"Sandbox(threads=…) is True or False, not {threads!r}"
            raise DeclarationError(msg)

    def resolved(self, settings: Mapping[str, str], home: str) -> Sandbox:
        """Return it with settings and the home folder filled in; raises `DeclarationError` for what cannot be."""
        filled = {
            name: tuple(_resolve(name, path, settings, home) for path in getattr(self, name))
            for name in ("read", "write", "exec")
        }
        return msgspec.structs.replace(self, **filled)


def checked(value: object, where: str) -> Sandbox | None:
    """Return what a class or a declaration has as its sandbox; raises `DeclarationError` if it is no such thing.

    `where` names the actor, for the sentence.
    """
    if value is None or type(value) is Sandbox:
        return value
    found = f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
    msg = f"{where}: its sandbox is {found}, not a Sandbox(…)"
    raise DeclarationError(msg)


def _texts(name: str, entries: object) -> tuple[str, ...]:
    found = tuple(_text(name, each) for each in entries) if _is_list(entries) else ()
    if not _is_list(entries) or None in found:
        msg = f"Sandbox({name}=…) is a list of strings, not {entries!r}"
        raise DeclarationError(msg)
    return tuple(each for each in found if each is not None)


def _text(name: str, entry: object) -> str | None:
    """Return an entry as a string; None if it is none."""
    text: object = entry.__fspath__() if isinstance(entry, _PathLike) and name != "network" else entry
    return text if type(text) is str else None


def _check_path(name: str, path: str) -> None:
    parts = path.split("/")
    if not path.startswith(("/", "~/", "{")) or "\0" in path or ".." in parts or not path.strip("/"):
        msg = f"Sandbox({name}=[{path!r}]): a path is absolute or begins with ~/ or a setting, without .. and is not /"
        raise DeclarationError(msg)
    plain = "/" + "/".join(each for each in parts if each not in ("", "."))  # as the kernel reads it
    if path.startswith("/") and plain in ("/", "/dev"):
        msg = f"Sandbox({name}=[{path!r}]) is all of {plain}: declare what is needed of it"
        raise DeclarationError(msg)
    if path.startswith("/") and any(plain == each or plain.startswith(f"{each}/") for each in _FORBIDDEN):
        msg = f"Sandbox({name}=[{path!r}]): {path} shows other processes or the kernel, and cannot be declared"
        raise DeclarationError(msg)


def _resolve(name: str, path: str, settings: Mapping[str, str], home: str) -> str:
    def fill(match: re.Match[str]) -> str:
        value = settings.get(match[1])
        if value is None:
            msg = f"Sandbox({name}=[{path!r}]) names the setting {match[1]}, which this actor does not have"
            raise DeclarationError(msg)
        return value.rstrip("/").rpartition("/")[0] if match[2] else value

    found = _PLACEHOLDER.sub(fill, path)
    if found.startswith("~/"):
        found = home.rstrip("/") + found[1:]
    _check_path(name, found)
    if not found.startswith("/"):
        msg = f"Sandbox({name}=[{path!r}]) comes to {found!r}, which is not an absolute path"
        raise DeclarationError(msg)
    return found


NOTHING: Final = Sandbox()
