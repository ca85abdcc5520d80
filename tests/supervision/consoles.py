"""User interfaces and enclaves that end in every way there is, and applications that are declared wrongly."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.harness.probe import Probe
from tests.harness.stage import JOURNAL, PROBE, PUPPET, hurry
from trollbridge.actors.app import App, Child
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.messages.errors import NoSuchKey
from trollbridge.ui_adapter.bridge import UiActor

if TYPE_CHECKING:
    from trollbridge.ui_adapter.bridge import Bridge


class Ending(UiActor):
    """Ends as its setting says."""

    def __init__(self, way: str = "none") -> None:
        """Take the way."""
        super().__init__()
        self._way = way

    def main(self, bridge: Bridge) -> int | None:  # noqa: C901, PLR0912  # one way after the other
        """End."""
        match self._way.split():
            case ["none"]:
                return None
            case ["return", code]:
                return int(code)
            case ["sys.exit", code]:
                sys.exit(int(code))
            case ["os._exit", code]:
                os._exit(int(code))
            case ["raise"]:
                msg = "a reason"
                raise RuntimeError(msg)
            case ["declared"]:
                raise NoSuchKey
            case ["interrupt"]:
                raise KeyboardInterrupt
            case ["broken", "pipe"]:
                raise BrokenPipeError
            case ["error"]:
                bridge.probe.refuse("because").get(timeout=20)
            case ["print", count]:
                sys.stdout.write("x" * int(count))
            case ["fall", code]:
                return self._after_the_fall(bridge, int(code))
            case ["second", "epoch", code]:
                self._after_the_fall(bridge, 0)
                return int(code) if bridge.wait_sealed(20) and bridge.epoch == 2 else 99
            case _:
                raise AssertionError(self._way)
        return 0

    def _after_the_fall(self, bridge: Bridge, code: int) -> int:
        [pid] = [each.pid for each in bridge.members if each.role == "enclave"]
        os.kill(pid, signal.SIGKILL)
        bridge.wait_dismantled(1, 20)
        return code


class Stubborn(UiActor):
    """Ignores whoever asks it to end."""

    def main(self, bridge: Bridge) -> int | None:
        """Wait for a reply that does not come, and catch everything on the way."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            bridge.wait_dismantled(99)
            signal.pause()


class Hidden:
    """No actor at all."""


def ending(*, way: str, enclaves: int = 1, restarts: int = 5) -> App:
    """Return an application whose UI ends in a way."""
    names = ["probe", "second"][:enclaves]
    return App(
        ui=Child(f"{__name__}:Ending", name="console", settings={"way": way}),
        enclaves=[Child(PROBE, name=name, settings=JOURNAL) for name in names],
        grants={"console": [f"{name}.refuse" for name in names]},
        intensity=Intensity(restarts),
    )


def declared(  # noqa: PLR0913  # each test sets one of them by name
    *,
    ui: str = f"{__name__}:Ending",
    enclave: str = PROBE,
    settings: dict[str, str] | None = None,
    ui_settings: dict[str, str] | None = None,
    granted: str = "echo",
    grace: float | None = None,
) -> App:
    """Return an application with one wrong thing in it; `grace` as in `hurry`."""
    hurry(None, grace)
    return App(
        ui=Child(ui, name="console", settings=ui_settings),
        enclaves=[Child(enclave, name="probe", settings={**JOURNAL, **(settings or {})})],
        grants={"console": [f"probe.{granted}"]},
    )


class Once(Probe):
    """An enclave that starts once."""

    def __init__(self, journal: str, folder: str) -> None:
        """Make `folder`, which must not be there: this runs before the lock."""
        super().__init__(journal)
        Path(folder).mkdir()


def once(*, folder: str, restarts: int) -> App:
    """Return a puppet's application whose enclave starts only once."""
    return App(
        ui=Child(PUPPET, name="puppet"),
        enclaves=[Child(f"{__name__}:Once", name="probe", settings={**JOURNAL, "folder": folder})],
        intensity=Intensity(restarts, 600.0),
    )
