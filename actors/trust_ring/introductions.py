"""Who of a sealed ring has been introduced to whom: hosts come and go, and their clients learn of it.

May import: our messages, the other actors modules. Invariants: only a host is replaced, never whoever holds the ring
key; a server has a ticket before its client has; each client is told once that a host's process, which had a link, has
ended; nobody joins while a host is away that it calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import structs

from trollbridge.actors.trust_ring.formation import Place, clients_of, introduction, of_client
from trollbridge.messages import control
from trollbridge.messages.ids import BROKER, MemberId, Role

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.spawn import Process


class Introductions:
    """The hosts of one sealed ring after the other, and their clients."""

    def __init__(self, app: App, processes: Children) -> None:
        """Take the declaration and the processes."""
        self._app: Final = app
        self._processes: Final = processes
        self._clients: Final = {host.member: clients_of(app, host) for host in app.hosts}
        """Who calls each host."""
        self._linked: dict[MemberId, Process] = {}
        """Whoever the broker has a link with."""
        self._joined: set[Process] = set()
        self._known: set[tuple[Process, Process]] = set()
        """Client and host of each ticket that was given."""
        self._strangers: set[tuple[Process, MemberId]] = set()
        """Who has joined while a host that it would call was gone, and so knows nothing of it."""
        self._gone: set[MemberId] = set()
        self._waiting: list[Process] = []

    def begin(self) -> None:
        """Take the ring that is sealed now: all of it has joined, and found its sessions."""
        self._linked = {each.member: each for each in self._processes if each.role is not Role.ERRAND}
        self._joined = set(self._linked.values())
        self._known = {
            (self._linked[client], self._linked[host])
            for host, clients in self._clients.items()
            for client in clients & self._linked.keys()
        }
        self._gone.clear()
        self._strangers.clear()
        self._waiting.clear()

    def linked(self, member: str) -> bool:
        """Return whether the process that a member has now is the one with the link that it had last."""
        process = self._processes.get(member)
        return process is not None and self._linked.get(process.member) is process

    def waits(self, process: Process) -> bool:
        """Return whether a process must not join yet, since a host that it calls is away; `ready` tells when it may."""
        hosts = [host for host, clients in self._clients.items() if process.member in clients]
        if all(host in self._gone or self._linked.get(host) in self._joined for host in hosts):
            return False
        self._waiting.append(process)
        return True

    def admitted(self, process: Process, place: Place) -> Place:
        """Note that a process gets its link and its tickets; return its place, without hosts that are gone.

        Its servers are told before it is.
        """
        fit = structs.replace(place, tickets=tuple(each for each in place.tickets if each.server not in self._gone))
        self._strangers.update((process, MemberId(each.server)) for each in place.tickets if each not in fit.tickets)
        self._linked[process.member] = process
        for ticket in fit.tickets:
            self._processes.tell(MemberId(ticket.server), control.Admit(ticket))
            if ticket.server in self._clients:
                self._known.add((process, self._linked[MemberId(ticket.server)]))
        return fit

    def ready(self, process: Process) -> list[Process]:
        """Introduce whoever has joined to whom it is to know; return those who may join now."""
        self._joined.add(process)
        for host, clients in self._clients.items():
            for client in (process.member,) if process.member in clients else clients:
                if process.member in (host, client):
                    self._introduce(client, host)
        return self._may_join() if process.role is Role.HOST else []

    def _introduce(self, client: MemberId, host: MemberId) -> None:
        caller, server = self._linked.get(client), self._linked.get(host)
        if caller is None or server is None or not {caller, server} <= self._joined:
            return
        ticket = introduction(self._app, client, caller.role, host)
        if (caller, server) in self._known or (caller, host) in self._strangers or ticket is None:
            return
        self._known.add((caller, server))
        self._processes.tell(server, control.Admit(ticket))
        self._processes.tell(caller, control.Renew(of_client(ticket)))

    def _may_join(self) -> list[Process]:
        waiting, self._waiting = self._waiting, []
        return [each for each in waiting if self._processes.get(each.member) is each and not self.waits(each)]

    def ended(self, member: MemberId) -> None:
        """Note that a process has been reaped; tell the clients of a host."""
        process = self._linked.pop(member, None)
        if process is None:
            return
        self._joined.discard(process)
        self._known = {pair for pair in self._known if process not in pair}
        self._strangers = {pair for pair in self._strangers if pair[0] is not process}
        if process.role is Role.HOST:
            self._tell_clients(member, control.Away(member))

    def withdraw(self, member: MemberId) -> list[Process]:
        """Note that a host does not come back; return those who may join now."""
        self._gone.add(member)
        message = control.Withdrawn(member)
        self._processes.tell(BROKER, message)
        self._tell_clients(member, message)
        return self._may_join()

    def returns(self, member: MemberId) -> None:
        """Note that a host is started after all."""
        self._gone.discard(member)

    def _tell_clients(self, host: MemberId, message: control.Away | control.Withdrawn) -> None:
        for client in self._clients.get(host, ()):
            process = self._linked.get(client)
            if process is not None and (process, host) not in self._strangers:
                self._processes.tell(process, message)
