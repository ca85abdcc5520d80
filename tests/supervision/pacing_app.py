"""Applications whose supervisors give one process, or themselves, another time than they would."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tests.harness.replacing import replace
from tests.harness.stage import JOURNAL, PROBE, PUPPET, puppet_app
from tests.supervision.endings import stays
from trollbridge.actors.app import App, Child
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.actors.supervision.keeping import Keeping
from trollbridge.actors.trust_ring import rings
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.actors.supervision.actions import Action
    from trollbridge.messages.ids import MemberId

ENDINGS = "tests.supervision.endings"


class Hasty(Keeping):
    """Gives the first process of one extension little time, and lets the later ones become ready."""

    journal: ClassVar[Path]
    limit: ClassVar[float]

    def _start(self, member: MemberId) -> Sequence[Action]:
        if member != "dawdles":
            return super()._start(member)
        if self._processes.starts(member):
            self.journal.write_text("the first one is gone", encoding="utf-8")
            return super()._start(member)
        follows = super()._start(member)
        self._limits[member] = time.monotonic() + self.limit
        return follows


def starts(*, journal: str, limit: float) -> App:
    """Return an application in which the first start of one extension has few seconds, and is never ready."""
    Hasty.journal, Hasty.limit = Path(journal), limit
    replace(rings, Keeping=Hasty)
    settings, sandbox = {"journal": journal}, Sandbox(read=(journal,))
    dawdles = Child(f"{ENDINGS}:Dawdles", settings=settings, sandbox=sandbox, restart="transient")
    return App(
        ui=Child(PUPPET, name="puppet"),
        enclaves=[Child(PROBE, name="probe", settings=JOURNAL)],
        hosts=[Child(f"{ENDINGS}:Mortal", name="store", replicas=2)],
        extensions=[dawdles, *stays("stays")],
        group_intensity=Intensity(1000, 60.0),
    )


def patient(*, wait: float, restarts: int) -> App:
    """Return a puppet's application that waits so many seconds before each restart of its ring but the first."""

    def delay(number: int, _jitter: float) -> float:
        return wait if number > 1 else 0.0

    replace(rings, delay=delay)
    return puppet_app(restarts=restarts)
