"""`trollbridge demo`: an application with a vault in a temporary place, its log in a file, and a UI that shows it all.

May import: our actors, and the parts of the demonstration. Invariant: when it ends, however it ends, the temporary
place and GnuPG's agent are gone.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trollbridge.actors.app import App, Child
from trollbridge.actors.operations.log import Log
from trollbridge.ui_adapter.demo_gnupg import end_agent

if TYPE_CHECKING:
    from trollbridge.actors.supervision.supervisor import Supervisor

LOG: Final = "log.jsonl"
VAULT: Final = "vault/demo.vault"
GNUPG: Final = "gnupg"
_LONGEST: Final = 60
"""Characters of a temporary folder's path: the socket of GnuPG's agent lies in there and has 107."""
_HANDLERS: Final = (
    "status challenge create unlock lock generate list_keys export_public import_public sign verify encrypt decrypt "
    "begin feed feed_plain finish finish_plain cancel"
)


def application(place: Path) -> App:
    """Return the declaration: one UI, one vault, and everything of it granted."""
    return App(
        ui=Child("trollbridge.ui_adapter.demo_console:Console", settings={"place": str(place)}),
        enclaves=[Child("trollbridge.enclave.vault:Vault", name="vault", settings={"path": str(place / VAULT)})],
        grants={"console": [f"vault.{each}" for each in _HANDLERS.split()]},
    )


def _supervisor(place: Path, descriptor: int) -> Supervisor:
    from trollbridge.actors.supervision.supervisor import Supervisor  # noqa: PLC0415  # the command line is read without it

    return Supervisor(application(place), Log(lambda line: os.write(descriptor, line.encode())))


def run() -> int:
    """Run the demonstration; return 0 if everything was shown. Raises `OSError` if there is no place for it."""
    folder = None if len(tempfile.gettempdir()) <= _LONGEST else "/tmp"  # noqa: S108  # mkdtemp makes it ours alone
    place = Path(tempfile.mkdtemp(prefix="trollbridge-", dir=folder))
    try:
        descriptor = os.open(place / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            return _supervisor(place, descriptor).run()
        finally:
            os.close(descriptor)
    finally:
        end_agent(place / GNUPG)
        shutil.rmtree(place, ignore_errors=True)
