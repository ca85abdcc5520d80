"""What an enclave does with what arrives, as a core without sockets: sessions, addresses, calls in, results out.

May import: our messages, `handler`. Invariants: the order of receipt is size limit → open → strict decode → claim
(address, sequence) → dispatch; the handler that the ciphertext names must be the one at whose address it arrived; a
client's session knows codes of granted handlers only.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from trollbridge.actors.handler import Exported
from trollbridge.actors.isolation import secret_memory
from trollbridge.messages import payloads
from trollbridge.messages.address import Directory
from trollbridge.messages.aead import KEY_SIZE
from trollbridge.messages.control import NoticeKind, SessionTicket
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
from trollbridge.messages.ids import NO_UID, Epoch, HandlerUID, MemberId, Microseconds, Role, handler_name
from trollbridge.messages.noise import Responder
from trollbridge.messages.parts import Assembly, Outgoing, at_once
from trollbridge.messages.record import Credit, Item, Publish, PublishedHandler, Refusal, Routed, envelope_of, route
from trollbridge.messages.ring_key import SEALED, RingKey
from trollbridge.messages.session import LARGEST_CONTENT, Session

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from trollbridge.messages.envelope import Envelope

OVERHEAD: Final = 64
"""Bytes of a content that are not arguments."""
LONGEST_TEXT: Final = 2000
"""Characters of an error's text that travel."""
_NEVER: Final = Microseconds(0)


class Origin(msgspec.Struct, frozen=True):
    """Whom a reply goes to, and which call it answers: UID and sequence, both authenticated in it."""

    client: MemberId
    uid: HandlerUID
    sequence: int


class Caller(msgspec.Struct, frozen=True):
    """Who makes a call, by the session that it came over: no message can say otherwise."""

    member: MemberId
    role: Role


class Invocation(msgspec.Struct, frozen=True):
    """A call that may run: authenticated, claimed and decoded."""

    origin: Origin
    caller: Caller
    exported: Exported
    arguments: tuple[object, ...]


class Outside(Protocol):
    """What the core tells the world."""

    def put(self, item: Item, body: bytes = b"") -> None:
        """Queue an item for the broker."""

    def notice(self, kind: NoticeKind, about: str, why: str, detail: str = "") -> None:
        """Tell the supervisor's log."""

    def now(self) -> int:
        """Return the monotonic clock in microseconds."""
        ...

    def catch_up(self) -> None:
        """Take what the supervisor has sent so far."""


class _Client:
    """One client of the enclave."""

    __slots__ = ("assembly", "codes", "outgoing", "role", "session")

    def __init__(self, session: Session, role: Role, codes: dict[bytes, Exported], limit: int) -> None:
        self.session = session
        self.role = role
        self.codes = codes
        self.assembly = Assembly(limit)
        self.outgoing = Outgoing(session)


