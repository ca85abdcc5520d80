"""An application that shows what each of its processes has imported."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import atexit
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.enclave import module_record
from tests.harness.replacing import replace
from trollbridge.actors.app import App, Child
from trollbridge.actors.supervision import spawn
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from tests.harness.puppet import Strings

HANDLER: Final = "vault.status"
REPOSITORY: Final = Path(__file__).resolve().parents[2]


def application(*, folder: str, vault: str, extension: str) -> App:
    """Return a puppet, an extension that obeys the socket at `extension`, and the shipped vault.

    Broker, vault and, at its end, the supervisor write their modules into `folder`.
    """
    atexit.register(module_record.write, folder, "supervisor")
    before = spawn._ENTRY.partition("from trollbridge")[0]
    name, where = module_record.__name__, str(REPOSITORY)
    entry = f"{before}sys.path.append({where!r}); from {name} import run; run({folder!r}, {where!r})"
    replace(spawn, _ENTRY=entry)
    puppet = "tests.harness.puppet:Puppet"
    return App(
        ui=Child(puppet, name="puppet"),
        enclaves=[Child("trollbridge.enclave.vault:Vault", settings={"path": vault})],
        extensions=[Child(puppet, name="extra", settings={"strings": extension}, sandbox=Sandbox(network=("unix",)))],
        grants={"puppet": [HANDLER], "extra": [HANDLER]},
    )


def modules(_strings: Strings) -> list[str]:
    """Return the names of everything that this process has imported."""
    return sorted(sys.modules)
