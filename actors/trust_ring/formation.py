"""Who gets what to form a ring: fresh join tokens for links and sessions, each given to exactly two processes.

May import: our messages, `app`. Invariant: pure but for the randomness of the tokens; a token is in one plan only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
from msgspec import structs

from trollbridge.messages.control import Boot, Granted, Join, SessionTicket
from trollbridge.messages.grants import Grant
from trollbridge.messages.ids import Epoch, MemberId, Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trollbridge.actors.app import App, Child

TOKEN_SIZE = 32


class Place(msgspec.Struct, frozen=True):
    """One process's part of a ring."""

    member: MemberId
    role: Role
    token: bytes
    tickets: tuple[SessionTicket, ...]
    handlers: tuple[str, ...]
    granted: tuple[Granted, ...] = ()
    service: str = ""
    """Whose replica it is, if it is one."""

    def __repr__(self) -> str:
        """Show who it is for."""
        return f"<Place of {self.member}>"

    @property
    def peers(self) -> tuple[str, ...]:
        """The members that it has sessions with."""
        return tuple(each.server if each.client == self.member else each.client for each in self.tickets)

    def join(self, epoch: Epoch, key: bytes = b"", quarantined: tuple[bytes, ...] = ()) -> Join:
        """Return the message to its holder, which learns what it may call, but not under which conditions.

        A server is told the `key` of the digests of calls, and those that it is not to run.
        """
        told = tuple(each if each.server == self.member else of_client(each) for each in self.tickets)
        return Join(epoch, self.token, told, self.granted, key, quarantined)


def of_client(ticket: SessionTicket) -> SessionTicket:
    """Return the client's copy of a ticket: the server's names a rule's patterns, values and rates."""
    return structs.replace(ticket, grants=tuple(map(Grant, ticket.methods)))


def _tickets(app: App, client: MemberId, role: Role) -> tuple[SessionTicket, ...]:
    found = (_ticket(app, client, role, server, server_role) for server, server_role in app.servers)
    return tuple(each for each in found if each is not None)


def _ticket(app: App, client: MemberId, role: Role, server: Child, server_role: Role) -> SessionTicket | None:
    """Return a fresh ticket, or None for who has nothing to call there."""
    grants = _of(app.allowed(client), server.service)
    if not grants and not (role is Role.UI and server_role is Role.ENCLAVE):  # the ring key goes to every enclave
        return None
    ends = client, role.value, server.member, server_role.value
    return SessionTicket(*ends, os.urandom(TOKEN_SIZE), grants, _service(server))


def clients_of(app: App, host: Child) -> frozenset[MemberId]:
    """Return who may call anything of a host."""
    return frozenset(child.member for child, _ in app.children if _of(app.allowed(child.member), host.service))


def introduction(app: App, client: MemberId, role: Role, host: MemberId) -> SessionTicket | None:
    """Return a ticket for a session with a host that has come in the place of another; None without any grant."""
    [server] = [each for each in app.hosts if each.member == host]
    return _ticket(app, client, role, server, Role.HOST)


def _service(child: Child) -> str:
    return "" if child.service == child.member else child.service


def _of(grants: Iterable[Grant], server: MemberId) -> tuple[Grant, ...]:
    """Return the grants for one server's handlers, as a ticket has them: by method, in their order."""
    prefix = f"{server}."
    return tuple(structs.replace(each, handler=each.method) for each in grants if each.handler.startswith(prefix))


def _granted(app: App, server: MemberId) -> tuple[Granted, ...]:
    found = ((child.member, role, _of(app.allowed(child.member), server)) for child, role in app.children)
    return tuple(Granted(member, role.value, grants) for member, role, grants in found if grants)


def _names(grants: Iterable[Grant]) -> tuple[str, ...]:
    return tuple(sorted({each.handler for each in grants}))


def caller_place(app: App, client: MemberId, role: Role) -> Place:
    """Return the place of a caller, with fresh tokens for its sessions as a client."""
    return Place(client, role, os.urandom(TOKEN_SIZE), _tickets(app, client, role), _names(app.allowed(client)))


def host_place(app: App, host: MemberId) -> Place:
    """Return the place of a host that joins a sealed ring; its clients' tickets come once it has joined."""
    [server] = [each for each in app.hosts if each.member == host]
    place = caller_place(app, host, Role.HOST)
    return structs.replace(place, granted=_granted(app, server.service), service=_service(server))


def ring_places(app: App) -> dict[MemberId, Place]:
    """Return the places of the servers and, after them, the UI in a new ring; extensions come once it is sealed.

    Both ends of a session get its ticket.
    """
    children = (*app.servers, (app.ui, Role.UI))
    callers = [(caller_place(app, child.member, role), child) for child, role in children]
    tickets = [each for caller, _ in callers for each in caller.tickets]
    return {
        caller.member: structs.replace(
            caller,
            tickets=tuple(each for each in tickets if caller.member in (each.client, each.server)),
            granted=_granted(app, child.service),
            service=_service(child),
        )
        for caller, child in callers
    }


def boot(member: MemberId, role: Role, child: Child | None, path: tuple[str, ...], learn: str = "") -> Boot:
    """Return the first message to a process; without a `child` it is the broker. `learn`: as in `Postures`."""
    if child is None:
        return Boot(member, role.value, "", (), path, learn=learn)
    home = os.path.expanduser("~")  # noqa: PTH111  # what the shell calls it
    actor, memory, service = str(child.actor), child.memory, _service(child)
    return Boot(member, role.value, actor, child.settings, path, child.sandbox, home, learn, memory, service)


def next_epoch(epoch: Epoch) -> Epoch:
    """Return the epoch after this one."""
    return Epoch(epoch + 1)
