"""`trollbridge stubs`: what a caller of an application may call, as an editor and a type checker know it.

May import: `click`, how applications are found, what makes the files. Invariant: nothing of the application is started.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from trollbridge.ui_adapter.loading import demand_linux, import_from_here, load


@click.command()
@click.argument("reference", metavar="MODULE:APP")
@click.option("--pyi", "language", flag_value="pyi", default="pyi", help="Python types for editors (the default).")
@click.option("--javascript", "language", flag_value="javascript", help="A page's ES module, as a session's looks.")
@click.option("--typescript", "language", flag_value="typescript", help="The types of that module.")
@click.option("--member", metavar="CALLER", help="Whose grants: an extension's name, instead of the UI.")
@click.option("--output", "-o", "folder", metavar="FOLDER", help="Write files there instead of to standard output.")
def stubs(reference: str, language: str, member: str | None, folder: str | None) -> None:
    """Write what the UI of APP may call, with its types: what is not granted is not there.

    Nothing is started. The classes of enclaves and hosts are asked in a process of its own; nothing of theirs is
    imported by this command.

    \b
    Examples:
      trollbridge stubs notary:app -o typings
      trollbridge stubs notary:app --typescript > notary.d.mts

    With -o, Python types come with a module beside them, so that a UI can write `from desk_bridge import Bridge`. The
    names in the JavaScript reach nothing: a session has names of its own, which `bridge.stubs.javascript()` gives.

    \b
    Exit codes:
      0   written
      1   a file is there that this command has not made, or cannot be written
      78  the declaration is wrong, or a class cannot be loaded
    """  # noqa: D301  # \b is click's mark for lines that stay as they are
    from trollbridge.ui_adapter import stubs_files  # noqa: PLC0415  # `run` need not wait for it

    demand_linux()
    import_from_here()
    files = stubs_files.texts(load(reference), member, language)
    if folder is None:
        sys.stdout.write(next(iter(files.values())))
        sys.stdout.flush()
        return
    try:
        stubs_files.write(Path(folder), files)
    except OSError as error:
        click.echo(f"trollbridge: {error.filename or folder}: {error.strerror or error}", err=True)
        sys.exit(1)
