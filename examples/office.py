"""The declaration: who runs, and who may call what. Without its grant, the desk could call nothing."""

from __future__ import annotations

from trollbridge.actors import App

app = App(ui="desk:Desk", enclaves=["notary:Notary"], grants={"desk": ["notary.seal"]})
