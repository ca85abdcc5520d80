"""Who gets what to form a ring: fresh join tokens for links and sessions, each given to exactly two processes.

May import: our messages, `app`. Invariant: pure but for the randomness of the tokens; a token is in one plan only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from trollbridge.messages.control import Boot, SessionTicket
from trollbridge.messages.ids import Epoch, MemberId, Role

if TYPE_CHECKING:
    from trollbridge.actors.app import App, Child

TOKEN_SIZE = 32


class Place(msgspec.Struct, frozen=True):
    """One process's part of a ring."""

    member: MemberId
    role: Role
    token: bytes
    tickets: tuple[SessionTicket, ...]
    handlers: tuple[str, ...]
    granted: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Show who it is for."""
        return f"<Place of {self.member}>"

    @property
    def peers(self) -> tuple[str, ...]:
        """The members that it has sessions with."""
        return tuple(each.enclave if each.client == self.member else each.client for each in self.tickets)


def _tickets(app: App, client: MemberId, role: Role) -> tuple[SessionTicket, ...]:
    granted = app.grants[client]
    tickets: list[SessionTicket] = []
    for enclave in app.enclaves:
        prefix = f"{enclave.member}."
        methods = tuple(sorted(name[len(prefix) :] for name in granted if name.startswith(prefix)))
        if methods or role is Role.UI:
            tickets.append(SessionTicket(client, role.value, enclave.member, os.urandom(TOKEN_SIZE), methods))
    return tuple(tickets)


def _granted(app: App, enclave: MemberId) -> tuple[str, ...]:
    prefix = f"{enclave}."
    names = {name for granted in app.grants.values() for name in granted if name.startswith(prefix)}
    return tuple(sorted(name.removeprefix(prefix) for name in names))


def caller_place(app: App, client: MemberId, role: Role) -> Place:
    """Return the place of a UI or an extension, with fresh tokens."""
    return Place(client, role, os.urandom(TOKEN_SIZE), _tickets(app, client, role), tuple(sorted(app.grants[client])))


def ring_places(app: App) -> dict[MemberId, Place]:
    """Return the places of the enclaves and, after them, the UI in a new ring; extensions come once it is sealed."""
    ui = caller_place(app, app.ui.member, Role.UI)
    places: dict[MemberId, Place] = {}
    for enclave in app.enclaves:
        own = tuple(each for each in ui.tickets if each.enclave == enclave.member)
        token, granted = os.urandom(TOKEN_SIZE), _granted(app, enclave.member)
        places[enclave.member] = Place(enclave.member, Role.ENCLAVE, token, own, (), granted)
    return {**places, ui.member: ui}


def boot(member: MemberId, role: Role, child: Child | None, path: tuple[str, ...], learn: str = "") -> Boot:
    """Return the first message to a process; without a `child` it is the broker. `learn`: as in `Postures`."""
    if child is None:
        return Boot(member, role.value, "", (), path)
    home = os.path.expanduser("~")  # noqa: PTH111  # what the shell calls it
    return Boot(member, role.value, str(child.actor), child.settings, path, child.sandbox, home, learn)


def next_epoch(epoch: Epoch) -> Epoch:
    """Return the epoch after this one."""
    return Epoch(epoch + 1)
