"""`trollbridge attack`: replays the attack catalogue against an application, and says what came of each attack.

May import: `click`, the suite when it runs. Invariants: what is attacked is a copy in processes of its own; the exit
code is 0 only if every attack that was chosen was tried to its end and none got through.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

import click

from trollbridge.actors import exits

if TYPE_CHECKING:
    from types import FrameType

    from trollbridge.actors.app import App
    from trollbridge.ui_adapter.attack.catalogue import Result
    from trollbridge.ui_adapter.attack.suite import Choice

THROUGH: Final = 1
"""The exit code if anything got through, or was left open."""
EXIT_CODES: Final = (
    ("0", "Every attack was stopped, or harms nothing."),
    (str(THROUGH), "An attack got through, or could not be brought to its end."),
    ("2", "The command line is wrong."),
    (str(exits.BOOT_FAILED), "The application did not start."),
    (str(exits.OUTPUT_CLOSED), "Standard output was closed while the report was written."),
    (str(exits.NOT_ISOLATED), "The kernel isolates a process less well than the application asks for."),
    (str(exits.DECLARATION), "The declaration is wrong, or a module cannot be loaded."),
    ("128+n", "Signal n ended it: 130 Ctrl-C, 143 SIGTERM. The copy is stopped in order."),
)
_EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<7}{meaning}" for code, meaning in EXIT_CODES)
_POSITIONS: Final = ("extension", "hostile-ui", "outsider", "inside")


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("reference", metavar="MODULE:APP", required=False)
@click.option("--position", "positions", multiple=True, type=click.Choice(_POSITIONS), help="Only from this position.")
@click.option("--only", "prefixes", multiple=True, metavar="PREFIX", help="Only attacks whose name begins so: F1, K3.")
@click.option("--json", "as_json", is_flag=True, help="Write the report as one JSON document.")
@click.option("--list", "only_list", is_flag=True, help="List the attacks and try none.")
def attack(
    reference: str | None,
    positions: tuple[str, ...],
    prefixes: tuple[str, ...],
    as_json: bool,  # noqa: FBT001  # click's way
    only_list: bool,  # noqa: FBT001
) -> None:
    """Replay the attack catalogue against a copy of the application APP of MODULE.

    The copy has your enclaves with their settings, your grants and your sandboxes. Hostile code takes the place of
    its UI and of its extension; an enclave that counts what of it runs is the target. Your own handlers are never
    called, so your data stays as it is; enclaves are started and stopped several times, so stop the application
    first if two of it cannot run at once. It takes about half a minute and asks nothing.

    \b
    Examples:
      trollbridge attack notary:app
      trollbridge attack notary:app --position extension --only F --only P
      trollbridge attack notary:app --json | jq '.results[] | select(.outcome == "got through")'
      trollbridge attack --list

    \b
    Positions:
      extension   untrusted code in an extension's process
      hostile-ui  the UI's code belongs to the attacker, with everything that the UI has
      outsider    another process of the same user
      inside      code that has broken into an enclave's process, against the kernel's isolation
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    from trollbridge.ui_adapter.attack import report, suite  # noqa: PLC0415  # the command line is read without them

    choice = suite.Choice(frozenset(suite.POSITIONS[each] for each in positions), prefixes)
    chosen = choice.of(suite.attacks())
    if not chosen:
        msg = "no attack is called so; --list shows them all"
        raise click.BadParameter(msg, param_hint="--only")
    if only_list:
        click.echo(report.listed(chosen), nl=False)
        return
    if reference is None:
        msg = "Missing argument 'MODULE:APP'."
        raise click.UsageError(msg)
    sys.exit(_run(reference, choice, len(chosen), as_json=as_json))


def _run(reference: str, choice: Choice, count: int, *, as_json: bool) -> int:
    from trollbridge.ui_adapter.attack import report, suite  # noqa: PLC0415

    app = _loaded(reference)
    signal.signal(signal.SIGTERM, _terminated)
    progress = _Progress(count)
    try:
        found = suite.run(app, reference, choice, progress.show)
    finally:
        progress.clear()
    if as_json:
        sys.stdout.write(report.as_json(found))
        sys.stdout.flush()
    else:
        report.show(sys.stdout, found)
    return 0 if found.passed else THROUGH


def _loaded(reference: str) -> App:
    """Return the application, as `trollbridge run` would; raises `NotRunnable`, `NotIsolated`."""
    from trollbridge.ui_adapter import cli  # noqa: PLC0415  # it adds this command: the other way round at load time

    cli._demand_linux()  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # the same command line
    cli._import_from_here()  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001  # the same command line
    return cli.load(reference)


def _terminated(number: int, _frame: FrameType | None) -> NoReturn:
    """Leave in order: the copy is stopped on the way."""
    raise SystemExit(128 + number)


class _Progress:
    """One line on standard error that says how far it is, on a terminal only."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._done = 0
        self._shown = sys.stderr.isatty()

    def show(self, result: Result) -> None:
        self._done += 1
        if self._shown:
            sys.stderr.write(f"\r\x1b[K{self._done} of {self._count}: {result.attack.name} {result.outcome.value}")
            sys.stderr.flush()

    def clear(self) -> None:
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