class Serving:
    """An enclave's part of one epoch."""

    def __init__(self, member: MemberId, handlers: Mapping[str, Exported], outside: Outside) -> None:
        """Take who this is, what it exports, and where decisions go."""
        self._member = member
        self._handlers = handlers
        self._out = outside
        self._epoch = Epoch(0)
        self._tickets: dict[MemberId, SessionTicket] = {}
        self._clients: dict[MemberId, _Client] = {}
        self._directory = Directory({})
        self._ring_key: RingKey | None = None
        self._late_calls: dict[MemberId, int] = {}
        self.sealed = False

    def join(self, epoch: Epoch, tickets: Iterable[SessionTicket]) -> None:
        """Take the tickets of the sessions to come, and publish the handlers under fresh seeds."""
        self._epoch = epoch
        seeds = {name: os.urandom(32) for name in self._handlers}
        self._directory = Directory(seeds)
        for ticket in tickets:
            self.admit(ticket)
        self._out.put(Publish(tuple(PublishedHandler(name, seed) for name, seed in seeds.items())))

    def admit(self, ticket: SessionTicket) -> None:
        """Take the ticket of one session; raises `DeclarationError` if it grants a handler that is not exported."""
        self.check_grants(ticket.grants)
        self._tickets[MemberId(ticket.client)] = ticket

    def check_grants(self, names: Collection[str]) -> None:
        """Raise `DeclarationError` for a handler that is not exported, or for more of them than a manifest holds."""
        for name in names:
            if name not in self._handlers:
                known = ", ".join(sorted(self._handlers)) or "nothing"
                msg = f"grants name {self._member}.{name}, but {self._member} exports {known}"
                raise DeclarationError(msg)
        self._manifest(tuple(self._handlers[name].entry(bytes(payloads.CODE_SIZE)) for name in names), ())

    def _manifest(self, entries: tuple[payloads.HandlerEntry, ...], withheld: tuple[str, ...]) -> bytes:
        content = payloads.encode(payloads.Welcome(entries, withheld))
        if len(content) > LARGEST_CONTENT:
            msg = f"the manifest of {self._member} takes {len(content)} bytes, at most {LARGEST_CONTENT}; split it"
            raise DeclarationError(msg)
        return content

    @property
    def fingerprint(self) -> bytes | None:
        """The ring key's fingerprint once every ticket is used and the key is here, else None."""
        if self._tickets or self._ring_key is None:
            return None
        return self._ring_key.fingerprint

    def drop(self) -> None:
        """Forget every key."""
        for client in self._clients.values():
            client.session.drop()
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
        elif type(item) is Credit:
            client = self._clients.get(MemberId(item.peer))
            if client is not None:
                client.outgoing.credit(item.parts)
                self._drain(client)
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
            words = prologue(self._epoch, envelope.sender, role, self._member, Role.ENCLAVE)
            answer, split = Responder(ticket.token, words).accept(envelope.body)
        except HandshakeFailed:
            self._out.notice(NoticeKind.JOIN_REFUSED, envelope.sender, "it did not prove its join token")
            if not self.sealed:
                raise
            return
        session = Session(split, self._epoch, self._member, envelope.sender, initiator=False)
        granted = [self._handlers[name] for name in ticket.grants]
        codes: dict[bytes, Exported] = {os.urandom(payloads.CODE_SIZE): each for each in granted}
        limit = max((each.mark.max_bytes for each in granted), default=0) + OVERHEAD
        client = _Client(session, role, codes, max(limit, LARGEST_CONTENT))
        self._clients[envelope.sender] = client
        hello = envelope.__class__(Kind.HANDSHAKE, self._member, envelope.sender, NO_UID, 0, _NEVER, answer)
        self._out.put(route(hello, b""), answer)
        withheld = tuple(sorted(set(self._handlers) - set(ticket.grants))) if role is Role.UI else ()
        self._say(client, self._manifest(tuple(each.entry(code) for code, each in codes.items()), withheld))

    def _say(self, client: _Client, content: bytes) -> None:
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

    def _offered(self, client: _Client, envelope: Envelope) -> RingKey:
        """Return the ring key that arrived, in secret memory.

        What it travelled in is let go before anything else is made, which then takes the place.
        """
        payload = payloads.decode(client.session.open(envelope))
        if not isinstance(payload, payloads.RingKeyOffer) or client.role is not Role.UI or self._ring_key:
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
            return self._accept(envelope, client.role, exported, payload.arguments)
        except ProtocolError as error:
            self._refuse(envelope, type(error).__name__)
        except CallError as error:
            self.fail(Origin(envelope.sender, envelope.uid, envelope.sequence), error)
        return None

    def _accept(self, envelope: Envelope, role: Role, exported: Exported, encoded: bytes) -> Invocation:
        if len(encoded) > exported.mark.max_bytes:
            raise TooLarge
        if envelope.deadline and envelope.deadline < self._out.now():
            self._late(envelope.sender)
            raise DeadlineExceeded
        try:
            arguments = exported.arguments.decode(encoded)
        except Malformed:
            raise InvalidArguments from None
        origin = Origin(envelope.sender, envelope.uid, envelope.sequence)
        return Invocation(origin, Caller(envelope.sender, role), exported, arguments)

    def _late(self, sender: MemberId) -> None:
        """Note a call that came too late: the first, the second, the fourth …, lest lateness fill the log."""
        self._late_calls[sender] = count = self._late_calls.get(sender, 0) + 1
        if not count & (count - 1):
            self._out.notice(NoticeKind.CALL_LATE, sender, "its deadline had passed", f"{count} so far")

    def _refuse(self, envelope: Envelope, why: str) -> None:
        self._out.notice(NoticeKind.ENVELOPE_REFUSED, envelope.sender, why)
        self._out.put(Refusal(envelope.uid))

    # Results.

    def answer(self, invocation: Invocation, encoded: bytes) -> None:
        """Send an encoded result; a sensitive one sealed under the ring key. One over the limit becomes `TooLarge`."""
        exported = invocation.exported
        if len(encoded) > exported.mark.max_bytes:
            self.fail(invocation.origin, TooLarge())
            return
        if exported.mark.sensitive:
            if self._ring_key is None:
                raise AuthenticationFailed
            sealed = self._ring_key.seal(handler_name(self._member, exported.name), encoded)
            self._reply(invocation.origin, b"\x03" + SEALED.encode(sealed))
        else:
            self._reply(invocation.origin, b"\x02" + encoded)

    def fail(self, origin: Origin, error: CallError) -> None:
        """Send an error that the caller may read."""
        name, text = (_safe(each) for each in (getattr(error, "name", ""), str(error)))
        self._reply(origin, payloads.encode(payloads.Fault(error.code, name, text)))

    def _reply(self, origin: Origin, content: bytes) -> None:
        client = self._clients.get(origin.client)
        if client is None:
            return
        answers = Microseconds(origin.sequence)
        if at_once(len(content)):
            envelope = client.session.seal(Kind.REPLY, origin.uid, answers, content)
            self._out.put(route(envelope, b""), envelope.body)
        else:
            client.outgoing.put(Kind.REPLY, origin.uid, answers, content)
            self._drain(client)

    def _drain(self, client: _Client) -> None:
        for envelope in client.outgoing.drain():
            self._out.put(route(envelope, b""), envelope.body)


def _safe(text: str) -> str:
    """Return what of a text may travel: no lone surrogates, and not more of it than a person reads."""
    return text.encode("utf-8", "replace").decode()[:LONGEST_TEXT]
