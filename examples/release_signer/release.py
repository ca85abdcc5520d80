"""A release signer for a CI job: no terminal, a key that signs releases only, exit codes that say what was wrong.

Run it in this folder, after the build; descriptor 3 is where the vault's password comes from:

    CHECKOUT=/srv/project TAG=v1.2.0 trollbridge run -q release:app 3</run/secrets/password

It writes `signed/SHA256SUMS` and `signed/SHA256SUMS.asc` into the checkout; `pipeline.py` has the exit codes.

The job itself, `pipeline.py`, opens the vault and cannot sign. `gate.py` can, under the one key that its grant names:
it asks git whether the checkout is what was tagged, and computes what it signs from the files that were built. To have
somebody look at each release, write `.approved()` behind that grant, and `bridge.approve(…)` where they look.
"""

from __future__ import annotations

import os
from pathlib import Path

from trollbridge.actors import App, Child, Files, Grant, Longest, Matching, Program, Programs

DATA = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
CHECKOUT = os.environ.get("CHECKOUT", str(Path.cwd()))
KEY = "Releases <releases@example.org>"
OPENED = "status challenge create unlock generate export_public"

git = Program(
    "/usr/bin/git",
    args=[("tag", "--points-at", "HEAD"), ("status", "--porcelain", "--untracked-files=no")],
    cwd=CHECKOUT,
    environment={"GIT_CONFIG_NOSYSTEM": "1", "GIT_OPTIONAL_LOCKS": "0"},
    read=[CHECKOUT],
)

app = App(
    ui=Child("pipeline:Pipeline", settings={"tag": os.environ.get("TAG", ""), "key": KEY}, descriptors=(3,)),
    enclaves=[
        Child("gate:Gate", settings={"key": os.environ.get("KEY", KEY)}),
        Child(
            "trollbridge.enclave.vault:Vault",
            name="vault",
            settings={"path": str(DATA / "release-signer" / "keys.vault")},
        ),
    ],
    hosts=[
        Files(read={"dist": f"{CHECKOUT}/dist"}, write={"signed": f"{CHECKOUT}/signed/"}),
        Programs({"git": git}),
    ],
    grants={
        "pipeline": [
            *(f"vault.{name}" for name in OPENED.split()),
            Grant("gate.release").where(tag=Matching(r"v[0-9]+\.[0-9]+\.[0-9]+")),
            *(f"files.{name}" for name in ("begin", "put", "commit", "abandon")),
        ],
        "gate": [
            Grant("vault.sign").where(key=KEY, data=Longest(1 << 20)),
            Grant("programs.run").where(program="git"),
            "files.list",
            Grant("files.read").where(path=Matching(r"dist/[A-Za-z0-9][A-Za-z0-9_.+-]*")),
        ],
    },
)
