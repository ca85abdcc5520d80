"""The applications that tests run: a puppet and its enclaves."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.harness.replacing import replace
from trollbridge.actors.app import App, Child
from trollbridge.actors.supervision import children, heartbeat
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PUPPET = "tests.harness.puppet:Puppet"
PROBE = "tests.harness.probe:Probe"
JOURNAL = {"journal": os.devnull}
"""What a probe that keeps no journal is given: its sandbox names the setting."""
_HOWEVER_SLOW: Final = 20.0  # seconds
HANDLERS = (
    *("echo", "mark", "secret", "fail", "refuse", "hold", "busy", "die", "leave", "pid"),
    *("modules", "descriptors", "environment", "drip"),
)


def hurry(beat: float | None, grace: float | None) -> None:
    """Set, for the supervisor in this process, the seconds between heartbeats and those that an end may take.

    A UI that goes on lets go of a fallen ring within as many; if nothing is said, however slow this machine is.
    """
    if beat is not None:
        replace(heartbeat, INTERVAL=beat)
    replace(children, RELEASE=_HOWEVER_SLOW if grace is None else grace)
    if grace is not None:
        replace(children, GRACE=grace, UI_GRACE=grace)


def puppet_app(  # noqa: PLR0913  # each test sets a few of them by name
    *,
    enclaves: Sequence[str] = ("probe",),
    grants: Sequence[str] | None = None,
    capture: bool = False,
    canary: str = "",
    journal: str = os.devnull,
    broken: str = "",
    extensions: Mapping[str, str] | None = None,
    extension_grants: Sequence[str] = (),
    extension_programs: Sequence[str] = (),
    restarts: int = 5,
    period: float = 30.0,
    beat: float | None = None,
    grace: float | None = None,
) -> App:
    """Return a puppet with a probe for each name in `enclaves`, all granted unless `grants` says otherwise.

    `extensions` are puppets too: the name of each, and the path of the socket where it gets its commands. One that may
    start `extension_programs` is kept less well, and may fork. `beat` and `grace`: see `hurry`.
    """
    hurry(beat, grace)
    names = [f"{enclave}.{handler}" for enclave in enclaves for handler in HANDLERS]
    Path(journal).touch()  # a sandbox names what exists
    sandbox, least = (
        Sandbox(network=("unix",), exec=tuple(extension_programs)),
        "partial" if extension_programs else None,
    )
    others = [
        Child(PUPPET, name=name, settings={"strings": path}, sandbox=sandbox, least=least)
        for name, path in (extensions or {}).items()
    ]
    granted: dict[str | type, Sequence[str]] = {"puppet": names if grants is None else grants}
    granted |= {str(each.member): extension_grants for each in others}
    return App(
        ui=Child(PUPPET, name="puppet", settings={"capture": "yes" if capture else "", "canary": canary}),
        enclaves=[Child(PROBE, name=name, settings={"journal": journal, "broken": broken}) for name in enclaves],
        extensions=others,
        grants=granted,
        intensity=Intensity(restarts, period),
    )
