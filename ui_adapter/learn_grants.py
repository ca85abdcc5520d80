"""The grants that a run in learn mode would have needed: who called what, and what was refused all the same.

May import: our actors' declaration and log, our messages, `manifests`. Invariants: what is widened is a copy of the
declaration that only learn mode runs; what is declared already stays, with its conditions, and refuses as ever; no
argument of a call is recorded. What the broker and the servers tell is data: a line says only whether a caller has
called a handler that the run let it call, so no text of theirs becomes a part of the draft.
"""

from __future__ import annotations

import copy
import re
from typing import TYPE_CHECKING, Final

from msgspec import structs

from trollbridge.messages.control import NoticeKind
from trollbridge.messages.errors import ActorNotLoadable
from trollbridge.messages.grants import Grant
from trollbridge.messages.ids import BROKER, MemberId, Role
from trollbridge.messages.vault import printable
from trollbridge.ui_adapter import explain_words
from trollbridge.ui_adapter.manifests import manifest_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trollbridge.actors.app import App
    from trollbridge.actors.operations.log import Line, Log
    from trollbridge.ui_adapter.manifests import Manifest

HEAD: Final = "# Proposed grants: what was called in this run. What is declared already stays."
MOST_REFUSED: Final = 200
"""Refusals that are kept of a run; each is a line for a person to look at."""
_BROKERS: Final = frozenset({NoticeKind.GRANT_USED, NoticeKind.LEASE_REFUSED})
"""What the broker alone can know."""
LONGEST_WHY: Final = 200
"""Characters of a reason that are shown."""
_REFUSED: Final = re.compile(r"(?P<method>[A-Za-z0-9_]+) rule [0-9]{1,6}(?=$|, [0-9]+ so far$)")
"""The detail of a `call.refused`, as an honest server has it."""


def manifests(app: App) -> Mapping[str, Manifest]:
    """Return what the servers export; nothing if that cannot be told: whoever starts them will say why."""
    try:
        return manifest_of(app)
    except ActorNotLoadable:
        return {}


def widened(app: App, exported: Mapping[str, Manifest]) -> App:
    """Return a copy of the declaration in which the UI and the extensions may call whatever they have no grant for.

    But what is for the core UI alone stays so. Enclaves and hosts get no more than they have: if all of them could
    call each other, they could come to wait for each other.
    """
    wide = copy.copy(app)
    wide.grants = {
        child.member: _with_all(app, child.member, role, exported)
        if role in (Role.UI, Role.EXTENSION)
        else app.grants[child.member]
        for child, role in app.children
    }
    return wide


def _with_all(app: App, caller: MemberId, role: Role, exported: Mapping[str, Manifest]) -> tuple[Grant, ...]:
    declared, known = app.grants[caller], app.granted(caller)
    more = [
        Grant(f"{service}.{each.entry.name}")
        for service, manifest in exported.items()
        for each in manifest.handlers
        if f"{service}.{each.entry.name}" not in known and (role is Role.UI or not each.core)
    ]
    return (*declared, *(structs.replace(each, rule=number) for number, each in enumerate(more, len(declared) + 1)))


class Heard:
    """What the log of a run says of grants."""

    def __init__(self, log: Log, app: App) -> None:
        """Take the log, and the declaration that runs: what it grants nobody, nobody has called."""
        log.subscribe(self.hear)
        self._callable: Final[dict[str, frozenset[str]]] = {
            child.member: frozenset(each.handler for each in app.allowed(child.member)) for child, _ in app.children
        }
        self.used: Final[set[tuple[str, str]]] = set()
        """Caller and handler."""
        self.refused: Final[set[tuple[str, str, str]]] = set()
        """Caller, handler with its rule, and why."""

    def hear(self, line: Line) -> None:
        """Note what a line says of grants."""
        handlers = self._callable.get(line.member)
        if handlers is not None and (line.event not in _BROKERS or line.told_by == BROKER):
            self._note(line, handlers)

    def _note(self, line: Line, handlers: frozenset[str]) -> None:
        event, member, detail, why = line.event, line.member, line.detail, line.why
        what = ""
        if event == NoticeKind.GRANT_USED and detail in handlers:
            self.used.add((member, detail))
        elif event == NoticeKind.CALL_REFUSED:
            found = _REFUSED.match(detail)
            what = found[0] if found and any(each.endswith(f".{found['method']}") for each in handlers) else ""
        elif event == NoticeKind.LEASE_REFUSED and not detail:
            what = "a handler that it may not call"
        if what and len(self.refused) < MOST_REFUSED:
            self.refused.add((member, what, printable(why[:LONGEST_WHY])))


def draft(app: App, heard: Heard) -> dict[MemberId, tuple[Grant, ...]]:
    """Return the grants to declare: those that there are, and those that were missed, in order."""
    called = _called(app, heard)
    found: dict[MemberId, tuple[Grant, ...]] = {}
    for child, _ in app.children:
        missed = sorted(called.get(child.member, set()) - {each.handler for each in app.allowed(child.member)})
        if child.member == child.service and (app.grants[child.member] or missed):
            found[child.member] = (*app.grants[child.member], *map(Grant, missed))
    return found


def _called(app: App, heard: Heard) -> dict[str, set[str]]:
    """Return what each caller has called; what a replica has, counts for the member that it is one of."""
    services: dict[str, str] = {child.member: child.service for child, _ in app.children}
    called: dict[str, set[str]] = {}
    for member, handler in heard.used:
        called.setdefault(services.get(member, member), set()).add(handler)
    return called


def lines(app: App, heard: Heard) -> Iterator[str]:
    """Yield the draft as it is written in a declaration, and what is to be looked at."""
    found = draft(app, heard)
    yield "grants = {" if found else "grants = {}"
    for caller, grants in found.items():
        yield f'    "{caller}": ['
        yield from (f"        {explain_words.code(each)}," for each in grants)
        yield "    ],"
    if found:
        yield "}"
    remarks = [*_unused(app, heard), *_refused(heard)]
    if remarks:
        yield "to be looked at:"
        yield from (f"  - {each}" for each in remarks)


def _unused(app: App, heard: Heard) -> Iterator[str]:
    called = _called(app, heard)
    for child, _ in app.children:
        if child.member == child.service:
            used = called.get(child.member, set())
            left = dict.fromkeys(each.handler for each in app.grants[child.member] if each.handler not in used)
            if left:
                yield f"{child.member}: granted, and not called in this run: {', '.join(left)}"


def _refused(heard: Heard) -> Iterator[str]:
    for member, what, why in sorted(heard.refused):
        yield f"{member}: refused, {what}: {why}"
