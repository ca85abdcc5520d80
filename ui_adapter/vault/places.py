"""Where a person's vault lies if nothing else is said (XDG Base Directory Specification).

May import: the standard library. Invariant: a variable names a path and nothing else; a relative one is not taken.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

VARIABLE: Final = "TROLLBRIDGE_VAULT"
"""The variable that names another path."""
PASSWORD_VARIABLE: Final = "TROLLBRIDGE_PASSWORD_FILE"  # noqa: S105  # the name of a variable that names a path
"""The variable that names the password's file, for git, which cannot give an option."""


def named() -> str:
    """Return the path in `VARIABLE`, or that of the person's own vault."""
    return os.environ.get(VARIABLE) or default()


def default() -> str:
    """Return the path of the person's own vault."""
    folder = os.environ.get("XDG_DATA_HOME", "")
    data = Path(folder) if folder.startswith("/") else Path.home() / ".local" / "share"
    return str(data / "trollbridge" / "vault" / "default.vault")


def state() -> str:
    """Return the folder of the notes about the vaults that a person has opened; empty if they have no home."""
    folder = os.environ.get("XDG_STATE_HOME", "")
    try:
        data = Path(folder) if folder.startswith("/") else Path.home() / ".local" / "state"
    except RuntimeError:  # neither a variable nor the list of users names one
        return ""
    return str(data / "trollbridge" / "vaults")


def password_file() -> str:
    """Return the path in `PASSWORD_VARIABLE`, or nothing."""
    return os.environ.get(PASSWORD_VARIABLE, "")


def crowded(vault: str) -> str:
    """Return what else lies in the folder that a new vault would have for its own, or nothing.

    The vault's process may write in all of that folder, so it should hold nothing that is not a vault's.
    """
    folder = Path(vault).parent
    try:
        others = sorted(each.name for each in folder.iterdir() if ".vault" not in each.suffix)
    except OSError:
        return ""
    return others[0] if others else ""
