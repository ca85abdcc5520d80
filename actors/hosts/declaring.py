"""`Files(…)` and `Programs(…)`: how an application declares its hosts. Nothing is looked at yet, and nothing started.

May import: `msgspec`, our messages, `app`, this folder's values. Invariant: what is declared here is all that reaches
the host's process; its sandbox is computed from it, so that the two cannot disagree.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from trollbridge.actors.app import Child
from trollbridge.actors.hosts.folders import Declared
from trollbridge.actors.hosts.program import Program, Spec
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.posture import Level
from trollbridge.messages.sandbox import Sandbox

Folders: TypeAlias = "Sequence[str | os.PathLike[str]] | Mapping[str, str | os.PathLike[str]]"

_FILES: Final = "trollbridge.actors.hosts.files:FilesHost"
_PROGRAMS: Final = "trollbridge.actors.hosts.programs:ProgramsHost"
_PROGRAM_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}", re.ASCII)
_LONGEST_NAME: Final = 255
LARGEST: Final = 16 << 30
"""Bytes of the longest file that may be written, unless something else is declared."""
MOST_RUNS: Final = 8


def Files(  # noqa: N802  # it stands in an App(…) beside Child
    *, read: Folders = (), write: Folders = (), name: str = "files", hidden: bool = False, largest: int = LARGEST
) -> Child:
    """Return a host that reads and writes files beneath these folders, and nowhere else.

    Folders by the names that callers use, or a list of them, whose own names these are then; absolute, or beginning
    with `~/`. What is in `write` may be read too; one that ends in `/` is made where it is missing. `hidden`: whether
    names that begin with a dot are in scope. `largest`: bytes of the longest file that may be written. Raises
    `DeclarationError`.
    """
    reading, writing = _named("read", read), _named("write", write)
    twice = sorted(reading.keys() & writing.keys())
    if twice:
        msg = f"Files: two folders are called {twice[0]}; name them: read={{'one': …, 'other': …}}"
        raise DeclarationError(msg)
    if not reading and not writing:
        msg = "Files: no folder is declared, so nothing could be reached; declare read=[…] or write=[…]"
        raise DeclarationError(msg)
    if type(largest) is not int or not 0 < largest <= 1 << 62:
        msg = f"Files: largest={largest!r} is no number of bytes"
        raise DeclarationError(msg)
    declared = Declared(reading, writing, hidden, largest)
    settings = {"declared": msgspec.json.encode(declared).decode()}
    return Child(_FILES, name=name, settings=settings, sandbox=declared.sandbox)


def _named(kind: str, folders: Folders) -> dict[str, str]:
    if isinstance(folders, Mapping):
        found = [(name, os.fspath(path)) for name, path in folders.items()]
    elif isinstance(folders, str | bytes):
        msg = f"Files({kind}=…) is a list of folders, such as [{folders!r}]"
        raise DeclarationError(msg)
    else:
        paths = [os.fspath(each) for each in folders]
        found = [(path.rstrip("/").rpartition("/")[2], path) for path in paths]
    for name, path in found:
        if "/" in name or name in {"", ".", "..", "~"} or "\0" in name or len(name.encode()) > _LONGEST_NAME:
            msg = f"Files: the folder {path!r} needs a name without a slash: {kind}={{'name': {path!r}}}"
            raise DeclarationError(msg)
        if not path.startswith(("/", "~/")):
            msg = f"Files({kind}=[{path!r}]): a folder is absolute or begins with ~/"
            raise DeclarationError(msg)
    names = [name for name, _ in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        msg = f"Files: two folders are called {twice[0]}; name them: {kind}={{'one': …, 'other': …}}"
        raise DeclarationError(msg)
    return dict(found)


def Programs(  # noqa: N802  # it stands in an App(…) beside Child
    programs: Mapping[str, Program], *, name: str = "programs", most: int = MOST_RUNS, least: str = Level.PARTIAL
) -> Child:
    """Return a host that runs these programs, known to callers by these names, and no others.

    `most`: how many each caller may run at a time. `least` is `partial`, unlike elsewhere: no list of all the system
    calls that a program makes can be written beforehand, so host and programs get the weaker list
    (`isolation.deny_list`). Raises `DeclarationError`.
    """
    if not programs:
        msg = "Programs: no program is declared, so nothing could be run"
        raise DeclarationError(msg)
    for each, program in programs.items():
        if not _PROGRAM_NAME.fullmatch(each) or type(program) is not Program:
            msg = f"Programs: {each!r} is no name of letters, digits and `_ . + -`, or stands for no Program(…)"
            raise DeclarationError(msg)
    if type(most) is not int or most <= 0:
        msg = f"Programs: most={most!r} is no number of runs"
        raise DeclarationError(msg)
    specs: dict[str, Spec] = {each: program.spec for each, program in programs.items()}
    settings = {"programs": msgspec.json.encode(specs).decode(), "most": str(most)}
    return Child(_PROGRAMS, name=name, settings=settings, sandbox=_union(specs), least=least)


def _union(specs: Mapping[str, Spec]) -> Sandbox:
    """Return what the host needs, which each of its programs is given a part of."""
    needed = [spec.sandbox for spec in specs.values()]
    return Sandbox(
        read=tuple(dict.fromkeys(path for sandbox in needed for path in sandbox.read)),
        write=tuple(dict.fromkeys(path for sandbox in needed for path in sandbox.write)),
        exec=tuple(dict.fromkeys(path for sandbox in needed for path in sandbox.exec)),
    )
