"""What is declared of a program, as a value that travels: how it is started, and how far it may go.

May import: `msgspec`, our `arguments`, our messages. Invariant: a value that exists is well formed.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.actors.hosts.arguments import Row, rows
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
SECONDS: Final = 60.0
MEMORY: Final = 1 << 30
OUTPUT: Final = 64 << 20
_LEAST_MEMORY: Final = 16 << 20


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One program, as its host's process is told of it, in JSON."""

    path: str
    args: tuple[Row, ...]
    cwd: str
    environment: dict[str, str]
    input: bool
    seconds: float
    memory: int
    output: int
    read: tuple[str, ...]
    write: tuple[str, ...]
    starts: tuple[str, ...]

    @property
    def sandbox(self) -> Sandbox:
        """What the program may reach, by Landlock."""
        return Sandbox(read=self.read, write=self.write, exec=(self.path, *self.starts))


class Program:
    """A program that callers may run, and how."""

    __slots__ = ("spec",)

    def __init__(  # noqa: PLR0913  # a declaration; each is given by name
        self,
        path: str,
        *,
        args: Sequence[Sequence[object]] = (),
        cwd: str = "/",
        environment: Mapping[str, str] | None = None,
        input: bool = False,  # noqa: A002  # what it is called everywhere else
        seconds: float = SECONDS,
        memory: int = MEMORY,
        output: int = OUTPUT,
        read: Sequence[str] = (),
        write: Sequence[str] = (),
        starts: Sequence[str] = (),
    ) -> None:
        """Take the program's absolute path, and what is declared of it; raises `DeclarationError`.

        `args`: the alternatives, each a tuple of positions: a string, which is meant literally, `Matching(r"…")` for
        the whole of one argument, or, last, `Several(r"…")`. Without any, nothing may be run. `cwd`: its folder;
        absolute, or begins with `~/`. `environment`: all that it gets, besides LANG. `input`: whether a caller may give
        it standard input. `seconds`, `memory` (bytes of address space) and `output` (bytes of both streams): it is
        ended beyond the first and the last, and gets no more than the second, each process of it alike. `read`,
        `write`: as of a `Sandbox`. `starts`: other programs that it may start, as many at a time as its time allows;
        without any it starts no process at all.
        """
        where = f"Program({path!r})"
        given = {} if environment is None else dict(environment)
        self.spec: Final = Spec(
            path,
            rows(args, where),
            cwd,
            {"LANG": "C.UTF-8"} | given,
            input,
            float(seconds),
            memory,
            output,
            tuple(map(os.fspath, read)),
            tuple(map(os.fspath, write)),
            tuple(map(os.fspath, starts)),
        )
        _check(self.spec, where)


def _check(spec: Spec, where: str) -> None:
    if not spec.path.startswith("/"):
        msg = f"{where}: a program is declared by its absolute path; none is searched for"
        raise DeclarationError(msg)
    if not spec.cwd.startswith(("/", "~/")) or "\0" in spec.cwd:
        msg = f"{where}: cwd={spec.cwd!r} is no absolute path, and does not begin with ~/"
        raise DeclarationError(msg)
    for name, value in spec.environment.items():
        if not _VARIABLE.fullmatch(name) or "\0" in value:
            msg = f"{where}: environment has {name!r}, which no variable can be called, or a zero in its value"
            raise DeclarationError(msg)
    if not 0 < spec.seconds <= 1 << 20 or spec.output <= 0 or spec.memory < _LEAST_MEMORY:
        msg = f"{where}: seconds and output are above 0, and memory is at least {_LEAST_MEMORY} bytes"
        raise DeclarationError(msg)
    _ = spec.sandbox  # it says what is wrong with a path
