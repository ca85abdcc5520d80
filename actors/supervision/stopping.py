"""The orderly end of an application: everybody in the reverse of the order in which they started, one after the other.

May import: our messages and actors. Invariants: nobody is asked to end before whoever may need it has ended; each has
its time to end by itself and is killed after it, so that the whole ends within the sum of these times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.ids import BROKER, MemberId, Role

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.actors.supervision.children import Children


def order(app: App) -> tuple[MemberId, ...]:
    """Return who is stopped when: extensions, the UI, hosts, enclaves, the broker; of each the last first."""
    kept = tuple(reversed(tuple(app.tree.leaves())))
    return (
        *(each.name for each in kept if each.role is Role.EXTENSION),
        app.ui.member,
        *(each.name for each in kept if each.role is Role.HOST),
        *(each.member for each in reversed(app.enclaves)),
        BROKER,
    )


class Stopping:
    """Stops the processes of one application."""

    def __init__(self, app: App, processes: Children) -> None:
        """Take the declaration and the processes."""
        self._order: Final = order(app)
        self._enclaves: Final = frozenset(each.member for each in app.enclaves)
        self._processes: Final = processes
        self._asked: set[MemberId] = set()
        self._begun = False

    def begin(self) -> None:
        """Ask the first to end."""
        self._begun = True
        self.go_on()

    def go_on(self) -> None:
        """Ask the next to end, if it has begun and the one before has ended."""
        if not self._begun:
            return
        for member in self._order:
            process = self._processes.get(member)
            if process is not None:
                if member not in self._asked:
                    self._asked.add(member)
                    if member in self._enclaves:
                        self._end_errands()
                    self._processes.request_end(process)
                return
        self._end_errands()

    def _end_errands(self) -> None:
        """Kill what enclaves have had started: it works for nobody else."""
        for process in self._processes:
            if process.role is Role.ERRAND:
                process.kill()
