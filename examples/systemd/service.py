"""The declaration of the service; notary.py, its enclave, stands one folder above and is installed beside this."""

from __future__ import annotations

import os

from trollbridge.actors import App, Child

FOLDER = os.environ.get("STATE_DIRECTORY", ".")  # systemd.exec(5): the absolute path of what StateDirectory= names

app = App(
    ui=Child("counter:Counter", settings={"folder": FOLDER}),
    enclaves=["notary:Notary"],
    grants={"counter": ["notary.seal"]},
)
