"""`trollbridge completion`: what a shell needs to complete our commands, by click's own means.

May import: `click`. Invariant: it reads no vault and asks for nothing.
"""

from __future__ import annotations

import sys

import click
from click.shell_completion import get_completion_class

from trollbridge.messages.errors import UsageError

VARIABLE = "_TROLLBRIDGE_COMPLETE"
"""What click's scripts ask the command by."""


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Write the completion script of a shell.

    \b
    Examples:
      bash   trollbridge completion bash > ~/.local/share/bash-completion/completions/trollbridge
      zsh    trollbridge completion zsh > "${fpath[1]}/_trollbridge"
      fish   trollbridge completion fish > ~/.config/fish/completions/trollbridge.fish

    \b
    Exit codes:
      0  The script was written.
      2  There is no such shell.
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    found = get_completion_class(shell)
    if found is None:
        msg = f"click does not know how {shell} completes"
        raise UsageError(msg)
    script = found(context.find_root().command, {}, "trollbridge", VARIABLE).source()
    sys.stdout.write(f"{script}\n")
    sys.stdout.flush()
