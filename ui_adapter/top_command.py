"""`trollbridge top`: what a running application does now, look by look, for people or as JSON.

May import: `click`, and when it runs `rich`, the operator's client and the view. Invariant: only reads; a terminal is
left as it was found, however the command ends.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

import click
import msgspec

from trollbridge.messages.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from trollbridge.ui_adapter.operator_client import OperatorClient
    from trollbridge.ui_adapter.top_rates import Look, Top
    from trollbridge.ui_adapter.top_view import View

EXIT_CODES: Final = (
    ("0", "It was told; without --once, until the application has ended."),
    ("1", "No such application runs, or it does not answer."),
    ("2", "The command line is wrong, or several applications run and none is named."),
)
_ENDS: Final = 5.0
"""Seconds that a supervisor may take to end once it has closed its socket."""
_STYLES: Final = {"heading": "bold", "bad": "bold red", "faint": "dim", "": ""}
"""What the styles of a line are called by `rich`."""
_EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<5}{meaning}" for code, meaning in EXIT_CODES)


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("reference", metavar="[APP]", required=False)
@click.option("--every", type=click.FloatRange(0.1, 3600), default=1.0, metavar="SECONDS", help="How often; 1 second.")
@click.option("--once", is_flag=True, help="Look twice, SECONDS apart, tell it and end; always so without a terminal.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each look, without --once one a line.")
def top(reference: str | None, *, every: float, once: bool, as_json: bool) -> None:
    """Show what the running application APP does: its processes and how they are kept, calls, times, credit.

    Without a name, the only one that runs. Ctrl-C ends it; the application is not touched. Times are the broker's: from
    a call to its reply, of one call in sixteen, over the last ten looks. In flight are a caller's calls and those that
    a server has not answered; credit is what a caller may call at once.

    \b
    Examples:
      trollbridge top
      trollbridge top notary --every 5
      trollbridge top notary --once --json | jq '.members[] | {member, served, p99}'
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    from trollbridge.ui_adapter.history import encodable  # noqa: PLC0415  # `run` need not wait for it
    from trollbridge.ui_adapter.operator_places import chosen  # noqa: PLC0415
    from trollbridge.ui_adapter.top_view import View  # noqa: PLC0415

    live = not once and not as_json and sys.stdout.isatty()
    view = View(os.sysconf("SC_CLK_TCK"), encodable(sys.stdout.encoding))
    try:
        with chosen(reference) as client:
            if live:
                _watch(client, view, every)
            else:
                _write(client, view, every, once=once or not as_json, as_json=as_json)
    except UsageError as error:
        raise click.UsageError(str(error)) from None


def _look(client: OperatorClient) -> Look:
    from trollbridge.ui_adapter.operator_client import OperatorRefused  # noqa: PLC0415
    from trollbridge.ui_adapter.top_rates import Look  # noqa: PLC0415

    snapshot = client.status()
    try:
        measures = client.measures()
    except OperatorRefused:  # there is no broker now
        measures = None
    return Look(time.monotonic(), snapshot, measures)


def _looks(client: OperatorClient, view: View, every: float, show: Callable[[Top], bool]) -> None:
    """Look, show, wait, until `show` wants no more or the application has ended."""
    from trollbridge.ui_adapter.operator_client import ConnectionEnded  # noqa: PLC0415

    try:
        while show(view.take(_look(client))) and not client.ended(every):
            pass
    except ConnectionEnded:
        if not client.ended(_ENDS):
            raise


def _write(client: OperatorClient, view: View, every: float, *, once: bool, as_json: bool) -> None:
    """Tell each look, or the first that has one before it, as JSON or as a table."""
    from trollbridge.ui_adapter.operator_client import NotRunning  # noqa: PLC0415
    from trollbridge.ui_adapter.screen import Screen  # noqa: PLC0415

    screen, told = Screen(sys.stdout), False

    def show(found: Top) -> bool:
        nonlocal told
        if not found.seconds:
            return True
        if as_json:
            screen.line(msgspec.json.encode(found).decode())
        else:
            for line, style in view.lines(found, time.time()):
                screen.line(screen.paint(line, style) if style else line)
        told = True
        return not once

    _looks(client, view, every, show)
    if not told:
        msg = f"the application {client.name} has ended"
        raise NotRunning(msg)


def _watch(client: OperatorClient, view: View, every: float) -> None:
    """Show each look on the whole terminal, until the application has ended or Ctrl-C."""
    from rich.console import Console  # noqa: PLC0415  # only a terminal pays for it
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    def stop(number: int, _frame: object) -> NoReturn:
        sys.exit(128 + number)  # not at once: the terminal is to be as it was

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        last: list[Top] = []

        def paint(found: Top, silent: float) -> None:
            told = view.lines(found, time.time(), console.width, silent)
            lines = [(f"{line}\n", _STYLES[style]) for line, style in told]
            live.update(Text.assemble(*lines, no_wrap=True, overflow="ellipsis"), refresh=True)

        def show(found: Top) -> bool:
            last[:] = [found]
            paint(found, 0.0)
            return True

        def silent(seconds: float) -> None:
            for found in last:
                paint(found, seconds)

        client.silent = silent
        try:
            _looks(client, view, every, show)
        except KeyboardInterrupt:  # which is how a person ends it
            return
    click.echo(f"{client.name} has ended")
