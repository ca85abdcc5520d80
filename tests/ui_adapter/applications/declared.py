"""The applications under test; `trollbridge run declared:NAME`. The vault's file is named by the environment."""

from __future__ import annotations

import os

from trollbridge.actors.app import App, Child


def _asking(act: str) -> App:
    ui = Child("asker:Asker", settings={"act": act})
    return App(ui=ui, enclaves=["clerk:Clerk"], grants={"asker": ["clerk.copy", "clerk.wait"]})


def _keeping(act: str) -> App:
    path = os.environ.get("VAULT", "/nonexistent/test.vault")
    vault = Child("trollbridge.enclave.vault:Vault", name="vault", settings={"path": path})
    handlers = ("status", "challenge", "create", "unlock", "generate", "list_keys")
    ui = Child("asker:Keeper", settings={"act": act})
    return App(ui=ui, enclaves=[vault], grants={"keeper": [f"vault.{each}" for each in handlers]})


right, missing, withheld, types, size = map(_asking, ("right", "missing", "withheld", "types", "size"))
crash, seven, idle, chatty = map(_asking, ("crash", "seven", "wait", "print"))
create, guess, hold, count, fill, write, status, layers = map(
    _keeping, ("create", "guess", "hold", "count", "fill", "write", "status", "layers")
)

rash = App(ui="asker:Rash", enclaves=["clerk:Clerk"])
shy = App(ui=Child("asker:Asker", settings={"act": "right"}), enclaves=["clerk:Shy"])
no_enclave_module = App(ui=Child("asker:Asker", settings={"act": "right"}), enclaves=["nowhere:Clerk"])
no_ui_class = App(ui="asker:Nobody", enclaves=["clerk:Clerk"])
broken_enclave = App(ui=Child("asker:Asker", settings={"act": "right"}), enclaves=["broken:Enclave"])
no_setting = App(ui="asker:Asker", enclaves=["clerk:Clerk"])
swapped = App(ui="clerk:Clerk", enclaves=["asker:Asker"])
terminal = App(
    ui="trollbridge.ui_adapter.terminal:Terminal",
    enclaves=["clerk:Clerk"],
    grants={"terminal": ["clerk.copies", "clerk.copy", "clerk.wait"]},
)
not_an_app = "a text"
vault_terminal = App(
    ui="trollbridge.ui_adapter.terminal:Terminal",
    enclaves=_keeping("").enclaves,
    grants={"terminal": [f"vault.{each}" for each in ("status", "challenge", "create", "unlock")]},
)
