"""A log redactor: e-mail and IP addresses become pseudonyms, in logs of any length, in memory that does not grow.

Run it in this folder, with two folders that are there; the first line that is typed is the vault's password:

    LOGS=/var/log/shop REDACTED=/srv/for-analysis trollbridge run -q redaction:app

Every file of the one folder comes to stand in the other, each at once, when all of it is done. `clerk.py`, the user
interface, sees how far that is, and no line of a log. `redactor.py` streams from the files host and back to it: what is
read waits until what was written has been taken. There are two of it, so two logs are redacted at a time.

The same address gets the same pseudonym, in every log and on every day, and nobody can try addresses out: the key is
made of one that lies in the vault, which nobody can read. Only the redactors may have that made, and only for this.
"""

from __future__ import annotations

import os
from pathlib import Path

from trollbridge.actors import App, Child, Files, Grant

DATA = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
LOGS = os.environ.get("LOGS", str(Path.cwd() / "logs"))
REDACTED = os.environ.get("REDACTED", str(Path.cwd() / "redacted"))

app = App(
    ui="clerk:Clerk",
    enclaves=[
        Child("redactor:Redactor", replicas=2),
        Child(
            "trollbridge.enclave.vault:Vault",
            name="vault",
            settings={"path": str(DATA / "log-redactor" / "keys.vault")},
        ),
    ],
    hosts=[Files(read={"logs": LOGS}, write={"redacted": f"{REDACTED}/"})],
    grants={
        "clerk": [
            *(f"vault.{name}" for name in ("status", "challenge", "create", "unlock", "set_secret")),
            *("files.list", "redactor.redact"),
        ],
        "redactor": [
            Grant("vault.hmac_secret").where(name="pseudonyms", data=b"log redactor, version 1", algorithm="sha256"),
            *(f"files.{name}" for name in ("read", "begin", "put", "commit", "abandon")),
        ],
    },
)
