"""A password manager: an extension that fills in forms without ever seeing a password.

Run it in this folder, then type a master password, and lines as `window.py` says:

    trollbridge run -q passwords:app

Who runs: `window.py`, the user interface, the only one that opens what is sealed to it; the vault that ships;
`desk.py`, which carries forms one way and offers the other; and `autofill.py`, untrusted, in a process of its own.

The extension may ask for any password, and gets it sealed; it can neither open it nor, since the seal says what was
asked for, pass another one off for it. Storing, deleting and renaming could not even be granted to it: the vault has
them for the core user interface alone.
"""

from __future__ import annotations

import os
from pathlib import Path

from trollbridge.actors import App, Child, Grant, Longest

DATA = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
CALLED = "status challenge create unlock set_secret get_secret"

app = App(
    ui="window:Window",
    enclaves=[
        Child(
            "trollbridge.enclave.vault:Vault",
            name="vault",
            settings={"path": str(DATA / "password-manager" / "passwords.vault")},
        )
    ],
    hosts=["desk:Desk"],
    extensions=["./autofill.py:Autofill"],
    grants={
        "window": [*(f"vault.{name}" for name in CALLED.split()), "desk.ask"],
        "autofill": [
            "vault.list_secrets",
            Grant("vault.get_secret").at_most(60, seconds=60),
            Grant("desk.forms").at_most(6, seconds=60),
            Grant("desk.offer").where(site=Longest(100), words=Longest(100)).at_most(60, seconds=60),
        ],
    },
)
