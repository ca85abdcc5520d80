"""`trollbridge restart`, `rekey` and `stop`: the three requests of an operator that change something.

May import: `click`, the operator's client, our actors' log and messages. Invariant: a command says that something is
done only once the application has told so by its log, or by its end.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.actors.operations.log import Line
    from trollbridge.ui_adapter.operator_client import OperatorClient

FAILED: Final = 1
EXIT_CODES: Final = (
    ("0", "It is done; with --wait 0, it is on its way."),
    (str(FAILED), "No such application runs, it does not answer, it refuses, or it was not done in time."),
    ("2", "The command line is wrong, or several run and none is named."),
)
_EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<5}{meaning}" for code, meaning in EXIT_CODES)
_SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
_APART: Final = frozenset({"host", "extension"})
"""The roles of those that can be started anew without a new ring."""
_JOINED: Final = frozenset({"member.joined", "extension.joined"})
_RING: Final = "the ring of epoch {epoch}"
_PATIENCE: Final = 60.0
_wait: Final = click.option(
    "--wait",
    "seconds",
    type=click.FloatRange(min=0),
    default=_PATIENCE,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until it is done.",
)


@click.command(epilog=_EPILOG, context_settings=_SETTINGS)
@click.argument("reference", metavar="[APP", required=False)
@click.argument("member", metavar="[MEMBER]]", required=False)
@_wait
def restart(reference: str | None, member: str | None, *, seconds: float) -> None:
    """Have the ring of the running application APP formed anew, or MEMBER started anew.

    Calls in flight end as they do when a member dies. A UI keeps its process if it has loaded no foreign code, unless
    it is the MEMBER. A member that is bound to the ring, such as an enclave, takes the ring with it; a host or an
    extension does not. Nothing of it counts as a failure.

    \b
    Examples:
      trollbridge restart
      trollbridge restart notary vault
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    with _chosen(reference, member) as client:
        before = client.status()
        if seconds:
            client.follow()
        processes = {each.member: each for each in before.processes}
        known = processes.get(member or "")
        client.restart(member or "")
        if known is not None and known.role in _APART:
            _until(client, seconds, lambda line: line.event in _JOINED and line.member == member, f"{member} is ready")
        else:
            ready = f"{member} is ready, in {_RING}" if member else f"{_RING} is sealed"
            _until(client, seconds, lambda line: line.event == "ring.sealed" and line.epoch > before.epoch, ready)


@click.command(epilog=_EPILOG, context_settings=_SETTINGS)
@click.argument("reference", metavar="[APP]", required=False)
@_wait
def rekey(reference: str | None, *, seconds: float) -> None:
    """Have the ring of the running application APP formed anew under new keys, without losing a call.

    As SIGHUP does: calls in flight finish first, and new ones wait until the next ring is sealed. A vault locks.
    """
    with _chosen(reference) as client:
        epoch = client.status().epoch
        if seconds:
            client.follow()
        client.rekey()
        ready = f"{_RING} is sealed, under new keys"
        _until(client, seconds, lambda line: line.event == "ring.sealed" and line.epoch > epoch, ready)


@click.command(epilog=_EPILOG, context_settings=_SETTINGS)
@click.argument("reference", metavar="[APP]", required=False)
@_wait
def stop(reference: str | None, *, seconds: float) -> None:
    """Stop the running application APP in good order, as SIGTERM does; it ends with the exit code 0."""
    with _chosen(reference) as client:
        started = time.monotonic()
        client.stop()
        if seconds and not client.ended(seconds):
            _fail(f"{client.name} still runs after {seconds:g} s")
        _done(client, "it has ended" if seconds else "", started)


def _chosen(reference: str | None, member: str | None = "") -> OperatorClient:
    """Return a connection to whatever is meant; raises `click.UsageError` if it could be several."""
    from trollbridge.messages.errors import UsageError  # noqa: PLC0415  # `run` need not wait for any of it
    from trollbridge.ui_adapter import operator_client, operator_places  # noqa: PLC0415

    try:
        return operator_places.chosen(reference, exact=True)
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    except operator_client.NotRunning as error:
        hint = "" if reference is None or member is not None else "; the name of a member comes behind that of APP"
        msg = f"{error}{hint}"
        raise operator_client.NotRunning(msg) from None


def _until(client: OperatorClient, seconds: float, done: Callable[[Line], bool], ready: str) -> None:
    """Wait for the line of the log that says so, and tell it in the words `ready`, which may name its epoch."""
    import msgspec  # noqa: PLC0415

    from trollbridge.actors.operations.log import Line  # noqa: PLC0415
    from trollbridge.ui_adapter.operator_client import ConnectionEnded  # noqa: PLC0415

    started = time.monotonic()
    if not seconds:
        _done(client, "", started)
        return
    try:
        while (text := client.line(started + seconds - time.monotonic())) is not None:
            line = msgspec.json.decode(text, type=Line)
            if done(line):
                _done(client, ready.format(epoch=line.epoch), started)
                return
            if line.event == "application.stopping":
                _fail(f"{client.name} stops instead: {line.why}")
    except ConnectionEnded:
        _fail(f"{client.name} has ended")
    _fail(f"{client.name} was not done within {seconds:g} s; `trollbridge logs {client.name}` tells why")


def _done(client: OperatorClient, what: str, started: float) -> None:
    told = f"{what}, after {time.monotonic() - started:.2f} s" if what else "it is on its way"
    click.echo(f"{client.name}: {told}")


def _fail(why: str) -> None:
    click.echo(f"trollbridge: {why}", err=True)
    sys.exit(FAILED)
