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
    """Does not end when it is asked to."""

    def main(self, bridge: Bridge) -> int | None:
        """Stay, whatever is asked."""
        del bridge
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            threading.Event().wait(1.0)


class Dawdles(Ends):
    """Its first process never becomes ready."""

    def __init__(self, way: str, journal: str) -> None:
        """Count, and wait for nothing."""
        super().__init__(way, journal)
        if self._way:
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
        """Have the store end."""
        self.peers.store.leave(code).get(timeout=20)


def _stays(*names: str) -> list[Child]:
    return [Child(f"{__name__}:Stays", name=name, restart="permanent") for name in names]


def matrix(*, folder: str, beat: float) -> App:
    """Return an application with an extension for each restart type and way to end, and groups of each strategy."""
    hurry(beat, None)
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
            *_stays("all_a", "all_b", "all_c"),
            *_stays("before", "inner_a", "inner_b", "after", "fleeting_a"),
            deaf,
        ],
        groups=groups,
        group_intensity=Intensity(50, 60.0),
    )


def starts(*, journal: str, limit: float) -> App:
    """Return an application in which a start has few seconds; the first one of one extension is never ready."""
    replace(keeping, START_LIMIT=limit)
    settings = {"way": "waits", "journal": journal}
    dawdles = Child(f"{__name__}:Dawdles", settings=settings, sandbox=Sandbox(write=(journal,)), restart="transient")
    return App(
        ui=Child(PUPPET, name="puppet"),
        enclaves=[Child(PROBE, name="probe", settings=JOURNAL)],
        hosts=[Child(f"{__name__}:Mortal", name="store", replicas=2)],
        extensions=[dawdles, *_stays("stays")],
        group_intensity=Intensity(1000, 60.0),
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
        extensions=_stays("reader"),
        grants={"puppet": ["probe.mark", *granted]},
        groups=[Group("shelf", ["store", "reader"], strategy="rest_for_one", intensity=Intensity(restarts, 60.0))],
        group_intensity=Intensity(restarts, 60.0),
        intensity=Intensity(rings, 60.0),
    )
