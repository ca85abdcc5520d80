"""What the supervisor makes of the ledgers of servers: verdicts for their clients, and what is put in quarantine.

May import: our messages, the other actors modules. Invariants: a page is read only by its own descriptor, and closed
once its process is reaped; what stands in it is the server's word about its own calls, and nobody else's: a caller is
one that has a grant for the handler, a handler one that somebody has a grant for, and a line of the log says whose word
it is and holds no bytes that a server has written.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Final

from msgspec import structs

from trollbridge.actors.outcomes import call_ledger
from trollbridge.actors.outcomes.call_account import NOBODY, Account
from trollbridge.actors.outcomes.quarantine import DEADLY, NO_DIGEST, Suspects, of_caller
from trollbridge.actors.supervision.barring import Blame
from trollbridge.messages import control, operator
from trollbridge.messages.ids import SERVING, MemberId, Role

if TYPE_CHECKING:
    from trollbridge.actors.app import App
    from trollbridge.actors.operations.log import Log
    from trollbridge.actors.outcomes.call_account import Running
    from trollbridge.actors.supervision.children import Children
    from trollbridge.actors.supervision.spawn import Process

_CLIENTS: Final = frozenset({Role.UI, Role.EXTENSION, *SERVING})
_SHUTDOWN: Final = -int(signal.SIGTERM)
"""The status of a process that was told from outside to end: nothing that it ran is to blame."""


class Verdicts:
    """The ledgers of one application's servers."""

    def __init__(self, app: App, processes: Children, log: Log) -> None:
        """Take the declaration, the processes and the log."""
        self._members: Final[dict[str, MemberId]] = {str(child.member): child.member for child, _ in app.children}
        self._services: Final = {child.member: child.service for child, _ in app.children}
        self._roles: Final[dict[str, Role]] = {str(child.member): role for child, role in app.children}
        self._granted: Final = {child.service: _granted(app, child.service) for child, _ in app.servers}
        """Caller and method of each grant for a server's handlers."""
        self._processes = processes
        self._log = log
        self._pages: dict[Process, int] = {}
        self._suspects = Suspects()

    def open(self, process: Process) -> tuple[int, ...]:
        """Make the page of a server's process; return its descriptor to be sent along, which stays ours.

        Nothing for a process that serves nobody, and none where the system has no memory for it: its calls end as
        unknown.
        """
        if process.role not in SERVING:
            return ()
        try:
            page = call_ledger.make()
        except OSError:
            return ()
        self._pages[process] = page
        return (page,)

    def quarantine(self, server: MemberId) -> tuple[bytes, tuple[bytes, ...]]:
        """Return what a server is told when it joins: the key of the digests, and those of calls that it is to refuse.

        Nobody else is told.
        """
        service = self._services.get(server)
        return (self._suspects.key, self._suspects.listed(service)) if service else (b"", ())

    def _account(self, process: Process) -> Account:
        page = self._pages.get(process)
        return Account(b"" if page is None else os.pread(page, call_ledger.SIZE, 0), self._members)

    def running(self, process: Process) -> Running | None:
        """Return what a process runs now, or when it died, by its own word; of an extension's call without deadline."""
        running = self._account(process).running() if process in self._pages else None
        if running is None:
            return None
        granted = self._granted[self._services[process.member]]
        client = running.client if (running.client, running.handler) in granted else NOBODY
        handler = running.handler if any(running.handler == method for _, method in granted) else NOBODY
        deadline = running.deadline if self._roles.get(client) in _HEEDED else 0
        return running._replace(client=client, handler=handler, deadline=deadline)

    def behind(self, process: Process) -> Blame | None:
        """Return the extension whose call a server runs, itself or for another server that runs it; None if of nobody.

        To be called before other servers are told that it has died, after which they run it no more.
        """
        asked: set[Process] = set()
        server: Process | None = process
        while server is not None and server not in asked:
            asked.add(server)
            running = self.running(server)
            client = None if running is None else self._members.get(running.client)
            if client is None:
                return None
            if self._roles[client] is Role.EXTENSION:
                hosts = frozenset(self._services[each.member] for each in asked if each.role is Role.HOST)
                return Blame(client, hosts)
            server = self._processes.get(client)
        return None

    def ended(  # noqa: PLR0913  # flags of one end
        self, process: Process, status: int, epoch: int, *, standing: bool, died: bool, hung: bool
    ) -> bool:
        """Tell the clients of a server that has been reaped what became of their calls; return whether one is to blame.

        `standing`: the ring goes on without it; else only a UI is left to be told. `died`: nobody had asked for its
        end, so that the call that ran is suspected: for everybody, or if the process was killed because it `hung`, for
        its caller. To be called after its clients were told that it is gone.
        """
        if process.role not in SERVING:
            return False
        running = self.running(process)
        account = self._account(process)
        page = self._pages.pop(process, None)
        if page is not None:
            os.close(page)
        to_blame = died and status != _SHUTDOWN and running is not None
        deadly = None
        if to_blame and running is not None and self._suspect(process, running, epoch, hung=hung):
            deadly = running
        for each in self._processes:
            if each.role is Role.UI or (standing and each.role in _CLIENTS):
                verdict = account.verdict(process.member, each.member)
                if deadly is not None and deadly.client == each.member and deadly.sequence in verdict.begun:
                    verdict = structs.replace(verdict, deadly=(deadly.sequence,))
                self._processes.tell(each, verdict)
        return to_blame

    def _suspect(self, process: Process, running: Running, epoch: int, *, hung: bool) -> bool:
        """Note that a call ran when its server died; return whether it is in quarantine now."""
        if running.digest == NO_DIGEST or (hung and running.client == NOBODY):
            return False
        service, found = self._services[process.member], running.digest
        if hung:
            found = of_caller(self._suspects.key, found, running.client)
        count = self._suspects.died(service, found, running.handler, running.client, time.time())
        quarantined = count >= DEADLY
        why, whose = (_HUNG, " for this caller") if hung else (_CRASHED, "")
        follows = _REFUSED.format(whose) if quarantined else f"{_ONCE}{whose}"
        self._log.line(
            "call.quarantined" if quarantined else "call.suspected",
            epoch,
            **process.identity,
            told_by=process.member,
            why=f"{why}; that has happened {count} times" if quarantined else why,
            next=follows,
            detail=f"{running.handler}, called by {running.client}, digest {self._suspects.mark(running.digest)}",
        )
        if quarantined:
            self._tell(service)
        return quarantined

    def _tell(self, service: MemberId) -> None:
        """Tell each server of this name which calls it is not to run."""
        for each in self._processes:
            if self._services.get(each.member) == service:
                self._processes.tell(each, control.Quarantine(self._suspects.listed(service)))

    def clear(self, member: str, epoch: int) -> None:
        """Let a member, or if none is named everybody, run again what is in quarantine: an operator restarts it."""
        service_of = self._services.get(MemberId(member))
        for service in self._granted:
            count = self._suspects.clear(service) if not member or service == service_of else 0
            if count:
                self._log.line("quarantine.cleared", epoch, member=service, why=_RESTARTED, detail=_CALLS.format(count))
                self._tell(service)

    def quarantined(self) -> tuple[operator.QuarantinedCall, ...]:
        """Return what an operator is told of the calls that are in quarantine, of the latest ones."""
        found = self._suspects.quarantined()[-operator.MOST_QUARANTINED :]
        return tuple(
            operator.QuarantinedCall(f"{service}.{each.method}", each.caller, each.when) for service, _, each in found
        )

    def close(self) -> None:
        """Let go of every page: nobody is left to be told."""
        for page in self._pages.values():
            os.close(page)
        self._pages.clear()


def _granted(app: App, service: MemberId) -> frozenset[tuple[str, str]]:
    return frozenset(
        (child.member, grant.method)
        for child, _ in app.children
        for grant in app.allowed(child.member)
        if grant.handler == f"{service}.{grant.method}"
    )


_HEEDED: Final = frozenset({Role.UI, *SERVING})
"""Whose deadlines a server may be slow for; an extension's own code says what its are."""
_CRASHED: Final = "it ran when its server died"
_HUNG: Final = "it ran when its server was killed as hung"
_ONCE: Final = "at the second time it is put in quarantine"
_REFUSED: Final = "it is not run again{} until an operator restarts its server"
_RESTARTED: Final = "the operator asked for a restart"
_CALLS: Final = "calls that may be run again: {}"
