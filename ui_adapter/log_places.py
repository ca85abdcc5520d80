"""Where the log of an application that a command runs goes.

May import: `click`, our actors' log, `messages`. Invariant: a log file is readable by its owner only, and what a
sandbox has refused, and that a handler failed, is told to the person whatever becomes of the log.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import msgspec

from trollbridge.actors.operations import log_key
from trollbridge.actors.operations.chain import Chain
from trollbridge.actors.operations.journal import Journal
from trollbridge.actors.operations.log import Line, Log
from trollbridge.actors.operations.rotation import KEPT, SMALLEST, LogBusy, LogFile
from trollbridge.actors.operations.sinks import DescriptorSink
from trollbridge.messages.errors import AlreadyRunning

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.actors.operations.sinks import Sink

JOURNAL: Final = "journal"
"""What `--log` is for the system's journal; a file of this name is `./journal`."""


class Place(NamedTuple):
    """What a person asks for with --log and the options beside it."""

    path: str | None = None
    size: int | None = None
    keep: int | None = None
    key: str | None = None


def log_to(place: str | Place | None, *, quiet: bool, wait: float = 0.0) -> Log:
    """Return the log: in the file or the journal, else on standard error unless `quiet`.

    `wait`: seconds that another one may take to end which writes there.

    Raises `click.UsageError` for what cannot be, or makes no sense together, `AlreadyRunning` if somebody writes there.
    """
    asked = place if isinstance(place, Place) else Place(place)
    if (asked.size or asked.keep is not None) and asked.path in (None, JOURNAL):
        msg = "--log-size and --log-keep are for a log file: give --log FILE too"
        raise click.UsageError(msg)
    if asked.keep is not None and not asked.size:
        msg = "--log-keep says how many files are kept that were turned at --log-size"
        raise click.UsageError(msg)
    if asked.key is not None and asked.path is None:
        msg = "--log-key is for a log that is kept: give --log FILE too"
        raise click.UsageError(msg)
    if asked.path is None and quiet:
        return Log(_only_failures)
    sink = DescriptorSink(2) if asked.path is None else _journal() if asked.path == JOURNAL else _file(asked, wait)
    return Log(sink, None if asked.key is None else _keyed(sink, asked.key))


def _journal() -> Sink:
    try:
        return Journal()
    except OSError as error:
        msg = f"the system's journal cannot be reached: {error.strerror}"
        raise click.BadParameter(msg, param_hint="--log") from None


def _file(asked: Place, wait: float) -> Sink:
    """Return the file as a sink; a pipe or a device is one that is never waited for, and that has no head."""
    path = asked.path or ""
    try:
        if not os.path.exists(path) or stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH110, PTH116  # a text
            return LogFile(path, size=asked.size or 0, keep=KEPT if asked.keep is None else asked.keep, wait=wait)
        if asked.size:
            msg = f"{path} is no file that could be turned"
            raise click.BadParameter(msg, param_hint="--log-size")
        return DescriptorSink(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC))
    except LogBusy as error:
        msg = f"{path}: {error}"
        if not wait:
            raise AlreadyRunning(msg) from None
    except OSError as error:
        msg = f"{path}: {error.strerror}"
    raise click.BadParameter(msg, param_hint="--log")


def _keyed(sink: Sink, path: str) -> Chain:
    """Return a chain under the key there, which is taken with the first line: a run that never begins uses up none."""
    there = os.path.abspath(path)  # noqa: PTH100  # a text, whose links stay as they are
    try:
        log_key.look(there)
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise click.BadParameter(msg, param_hint="--log-key") from None
    return Chain(sink.after, sink.mark, lambda: log_key.take(there))


def place_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options beside --log."""
    for option in (
        click.option("--log-key", metavar="FILE", help="Chain the log under the key in FILE; see trollbridge log key."),
        click.option(
            "--log-keep", metavar="N", type=click.IntRange(0, 10_000), help=f"Keep N files that were turned ({KEPT})."
        ),
        click.option(
            "--log-size",
            metavar="BYTES",
            type=click.IntRange(SMALLEST),
            help=f"Turn the log file before it has more bytes ({SMALLEST} at least): FILE becomes FILE.1.",
        ),
    ):
        command = option(command)
    return command


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
