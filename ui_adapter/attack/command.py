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
from trollbridge.ui_adapter import loading, wrapping

if TYPE_CHECKING:
    from types import FrameType

    from trollbridge.ui_adapter.attack.catalogue import Result
    from trollbridge.ui_adapter.attack.suite import Choice, Report

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
_POSITION: Final = click.Choice(("extension", "hostile-ui", "outsider", "inside"), case_sensitive=False)


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("reference", metavar="MODULE:APP", required=False)
@click.option("--position", "positions", multiple=True, type=_POSITION, help="Only from this position.")
@click.option("--only", "prefixes", multiple=True, metavar="PREFIX", help="Only attacks whose name begins so: F1, k3.")
@click.option("--verbose", "-v", is_flag=True, help="Show every attack, and what must happen instead.")
@click.option("--json", "as_json", is_flag=True, help="Write the report, or the list, as one JSON document.")
@click.option("--list", "only_list", is_flag=True, help="List the attacks and try none.")
def attack(  # noqa: PLR0913  # click's way: an argument for each option
    reference: str | None,
    *,
    positions: tuple[str, ...],
    prefixes: tuple[str, ...],
    verbose: bool,
    as_json: bool,
    only_list: bool,
) -> None:
    """Replay the attack catalogue against a copy of the application APP of MODULE.

    The copy has your enclaves with their settings, your grants and your sandboxes. Hostile code takes the place of
    its UI and of its extension; an enclave that counts what of it runs is the target. Your own handlers are never
    called, so your data stays as it is; enclaves are started and stopped several times, so stop the application
    first if two of it cannot run at once. It takes about half a minute and asks nothing.

    Shows how many attacks were stopped, and each one that was not. Root may do to any process what an outsider is
    refused, so those attacks on the running application are tried only if an ordinary user runs it.

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
    loading.demand_linux()
    from trollbridge.ui_adapter.attack import report, suite  # noqa: PLC0415  # they need Linux; `run` needs neither

    choice = suite.Choice(frozenset(suite.POSITIONS[each] for each in positions), prefixes)
    chosen = choice.of(suite.attacks())
    if not chosen:
        msg = f"no attack is called so{' from there' if positions else ''}; --list shows them all"
        raise click.BadParameter(msg, param_hint="--only")
    if only_list and as_json:
        _write(report.listed_as_json(chosen))
    elif only_list:
        report.list_attacks(sys.stdout, chosen)
    elif reference is None:
        msg = "Missing argument 'MODULE:APP'."
        raise click.UsageError(msg)
    else:
        found = _run(reference, choice, len(chosen))
        if as_json:
            _write(report.as_json(found))
        else:
            report.show(sys.stdout, found, verbose=verbose)
        sys.exit(0 if found.passed else THROUGH)


def _write(text: str) -> None:
    """Write at once; raises `OSError` if nobody takes it."""
    sys.stdout.write(text)
    sys.stdout.flush()


def _run(reference: str, choice: Choice, count: int) -> Report:
    """Try the attacks on the application; raises `NotRunnable`, or why the copy does not start."""
    from trollbridge.ui_adapter.attack import suite  # noqa: PLC0415  # as above

    loading.import_from_here()
    app = loading.load(reference)
    signal.signal(signal.SIGTERM, _terminated)
    progress = _Progress(count)
    try:
        return suite.run(app, reference, choice, progress.show)
    finally:
        progress.clear()


def _terminated(number: int, _frame: FrameType | None) -> NoReturn:
    """Leave in order: the copy is stopped on the way."""
    raise SystemExit(128 + number)


class _Progress:
    """One line on standard error that says how far it is, on a terminal only; without escapes, which not all take."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._done = 0
        self._shown = sys.stderr.isatty()
        self._room = wrapping.width(sys.stderr) - 1
        self._last = 0

    def show(self, result: Result) -> None:
        self._done += 1
        self._write(f"{self._done} of {self._count}: {result.attack.name} {result.outcome.value}")

    def clear(self) -> None:
        if self._last:
            self._write("")
            self._write("")  # back to the margin

    def _write(self, text: str) -> None:
        if self._shown:
            line = text[: self._room]
            sys.stderr.write(f"\r{line:<{self._last}}")
            sys.stderr.flush()
            self._last = len(line)
