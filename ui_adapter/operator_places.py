"""Which applications run, by which names, and which of them a person means.

May import: our actors' runtime folder, the operator's client, our messages. Invariant: nothing is guessed: what
changes something is told the whole name of an application, or where it was started, or none if only one runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from typing import TYPE_CHECKING, Final

from trollbridge.actors.operations import runtime_folder
from trollbridge.messages.errors import UsageError
from trollbridge.ui_adapter.operator_client import PATIENCE, NotRunning, OperatorClient

if TYPE_CHECKING:
    from collections.abc import Iterator

NONE_RUNS: Final = "no application runs here as this user; `trollbridge run` starts one"
_LONGEST: Final = 55
"""Characters of a name that are of MODULE:APP; nine tell one folder's from another's."""


def default_name(reference: str, folder: str | None = None) -> str:
    """Return by which name `trollbridge run MODULE:APP` runs in a folder, the current one without another."""
    where = os.path.realpath(folder or ".")
    told = re.sub(r"[^A-Za-z0-9_.-]", "-", reference.replace(":", ".")).lstrip("_.-")[-_LONGEST:].lstrip("_.-")
    mark = hashlib.sha256(os.fsencode(where) + b"\0" + os.fsencode(reference)).hexdigest()[:8]
    return f"{told or 'application'}-{mark}"


def running(seconds: float = PATIENCE) -> Iterator[OperatorClient]:
    """Return a connection to each application of this user that runs, one after the other; each is closed after it.

    Raises `NoAnswer` for one whose supervisor does not answer.
    """
    for name in runtime_folder.names():
        with contextlib.suppress(NotRunning), OperatorClient(name, seconds) as client:
            yield client


def running_names() -> list[str]:
    """Return the names of the applications of this user that run, those that cannot be asked included."""
    return [name for name in runtime_folder.names() if _may_run(name)]


def _may_run(name: str) -> bool:
    """Return whether an application runs; one that somebody else could reach hides no other, and is told by itself."""
    try:
        return runtime_folder.held(name)
    except runtime_folder.NotSafe:
        return True


def chosen(reference: str | None, seconds: float = PATIENCE, *, exact: bool = False) -> OperatorClient:
    """Return a connection to the application that is meant: by its name, the head of its name, or MODULE:APP.

    Without a name it is the only one that runs. `exact`: not by the head of its name, as it is to be changed.
    Raises `NotRunning`, `UsageError` if it could be several, and as `OperatorClient` does.
    """
    return OperatorClient(chosen_name(reference, exact=exact), seconds)


def chosen_name(reference: str | None, *, exact: bool = False) -> str:
    """Return the name of the application that is meant, as `chosen` takes it."""
    if reference is not None and ":" in reference:
        return default_name(reference)
    names = running_names()
    if reference in names:
        return reference
    if exact and reference is not None:
        there = f"; there is {', '.join(names)}" if names else f": {NONE_RUNS}"
        msg = f"no application of the name {reference} runs here as this user{there}"
        raise NotRunning(msg)
    found = [each for each in names if reference is None or each.startswith(reference)]
    if not found:
        raise NotRunning(NONE_RUNS if reference is None else f"no application {reference} runs here as this user")
    if len(found) > 1:
        msg = f"several applications run: {', '.join(found)}; name one of them"
        raise UsageError(msg)
    return found[0]
