"""What the code of callers says against the declaration: an enclave's code that they load, handlers they never name.

May import: our actors' declaration and messages, `lint_sources`. Invariant: a caller's code is read, never imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.ids import Role
from trollbridge.ui_adapter.lint_finding import Code, Finding
from trollbridge.ui_adapter.lint_grants import SHIPPED, place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trollbridge.actors.app import App
    from trollbridge.ui_adapter.lint_sources import Sources

_KEEPS: Final = "trollbridge.enclave"
"""The shipped package that only an enclave's process has to load."""
_APART: Final = 'name it "module:Class" where the application is declared, and import it nowhere else'


def findings(app: App, sources: Sources) -> Iterator[Finding]:
    """Yield what is wrong with what callers import."""
    enclaves = {child.actor.module: child for child in app.enclaves}
    for child, role in app.children:
        if role not in (Role.UI, Role.EXTENSION) or child.actor.module.startswith(SHIPPED):
            continue
        if child.actor.module in enclaves:
            what = f"the enclave {enclaves[child.actor.module].member} is defined in its module, {child.actor.module}"
            yield Finding(Code.ENCLAVE_IMPORTED, child.member, what, f"give each a module of its own: {_APART}")
            continue
        for module, way in sources.reached(child.actor.module).items():
            enclave = enclaves.get(module)
            if enclave is None and not (module == _KEEPS or module.startswith(f"{_KEEPS}.")):
                continue
            what = f"the enclave {enclave.member}, {enclave.actor}" if enclave else f"{module}, which keeps secrets"
            shown = " → ".join(way)
            yield Finding(Code.ENCLAVE_IMPORTED, child.member, f"its process loads {what}: {shown}", _APART)
            break  # one way is enough to see, and what lies behind it is the enclave's own


def unmentioned(app: App, sources: Sources) -> Iterator[Finding]:
    """Yield the grants whose handlers the caller's code does not mention: a guess, as the finding says."""
    shipped = {child.service for child, _ in app.servers if child.actor.module.startswith(SHIPPED)}
    for child, _ in app.children:
        grants = app.grants[child.member] if child.member == child.service else ()
        mentions = sources.called(child.actor.module) if grants else None
        if mentions is None:
            continue
        helped = sources.helped(child.actor.module)
        for handler in dict.fromkeys(each.handler for each in grants):
            if helped and handler.partition(".")[0] in shipped:
                continue
            first = next(each for each in grants if each.handler == handler)
            if first.method not in mentions:
                what = f"the code of {child.actor.module} seems never to call it (a guess: it names no {first.method})"
                change = "take it away, if nothing needs it"
                yield Finding(Code.GRANT_UNMENTIONED, place(child.member, first), what, change)


def missing(app: App, sources: Sources) -> Iterator[Finding]:
    """Yield what the code of enclaves and hosts calls of their peers, and is not granted."""
    actors = {(child.actor.module, child.actor.name) for child, _ in app.children}
    for child, _ in app.servers:
        own, granted = (child.actor.module, child.actor.name), app.granted(child.member)
        if child.member != child.service or own[0].startswith(SHIPPED):
            continue
        for module, scope, handler in sorted(sources.peers(own[0])):
            if handler not in granted and not ((module, scope) in actors and (module, scope) != own):
                what = f"its code calls self.peers.{handler}, which is not granted to it"
                change = f'add "{handler}" to its list in App(grants=…), or take the call away'
                yield Finding(Code.GRANT_MISSING, child.member, what, change)
