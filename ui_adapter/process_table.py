"""Who is who: the processes of an application as the kernel lists them.

May import: `messages`. Invariant: PID, parent and command are read from /proc, never from what a process says.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trollbridge.messages.control import MemberRecord

_LONGEST: Final = 48
"""Characters of one argument that are shown; a longer one is a program in itself."""


class Row(NamedTuple):
    """One process. `command` is what it was started with; None for one that has ended."""

    pid: int
    parent: int | None
    role: str
    name: str
    command: str | None


def _parent(pid: int) -> int | None:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[1])  # `pid (name) state parent …`, where the name may hold anything


def _command(pid: int) -> str | None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return None
    return " ".join([Path(words[0]).name, *(each if len(each) <= _LONGEST else "…" for each in words[1:])]).strip()


def rows(members: Iterable[MemberRecord]) -> list[Row]:
    """Return one row for each process that was in the ring when it was sealed, the supervisor first."""
    return [Row(each.pid, _parent(each.pid), each.role, each.member, _command(each.pid)) for each in members]


def as_text(table: Iterable[Row]) -> list[tuple[str, ...]]:
    """Return the rows with a head, for a screen."""
    head = ("PID", "PARENT", "ROLE", "NAME", "COMMAND")
    body = [(str(each.pid), str(each.parent or "-"), each.role, each.name, each.command or "-") for each in table]
    return [head, *body]
