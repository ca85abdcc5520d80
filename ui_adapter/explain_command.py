"""`trollbridge explain`: which rule decides on a call, or decided in a log, for the operator; no caller learns it.

May import: `click`, the parts of `explain`. Invariant: nothing is called; what the servers export is asked in a process
of its own.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import click
import msgspec

from trollbridge.actors import exits
from trollbridge.messages.errors import UsageError
from trollbridge.ui_adapter.loading import demand_linux, import_from_here, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trollbridge.actors.app import App
    from trollbridge.actors.operations.log import Line
    from trollbridge.ui_adapter.explain_log import Told
    from trollbridge.ui_adapter.explain_rules import Explanation

REFUSED: Final = 1
"""The exit code if the call would be refused."""
EXIT_CODES: Final = (
    ("0", "The call would pass, or wait for approval, or depends; or the refusals in the log, or the event, are told."),
    (str(REFUSED), "The call would be refused."),
    ("2", "The command line is wrong, or names no member or argument of the application, and no event."),
    (str(exits.DECLARATION), "The declaration is wrong, a module cannot be loaded, or the file is no log."),
)
_EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<5}{meaning}" for code, meaning in EXIT_CODES)


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("reference", metavar="MODULE:APP|EVENT")
@click.argument("words", metavar="[CALLER HANDLER [NAME=VALUE]… | LINE]", nargs=-1)
@click.option("--log", metavar="FILE|NAME", help="Explain the refusals in this log, or the one in line LINE.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object instead.")
def explain(reference: str, *, words: tuple[str, ...], log: str | None, as_json: bool) -> None:
    """Say which rule of the application APP of MODULE decides on a call, or what an EVENT of the log means.

    Whoever is refused learns only that it is. This tells the operator the rest: the rule, where it is declared, and
    the condition that does not hold. Nothing is called, and no extension's code is loaded.

    --log takes a file, or the name of a running application, which is asked for its last lines.

    EVENT is a name from the log, such as ring.dismantled; what stands before the dot, for all such events; or the
    name of an error, such as NotGranted.

    \b
    Examples:
      trollbridge explain notary:app console notary.sign
      trollbridge explain notary:app plugin vault.sign key=release data=hex:00ff
      trollbridge explain notary:app --log notary.log
      trollbridge explain notary:app --log notary.log 12
      trollbridge explain uid.refused
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    demand_linux()
    import_from_here()
    if ":" not in reference and not words and log is None:
        _explain_event(reference, as_json=as_json)
        return
    if log is not None:
        _explain_log(load(reference), log, words, as_json=as_json)
        return
    if len(words) < 2:  # noqa: PLR2004  # the caller and the handler
        msg = "name the caller and the handler, such as: console notary.sign; or a log, with --log"
        raise click.UsageError(msg)
    sys.exit(_explain_call(load(reference), words, as_json=as_json))


def _explain_call(app: App, words: Sequence[str], *, as_json: bool) -> int:
    from trollbridge.ui_adapter import explain_rules, lint_processes  # noqa: PLC0415  # `run` need not wait for it

    caller, handler, *given = words
    try:
        found = explain_rules.explain(app, lint_processes.exports(app), caller, handler, given)
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    _write(found) if as_json else _show(found)
    return REFUSED if found.answer is explain_rules.Answer.REFUSED else 0


def _show(found: Explanation) -> None:
    table = [("because", found.because), ("to change", found.change)]
    table += [(f"rule {each.rule}", f"{each.says}: {each.found}") for each in found.steps]
    _paragraph(f"{found.caller} calls {found.handler}: {found.answer}", table)


def _explain_log(app: App, path: str, words: Sequence[str], *, as_json: bool) -> None:
    from trollbridge.ui_adapter import explain_log, explain_rules  # noqa: PLC0415

    lines = _lines(path)
    if words:
        lines = [_chosen(lines, words)]
    found = tuple(explain_log.explained(app, lines))
    if as_json:
        _write(explain_log.Refusals(explain_rules.FORMAT, found))
        return
    if not found:
        sys.stdout.write("nothing was refused there\n")
    for each in found:
        _tell(each)


def _explain_event(name: str, *, as_json: bool) -> None:
    from trollbridge.ui_adapter import explain_events, explain_rules  # noqa: PLC0415

    try:
        found = explain_events.meanings(name)
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    if as_json:
        _write(explain_events.Meanings(explain_rules.FORMAT, found))
        return
    for each in found:
        severity = f" ({each.severity})" if each.severity else ""
        table = [("means", each.means), ("rule", each.rule), ("to do", each.change)]
        _paragraph(f"{each.name}{severity}", [row for row in table if row[1]])


def _chosen(lines: Sequence[tuple[int, Line]], words: Sequence[str]) -> tuple[int, Line]:
    text, *more = words
    found = [each for each in lines if text == str(each[0])]
    if more or not found:
        msg = f"with --log comes the number of one line, from 1 to {len(lines)}"
        raise click.UsageError(msg)
    return found[0]


def _tell(told: Told) -> None:
    table = [("told by", told.told_by)] if told.told_by else []
    table += [("why", "; ".join(filter(None, (told.why, told.detail))))]
    table += [("rule", told.rule), ("declared in", told.where), ("to change", told.change)]
    _paragraph(
        f"line {told.number}: {told.event}: {told.member}" + (f", {told.time}" if told.time else ""),
        table,
    )


def _paragraph(head: str, table: Sequence[tuple[str, str]]) -> None:
    from trollbridge.ui_adapter.screen import Screen  # noqa: PLC0415
    from trollbridge.ui_adapter.wrapping import rows, width  # noqa: PLC0415

    screen = Screen(sys.stdout)
    screen.line(head)
    for lines in rows(table, width(sys.stdout)):
        for line in lines:
            screen.line(line)


def _lines(named: str) -> list[tuple[int, Line]]:
    """Return the lines of a file; or the last ones of the running application of this name."""
    from trollbridge.ui_adapter.lint import log_lines  # noqa: PLC0415
    from trollbridge.ui_adapter.logs_telling import last_lines  # noqa: PLC0415

    found = last_lines(named)
    return [*enumerate(log_lines(named) if found is None else found, 1)]


def _write(value: object) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()
