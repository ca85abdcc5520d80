"""The declaration of an application with the shipped vault: its file's folder, and what its UI may call."""

from __future__ import annotations

import os
from pathlib import Path

from trollbridge.actors import App, Child

DATA = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
CALLED = "status challenge create unlock generate sign verify set_secret hmac_secret get_secret"

app = App(
    ui="treasurer:Treasurer",
    enclaves=[
        Child(
            "trollbridge.enclave.vault:Vault",
            name="vault",
            settings={"path": str(DATA / "strongroom" / "keys.vault"), "idle": "300"},
        )
    ],
    grants={"treasurer": [f"vault.{name}" for name in CALLED.split()]},
)
