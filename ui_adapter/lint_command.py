"""`trollbridge lint`: what is wrong with a declaration before anything of it runs, one line for each finding.

May import: `click`, the linter when it runs. Invariant: the exit code says whether anything was found.
"""

from __future__ import annotations

import sys
from typing import Final

import click
import msgspec

from trollbridge.actors import exits
from trollbridge.ui_adapter.loading import demand_linux, import_from_here, load

FOUND: Final = 1
"""The exit code if there is anything to change."""
EXIT_CODES: Final = (
    ("0", "Nothing was found."),
    (str(FOUND), "Something was; each line says what to change."),
    ("2", "The command line is wrong."),
    (str(exits.DECLARATION), "The declaration is wrong, or a module cannot be loaded."),
)
_EPILOG: Final = "\b\nExit codes:\n" + "\n".join(f"  {code:<5}{meaning}" for code, meaning in EXIT_CODES)


@click.command(epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.argument("reference", metavar="MODULE:APP")
@click.option(
    "--log", metavar="FILE", help="Take what was called from the log of a run with --learn, not from a guess."
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object instead.")
def lint(reference: str, *, log: str | None, as_json: bool) -> None:
    """Find what is wrong with the declaration of the application APP of MODULE, without running it.

    Names grants that are never used, that name nothing, that can never fit or never decide; handlers that nobody may
    call; what an extension may do without any condition; scopes that reach a place where secrets are kept, or the
    application's own code; and an enclave whose code a UI or an extension imports. One line for each: the rule, where,
    what, and what to change.

    Whether a caller uses a grant is guessed from its code, unless --log names the log of a run with --learn. An
    extension's code is read, and never run.

    \b
    Examples:
      trollbridge lint notary:app
      trollbridge lint notary:app --json | jq '.findings[] | select(.code == "grant-open")'
      trollbridge run --learn --log learnt.log notary:app && trollbridge lint notary:app --log learnt.log
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    demand_linux()
    from trollbridge.ui_adapter import lint as linter  # noqa: PLC0415  # `run` need not wait for it
    from trollbridge.ui_adapter import lint_processes  # noqa: PLC0415
    from trollbridge.ui_adapter.lint_finding import FORMAT, Findings  # noqa: PLC0415

    import_from_here()
    app = load(reference)
    used = None if log is None else linter.used_in(log)
    found = linter.findings(app, lint_processes.exports(app), lint_processes.scopes(reference), used)
    if as_json:
        sys.stdout.write(msgspec.json.encode(Findings(FORMAT, found)).decode() + "\n")
    else:
        sys.stdout.writelines(f"{each.line()}\n" for each in found)
    sys.exit(FOUND if found else 0)
