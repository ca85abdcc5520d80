"""What an operator's requests come to: the one place that says which of them an application obeys, and when.

May import: our messages and actors. Invariant: `check` raises before anything has changed; what is obeyed is what
signals and deaths do too, so that an operator can cause nothing else.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from trollbridge.actors.operations.snapshot import Past, Watched, snapshot
from trollbridge.actors.supervision.declaring import Leaf
from trollbridge.messages import operator
from trollbridge.messages.errors import UsageError
from trollbridge.messages.ids import BROKER, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.actors.app import App
    from trollbridge.actors.operations.log import Log
    from trollbridge.actors.operations.measuring import Measuring
    from trollbridge.actors.outcomes.verdicts import Verdicts
    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.postures import Postures
    from trollbridge.actors.trust_ring.rings import Rings
    from trollbridge.messages.control import Measures

NOT_NOW = "the ring is not sealed now; ask again once it is"


class Obeying(Protocol):
    """The supervisor, as the desk sees it."""

    @property
    def stopping(self) -> bool:
        """Whether the application ends."""
        ...

    @property
    def verdicts(self) -> Verdicts:
        """What is put in quarantine."""
        ...

    def restart(self, member: str) -> None:
        """Have a member started anew, or the ring formed anew if none is named."""

    def rekey(self, why: str) -> None:
        """Have the ring formed anew under new keys."""

    def stop(self, why: str) -> None:
        """End the application in good order."""


class Desk:
    """An application's side of `operator.Operator`."""

    def __init__(  # noqa: PLR0913, PLR0917  # made once, by the supervisor
        self,
        app: App,
        owner: Obeying,
        rings: Rings,
        processes: Children,
        postures: Postures,
        measuring: Measuring,
        log: Log,
    ) -> None:
        """Take the application, who obeys, and what is to be told of."""
        self._owner = owner
        self._rings = rings
        self._processes = processes
        self._measuring = measuring
        self._members = {str(BROKER), *(str(child.member) for child, _ in app.children)}
        self._past = Past(app.intensity.period)
        self._watched = Watched(app, rings, processes, postures, log, self._past, groups(app), owner.verdicts)
        log.subscribe(self._past.note)

    def snapshot(self, name: str) -> operator.Snapshot:
        """Return how the application is."""
        return snapshot(name, self._watched)

    def measure(self, told: Callable[[Measures | None], object]) -> None:
        """Have `told` called with what the broker has counted, or None if there is no broker."""
        self._measuring.ask(told)

    def epoch(self) -> int:
        """Return the epoch."""
        return self._rings.epoch

    def keeps_apart(self, pid: int) -> bool:
        """Return whether a process is in the session of a child but the UI's, or of one that has ended.

        None of those can leave its own. Whoever cannot be told apart from them counts as one.
        """
        try:
            session = os.getsid(pid)
        except ProcessLookupError:  # whoever connected is gone
            return True
        kept = any(session == each.pid for each in self._processes if each.role is not Role.UI)
        return kept or self._processes.remnants.holds(pid)

    def check(self, request: operator.Restart | operator.Rekey | operator.Stop) -> None:
        """Raise `UsageError` if the request cannot be obeyed now."""
        if isinstance(request, operator.Stop):
            return
        if isinstance(request, operator.Restart) and request.member and request.member not in self._members:
            msg = f"there is no member of that name; there are {', '.join(sorted(self._members))}"
            raise UsageError(msg)
        if isinstance(request, operator.Restart) and request.member in self._rings.keeping.barring.barred:
            msg = f"{request.member} is barred until the application ends; `extension.barred` in the log says why"
            raise UsageError(msg)
        if not self._rings.sealed or self._owner.stopping:
            raise UsageError(NOT_NOW)

    def obey(self, request: operator.Restart | operator.Rekey | operator.Stop) -> None:
        """Do what was asked."""
        match request:
            case operator.Restart(member):
                self._owner.restart(member)
            case operator.Rekey():
                self._owner.rekey("the operator asked for new keys")
            case operator.Stop():
                self._owner.stop("the operator asked for it")


def groups(app: App) -> dict[str, str]:
    """Return the group of each host and extension that stands in one."""
    return {
        str(leaf.name): branch.name
        for branch in app.tree.branches()
        for leaf in branch.children
        if isinstance(leaf, Leaf)
    }
