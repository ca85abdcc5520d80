"""Asks the broker what it has counted, for whoever wants to know, and gives each the one answer.

May import: our messages and actors. Invariants: one question at a time; an answer to none is malformed, and everybody
who asked is told, with nothing if the broker ends before it answers; an answer is about members of the application,
each once, so that nothing else that the broker says becomes a name in a figure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from trollbridge.messages import control
from trollbridge.messages.errors import Malformed
from trollbridge.messages.ids import BROKER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.spawn import Process
    from trollbridge.messages.ids import MemberId

Told: TypeAlias = Callable[[control.Measures | None], object]


class Measuring:
    """The questions of one application to its broker."""

    def __init__(self, processes: Children, members: Iterable[MemberId]) -> None:
        """Take the table of processes, and the members of the application."""
        self._processes = processes
        self._members: Final[frozenset[str]] = frozenset(members)
        self._number = 0
        self._asked: Process | None = None
        self._waiting: list[Told] = []

    def ask(self, told: Told) -> None:
        """Have `told` called with the broker's answer, or with None if there is no broker to ask, or it ends."""
        broker = self._processes.get(BROKER)
        if broker is None:
            told(None)
            return
        self._waiting.append(told)
        if self._asked is None:
            self._number += 1
            self._asked = broker
            self._processes.tell(broker, control.Measure(self._number))

    def heard(self, process: Process, message: control.Measures) -> None:
        """Take an answer; raises `Malformed` for one that was not asked for, or not about members, each once."""
        if process is not self._asked or message.number != self._number:
            raise Malformed
        names = [each.member for each in message.measures]
        if len(set(names)) < len(names) or not self._members.issuperset(names):
            raise Malformed
        self._tell(message)

    def gone(self, process: Process) -> None:
        """Note that a process has ended."""
        if process is self._asked:
            self._tell(None)

    def _tell(self, message: control.Measures | None) -> None:
        self._asked, waiting, self._waiting = None, self._waiting, []
        for told in waiting:
            told(message)
