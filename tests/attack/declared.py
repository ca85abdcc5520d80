"""The applications that the suite is tried on; `trollbridge attack declared:NAME`."""

from __future__ import annotations

import os
from typing import Final

from trollbridge.actors.app import App, Child
from trollbridge.messages.sandbox import Sandbox

NOTARY: Final = "notary:Notary"
GRANTS: Final[dict[str | type, list[str]]] = {"desk": ["notary.seal"]}

plain = App(ui="desk:Desk", enclaves=[NOTARY], grants=GRANTS)
confined = App(ui=Child("desk:Desk", sandbox=Sandbox()), enclaves=[NOTARY], grants=GRANTS)
too_much = App(ui=Child("desk:Desk", least="full"), enclaves=[NOTARY], grants=GRANTS)
missing = App(ui="desk:Desk", enclaves=["nowhere:Notary"], grants={"desk": ["notary.seal"]})
with_vault = App(
    ui=Child("desk:Desk", settings={"unused": "by anybody"}),
    enclaves=[
        Child("trollbridge.enclave.vault:Vault", name="vault", settings={"path": os.environ.get("VAULT", "/x.vault")}),
        NOTARY,
    ],
    extensions=[Child("plugin:Plugin")],
    grants={"desk": ["vault.status", "vault.create"], "plugin": ["vault.status"]},
)
