"""`trollbridge status`: how the applications of this user are that run here, for people or as JSON.

May import: `click`, the operator's client, our messages. Invariant: it only asks; one application that does not answer
does not hide the others.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.messages.operator import ProcessState, Snapshot
    from trollbridge.ui_adapter.screen import Screen

FORMAT: Final = 1
"""Of the JSON object."""
NONE: Final = 1
"""The exit code if no such application runs, or one does not answer."""
EXIT_CODES: Final = (
    ("0", "Each application that was asked has answered."),
    (str(NONE), "No such application runs, or one does not answer."),
    ("2", "The command line is wrong, or the name fits several."),
)
_EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<5}{meaning}" for code, meaning in EXIT_CODES)
_PATIENCE: Final = 5.0
_HEAD: Final = ("NAME", "ROLE", "GROUP", "PID", "STATE", "KEPT", "SINCE", "STARTS", "MEMORY", "CPU")
_NAMED: Final = 3
"""Calls in quarantine that people are told of by their names."""
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_UNITS: Final = ((86400, "d"), (3600, "h"), (60, "min"))


class Unanswered(NamedTuple):
    """An application that has not told how it is; as JSON, the names are the keys."""

    name: str
    state: str
    """`no answer`, `another version`, `refused` or `not safe`."""
    why: str
    """A sentence."""


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("reference", metavar="[APP]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object instead.")
def status(reference: str | None, *, as_json: bool) -> None:
    """Tell how the running applications of this user are: the ring, its processes, how well the kernel keeps them.

    APP is the name of one, the head of its name, or MODULE:APP of one that was started in the current folder; without
    it, all are told of.

    \b
    Examples:
      trollbridge status
      trollbridge status notary:app --json
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    found, failed, none = _asked(reference)
    if as_json:
        _write(found, failed)
    else:
        _show(found)
    for each in failed:
        click.echo(f"trollbridge: {each.name}: {each.why}", err=True)
    if none:
        click.echo(f"trollbridge: {none}", err=True)
    sys.exit(NONE if failed or not found else 0)


def _asked(reference: str | None) -> tuple[list[Snapshot], list[Unanswered], str]:
    """Ask whoever is meant; return what each answers, of whom there is no answer, and what to say if none runs."""
    from trollbridge.actors.operations.runtime_folder import NotSafe  # noqa: PLC0415  # `run` need not wait for it
    from trollbridge.messages.errors import UsageError  # noqa: PLC0415
    from trollbridge.ui_adapter import operator_client, operator_places  # noqa: PLC0415

    silent = (operator_client.NoAnswer, operator_client.ConnectionEnded)
    states: dict[type[Exception], str] = {
        operator_client.OperatorRefused: "refused",
        operator_client.OtherVersion: "another version",
        NotSafe: "not safe",
    }
    found: list[Snapshot] = []
    failed: list[Unanswered] = []
    none = operator_places.NONE_RUNS
    try:
        names = operator_places.running_names() if reference is None else [operator_places.chosen_name(reference)]
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    except operator_client.NotRunning as error:
        names, none = [], str(error)
    for name in names:
        try:
            with operator_client.OperatorClient(name, _PATIENCE) as client:
                found.append(client.status())
        except (*silent, operator_client.OperatorRefused, operator_client.OtherVersion, NotSafe) as error:
            failed.append(Unanswered(name, states.get(type(error), "no answer"), str(error)))
        except operator_client.NotRunning as error:  # it has ended meanwhile
            none = none if reference is None else str(error)
    return found, failed, "" if found or failed else none


def _write(found: list[Snapshot], failed: list[Unanswered]) -> None:
    applications = [
        {
            **msgspec.structs.asdict(each),
            "processes": [msgspec.structs.asdict(one) for one in each.processes],
            "quarantine": [msgspec.structs.asdict(one) for one in each.quarantine],
        }
        for each in found
    ]
    others = [{**each._asdict(), "processes": ()} for each in failed]
    value = {"format": FORMAT, "applications": [*applications, *others], "unanswered": [each.name for each in failed]}
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def _show(found: list[Snapshot]) -> None:
    from trollbridge.ui_adapter.screen import Screen  # noqa: PLC0415
    from trollbridge.ui_adapter.wrapping import width, wrapped  # noqa: PLC0415

    screen, now = Screen(sys.stdout), time.time()
    for number, each in enumerate(found):
        if number:
            screen.line()
        head, *more = told(each, now)
        screen.line(_painted(screen, each, head))
        for text in more:
            for line in wrapped(text, width(sys.stdout), first="  ", rest="  "):
                screen.line(line)
        screen.line()
        screen.table([_HEAD, *(row(one, now) for one in each.processes)], headed=True)


def _painted(screen: Screen, snapshot: Snapshot, text: str) -> str:
    return screen.paint(text, "good" if snapshot.state == "sealed" else "bad")


def told(snapshot: Snapshot, now: float) -> Iterator[str]:
    """Return the sentences about an application; the first is the one that a person looks for."""
    yield (f"{snapshot.name}: the ring of epoch {snapshot.epoch} is {snapshot.state}, for {span(now - snapshot.since)}")
    yield f"The supervisor, PID {snapshot.pid}, has run for {span(now - snapshot.started)}."
    if snapshot.level:
        yield f"The kernel keeps broker, enclaves, hosts and extensions: {snapshot.level}."
    if snapshot.fell:
        yield (
            f"The last ring fell because {snapshot.fell}. In the last {snapshot.period:g} s rings were formed again "
            f"after a failure {snapshot.restarts} times, of at most {snapshot.most}."
        )
    if snapshot.quarantine:
        yield _quarantined(snapshot, now)
    yield f"Its log has {snapshot.seq} lines; the last value of its chain is {snapshot.chain or 'not known'}."
    if snapshot.dropped:
        yield (
            f"{snapshot.dropped} more could not be written there, and are lost; `trollbridge logs {snapshot.name}` has "
            "the last ones."
        )
    if snapshot.waiting:
        waits = "waits" if snapshot.waiting == 1 else "wait"
        yield f"{snapshot.waiting} more {waits} to be written there: nobody takes them, such as those on a full pipe."


def _quarantined(snapshot: Snapshot, now: float) -> str:
    """Return the sentence about calls that are not run, and who lifts that; of many, the latest."""
    calls = [f"{one.handler} of {one.caller} ({span(now - one.since)} ago)" for one in snapshot.quarantine]
    left = f" and {len(calls) - _NAMED} more" if len(calls) > _NAMED else ""
    named = ", ".join(calls[-_NAMED:])
    return f"In quarantine: {named}{left}; `trollbridge restart {snapshot.name} MEMBER` of the server lifts that."


def row(process: ProcessState, now: float) -> tuple[str, ...]:
    """Return one line of the table."""
    return (
        process.member,
        process.role,
        process.group or "-",
        str(process.pid or "-"),
        f"{process.state} ({process.ended})" if process.ended else process.state,
        process.level or "-",
        span(now - process.since) if process.since else "-",
        str(process.incarnation),
        f"{process.rss / (1 << 20):.0f} MiB" if process.pid else "-",
        f"{process.cpu / _TICKS:.2f} s" if process.pid else "-",
    )


def span(seconds: float) -> str:
    """Return a span of time for people, in its two largest units."""
    left = max(0, int(seconds))
    words: list[str] = []
    for size, unit in _UNITS:
        if left >= size or words:
            words.append(f"{left // size} {unit}")
            left %= size
    return " ".join([*words, f"{left} s"][:2])
