"""`trollbridge-gpg`: what git calls as its `gpg.program`, and no more of gpg than that.

May import: our launch and orders, `click`. Invariants: what it does not understand it refuses; the vault's path and
the password's file come from variables that name paths, since git can give no option.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, NoReturn

import click

from trollbridge.messages.posture import Level
from trollbridge.ui_adapter.finishing import finish
from trollbridge.ui_adapter.log_places import log_to
from trollbridge.ui_adapter.vault import launch, places
from trollbridge.ui_adapter.vault.options import path_of
from trollbridge.ui_adapter.vault.orders import Source
from trollbridge.ui_adapter.vault.request import Request
from trollbridge.ui_adapter.vault.work_orders import GitOrder, GitSign, GitVerify

if TYPE_CHECKING:
    from collections.abc import Sequence

HELP: Final = """\
Usage: trollbridge-gpg --status-fd=N -bsau KEY
       trollbridge-gpg [--keyid-format=long] --status-fd=N --verify SIGNATURE FILE

Sign and verify for git, with a key of a Trollbridge vault. To use it:

  git config --global gpg.program trollbridge-gpg
  git config --global user.signingkey FINGERPRINT
  git config --global commit.gpgsign true

The vault is the file that TROLLBRIDGE_VAULT names, or your own. Its password is typed at the terminal, or is the first
line of the file that TROLLBRIDGE_PASSWORD_FILE names. To verify others' commits, import their certificates with
`trollbridge key import`, and say with `trollbridge key trust` whose you have compared.

If a commit fails, git does not show why. This does, with the same key: echo x | trollbridge-gpg -bsau KEY

Exit codes: 0 signed, or the signature is valid; 1 the signature is invalid; 2 anything else, as gpg has it."""
_IGNORED: Final = frozenset({"--keyid-format=long", "--keyid-format=0xlong", "--batch", "--no-tty", "--armor", "-a"})
_SIGN: Final = frozenset({"-bsau", "-bsa", "-bs", "-s", "-b", "--sign", "--detach-sign"})
_USER: Final = frozenset({"-u", "--local-user", "--default-key"})


def understood(arguments: Sequence[str]) -> GitOrder:
    """Return the order that git's arguments are; raises `click.UsageError`."""
    left = list(arguments)
    status, key, signing, files = 2, "", False, None
    while left:
        word = left.pop(0)
        name, equals, value = word.partition("=")
        if name == "--status-fd":
            status = _number(value if equals else _next(left, word))
        elif word in _USER or word == "-bsau":
            signing, key = signing or word == "-bsau", _next(left, word)
        elif name in _USER and equals:
            key = value
        elif word in _SIGN:
            signing = True
        elif word == "--verify":
            files, left = left, []
        elif word not in _IGNORED:
            msg = f"trollbridge-gpg does what git asks of gpg, and not {word}; see trollbridge-gpg --help"
            raise click.UsageError(msg)
    if signing and files is None:
        return GitSign(key, status)
    if files is not None and len(files) == 2 and not signing:  # noqa: PLR2004  # the signature and what it signs
        return GitVerify(files[0], files[1], status)
    msg = "trollbridge-gpg signs (-bsau KEY) or verifies (--verify SIGNATURE FILE); see trollbridge-gpg --help"
    raise click.UsageError(msg)


def _next(left: list[str], word: str) -> str:
    if not left:
        msg = f"{word} needs a value"
        raise click.UsageError(msg)
    return left.pop(0)


def _number(text: str) -> int:
    if text not in {"1", "2"}:
        msg = f"--status-fd is 1 or 2 here, not {text}"
        raise click.UsageError(msg)
    return int(text)


def _run() -> NoReturn:
    arguments = sys.argv[1:]
    if set(arguments) & {"--help", "-h"}:
        click.echo(HELP)
        sys.exit(0)
    if "--version" in arguments:
        click.echo(f"gpg (Trollbridge) {version('trollbridge')}")
        sys.exit(0)
    password = places.password_file()
    request = Request(
        order=understood(arguments),
        vault=path_of(places.named()),
        password=Source(os.path.abspath(password)) if password else Source(),  # noqa: PTH100
    )
    sys.exit(launch.run(request, log_to(None, quiet=True), Level.FULL.value))


def main() -> NoReturn:
    """Run the shim and exit."""
    finish(_run)
