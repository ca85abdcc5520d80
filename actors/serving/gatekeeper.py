"""Who may call what of one server, beyond which handlers: keeps the gates, what waits for approval, and the log told.

May import: our messages, `granting`, `approving`. Invariants: a caller's rates and refusals outlive its sessions, since
an extension can have itself started anew; what is counted here is bounded by the declaration.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from trollbridge.actors.serving.approving import DESK, Approvals, Asked, Desk, details_of, digest
from trollbridge.actors.serving.granting import CORE_ONLY, NOT_ALLOWED, WAITS, Denial, Gate, Rule
from trollbridge.messages.control import Granted, NoticeKind
from trollbridge.messages.errors import DeclarationError, NotAllowed
from trollbridge.messages.ids import MemberId, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trollbridge.actors.handlers import Exported
    from trollbridge.actors.serving.invocation import Caller, Outside
    from trollbridge.messages.grants import Grant

NO_GATES: Final[Mapping[str, Gate]] = {}


class Gatekeeper:
    """One server's."""

    def __init__(self, member: MemberId, handlers: Mapping[str, Exported], outside: Outside) -> None:
        """Take who the server is, what it exports, and where notices go."""
        self._member = member
        self._out = outside
        self.handlers: Mapping[str, Exported] = handlers
        """What it exports; with the desk's, where any grant needs approval."""
        self._gates: dict[MemberId, tuple[tuple[Grant, ...], Mapping[str, Gate]]] = {}
        self._approvals: Final = Approvals()
        self._desk: Final = Desk(self._approvals, outside.now)
        self._refusals: dict[tuple[str, str, int, str], int] = {}

    def check(self, granted: Iterable[Granted]) -> None:
        """Take who is granted what, whoever that is and whenever it comes.

        Raises `DeclarationError` for a grant of what is not exported, of what is the core UI's alone, or of arguments
        that the handler does not take. Where a grant needs approval, opens the desk.
        """
        granted = tuple(granted)
        if any(grant.approval for each in granted for grant in each.grants):
            self._open_desk()
        for each in granted:
            self._gates_for(each)

    def _open_desk(self) -> None:
        own = {name for name, each in self.handlers.items() if name in DESK and each is not DESK[name]}
        if own:
            msg = f"{self._member} has a handler {min(own)}: no server with grants that need approval can have one"
            raise DeclarationError(msg)
        self.handlers = {**self.handlers, **DESK}

    def _gates_for(self, granted: Granted) -> dict[str, Gate]:
        rules: dict[str, list[Rule]] = {}
        for grant in granted.grants:
            name = grant.method
            exported = self.handlers.get(name)
            if exported is None:
                known = ", ".join(sorted(set(self.handlers) - set(DESK))) or "nothing"
                msg = f"grants name {self._member}.{name}, but {self._member} exports {known}"
                raise DeclarationError(msg)
            if exported.mark.core and granted.role != Role.UI:
                msg = f"grants let {granted.client} call {self._member}.{name}, which is for the core UI alone"
                raise DeclarationError(msg)
            try:
                rule = Rule(grant, exported.parameters)
            except DeclarationError as error:
                msg = f"{granted.client}, rule {grant.rule}: {error}"
                raise DeclarationError(msg) from None
            rules.setdefault(name, []).append(rule)
        return {name: Gate(tuple(found)) for name, found in rules.items() if not found[0].plain}

    def admit(self, granted: Granted) -> None:
        """Take a client whose session is to be founded; raises `DeclarationError` as `check` does.

        What it asked for before, in another process, is forgotten; its rates and what was refused to it are not.
        """
        client = MemberId(granted.client)
        self.forget(client)
        known = self._gates.get(client)
        if known is None or known[0] != granted.grants:
            self.check((granted,))
            self._gates[client] = granted.grants, self._gates_for(granted)

    def forget(self, client: MemberId) -> None:
        """Drop what waits or was approved for a client that has left."""
        self._approvals.forget(client)

    def gates(self, client: MemberId) -> Mapping[str, Gate]:
        """Return the gates of an admitted client, by handler; a handler without one lets every call pass."""
        known = self._gates.get(client)
        return NO_GATES if known is None else known[1]

    def judge(self, caller: Caller, gate: Gate | None, exported: Exported, arguments: tuple[object, ...]) -> None:
        """Return if a call may run; raises `NotAllowed`, `ApprovalNeeded` or `ApprovalRefused`, and tells the log."""
        client, now = caller.member, self._out.now()
        asked: list[Asked] = []

        def ask() -> Asked:
            asked.append(Asked(client, exported.name, digest(arguments)))
            return asked[0]

        if exported.mark.core and caller.role is not Role.UI:  # its ticket was refused already, as it should be
            denial: Denial | None = Denial(NotAllowed(NOT_ALLOWED), CORE_ONLY, 0)
        else:
            denial = None if gate is None else gate.ask(arguments, now, self._approvals, ask)
        if denial is None:
            return
        if denial.why == WAITS:
            names = tuple(each.name for each in exported.parameters)
            when = int(time.time())
            self._approvals.wait(asked[0], now, lambda: details_of(self._member, denial.rule, names, arguments, when))
        self._note(client, exported.name, denial.rule, denial.why)
        raise denial.error

    def _note(self, client: MemberId, name: str, rule: int, why: str) -> None:
        """Note a refused call: the first, the second, the fourth … of its kind, lest one caller fill the log."""
        kind = (client, name, rule, why)
        self._refusals[kind] = count = self._refusals.get(kind, 0) + 1
        if not count & (count - 1):
            more = "" if count == 1 else f", {count} so far"
            self._out.notice(NoticeKind.CALL_REFUSED, client, why, f"{name} rule {rule}{more}")

    def at_desk(self, exported: Exported, arguments: tuple[object, ...]) -> object:
        """Carry out a handler of the desk; return the result or the error for the caller."""
        return self._desk.run(exported.name, arguments)

    def is_desk(self, exported: Exported) -> bool:
        """Return whether this is answered here, not by the actor."""
        return exported is DESK.get(exported.name)
