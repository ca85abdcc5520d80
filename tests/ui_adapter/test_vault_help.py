"""Help of man-page quality for every command of the vault, and completion in a real shell."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from tests.ui_adapter.commands import COMMAND, environment, run
from trollbridge.ui_adapter.cli import cli
from trollbridge.ui_adapter.vault.exit_codes import TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUPS = ("vault", "key", "secret", "file")
ALONE = ("sign", "verify", "encrypt", "decrypt")
FULL_NAME = {"vault", "vault create", "key import", "secret set", "sign", "verify", "encrypt", "decrypt", "file seal"}


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for each, inner in command.commands.items():
            yield from _commands(inner, f"{name} {each}")


COMMANDS = dict(pair for name in (*GROUPS, *ALONE) for pair in _commands(cli.commands[name], name))


def test_the_corpus_is_all_there() -> None:
    """Every group has been walked."""
    assert len(COMMANDS) == 45
    assert set(COMMANDS) >= FULL_NAME


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_every_exit_code(name: str) -> None:
    """What it does, an example, its options each with a sentence, the exit codes; within 110 columns."""
    shown = CliRunner().invoke(cli, [*name.split(), "--help"], prog_name="trollbridge", terminal_width=110)
    assert shown.exit_code == 0
    for code, meaning in TABLE:
        assert re.search(rf"^ +{re.escape(code)} +{re.escape(meaning)}$", shown.output, re.MULTILINE), code
    command = COMMANDS[name]
    assert f"trollbridge {name}" in (command.help or "")
    assert all(each.help for each in command.params if isinstance(each, click.Option))
    assert max(map(len, shown.output.splitlines())) <= 110 + len("  10     ")


def test_the_real_command_shows_it_without_starting_anything() -> None:
    """`-h` too; a group without a command shows its commands; a wrong one is told."""
    shown = run("key", "generate", "-h")
    assert (shown.code, shown.log, shown.said) == (0, [], [])
    assert "--compat" in shown.output
    assert run("key", "destroy").code == 2


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (["key", "gen"], {"generate"}),
        (["vault", "recovery", ""], {"export", "import"}),
        (["key", "generate", "--prof"], {"--profile"}),
        (["key", "generate", "--profile", ""], {"default", "compat", "v6", "pq"}),
        (["enc"], {"encrypt"}),
    ],
)
def test_bash_completes_commands_options_and_choices(typed: list[str], found: set[str]) -> None:
    """The script is loaded by a real bash, which asks the real command."""
    words = " ".join(f'"{each}"' for each in ["trollbridge", *typed])
    script = (
        'eval "$(trollbridge completion bash)"; complete -p trollbridge; '
        f"COMP_WORDS=({words}); COMP_CWORD={len(typed)}; "
        '_trollbridge_completion trollbridge; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = {"PATH": f"{Path(COMMAND).parent}:{environment()['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script],  # noqa: S607  # the shell under test
        capture_output=True,
        text=True,
        env={**environment(), **path},
        timeout=60,
        check=True,
    )
    first, *rest = done.stdout.splitlines()
    assert first.startswith("complete -o nosort -F _trollbridge_completion")
    assert set(rest) == found


@pytest.mark.parametrize(("shell", "mark"), [("zsh", "#compdef trollbridge"), ("fish", "complete --no-files")])
def test_other_shells_get_their_script(shell: str, mark: str) -> None:
    """Click writes it; an unknown shell is a wrong command line."""
    assert mark in run("completion", shell).output
    assert run("completion", "csh").code == 2
