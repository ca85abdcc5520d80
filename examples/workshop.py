"""Hosts and an extension around the notary: each reaches what is declared here, and nothing else."""

from __future__ import annotations

from trollbridge.actors import App, Files, Grant, Longest, Program, Programs

app = App(
    ui="bench:Bench",
    enclaves=["notary:Notary"],
    hosts=[
        Files(write={"out": "~/stamped/"}),
        Programs({"git": Program("/usr/bin/git", args=[("--version",)], environment={"GIT_CONFIG_NOSYSTEM": "1"})}),
    ],
    extensions=["./stamps.py:Stamps"],
    grants={
        "bench": ["files.watch", "files.exists", "files.read", "programs.run"],
        "stamps": [
            Grant("notary.seal").where(document=Longest(100)).at_most(10, seconds=60),
            *("files.begin", "files.put", "files.commit", "files.abandon"),
        ],
    },
)
