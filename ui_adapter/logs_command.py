"""`trollbridge logs`: the log of a running application, or of a file, for people or line by line for programs.

May import: `click`, the operator's client, the parts of `logs`. Invariant: only reads; a line goes out as it was
written, or in words that hold no character that could steer a terminal.
"""

from __future__ import annotations

import sys
import time
from typing import Final

import click

from trollbridge.messages.errors import UsageError

NO_LINE: Final = 1
"""The exit code if something that was read is no line of a log, or if no application runs."""
EXIT_CODES: Final = (
    ("0", "The lines are told; with --follow, until the application has ended."),
    (str(NO_LINE), "No such application runs, or something in the file is no line of a log."),
    ("2", "The command line is wrong, several applications run and none is named, or the file cannot be read."),
)
_EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<5}{meaning}" for code, meaning in EXIT_CODES)
_FOLLOWED: Final = 10
"""Lines from before that --follow begins with, if it is not told how many."""


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("reference", metavar="[APP|FILE]", required=False)
@click.option("--follow", "-f", is_flag=True, help="Go on with each line as it is written.")
@click.option("--pretty", is_flag=True, help="For people; without it, and without --json, only on a terminal.")
@click.option("--json", "as_json", is_flag=True, help="The lines as they were written: JSON.")
@click.option("--epoch", type=click.IntRange(min=0), metavar="N", help="Only of this epoch.")
@click.option("--member", "members", multiple=True, metavar="M", help="Only about this member, or told by it.")
@click.option("--event", "events", multiple=True, metavar="E", help="Only of this name, or this word before its dot.")
@click.option("--since", metavar="WHEN", help="Only from then on: 90s, 10m, 2h, 1d ago; or 2026-11-26T05:00 (UTC).")
@click.option("--lines", "-n", "count", type=click.IntRange(min=0), metavar="N", help="Only the last N of these.")
def logs(  # noqa: PLR0913  # click's way: one for each option
    reference: str | None,
    *,
    follow: bool,
    pretty: bool,
    as_json: bool,
    epoch: int | None,
    members: tuple[str, ...],
    events: tuple[str, ...],
    since: str | None,
    count: int | None,
) -> None:
    """Tell the log of the running application APP, or of FILE.

    Without a name, of the only one that runs. Of a running application there are the last 1000 lines; all of them are
    where `trollbridge run` writes its log. What contains a slash, or is a file here, is a FILE; it may be rotated while
    it is followed.

    \b
    Examples:
      trollbridge logs --follow
      trollbridge logs notary --since 10m --event ring --event process
      trollbridge logs notary.log --pretty --member vault
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    from trollbridge.ui_adapter import logs_telling  # noqa: PLC0415  # `run` need not wait for it
    from trollbridge.ui_adapter.log_wanted import Wanted, moment  # noqa: PLC0415

    if pretty and as_json:
        msg = "--pretty and --json exclude each other"
        raise click.UsageError(msg)
    try:
        begin = None if since is None else moment(since, time.time())
    except (ValueError, OverflowError):
        msg = f"{since!r} is no time; write 10m, or 2026-11-26T05:00"
        raise click.BadParameter(msg, param_hint="--since") from None
    most = _FOLLOWED if follow and count is None else count
    teller = logs_telling.Teller(sys.stdout, Wanted(epoch, members, events, begin), most, pretty=pretty, plain=as_json)
    try:
        teller.tell(reference, follow=follow)
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    sys.exit(NO_LINE if teller.wrong else 0)
