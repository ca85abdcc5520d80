"""What stands in the way of a new vault, and shows before anybody is asked for a password.

May import: our exit codes, `messages`. Invariant: nothing is made; what is found here would fail later in any case.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from trollbridge.messages.vault import PASSWORD_ONLY
from trollbridge.ui_adapter.vault import exit_codes

if TYPE_CHECKING:
    from collections.abc import Mapping

WITHOUT: Final = "or make a vault without it: trollbridge vault create --password-only"
"""The way out where there is no keychain."""
_SOCKET: Final = "unix:path="


class Hindrance(NamedTuple):
    """An exit code, and why."""

    code: int
    text: str


def hindrance(vault: str, mode: str) -> Hindrance | None:
    """Return what stands in the way of a vault of that mode at an absolute path, as far as it shows from here."""
    if os.path.lexists(vault):
        return None  # what it is, the vault's process tells
    folder = Path(vault).parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        return Hindrance(exit_codes.NO_VAULT, f"the vault cannot be made: {folder} is no folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Hindrance(exit_codes.NO_VAULT, f"the vault cannot be made: {folder} cannot be written to")
    if mode != PASSWORD_ONLY and not _bus(os.environ):
        return Hindrance(exit_codes.KEYCHAIN, f"there is no OS keychain: no D-Bus session; start one, {WITHOUT}")
    return None


def _bus(variables: Mapping[str, str]) -> bool:
    """Return whether there may be a D-Bus session: a keychain is reached through nothing else."""
    address = variables.get("DBUS_SESSION_BUS_ADDRESS", "")
    if not address:
        runtime = variables.get("XDG_RUNTIME_DIR", "")
        return bool(runtime) and os.path.lexists(Path(runtime) / "bus")
    if ";" in address or not address.startswith(_SOCKET):
        return True
    return os.path.lexists(address.removeprefix(_SOCKET).partition(",")[0])
