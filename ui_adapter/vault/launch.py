"""Runs one order: an application of a UI, a broker and the vault, which ends when the order is carried out.

May import: our actors, our orders. Invariants: this process, the supervisor, reads no password, no document and no
input; the UI may call only what its order needs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import click
import msgspec

from trollbridge.actors.app import App, Child
from trollbridge.ui_adapter.booting import booting
from trollbridge.ui_adapter.loading import demand_linux
from trollbridge.ui_adapter.vault import first_steps, places
from trollbridge.ui_adapter.vault.orders import MEMBER, OPENING, CreateVault, Source
from trollbridge.ui_adapter.vault.reports import tell
from trollbridge.ui_adapter.vault.request import Request, encode

if TYPE_CHECKING:
    from trollbridge.actors.operations.log import Log

_CONSOLE: Final = "trollbridge.ui_adapter.vault.console:VaultConsole"
_VAULT: Final = "trollbridge.enclave.vault:Vault"
_LARGEST: Final = 128 << 10
"""Characters of a request: it travels in one message."""
_STANDARD: Final = 2
"""The last of the standard descriptors, which a UI has anyway."""


def _sources(value: msgspec.Struct) -> list[Source]:
    """Return every source of a password in a request."""
    fields = [getattr(value, name) for name in value.__struct_fields__]
    inner = [each for part in fields if isinstance(part, msgspec.Struct) for each in _sources(part)]
    return [value, *inner] if isinstance(value, Source) else inner


def _descriptors(request: Request) -> tuple[int, ...]:
    """Return the descriptors that the UI reads passwords from; raises `click.UsageError` for one that is not open."""
    found = sorted({each.descriptor for each in _sources(request) if each.descriptor >= 0})
    for each in found:
        try:
            os.fstat(each)
        except OSError as error:
            msg = f"descriptor {each}: {error.strerror}"
            raise click.UsageError(msg) from None
    return tuple(each for each in found if each > _STANDARD)


def _encoded(request: Request) -> str:
    """Return the request as text; raises `click.UsageError` for what is too long or no text."""
    try:
        text = encode(request)
    except UnicodeEncodeError:
        msg = "an argument is not valid UTF-8; a file of such a name can be read by redirection, with - as its name"
        raise click.UsageError(msg) from None
    if len(text) > _LARGEST:
        msg = "the arguments are too long"
        raise click.UsageError(msg)
    return text


def application(request: Request, least: str) -> App:
    """Return the declaration; raises `click.UsageError`."""
    calls = dict.fromkeys((*OPENING, *request.order.calls))
    return App(
        ui=Child(_CONSOLE, name=MEMBER, settings={"request": _encoded(request)}, descriptors=_descriptors(request)),
        enclaves=[Child(_VAULT, name="vault", settings={"path": request.vault, "claim": "at-call"})],
        grants={MEMBER: [f"vault.{each}" for each in calls]},
        least=least,
    )


def _demand_room(path: str) -> None:
    """Raise `click.UsageError` if the folder of a new vault holds what is none of a vault's."""
    other = places.crowded(path)
    if other:
        msg = f"a vault needs a folder of its own, and {os.path.dirname(path)} holds {other}"  # noqa: PTH120
        raise click.UsageError(msg)


def run(request: Request, log: Log, least: str) -> int:
    """Carry the order out; return the exit code. Raises `BootFailed`, `DeclarationError` or `click.UsageError`."""
    demand_linux()
    if isinstance(request.order, CreateVault):
        _demand_room(request.vault)
        hindrance = first_steps.hindrance(request.vault, request.order.mode)
        if hindrance is not None:
            tell(hindrance.text)
            return hindrance.code
    app = application(msgspec.structs.replace(request, known=places.state()), least)
    from trollbridge.actors.supervision.supervisor import Supervisor  # noqa: PLC0415  # a wrong command line need not wait for it

    with booting():
        return Supervisor(app, log).run()
