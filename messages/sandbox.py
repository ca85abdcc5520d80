"""What a process may reach beyond its own memory: the declaration, as a value. By default nothing.

May import: `msgspec`, our errors. Invariants: a `Sandbox` that exists is well formed, path by path; a resolved one
holds absolute paths only, without `..`, placeholders or `~`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeGuard

import msgspec

from trollbridge.messages.errors import DeclarationError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NETWORK: Final = re.compile(r"unix|udp|tcp(?::(?P<port>[1-9][0-9]{0,4}))?", re.ASCII)
"""What a network entry may be: `unix`, `udp`, `tcp` to any port, `tcp:443` to that port. Nobody ever listens."""
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\.parent)?\}", re.ASCII)
_LAST_PORT: Final = 65_535
_FORBIDDEN: Final = ("/proc", "/sys", "/dev/mem", "/dev/kmem")


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, list | tuple)


class Sandbox(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What an actor's process may reach. Empty: nothing but its link, its memory and the clock.

    Paths are absolute, or begin with `~/`; `{name}` stands for the actor's setting of that name, `{name.parent}` for
    the folder that such a path lies in. A folder stands for everything beneath it. Raises `DeclarationError`.
    """

    read: tuple[str, ...] = ()
    """Files and folders that may be read; they must exist when the process starts."""
    write: tuple[str, ...] = ()
    """Files and folders that may be read, changed, made and removed. What is missing is made, as a folder (0700)."""
    exec: tuple[str, ...] = ()
    """Programs that may be executed, by absolute path. They inherit the sandbox."""
    network: tuple[str, ...] = ()
    """`unix`, `udp`, `tcp` or `tcp:PORT`: outgoing connections only."""
    threads: bool = False
    """Whether it may start threads. They inherit the sandbox."""

    def __post_init__(self) -> None:
        """Check every entry, and take lists for tuples."""
        for name in ("read", "write", "exec", "network"):
            entries: object = getattr(self, name)
            if not _is_list(entries) or any(type(each) is not str for each in entries):
                msg = f"Sandbox({name}=…) is a list of strings, not {entries!r}"
                raise DeclarationError(msg)
            msgspec.structs.force_setattr(self, name, tuple(entries))
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


NOTHING: Final = Sandbox()


def _check_path(name: str, path: str) -> None:
    parts = path.split("/")
    if not path.startswith(("/", "~/", "{")) or "\0" in path or ".." in parts or not path.strip("/"):
        msg = f"Sandbox({name}=[{path!r}]): a path is absolute or begins with ~/ or a setting, without .. and is not /"
        raise DeclarationError(msg)
    if any(path == each or path.startswith(f"{each}/") for each in _FORBIDDEN):
        msg = f"Sandbox({name}=[{path!r}]): {path} shows other processes or the kernel, and cannot be declared"
        raise DeclarationError(msg)


def _resolve(name: str, path: str, settings: Mapping[str, str], home: str) -> str:
    def fill(match: re.Match[str]) -> str:
        value = settings.get(match[1])
        if value is None:
            msg = f"Sandbox({name}=[{path!r}]) names the setting {match[1]}, which this actor does not have"
            raise DeclarationError(msg)
        return value.rpartition("/")[0] if match[2] else value

    found = _PLACEHOLDER.sub(fill, path)
    if found.startswith("~/"):
        found = home.rstrip("/") + found[1:]
    _check_path(name, found)
    if not found.startswith("/"):
        msg = f"Sandbox({name}=[{path!r}]) comes to {found!r}, which is not an absolute path"
        raise DeclarationError(msg)
    return found
