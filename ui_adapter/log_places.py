"""Where the log of an application that a command runs goes.

May import: `click`, our actors' log, `messages`. Invariant: a log file is readable by its owner only, and what a
sandbox has refused, and that a handler failed, is told to the person whatever becomes of the log.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click
import msgspec

from trollbridge.actors.log import Line, Log

if TYPE_CHECKING:
    from collections.abc import Callable


def _append_to(path: str) -> Callable[[str], object]:
    """Return a function that appends a line to the file, created 0600; raises `click.ClickException`."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise click.BadParameter(msg, param_hint="--log") from None
    return lambda line: os.write(descriptor, line.encode())


def _only_failures(line: str) -> None:
    """Write no log, but tell what a sandbox has refused and which handler failed: somebody must learn of it."""
    if '"event":"sandbox.denied"' in line:
        told = msgspec.json.decode(line, type=Line)
        click.echo(f"trollbridge: {told.member}.{told.why}: {told.detail}", err=True)
    elif '"event":"handler.failed"' in line:
        told = msgspec.json.decode(line, type=Line)
        name, _, incident = told.detail.partition(" ")
        at = incident.replace(" ", " at ", 1)
        click.echo(f"trollbridge: {told.told_by}.{name} failed: {told.why} (incident {at})", err=True)


def _to_stderr(line: str) -> object:
    return os.write(2, line.encode())


def log_to(path: str | None, *, quiet: bool) -> Log:
    """Return the log: in the file, else on standard error unless `quiet`; raises `click.BadParameter`."""
    return Log(_append_to(path) if path is not None else _only_failures if quiet else _to_stderr)
