"""The application as it is attacked: the user's declaration, with hostile code in the place of UI and extension.

May import: `actors`, `messages`. Invariants: enclaves, settings, grants and sandboxes are the user's; no hostile member
is granted anything of the user's enclaves that the member in whose place it stands is not.
"""

from __future__ import annotations

import copy
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.actors.app import App, Child
from trollbridge.actors.reference import ActorRef
from trollbridge.actors.supervision.intensity import Intensity
from trollbridge.messages.grants import Grant
from trollbridge.messages.ids import MemberId
from trollbridge.messages.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterable

UI: Final = ActorRef.parse("trollbridge.ui_adapter.attack.hostile:HostileUi")
EXTENSION: Final = ActorRef.parse("trollbridge.ui_adapter.attack.hostile:HostileExtension")
TARGET: Final = "trollbridge.enclave.target:Target"
_OF_UI: Final = ("echo", "mark", "count", "secret", "die", "post", "collect")
_OF_EXTENSION: Final = ("echo", "mark", "secret", "post", "collect")
_OF_ACCOMPLICE: Final = ("echo", "post", "collect")
_PATIENT: Final = Intensity(64, 1.0)
"""The suite kills its own target, more often than an application should bear."""


class Cast(msgspec.Struct, frozen=True):
    """Who plays what."""

    app: App
    ui: MemberId
    target: MemberId
    extension: MemberId
    """Granted what the user's first extension is, if there is one, and part of the target."""
    accomplice: MemberId
    """Granted less of the target."""
    enclaves: tuple[MemberId, ...]
    """The user's own."""


def cast(app: App) -> Cast:
    """Return the application to be attacked; `app` itself stays as it is."""
    taken = {child.member for child, _ in app.children}
    target, accomplice = _free("attack_target", taken), _free("attack_accomplice", taken)
    copied = copy.copy(app)
    copied.intensity = _PATIENT
    copied.ui = _disguised(app.ui, UI, target)
    played = app.extensions[0] if app.extensions else Child(str(EXTENSION), name=_free("attack_extension", taken))
    extension = _disguised(played, EXTENSION, target)
    second = _disguised(Child(str(EXTENSION), name=accomplice), EXTENSION, target)
    copied.enclaves = (*app.enclaves, Child(TARGET, name=target))
    copied.extensions = (extension, second)
    copied.ungroup()
    copied.grants = app.grants | {
        copied.ui.member: app.grants[app.ui.member] + _all(target, _OF_UI),
        extension.member: app.grants.get(extension.member, ()) + _all(target, _OF_EXTENSION),
        second.member: _all(target, _OF_ACCOMPLICE),
    }
    own = tuple(each.member for each in app.enclaves)
    return Cast(copied, copied.ui.member, MemberId(target), extension.member, second.member, own)


def alone(whole: Cast) -> Cast:
    """Return the same without the user's enclaves: for attacks that end processes by force."""
    app = copy.copy(whole.app)
    app.enclaves, app.hosts = app.enclaves[-1:], ()
    app.ungroup()
    prefix = f"{whole.target}."
    app.grants = {
        member: tuple(each for each in granted if each.handler.startswith(prefix))
        for member, granted in app.grants.items()
    }
    return msgspec.structs.replace(whole, app=app, enclaves=())


def _free(wanted: str, taken: Iterable[str]) -> str:
    """Return a name that nobody has."""
    names = set(taken)
    return next(name for name in (wanted, *(f"{wanted}_{number}" for number in range(2, 1000))) if name not in names)


def _all(target: str, methods: Iterable[str]) -> tuple[Grant, ...]:
    return tuple(Grant(f"{target}.{each}") for each in methods)


def _disguised(child: Child, actor: ActorRef, target: str) -> Child:
    """Return a child of the same name, settings and sandbox that runs other code."""
    disguised = copy.copy(child)
    disguised.actor = actor
    disguised.settings = (*child.settings, ("attack_name", child.member), ("attack_target", target))
    if child.sandbox is None and actor is UI:
        disguised.sandbox = _of_class(child)
    return disguised


def _of_class(child: Child) -> Sandbox | None:
    """Return the sandbox that the class of a UI declares, if the application has imported it; None: unconfined."""
    module = sys.modules.get(child.actor.module)
    found: object = getattr(getattr(module, child.actor.name, None), "sandbox", None)
    return found if isinstance(found, Sandbox) else None
