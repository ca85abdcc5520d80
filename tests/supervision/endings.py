"""Extensions and hosts that end in every way there is, once each, and the applications that declare them."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.harness.replacing import replace
from tests.harness.stage import JOURNAL, PROBE, PUPPET, hurry
from trollbridge.actors.app import App, Child
from trollbridge.actors.handlers import handler
from trollbridge.actors.host import HostActor
from trollbridge.actors.supervision import keeping
from trollbridge.actors.supervision.declaring import Group, Restart
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.actors.supervision.reasons import Reason
from trollbridge.messages.errors import Outcome, ServerLost
from trollbridge.messages.sandbox import Sandbox
from trollbridge.ui_adapter.bridge import ExtensionActor

if TYPE_CHECKING:
    from trollbridge.ui_adapter.bridge import Bridge

WAYS: Final = {reason: reason.value.replace(" ", "_") for reason in Reason}
"""Each way to end as part of a name: `start_failure`."""


class Ends(ExtensionActor):
    """Its first process ends in a way; every later one stays."""

    def __init__(self, way: str, journal: str) -> None:
        """Count this process in `journal`."""
        super().__init__()
        with Path(journal).open("r+", encoding="utf-8") as lines:
            first = not lines.read()
            lines.write("started\n")
        self._way = way if first else ""
        if self._way == Reason.START_FAILURE:
            raise OSError

    def main(self, bridge: Bridge) -> int | None:
        """End, or stay."""
        del bridge
        match self._way:
            case Reason.NORMAL:
                return 0
            case Reason.SHUTDOWN:
                signal.raise_signal(signal.SIGTERM)
            case Reason.ERROR:
                os._exit(3)
            case Reason.SIGNAL:
                signal.raise_signal(signal.SIGKILL)
            case Reason.HUNG:
                signal.raise_signal(signal.SIGSTOP)
            case _:
                threading.Event().wait()
        return None


class Stays(ExtensionActor):
    """Ends when it is asked to."""

    def main(self, bridge: Bridge) -> int | None:
        """Stay."""
        del bridge
        threading.Event().wait()
        return None


class Deaf(ExtensionActor):
    """Does not end when it is asked to, from before it has joined on."""

    def __init__(self) -> None:
        """Take no SIGTERM; nor will any thread that comes after this."""
        super().__init__()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def main(self, bridge: Bridge) -> int | None:
        """Stay, whatever is asked."""
        del bridge
        threading.Event().wait()
        return None


class Dawdles(Stays):
    """Becomes ready only if something stands in its journal."""

    def __init__(self, journal: str) -> None:
        """Read it; wait for nothing if it is empty."""
        super().__init__()
        if not Path(journal).stat().st_size:
            threading.Event().wait()


class Mortal(HostActor):
    """A host that ends when it is told to."""

    @handler
    def pid(self) -> int:
        """Return its process."""
        return os.getpid()

    @handler
    def leave(self, code: int) -> None:
        """End with an exit code."""
        os._exit(code)


class Porter(HostActor):
    """A host that has another one do what it is asked for."""

    @handler
    def leave(self, code: int) -> None:
        """Have the store end: the process that is there, whenever this one learns of it."""
        while True:
            try:
                self.peers.store.leave(code).get(timeout=20)
            except ServerLost as lost:
                if lost.outcome is not Outcome.NOT_STARTED:
                    raise


def stays(*names: str) -> list[Child]:
    """Return permanent extensions that stay."""
    return [Child(f"{__name__}:Stays", name=name, restart="permanent") for name in names]


def matrix(*, folder: str, beat: float) -> App:
    """Return an application with an extension for each restart type and way to end, and groups of each strategy."""
    hurry(beat, 600.0)
    replace(keeping, START_LIMIT=600.0)
    endings: list[Child] = []
    for restart in Restart:
        for reason, way in WAYS.items():
            name = f"{restart}_{way}"
            journal = Path(folder) / name
            journal.touch()
            settings = {"way": reason.value, "journal": str(journal)}
            sandbox = Sandbox(write=(str(journal),))
            endings.append(Child(f"{__name__}:Ends", name=name, settings=settings, sandbox=sandbox, restart=restart))
    groups = [
        Group("all", ["all_a", "all_b", "all_c"], strategy="one_for_all"),
        Group("outer", ["before", "inner", "after"], strategy="rest_for_one"),
        Group("inner", ["inner_a", "inner_b"], intensity=Intensity(0, 10.0)),
        Group("fleeting", ["fleeting_a", "fleeting_b"], intensity=Intensity(0, 10.0), restart="temporary"),
    ]
    deaf = Child(f"{__name__}:Deaf", name="fleeting_b", restart="permanent", shutdown=0.2)
    return App(
        ui=Child(PUPPET, name="puppet"),
        extensions=[
            *endings,
            *stays("all_a", "all_b", "all_c"),
            *stays("before", "inner_a", "inner_b", "after", "fleeting_a"),
            deaf,
        ],
        groups=groups,
        group_intensity=Intensity(50, 60.0),
    )


def blamed(*, path: str) -> App:
    """Return an application whose extension, which gets its commands at `path`, may have three hosts end."""
    extra = Child(PUPPET, name="extra", settings={"strings": path}, sandbox=Sandbox(network=("unix",)))
    return App(
        ui=Child(PUPPET, name="puppet"),
        enclaves=[Child(PROBE, name="probe", settings=JOURNAL)],
        hosts=[
            Child(f"{__name__}:Mortal", name="store"),
            Child(f"{__name__}:Porter", name="porter"),
            Child(f"{__name__}:Mortal", name="shed"),
        ],
        extensions=[extra],
        grants={
            "puppet": ["store.pid"],
            "extra": ["store.leave", "porter.leave", "shed.leave"],
            "porter": ["store.leave"],
        },
        group_intensity=Intensity(50, 60.0),
    )


def hosts(*, restarts: int = 2, rings: int = 5) -> App:
    """Return an application with an enclave and three hosts; an extension depends on one of them."""
    granted = [f"{name}.{each}" for name in ("solid", "passing", "store") for each in ("pid", "leave")]
    return App(
        ui=Child(PUPPET, name="puppet"),
        enclaves=[Child(PROBE, name="probe", settings=JOURNAL)],
        hosts=[
            Child(f"{__name__}:Mortal", name="solid"),
            Child(f"{__name__}:Mortal", name="passing", restart="transient"),
            Child(f"{__name__}:Mortal", name="store"),
        ],
        extensions=stays("reader"),
        grants={"puppet": ["probe.mark", *granted]},
        groups=[Group("shelf", ["store", "reader"], strategy="rest_for_one", intensity=Intensity(restarts, 60.0))],
        group_intensity=Intensity(restarts, 60.0),
        intensity=Intensity(rings, 60.0),
    )
