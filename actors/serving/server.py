"""What an enclave does with what arrives, as a core without sockets: sessions, addresses, calls in, results out.

May import: our messages, `handler`. Invariants: the order of receipt is size limit → open → strict decode → claim
(address, sequence) → dispatch; the handler that the ciphertext names must be the one at whose address it arrived; a
client's session knows codes of granted handlers only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from trollbridge.actors.isolation import secret_memory
from trollbridge.actors.outcomes.call_ledger import CallLedger
from trollbridge.actors.serving.faults import fault
from trollbridge.actors.serving.gatekeeper import Gatekeeper
from trollbridge.actors.serving.invocation import Caller, Invocation, Origin
from trollbridge.actors.serving.lateness import Lateness
from trollbridge.actors.serving.served import Served
from trollbridge.messages import payloads
from trollbridge.messages.address import Directory
from trollbridge.messages.aead import KEY_SIZE
from trollbridge.messages.control import Granted, NoticeKind, SessionTicket
from trollbridge.messages.envelope import Kind, prologue
from trollbridge.messages.errors import (
    AuthenticationFailed,
    CallError,
    DeadlineExceeded,
    DeclarationError,
    HandshakeFailed,
    InvalidArguments,
    Malformed,
    ProtocolError,
    TooLarge,
)
from trollbridge.messages.ids import NO_UID, Epoch, MemberId, Microseconds, Role, handler_name
from trollbridge.messages.noise import Responder
from trollbridge.messages.record import (
    Credit,
    Item,
    Left,
    Publish,
    PublishedHandler,
    Refusal,
    Routed,
    envelope_of,
    route,
)
from trollbridge.messages.ring_key import SEALED, RingKey, asked
from trollbridge.messages.session import LARGEST_CONTENT, Session

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from trollbridge.actors.handlers import Exported
    from trollbridge.actors.serving.flow import Flow
    from trollbridge.actors.serving.invocation import Outside
    from trollbridge.messages.envelope import Envelope

OVERHEAD: Final = 64
"""Bytes of a content that are not arguments."""
_NEVER: Final = Microseconds(0)


class Serving:
    """An enclave's part of one epoch."""

    def __init__(
        self,
        member: MemberId,
        handlers: Mapping[str, Exported],
        outside: Outside,
        role: Role = Role.ENCLAVE,
        ledger: CallLedger | None = None,
    ) -> None:
        """Take who this is, what it exports, where decisions go, its role (a host gets no ring key), and its ledger."""
        self.ledger: Final = ledger or CallLedger()
        self._member = self._service = member
        """The latter: under which name its handlers are called."""
        self._role, self._out = role, outside
        self._keeper = Gatekeeper(member, handlers, outside)
        self._epoch = Epoch(0)
        self._tickets: dict[MemberId, SessionTicket] = {}
        self._clients: dict[MemberId, Served] = {}
        self._directory = Directory({})
        self._ring_key: RingKey | None = None
        self._lateness = Lateness(outside)
        self.stirred: Final[list[Flow]] = []
        """Streams that something has happened to: a step of their client's, or room to send."""
        self.slow: Final[set[MemberId]] = set()
        """Clients that do not take their replies, so that none of their calls is to run."""
        self.sealed = False

    def join(self, epoch: Epoch, tickets: Iterable[SessionTicket]) -> None:
        """Take the tickets of the sessions to come, and publish the handlers under fresh seeds."""
        self._epoch = epoch
        for ticket in tickets:
            self.admit(ticket)
        seeds = {name: os.urandom(32) for name in self._keeper.handlers}
        self._directory = Directory(seeds)
        self._out.put(Publish(tuple(PublishedHandler(name, seed) for name, seed in seeds.items())))

    def admit(self, ticket: SessionTicket) -> None:
        """Take the ticket of one session; raises `DeclarationError` if it grants what cannot be granted."""
        granted = Granted(ticket.client, ticket.client_role, ticket.grants)
        self._keeper.admit(granted)
        self.check_grants((granted,))
        self._tickets[MemberId(ticket.client)] = ticket
        self._service = MemberId(ticket.service or self._member)

    def check_grants(self, granted: Collection[Granted]) -> None:
        """Raise `DeclarationError` for a grant that cannot be, or for more handlers than a manifest holds."""
        self._keeper.check(granted)
        names = {each.method for client in granted for each in client.grants}
        self._manifest(tuple(self._keeper.handlers[name].entry(bytes(payloads.CODE_SIZE)) for name in names), ())

    def _manifest(self, entries: tuple[payloads.HandlerEntry, ...], withheld: tuple[str, ...]) -> bytes:
        content = payloads.encode(payloads.Welcome(entries, withheld))
        if len(content) > LARGEST_CONTENT:
            msg = f"the manifest of {self._member} takes {len(content)} bytes, at most {LARGEST_CONTENT}; split it"
            raise DeclarationError(msg)
        return content

    @property
    def clients(self) -> frozenset[MemberId]:
        """Who holds a session now."""
        return frozenset(self._clients)

    @property
    def fingerprint(self) -> bytes | None:
        """The ring key's fingerprint once every ticket is used and the key is here, else None; a host's is empty."""
        if self._tickets or (self._ring_key is None and self._role is Role.ENCLAVE):
            return None
        return b"" if self._ring_key is None else self._ring_key.fingerprint

    @property
    def ring_key(self) -> RingKey | None:
        """The ring key, once it is here."""
        return self._ring_key

    def drop(self) -> None:
        """Forget every key."""
        for client in self._clients.values():
            client.leave()
        self._clients.clear()
        self._tickets.clear()
        if self._ring_key is not None:
            self._ring_key.drop()
            self._ring_key = None

    def take(self, item: Item, body: bytes) -> Invocation | None:
        """Handle one item from the broker; return the call that is to run, if it is one.

        Raises `HandshakeFailed` if somebody fails to found a session while the ring forms: the boot must not go on.
        """
        if type(item) is Routed:
            envelope = envelope_of(item, body)
            kind = item.kind
            if kind == Kind.CALL:
                return self._call(envelope, item.route)
            if kind == Kind.PART:
                self._part(envelope)
            elif kind == Kind.HANDSHAKE:
                self._handshake(envelope)
            elif kind == Kind.SESSION:
                self._session(envelope)
            elif kind == Kind.STEER:
                self._steer(envelope)
        elif type(item) is Credit:
            client = self._clients.get(MemberId(item.peer))
            if client is not None:
                client.credited(item.parts)
        elif type(item) is Left:
            self._leave(MemberId(item.member))
        return None

    # Founding a session.

    def _handshake(self, envelope: Envelope) -> None:
        if envelope.sender not in self._tickets:
            self._out.catch_up()  # the ticket was sent before its holder was told, but over another socket
        ticket = self._tickets.pop(envelope.sender, None)
        try:
            if ticket is None or envelope.receiver != self._member:
                raise HandshakeFailed
            role = Role(ticket.client_role)
            words = prologue(self._epoch, envelope.sender, role, self._member, self._role)
            answer, split = Responder(ticket.token, words).accept(envelope.body)
        except HandshakeFailed:
            self._out.notice(NoticeKind.JOIN_REFUSED, envelope.sender, "it did not prove its join token")
            if not self.sealed:
                raise
            return
        session = Session(split, self._epoch, self._member, envelope.sender, initiator=False)
        granted = [self._keeper.handlers[name] for name in ticket.methods]
        codes = {os.urandom(payloads.CODE_SIZE): each for each in granted}
        limit = max((LARGEST_CONTENT, *(each.mark.max_bytes + OVERHEAD for each in granted)))
        client = Served(session, role, codes, limit, self._out, self.stirred, self.slow)
        self._clients[envelope.sender] = client
        client.gates = self._keeper.gates(envelope.sender)
        self.ledger.founded(envelope.sender)
        hello = envelope.__class__(Kind.HANDSHAKE, self._member, envelope.sender, NO_UID, 0, _NEVER, answer)
        self._out.put(route(hello, b""), answer)
        withheld = tuple(sorted(set(self._keeper.handlers) - set(ticket.methods))) if role is Role.UI else ()
        self._say(client, self._manifest(tuple(each.entry(code) for code, each in codes.items()), withheld))

    def _say(self, client: Served, content: bytes) -> None:
        envelope = client.session.seal(Kind.SESSION, NO_UID, _NEVER, content)
        self._out.put(route(envelope, b""), envelope.body)

    def _session(self, envelope: Envelope) -> None:
        client = self._clients.get(envelope.sender)
        try:
            if client is None:
                raise AuthenticationFailed
            self._ring_key = ring_key = self._offered(client, envelope)
        except ProtocolError as error:
            self._out.notice(NoticeKind.ENVELOPE_REFUSED, envelope.sender, type(error).__name__)
            return
        self._say(client, payloads.encode(payloads.RingKeyAccepted(ring_key.fingerprint)))

    def _offered(self, client: Served, envelope: Envelope) -> RingKey:
        """Return the ring key that arrived, in secret memory.

        What it travelled in is let go before anything else is made, which then takes the place.
        """
        payload = payloads.decode(client.session.open(envelope))
        expected = client.role is Role.UI and self._role is Role.ENCLAVE and self._ring_key is None
        if not isinstance(payload, payloads.RingKeyOffer) or not expected:
            raise Malformed
        key = secret_memory.secret(KEY_SIZE)
        key.view[:] = payload.key
        return RingKey(key, self._epoch)

    # Calls.

    def _part(self, envelope: Envelope) -> None:
        client = self._clients.get(envelope.sender)
        try:
            if client is None:
                raise AuthenticationFailed
            client.assembly.add(envelope.uid, envelope.sequence, client.session.open(envelope))
        except ProtocolError as error:
            self._refuse(envelope, type(error).__name__)

    def _call(self, envelope: Envelope, address: bytes) -> Invocation | None:
        client = self._clients.get(envelope.sender)
        try:
            name = self._directory.take(address)
            if client is None:
                raise AuthenticationFailed
            opened = client.session.open(envelope)
        except ProtocolError as error:
            self._refuse(envelope, type(error).__name__)
            return None
        try:
            content = client.assembly.finish(envelope.uid, opened)
            payload = payloads.decode(content)
            if not self.sealed:
                self._out.catch_up()  # the seal was sent before the caller was told, but over another socket
            if not isinstance(payload, payloads.Call) or not self.sealed:
                raise Malformed
            exported = client.codes.get(payload.code)
            if exported is None or exported.name != name:
                raise AuthenticationFailed
            invocation = self._accept(envelope, client, exported, payload.arguments)
        except ProtocolError as error:
            self._refuse(envelope, type(error).__name__)
        except CallError as error:
            self.fail(Origin(envelope.sender, envelope.uid, envelope.sequence), error)
        else:
            return self._begin(client, invocation, envelope.deadline)
        return None

    def _accept(self, envelope: Envelope, client: Served, exported: Exported, encoded: bytes) -> Invocation:
        if len(encoded) > exported.mark.max_bytes:
            raise TooLarge
        self._lateness.check(envelope.sender, envelope.deadline)
        digest = self.ledger.spared.check(exported.name, encoded, envelope.sender)
        try:
            arguments = exported.arguments.decode(encoded)
        except Malformed:
            raise InvalidArguments from None
        caller = Caller(envelope.sender, client.role)
        gate = client.gates.get(exported.name)
        if gate is not None or exported.mark.core:
            self._keeper.judge(caller, gate, exported, arguments)
        what = asked(encoded) if exported.mark.sensitive else b""
        origin = Origin(envelope.sender, envelope.uid, envelope.sequence)
        return Invocation(origin, caller, exported, arguments, what, envelope.deadline, digest)

    def _begin(self, client: Served, invocation: Invocation, deadline: Microseconds) -> Invocation | None:
        """Return the call if the actor is to run it; answer what the desk is asked."""
        exported = invocation.exported
        if exported.item is not None:
            client.open_flow(invocation, deadline)
        if not exported.mark.core or not self._keeper.is_desk(exported):
            return invocation
        with self.ledger.aside(invocation.origin):
            result = self._keeper.at_desk(exported, invocation.arguments)
        if isinstance(result, CallError):
            self.fail(invocation.origin, result)
        else:
            self.answer(invocation, exported.encode_result(result))
        return None

    def starts(self, invocation: Invocation) -> bool:
        """Return whether a call that has waited is still to run; one whose deadline has passed is answered so."""
        try:
            self._lateness.check(invocation.origin.client, invocation.deadline)
        except DeadlineExceeded as error:
            self.fail(invocation.origin, error)
            return False
        return True

    def _refuse(self, envelope: Envelope, why: str) -> None:
        self._out.notice(NoticeKind.ENVELOPE_REFUSED, envelope.sender, why)
        self._out.put(Refusal(envelope.uid))

    # Streams.

    def _steer(self, envelope: Envelope) -> None:
        client = self._clients.get(envelope.sender)
        try:
            if client is None:
                raise AuthenticationFailed
            client.steer(envelope)
        except ProtocolError as error:
            self._refuse(envelope, type(error).__name__)

    def _leave(self, member: MemberId) -> None:
        """Forget a client that has left the ring; it may come again, with another ticket."""
        client = self._clients.pop(member, None)
        self._keeper.forget(member)
        if client is not None:
            client.leave()

    def flow(self, origin: Origin) -> Flow | None:
        """Return the stream that a call has asked for, while somebody waits for it."""
        client = self._clients.get(origin.client)
        return None if client is None else client.flows.get(origin.uid)

    def roomy(self, flow: Flow) -> bool:
        """Return whether the next item of a stream could leave now."""
        client = self._clients.get(flow.invocation.origin.client)
        return client is not None and flow.credit > 0 and client.outgoing.idle

    def give(self, flow: Flow, encoded: bytes) -> None:
        """Send an encoded item; a sensitive one sealed under the ring key. Raises `TooLarge` for one over the limit."""
        exported = flow.invocation.exported
        if len(encoded) > exported.mark.max_bytes:
            raise TooLarge
        if exported.mark.sensitive:
            self._item(flow, b"\x09", self._sealed(flow.invocation, f"{exported.name}[{flow.given}]", encoded))
        else:
            self._item(flow, b"\x08", encoded)

    def tell(self, flow: Flow, progress: payloads.Progress) -> None:
        """Send how far a stream has come, unless that was told just now. Raises `Malformed` for what cannot travel."""
        content = flow.report(progress, self._out.now())
        if content:
            self._item(flow, content[:1], content[9:])

    def _item(self, flow: Flow, kind: bytes, rest: bytes) -> None:
        origin = flow.invocation.origin
        if self.flow(origin) is flow:
            content = kind + payloads.counted(flow.given, rest)
            flow.credit, flow.given = flow.credit - 1, flow.given + 1
            self._clients[origin.client].send(Kind.ITEM, origin, content)

    # Results.

    def answer(self, invocation: Invocation, encoded: bytes) -> None:
        """Send an encoded result; a sensitive one sealed under the ring key. One over the limit becomes `TooLarge`."""
        exported, origin = invocation.exported, invocation.origin
        if len(encoded) > exported.mark.max_bytes:
            self.fail(origin, TooLarge())
        elif exported.mark.sensitive:
            self._reply(origin, b"\x03" + self._counted(invocation) + self._sealed(invocation, exported.name, encoded))
        else:
            self._reply(origin, b"\x02" + self._counted(invocation) + encoded)

    def _counted(self, invocation: Invocation) -> bytes:
        """Return what stands in front of a result: of a stream, the number of its items, lest some get lost."""
        flow = None if invocation.exported.item is None else self.flow(invocation.origin)
        return b"" if flow is None else payloads.counted(flow.given, b"")

    def _sealed(self, invocation: Invocation, name: str, encoded: bytes) -> bytes:
        if self._ring_key is None:
            raise AuthenticationFailed
        return SEALED.encode(self._ring_key.seal(handler_name(self._service, name), encoded, invocation.asked))

    def fail(self, origin: Origin, error: CallError) -> None:
        """Send an error that the caller may read."""
        self._reply(origin, fault(error))

    def _reply(self, origin: Origin, content: bytes) -> None:
        client = self._clients.get(origin.client)
        if client is not None:
            client.reply(origin, content)
