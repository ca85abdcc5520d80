"""The applications of the stubs' tests."""

from __future__ import annotations

from trollbridge.actors.app import App, Child
from trollbridge.messages.sandbox import Sandbox

GRANTED = ("count", "delete", "fail_later", "file", "promise", "refuse", "secret")
CLERK = "tests.stubs.clerk:Clerk"
PUPPET = "tests.harness.puppet:Puppet"


def office(guest: str = "") -> App:
    """Return a puppet that may call all that its clerk has but one.

    With a socket's path in `guest` there is an extension too, a puppet that gets its commands there and is granted one.
    """
    grants: dict[str | type, list[str]] = {"puppet": [f"clerk.{each}" for each in GRANTED]}
    if guest:
        grants["guest"] = ["clerk.secret"]
    return App(
        ui=Child(PUPPET, name="puppet"),
        enclaves=[Child(CLERK, name="clerk")],
        extensions=[_guest(guest)] if guest else [],
        grants=grants,
    )


def _guest(path: str) -> Child:
    return Child(PUPPET, name="guest", settings={"strings": path}, sandbox=Sandbox(network=("unix",)))


application = App(
    ui=Child("tests.stubs.nobody:Console", name="console"),
    enclaves=[Child(CLERK, name="clerk")],
    extensions=[Child("tests.stubs.nobody:Guest", name="guest")],
    grants={"console": [f"clerk.{each}" for each in GRANTED], "guest": ["clerk.secret"]},
)
"""Its UI and its extension exist nowhere: nothing of theirs is looked at."""
misspelt = App(ui="tests.stubs.nobody:Console", enclaves=[CLERK], grants={"console": ["clerk.fyle"]})
trusting = App(
    ui=Child("tests.stubs.nobody:Console", name="console"),
    enclaves=[Child(CLERK, name="clerk")],
    extensions=[Child("tests.stubs.nobody:Guest", name="guest")],
    grants={"console": ["clerk.shred"], "guest": ["clerk.shred"]},
)
"""It does not start: an extension is granted what is the core UI's."""
unloadable = App(
    ui="tests.stubs.nobody:Console",
    enclaves=[Child("tests.stubs.nobody:Clerk", name="clerk")],
    grants={"console": ["clerk.file"]},
)
