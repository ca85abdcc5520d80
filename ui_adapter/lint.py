"""The linter: everything that it finds in one declaration, in one order.

May import: our actors' declaration and messages, the parts of the linter. Invariants: of the application nothing is
imported here but the module that declares it, and what that imports itself; names of files and of an extension's
modules are its author's, so what is told holds no character that could steer a terminal.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import msgspec

from trollbridge.actors.operations.log import Line
from trollbridge.messages.control import NoticeKind
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import BROKER
from trollbridge.messages.vault import printable
from trollbridge.ui_adapter import lint_callers, lint_grants, lint_hosts, lint_scopes
from trollbridge.ui_adapter.doctor_paths import code_of
from trollbridge.ui_adapter.lint_finding import Finding
from trollbridge.ui_adapter.lint_sources import Sources, application_folders

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from trollbridge.actors.app import App
    from trollbridge.ui_adapter.doctor_scopes import Scope
    from trollbridge.ui_adapter.lint_grants import Exports


def findings(
    app: App, exports: Exports, scopes: Sequence[Scope], used: Collection[tuple[str, str]] | None = None
) -> tuple[Finding, ...]:
    """Return what is found. `used`: which caller has called which handler in learn mode, instead of a guess."""
    return tuple(dict.fromkeys(map(_shown, _all(app, exports, scopes, used))))


def _shown(finding: Finding) -> Finding:
    return Finding(finding.code, *map(printable, (finding.where, finding.what, finding.change)))


def _all(
    app: App, exports: Exports, scopes: Sequence[Scope], used: Collection[tuple[str, str]] | None
) -> Iterator[Finding]:
    sources = Sources(application_folders())
    yield from lint_grants.findings(app, exports, lint_scopes.reaching(scopes))
    yield from lint_callers.unmentioned(app, sources) if used is None else lint_grants.unused(app, used)
    yield from lint_callers.missing(app, sources)
    yield from lint_callers.findings(app, sources)
    home = os.path.expanduser("~")  # noqa: PTH111  # as the children are told
    hiding = {child.member for child, _ in app.children if lint_hosts.hides(child)}
    yield from lint_scopes.findings(scopes, home, code_of(app, sys.path), hiding)
    yield from lint_hosts.findings(app)


def log_lines(path: str) -> list[Line]:
    """Return the lines of an application's log; raises `DeclarationError` for a file that is none, or cannot be."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123  # as the command line has it
            return [msgspec.json.decode(each, type=Line) for each in file]
    except OSError as error:
        msg = f"{path}: {error.strerror}"
        raise DeclarationError(msg) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        msg = f"{path} is no log of an application; write one with trollbridge run --log"
        raise DeclarationError(msg) from None


def used_in(path: str) -> frozenset[tuple[str, str]]:
    """Return which caller has called which handler, by the log of a run in learn mode.

    Raises `DeclarationError` for a file that cannot be read, or is the log of another run.
    """
    lines = log_lines(path)
    found = frozenset(
        (each.member, each.detail) for each in lines if each.event == NoticeKind.GRANT_USED and each.told_by == BROKER
    )
    if not found:
        msg = f"{path} does not tell which grants were used; make it with trollbridge run --learn --log"
        raise DeclarationError(msg)
    return found
