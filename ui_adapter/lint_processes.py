"""What other processes answer the linter and `explain`: what the servers export, and what each process may reach.

May import: our actors' declaration, `manifests`, the doctor's values. Invariant: no actor's module is imported in this
process, and what is answered is decoded as what it must be.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from trollbridge.messages.errors import ActorNotLoadable, DeclarationError
from trollbridge.ui_adapter.doctor_scopes import Scope
from trollbridge.ui_adapter.manifests import PATIENCE, manifest_of

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.ui_adapter.lint_grants import Exports

_DOCTOR: Final = "from trollbridge.ui_adapter.cli import main; main()"
_SCOPES: Final = msgspec.json.Decoder(tuple[Scope, ...])


def exports(app: App) -> Exports:
    """Return the handlers of each enclave and host by service and method.

    Raises `ActorNotLoadable` for a class that cannot be loaded, or that exports what cannot be sent.
    """
    found = manifest_of(app)
    for service, manifest in found.items():
        if manifest.error:
            msg = f"{service}: {manifest.error}"
            raise ActorNotLoadable(msg)
    return {service: {each.entry.name: each for each in manifest.handlers} for service, manifest in found.items()}


def scopes(reference: str) -> tuple[Scope, ...]:
    """Return what the doctor says of an application's scopes; raises `DeclarationError` with the doctor's sentence."""
    doctor = [sys.executable, "-I", "-c", _DOCTOR, "doctor", reference, "--json"]
    try:
        done = subprocess.run(doctor, capture_output=True, timeout=PATIENCE, check=False)  # noqa: S603  # our own program
    except subprocess.TimeoutExpired:
        msg = f"{reference}: importing its classes takes longer than {PATIENCE:.0f} seconds"
        raise DeclarationError(msg) from None
    try:
        return _SCOPES.decode(done.stdout)
    except msgspec.DecodeError:
        said = [*filter(None, done.stderr.decode(errors="replace").splitlines())]
        msg = said[-1].removeprefix("trollbridge: ") if said else f"{reference}: its classes cannot be asked"
        raise DeclarationError(msg) from None
