"""`trollbridge log`: verifies a log offline, makes its key, prints its schema.

May import: `click`, our actors' log. Invariant: nothing is written but the key file that was asked for; a log is read
only.
"""

from __future__ import annotations

import os
import string
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from trollbridge.actors.operations import log_key, rotation
from trollbridge.messages.vault import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.actors.operations.chain import Head
    from trollbridge.actors.operations.verifying import Verdict

BROKEN: Final = 1
OPEN: Final = 3
FORMAT: Final = 1
"""The version of the JSON report."""
_CODES: Final = """\b
Exit codes:
  0  every line is there as it was written, up to the orderly end
  1  something was changed, removed, put in, moved or cut off; the report says where
  2  the command line is wrong, a file cannot be read, or the log is under a key and none was given
  3  nothing is wrong, but the log has no orderly end: the application still runs, or was killed
"""


class Report(msgspec.Struct, frozen=True):
    """What `log verify --json` prints."""

    format: int
    intact: bool
    closed: bool
    lines: int
    runs: int
    keyed: bool
    head_seen: bool
    """Whether FILE.head was there: without it, and without --head, a missing end cannot show."""
    seq: int
    chain: str
    flaws: tuple[tuple[str, str], ...]
    dropped: int
    """Files before the oldest that is there: --log-keep let go of them."""
    torn: int
    """Bytes behind the last line, of one that is not whole; nothing vouches for them."""


@click.group()
def log() -> None:
    """Verify the log of an application, make a key for it, print its schema."""


@log.command(epilog=_CODES)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--key", metavar="FILE", help="The verification key that trollbridge log key printed; - reads it here.")
@click.option("--head", metavar="HEX", help="A chain value that was noted before: it must be in the log.")
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object instead.")
def verify(file: Path, key: str | None, head: str | None, as_json: bool) -> None:  # noqa: FBT001  # click's way
    """Verify that the log FILE is what was written: nothing altered, removed, put in, moved or cut off.

    The files FILE.1, FILE.2 … that were turned away are read too. FILE.head, which the application keeps beside the
    log, shows whether the end is missing.

    Without a key this finds accidents and careless edits: whoever can write the file can compute all values anew. With
    a key (see trollbridge log key) nobody can who came to the machine after a line was written: every run of the key
    must be there, and each proves where the one before it ended. Use a key for one log only.

    It does not show what somebody does who is on the machine while lines are written: that person can write others,
    and let go of the oldest files, as --log-keep does. How many are gone is told; note the last line's value elsewhere
    and give it as --head.
    """
    noted = head.strip().lower() if head is not None else ""
    if head is not None and not _is_value(noted):
        msg = "a chain value has 64 hexadecimal digits"
        raise click.BadParameter(msg, param_hint="--head")
    found = rotation.read_head(str(file))
    try:
        verdict = _verified(file, b"" if key is None else _key(key), found, noted)
    except OSError as error:
        msg = f"{error.filename}: {error.strerror}"
        raise click.UsageError(msg) from None
    if verdict.unjudged and not verdict.flaws:
        msg = f"{printable(str(file))} is under a key: it cannot be judged without --key"
        raise click.UsageError(msg)
    _write(verdict, found, keyed=key is not None) if as_json else _show(verdict, file, found)
    sys.exit(BROKEN if verdict.flaws else 0 if verdict.closed else OPEN)


@log.command()
def schema() -> None:
    """Print the JSON schema of a line of the log."""
    from trollbridge.actors.operations import schema as made  # noqa: PLC0415  # `run` need not wait for it

    click.echo(made.text(), nl=False)


@log.command()
@click.argument("file", type=click.Path(path_type=Path))
def key(file: Path) -> None:
    """Make the key FILE of a log, readable by you only, and print the key that verifies the log.

    Keep what is printed away from this machine: it is what trollbridge log verify --key needs, and whoever has it can
    forge. FILE is for trollbridge run --log-key; it moves on with each run, and leads back to no run before.

    \b
    Example:
      trollbridge log key notary.key | ssh safe 'cat > notary.verify'
      trollbridge run notary:app --log notary.log --log-key notary.key
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    try:
        made = log_key.make(str(file))
    except OSError as error:
        msg = f"{file}: {error.strerror}"
        raise click.UsageError(msg) from None
    click.echo(made)
    click.echo("trollbridge: keep this key away from the machine whose log it verifies", err=True)


def _key(path: str) -> bytes:
    try:
        text = (sys.stdin.read(1024) if path == "-" else Path(path).read_text(encoding="ascii")).strip().lower()
    except UnicodeDecodeError:
        text = ""
    if not _is_value(text):
        msg = "it holds no verification key: that has 64 hexadecimal digits, as trollbridge log key prints them"
        raise click.BadParameter(msg, param_hint="--key")
    return bytes.fromhex(text)


def _is_value(text: str) -> bool:
    return len(text) == 64 and set(text) <= set(string.hexdigits)  # noqa: PLR2004  # two for each byte


def _verified(file: Path, key: bytes, head: Head | None, noted: str) -> Verdict:
    from trollbridge.actors.operations.verifying import Verifier  # noqa: PLC0415  # `run` need not wait for it

    verifier = Verifier(key, head, noted)
    ages = range(rotation.count(str(file)), 0, -1)
    for each in (*(Path(rotation.turned(str(file), age)) for age in ages), file):
        last = each is file
        for number, line in enumerate(_lines(os.open(file, os.O_RDONLY) if last else rotation.regular(str(each))), 1):
            place = f"{printable(each.name)}:{number}"
            if line.endswith(b"\n"):
                verifier.take(line[:-1], place)
            else:
                verifier.rest(line, place, last=last)
    return verifier.end(printable(file.name))


def _lines(descriptor: int) -> Iterator[bytes]:
    """Yield each line, with its end if it has one; of one that is too long to be ours the beginning, with an end."""
    with open(descriptor, "rb") as file:
        while line := file.readline(rotation.LONGEST_LINE):
            whole = line
            while len(line) == rotation.LONGEST_LINE and not line.endswith(b"\n"):
                line = file.readline(rotation.LONGEST_LINE)
            yield whole if whole is line else whole + b"\n"


def _show(verdict: Verdict, file: Path, head: Head | None) -> None:
    for flaw in verdict.flaws:
        click.echo(f"{flaw.place}: {flaw.what}")
    lines = f"{_counted(verdict.lines, 'line')}, {_counted(verdict.runs, 'run')}"
    if verdict.flaws:
        click.echo(f"{printable(str(file))} is not as it was written ({lines})")
        return
    end = "" if verdict.closed else "; its end is open: the application still runs, or was killed"
    click.echo(f"{printable(str(file))} is as it was written ({lines}){end}")
    click.echo(f"last line: {verdict.seq} {verdict.chain}")
    if verdict.torn:
        click.echo(f"behind it stand {verdict.torn} bytes of a line that is not whole: nothing vouches for them")
    if verdict.dropped:
        click.echo(f"{_counted(verdict.dropped, 'older file')} let go of by --log-keep")
    if head is None:
        click.echo(f"there is no {printable(file.name)}.head: a missing end would not show, but by --head")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _write(verdict: Verdict, head: Head | None, *, keyed: bool) -> None:
    flaws = tuple((each.place, each.what) for each in verdict.flaws)
    report = Report(
        FORMAT,
        not flaws,
        verdict.closed,
        verdict.lines,
        verdict.runs,
        keyed,
        head is not None,
        verdict.seq,
        verdict.chain,
        flaws,
        verdict.dropped,
        verdict.torn,
    )
    click.echo(msgspec.json.encode(report).decode())
