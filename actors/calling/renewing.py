"""The hosts that a client calls, as they come and go within an epoch: a core without a socket or a clock.

May import: our messages. Invariants: what counts of a host is ordered by the link alone: what came before its `Left` is
of the process that has left, what comes after it is of the next; a call goes to a process of which nobody has said that
it has ended; one that may have left this client is never sent again by what is in here.

The supervisor says `Away` once, the broker `Left` once, of each process that had a link. So the two can be counted
against each other, whichever comes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.messages.control import Away, Renew, Verdict, Withdrawn
from trollbridge.messages.errors import HandshakeFailed, Malformed, Outcome, ProtocolError, ServerLost
from trollbridge.messages.ids import MemberId, Role
from trollbridge.messages.record import Left, Request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from trollbridge.actors.calling.founding import Founding
    from trollbridge.actors.calling.membership import Membership
    from trollbridge.actors.calling.pending import Pending, Settled
    from trollbridge.actors.calling.route import Route
    from trollbridge.messages.control import SessionTicket
    from trollbridge.messages.ids import HandlerName, HandlerUID
    from trollbridge.messages.record import Item

    Word = Away | Renew | Withdrawn


class _Host:
    """One host, whichever process it is."""

    __slots__ = ("away", "early", "founding", "gone", "left", "service", "ticket", "verdicts", "voided")

    def __init__(self, service: MemberId, left: int) -> None:
        self.service: Final = service
        self.left = left
        """Processes of it that have left, as the link has it; the session is with the one after them."""
        self.away = 0
        """The same as the supervisor has it."""
        self.ticket: SessionTicket | None = None
        """For the process after those that are away, until the link has come as far."""
        self.founding: Founding | None = None
        self.early: list[tuple[HandlerName, HandlerUID]] = []
        """UIDs for the process with which the session is being founded."""
        self.voided: set[HandlerName] = set()
        """Handlers of which UIDs for the present process were let go of: the broker does so when that leaves."""
        self.verdicts: dict[int, Verdict] = {}
        """What became of the calls of processes that are away and have not left."""
        self.gone = False


class Renewing:
    """The hosts of one client in one epoch. The client's lock is held around every call."""

    def __init__(
        self,
        membership: Membership,
        hosts: Mapping[MemberId, tuple[MemberId, int]],
        found: Callable[[SessionTicket], Founding],
    ) -> None:
        """Take of each host whose replica it is and how often it has left, and what begins to found a session."""
        self._of = membership
        self._hosts = {member: _Host(*each) for member, each in hosts.items()}
        self._found = found
        self._voided: set[HandlerName] = set()
        """Handlers with replicas of which UIDs were lost with one: the broker has more for them."""
        self.lost: list[Settled] = []
        """Calls that were sent to hosts that have left, until somebody takes them to wait for a verdict."""
        self.judged: list[Settled] = []
        """Such calls of which it is known what became of them."""

    # What the supervisor says.

    def told(self, word: Word) -> None:
        """Take the supervisor's word of a host; raises `ProtocolError` for what is none of this client's."""
        match word:
            case Renew(ticket):
                self._renewed(ticket)
            case Away(member):
                host = self._host(member)
                host.away, host.ticket = host.away + 1, None
                if host.away > host.left:
                    self._use_no_more(host, MemberId(member))
            case Withdrawn(member):
                self._host(member).ticket = None
                self._withdraw(MemberId(member))

    def judge(self, verdict: Verdict) -> bool:
        """Keep what is said of a host's calls while they are still in flight here; return whether they are."""
        host = self._hosts.get(MemberId(verdict.server))
        if host is None or host.away <= host.left:
            return False
        host.verdicts[host.away] = verdict
        return True

    def verdicts(self) -> list[Verdict]:
        """Return what is known of the calls of hosts that are away and have not left."""
        return [each.verdicts[each.left + 1] for each in self._hosts.values() if each.left + 1 in each.verdicts]

    def _host(self, member: str) -> _Host:
        if member not in self._hosts:
            raise Malformed
        return self._hosts[MemberId(member)]

    def _renewed(self, ticket: SessionTicket) -> None:
        host = self._host(ticket.server)
        twice = host.away == host.left and (host.founding is not None or ticket.server in self._of.peers)
        if ticket.server_role != Role.HOST or host.ticket is not None or twice:
            raise Malformed
        host.gone = False
        if host.away >= host.left:
            host.ticket = ticket
            self._begin(host)

    def _begin(self, host: _Host) -> None:
        """Found the session that a ticket is for, once all that had the link before has left."""
        if host.ticket is None or host.away != host.left:
            return
        host.founding, host.ticket = self._found(host.ticket), None

    # What the link brings.

    def left(self, member: MemberId) -> None:
        """Take the broker's word that a host has left: end what it was sent. Raises `Malformed` for no host's name."""
        host = self._host(member)
        host.left += 1
        self._of.endpoint.put(Left(member))
        host.founding = None
        self._use_no_more(host, member)
        self._voided |= host.voided
        host.voided.clear()
        host.early.clear()
        self._end(member, host.verdicts.pop(host.left, None))
        for name, route in self._routes(member):
            if self.usable(route):
                if name in self._voided:
                    self._ask(name)
            elif not any(each in self._of.peers for each in route.servers):
                self._of.asked.discard(name)
                self._of.leases.pop(name, None)
                self._voided.discard(name)
        if host.gone:
            self._withdraw(member)
        self._begin(host)

    def _end(self, member: MemberId, verdict: Verdict | None) -> None:
        """End the session with a host: what has not left this process waits again, the rest is to be told."""
        peer = self._of.peers.pop(member, None)
        if peer is None:
            return
        peer.session.drop()
        kept = self._of.endpoint.take_back(member)
        waits: list[Pending] = []
        for uid, pending in tuple(self._of.pending.items()):
            if pending.peer != member:
                continue
            self._of.end(uid)
            if uid in kept or pending.sequence < 0:
                pending.renew(pending.route)
                waits.append(pending)
                continue
            gone = self.gone(member)
            lost = pending.lost(gone=gone)
            if verdict is None:
                self.lost.append(lost)
            else:
                self.judged.append(pending.judged(verdict, lost.error, gone=gone))
        for pending in reversed(waits):
            self._of.put_back(pending)

    def take(self, item: Item, body: bytes, member: MemberId) -> None:
        """Take an envelope that founds a session; raises `Malformed` if none is founded."""
        host = self._host(member)
        founding = host.founding
        if founding is None:
            raise Malformed
        try:
            founding.take(item, body)
            if founding.complete:
                host.founding = None
                self._founded(member, host, founding)
        except ProtocolError:
            host.founding = None
            self._withdraw(member)

    def _founded(self, member: MemberId, host: _Host, founding: Founding) -> None:
        """Have calls go to a host that is back; raises `Malformed` if it exports something else than before."""
        peers, routes = founding.founded()
        known = dict(self._routes(member))
        if known and known.keys() != routes.keys():
            raise Malformed
        for name, route in routes.items():
            if name in self._of.routes:
                self._of.routes[name].renew(member, route.entry)
            else:
                self._of.routes[name] = route
        self._of.peers[member] = peers[member]
        early, host.early = host.early, []
        if host.away > host.left:  # it has ended since
            return
        for name, uid in early:
            self._of.credit(self._of.routes[name], uid, member)
        for name in routes:
            if name in self._voided or self._of.waiting.get(name):
                self._ask(name)
            elif not self._of.leases.get(name):
                self._of.asked.discard(name)  # what was asked may have come to nothing

    def _ask(self, name: HandlerName) -> None:
        self._voided.discard(name)
        self._of.asked.add(name)
        self._of.endpoint.put(Request(name))

    # Which host may be called.

    @property
    def unsettled(self) -> bool:
        """Whether the link is to be read, even if nobody waits for anything: a host comes or goes."""
        return any(
            each.founding is not None or each.ticket is not None or each.away > each.left
            for each in self._hosts.values()
        )

    def _routes(self, member: MemberId) -> Iterator[tuple[HandlerName, Route]]:
        return ((name, route) for name, route in tuple(self._of.routes.items()) if route.serves(member))

    def _here(self, member: MemberId) -> bool:
        host = self._hosts.get(member)
        return member in self._of.peers and (host is None or host.away <= host.left)

    def usable(self, route: Route) -> bool:
        """Return whether anybody who serves a handler is there."""
        return not self._hosts or any(map(self._here, route.servers))

    def keeps(self, name: HandlerName, uid: HandlerUID, member: MemberId) -> bool:
        """Return whether a UID that has come cannot be used now: it is kept, or is as void as the host is away."""
        if not self._hosts or self._here(member):
            return False
        host = self._hosts.get(member)
        if host is None:
            return True
        if host.founding is not None and host.away <= host.left:
            host.early.append((name, uid))
        else:
            host.voided.add(name)
        return True

    def _use_no_more(self, host: _Host, member: MemberId) -> None:
        host.voided.update(name for name, held in self._of.leases.items() if held.drop(member))
        host.voided.update(name for name, _ in host.early)
        host.voided.update(each.route.name for each in self._of.pending.values() if each.peer == member)

    def _withdraw(self, member: MemberId) -> None:
        """End the calls that only this host could take; they have never left this process."""
        host = self._host(member)
        host.gone = True
        for name, route in self._routes(member):
            if any(each not in self._hosts or not self._hosts[each].gone for each in route.servers):
                continue
            del self._of.routes[name]
            self._of.asked.discard(name)
            self._of.leases.pop(name, None)
            self.judged += [each.lost(Outcome.NOT_STARTED, gone=True) for each in self._of.waiting.pop(name, ())]

    def gone(self, member: str) -> bool:
        """Return whether a host does not come back in this ring, as far as the supervisor has said."""
        host = self._hosts.get(MemberId(member))
        return host is not None and host.gone

    def missing(self, name: str) -> ServerLost | None:
        """Return why a handler cannot be called, if that is so because no host of its service is there."""
        service = name.partition(".")[0]
        hosts = [each for each in self._hosts.values() if each.service == service]
        if not hosts:
            return None
        gone = all(each.gone for each in hosts)
        return ServerLost(outcome=Outcome.NOT_STARTED, handler=name, gone=gone)

    def drop(self) -> None:
        """Forget what is being founded."""
        for host in self._hosts.values():
            host.founding = host.ticket = None


def never(_ticket: SessionTicket) -> Founding:
    """Found nothing: for a client that calls no host."""
    raise HandshakeFailed
