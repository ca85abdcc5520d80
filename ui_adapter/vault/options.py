"""The options that every command of the vault has, and how a parsed command becomes an order that is carried out.

May import: `click`, our orders. Invariant: no option takes a password or the value of an API key.
"""

from __future__ import annotations

import functools
import os
import sys
import time
from typing import TYPE_CHECKING, Final, TypeVar

import click

from trollbridge.messages.posture import Level
from trollbridge.messages.vault import MODES
from trollbridge.ui_adapter.log_places import log_to
from trollbridge.ui_adapter.vault import exit_codes, launch, places, times
from trollbridge.ui_adapter.vault.orders import Source, Target
from trollbridge.ui_adapter.vault.request import WAIT, Request
from trollbridge.ui_adapter.whole_file import PRIVATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from trollbridge.ui_adapter.vault.request import AnyOrder

    Parse = Callable[..., AnyOrder]
    F = TypeVar("F", bound=Parse)

EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<7}{meaning}" for code, meaning in exit_codes.TABLE)
SETTINGS: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 110}
FILE: Final = click.Path(dir_okay=False, allow_dash=True)
_STANDARD_OUTPUT: Final = frozenset({"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
_PUBLIC: Final = 0o666
_DESCRIPTOR: Final = click.IntRange(0)

_COMMON: Final = (
    click.Option(
        ["--vault"],
        type=click.Path(dir_okay=False),
        envvar=places.VARIABLE,
        metavar="PATH",
        help=f"The vault's file. Else the path in {places.VARIABLE}, else the person's own vault.",
    ),
    click.Option(
        ["--mode", "demanded"],
        type=click.Choice(MODES),
        help="Refuse a vault that is protected in another way, and accept this way where another is known.",
    ),
    click.Option(
        ["--wait"],
        type=click.FloatRange(0, 3600),
        default=WAIT,
        show_default=True,
        metavar="SECONDS",
        help="Wait for a vault that another command has open; 0: not at all.",
    ),
    click.Option(
        ["--least"],
        type=click.Choice([each.value for each in Level]),
        default=Level.FULL.value,
        show_default=True,
        help="Do not start where the kernel isolates less well.",
    ),
    click.Option(["--log"], type=click.Path(dir_okay=False), metavar="FILE", help="Append the log to FILE."),
)
_PASSWORD: Final = (
    click.Option(["--password-file"], type=FILE, metavar="FILE", help="Take the password from the first line of FILE."),
    click.Option(["--password-fd"], type=_DESCRIPTOR, metavar="N", help="Take it from the next line of descriptor N."),
)
_JSON: Final = click.Option(["--json", "as_json"], is_flag=True, help="Report as one JSON document.")
_KEY: Final = (
    click.Option(["--key-password-file"], type=FILE, metavar="FILE", help="Take a key's own password from FILE."),
    click.Option(["--key-password-fd"], type=_DESCRIPTOR, metavar="N", help="Take it from descriptor N."),
)


class _VaultCommand(click.Command):
    """A command whose help has what all of them share in a section of its own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's own options first."""
        shared = {*_COMMON, *_PASSWORD}
        own, common = list[tuple[str, str]](), list[tuple[str, str]]()
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                (common if param in shared else own).append(record)
        for title, records in (("Options", own), ("Common options", common)):
            with formatter.section(title):
                formatter.write_dl(records)


def source(file: str | None, descriptor: int | None, option: str = "--password") -> Source:
    """Return where a password comes from; raises `click.UsageError` if that is two places, or an output."""
    if file is not None and descriptor is not None:
        msg = f"{option}-file and {option}-fd exclude each other"
        raise click.UsageError(msg)
    if descriptor in {1, 2}:
        msg = f"{option}-fd {descriptor} is an output"
        raise click.UsageError(msg)
    if file == "-":
        return Source(descriptor=0)
    return Source(file=file or "", descriptor=-1 if descriptor is None else descriptor)


def target(path: str | None, *, force: bool, public: bool = False) -> Target:
    """Return where a result goes; standard output under any of its names is no file that could be replaced.

    `public`: there is nothing in it to be kept from others, so this process's mask of new files, and not a UI's, which
    is 077, decides who may read it.
    """
    return Target("-" if path in _STANDARD_OUTPUT else path or "-", force, _PUBLIC & ~_mask() if public else PRIVATE)


def _mask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def path_of(vault: str | None) -> str:
    """Return the absolute path of the vault's file; raises `click.UsageError` for an empty one."""
    if vault == "":  # None stands for the person's own vault
        msg = "--vault names no file: its path is empty"
        raise click.UsageError(msg)
    return os.path.abspath(vault or places.default())  # noqa: PTH100  # links in it stay as they are


def ordering(
    group: click.Group, name: str, *, reports: bool = False, uses_key: bool = False, opens: bool = True
) -> Callable[[Parse], click.Command]:
    """Return a decorator: a function that makes an order of its own options becomes a command that carries it out.

    `reports`: it has `--json`. `uses_key`: it can be told the password of a key that has one of its own. `opens`: it
    can be told the vault's password.
    """

    def wrap(parse: Parse) -> click.Command:
        @functools.wraps(parse)
        def run(  # noqa: PLR0913  # click's way: an argument for each option
            *,
            vault: str | None,
            demanded: str | None,
            password_file: str | None = None,
            password_fd: int | None = None,
            wait: float,
            least: str,
            log: str | None,
            as_json: bool = False,
            key_password_file: str | None = None,
            key_password_fd: int | None = None,
            **own: object,
        ) -> None:
            request = Request(
                order=parse(**own),
                vault=path_of(vault),
                mode=demanded or "",
                password=source(password_file, password_fd),
                key_password=source(key_password_file, key_password_fd, "--key-password"),
                as_json=as_json,
                wait=wait,
            )
            sys.exit(launch.run(request, log_to(log, quiet=True, wait=wait), least))

        command = click.command(name, cls=_VaultCommand, epilog=EPILOG, context_settings=SETTINGS)(run)
        command.params += [*((_JSON,) if reports else ()), *(_KEY if uses_key else ())]
        command.params += [*(_PASSWORD if opens else ()), *_COMMON]
        group.add_command(command)
        return command

    return wrap


def new_password(name: str, what: str) -> Callable[[F], F]:
    """Return a decorator that adds `--NAME-file` and `--NAME-fd`, for a password that is new or another's."""

    def wrap(function: F) -> F:
        function = click.option(f"--{name}-fd", type=_DESCRIPTOR, metavar="N", help="The same, from a descriptor.")(
            function
        )
        return click.option(f"--{name}-file", type=FILE, metavar="FILE", help=f"Take {what} from FILE.")(function)

    return wrap


class Moment(click.ParamType[int]):
    """A point in time, as seconds since 1970; 0 for never."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds; fails with a sentence."""
        try:
            return value if isinstance(value, int) else times.moment(str(value), int(time.time()))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Span(click.ParamType[int]):
    """A length of time, in seconds."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds; fails with a sentence."""
        try:
            return value if isinstance(value, int) else times.span(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


output = click.option("-o", "--output", type=FILE, metavar="FILE", help="Write to FILE; - is standard output.")
force = click.option("--force", is_flag=True, help="Replace FILE if it is there.")
sure = click.option("--yes", "sure", is_flag=True, help="Do not ask whether that is meant.")
