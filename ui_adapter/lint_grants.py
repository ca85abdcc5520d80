"""What is wrong with grants, told from the declaration and from what the servers export.

May import: our actors' declaration and messages, `lint_conditions`. Invariant: pure; nothing is started or imported.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final, TypeAlias

from msgspec import structs

from trollbridge.actors.serving.granting import check_conditions
from trollbridge.messages.errors import DeclarationError
from trollbridge.messages.ids import Role
from trollbridge.messages.signature import sentence
from trollbridge.ui_adapter.lint_conditions import covers, words
from trollbridge.ui_adapter.lint_finding import Code, Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from trollbridge.actors.app import App
    from trollbridge.messages.grants import Grant
    from trollbridge.messages.ids import MemberId
    from trollbridge.messages.payloads import HandlerEntry
    from trollbridge.ui_adapter.manifests import Described

SHIPPED: Final = "trollbridge."
"""How the modules begin that a user cannot change."""
_NAMES_A_SECRET: Final = frozenset({"key", "name"})
"""Parameters of the shipped vault that say which secret is used."""


Exports: TypeAlias = "Mapping[str, Mapping[str, Described]]"
"""What each server exports, by service and method."""


def export_of(grant: Grant, exports: Exports) -> Described | None:
    """Return the handler that a grant names; None if nobody exports it."""
    service, _, method = grant.handler.rpartition(".")
    found = exports.get(service)
    return None if found is None else found.get(method)


def callers(app: App) -> Iterator[tuple[MemberId, tuple[Grant, ...]]]:
    """Yield who has which grants; replicas have those of the member that they are one of, which stands for them."""
    for child, _ in app.children:
        if child.member == child.service:
            yield child.member, app.grants[child.member]


def findings(app: App, exports: Exports, reaching: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what is wrong with an application's grants. `reaching`: what members reach of the machine, in words."""
    for caller, grants in callers(app):
        for number, grant in enumerate(grants):
            yield from _of_grant(app, caller, grant, grants[:number], exports)
    yield from _open(app, exports, reaching)
    yield from _uncallable(app, exports)


def place(caller: str, grant: Grant) -> str:
    """Return where a grant stands, for people."""
    return f"{caller}, rule {grant.rule} ({grant.handler})"


def _of_grant(app: App, caller: str, grant: Grant, earlier: Sequence[Grant], exports: Exports) -> Iterator[Finding]:
    where, export = place(caller, grant), export_of(grant, exports)
    if export is None:
        yield Finding(Code.GRANT_UNKNOWN, where, "no such handler is exported", _instead(grant, exports))
        return
    if export.core and caller != app.ui.member:
        what = "only the core UI may call this handler"
        yield Finding(Code.GRANT_CORE, where, what, "take the grant away; the application does not start with it")
    yield from _conditions(where, grant, export.entry)
    first = next((each for each in earlier if covers(each, grant)), None)
    if first is not None:
        what = f"rule {first.rule} decides on every call that this one fits"
        yield Finding(Code.GRANT_SHADOWED, where, what, f"put it before rule {first.rule}, or take one of them away")


def _conditions(where: str, grant: Grant, entry: HandlerEntry) -> Iterator[Finding]:
    kinds = {each.name: sentence(each.kind) for each in entry.parameters}
    for each in grant.conditions:
        if each.argument not in kinds:
            known = ", ".join(kinds) or "nothing"
            yield Finding(Code.GRANT_UNKNOWN, where, f"it has no parameter {each.argument}", f"it takes {known}")
            continue
        try:
            check_conditions(structs.replace(grant, conditions=(each,)), entry.parameters)
        except DeclarationError:
            what = f"no call can fit: {each.argument}, of the type {kinds[each.argument]}, is never {words(each.test)}"
            yield Finding(Code.GRANT_NEVER_FITS, where, what, "change the condition, or take the grant away")


def _instead(grant: Grant, exports: Exports) -> str:
    member, _, method = grant.handler.rpartition(".")
    known = sorted(exports.get(member) or ())
    close = difflib.get_close_matches(method, known, 1)
    if close:
        return f"perhaps {member}.{close[0]} is meant"
    return f"{member} exports {', '.join(known) or 'nothing'}"


def _open(app: App, exports: Exports, reaching: Mapping[str, str]) -> Iterator[Finding]:
    hosts: dict[str, str] = {each.member: reaching.get(each.member, "") for each in app.hosts}
    shipped = {each.member for each in app.enclaves if each.actor.module.startswith(SHIPPED)}
    for child in app.extensions:
        for grant in app.grants[child.member]:
            export = export_of(grant, exports)
            if export is None or export.core or not grant.plain:
                continue
            server = grant.handler.rpartition(".")[0]
            why = _powerful(export.entry, host=hosts.get(server, ""), vault=server in shipped)
            if why:
                method = f"{server}.{export.entry.name}"
                change = f'constrain it: Grant("{method}").where(…), .at_most(…) or .approved()'
                yield Finding(
                    Code.GRANT_OPEN, place(child.member, grant), f"an extension may call it freely: {why}", change
                )


def _powerful(entry: HandlerEntry, *, host: str, vault: bool) -> str:
    if host:
        return f"its host {host}"
    if entry.sensitive:
        return "its result is sensitive"
    named = sorted(_NAMES_A_SECRET & {each.name for each in entry.parameters}) if vault else ()
    return f"it uses whatever secret its argument {named[0]} names" if named else ""


def _uncallable(app: App, exports: Exports) -> Iterator[Finding]:
    granted = {each.handler for _, grants in callers(app) for each in grants}
    for child, role in app.servers:
        methods = exports.get(child.member, {})  # of a replica, nothing
        left = [each for each in sorted(methods) if f"{child.member}.{each}" not in granted]
        if methods and len(left) == len(methods):
            what = f"nobody may call anything of this {'enclave' if role is Role.ENCLAVE else 'host'}"
            yield Finding(Code.HANDLER_UNCALLABLE, child.member, what, "grant what is needed of it, or leave it out")
        elif not child.actor.module.startswith(SHIPPED):
            for each in left:
                change = "grant it, or take its @handler away"
                yield Finding(Code.HANDLER_UNCALLABLE, f"{child.member}.{each}", "nobody may call it", change)


def unused(app: App, used: Collection[tuple[str, str]]) -> Iterator[Finding]:
    """Yield the grants that a run has not used. `used`: pairs of caller, which may be a replica, and handler."""
    services: dict[str, str] = {child.member: child.service for child, _ in app.children}
    called = {(services.get(member, member), handler) for member, handler in used}
    for caller, grants in callers(app):
        for handler in dict.fromkeys(each.handler for each in grants):
            if (caller, handler) not in called:
                first = next(each for each in grants if each.handler == handler)
                what = "the run in learn mode has not used it"
                yield Finding(
                    Code.GRANT_UNUSED, place(caller, first), what, "take it away, unless another run needs it"
                )
