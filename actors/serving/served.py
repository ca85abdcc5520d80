"""One client of a server: its session, what is under way to it and from it, and the streams that it has asked for.

May import: our messages, `flow`. Invariants: of one call, nothing leaves before what was sent earlier; the envelopes of
a client that has left go nowhere; of what a client does not take, no more is held than `MOST_HELD` bytes and one reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trollbridge.actors.serving.flow import Flow, FlowState
from trollbridge.actors.serving.gatekeeper import NO_GATES
from trollbridge.messages import payloads
from trollbridge.messages.envelope import Kind
from trollbridge.messages.errors import AuthenticationFailed, Malformed, ProtocolError
from trollbridge.messages.ids import Microseconds
from trollbridge.messages.parts import Assembly, Outgoing, at_once
from trollbridge.messages.record import route

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trollbridge.actors.handlers import Exported
    from trollbridge.actors.serving.granting import Gate
    from trollbridge.actors.serving.invocation import Invocation, Origin, Outside
    from trollbridge.messages.envelope import Envelope
    from trollbridge.messages.ids import HandlerUID, MemberId, Role
    from trollbridge.messages.session import Session


MOST_HELD: Final = 8 * 1024 * 1024
"""Bytes of long replies that wait for one client's credit; with more of them, none of its calls runs."""


class Served:
    """One client of an enclave or a host."""

    __slots__ = ("_out", "_slow", "_stirred", "assembly", "codes", "flows", "gates", "outgoing", "role", "session")

    def __init__(  # noqa: PLR0913, PLR0917  # made in one place, when the session is founded
        self,
        session: Session,
        role: Role,
        codes: dict[bytes, Exported],
        limit: int,
        out: Outside,
        stirred: list[Flow],
        slow: set[MemberId],
    ) -> None:
        """Take the session, what may be called over it, the longest content, where its streams are noted, and itself.

        The latter while it does not take its replies.
        """
        self.session: Final = session
        self.role: Final = role
        self.codes: Final = codes
        self.assembly: Final = Assembly(limit)
        self.outgoing: Final = Outgoing(session)
        self.flows: Final[dict[HandlerUID, Flow]] = {}
        self.gates: Mapping[str, Gate] = NO_GATES
        self._out = out
        self._stirred = stirred
        self._slow = slow

    def send(self, kind: Kind, origin: Origin, content: bytes) -> None:
        """Send a content that answers a call; one of a stream waits for what is under way, which may be its own."""
        answers = Microseconds(origin.sequence)
        if at_once(len(content)) and (self.outgoing.idle or origin.uid not in self.flows):
            envelope = self.session.seal(kind, origin.uid, answers, content)
            self._out.put(route(envelope, b""), envelope.body)
        else:
            self.outgoing.put(kind, origin.uid, answers, content)
            self.drain()

    def reply(self, origin: Origin, content: bytes) -> None:
        """Send what ends a call, and its stream if it has one."""
        self.send(Kind.REPLY, origin, content)
        if self.flows:
            self.flows.pop(origin.uid, None)

    def credited(self, parts: int) -> None:
        """Take credit for long bodies, and send on."""
        self.outgoing.credit(parts)
        self.drain()

    def drain(self) -> None:
        """Send of the long contents what credit allows."""
        for envelope in self.outgoing.drain():
            self._out.put(route(envelope, b""), envelope.body)
        if self.outgoing.held > MOST_HELD:
            self._slow.add(self.session.peer)
        elif self._slow:
            self._slow.discard(self.session.peer)
        if self.flows and self.outgoing.idle:
            self._stirred.extend(self.flows.values())

    def open_flow(self, invocation: Invocation, deadline: Microseconds) -> None:
        """Let a call have its stream."""
        self.flows[invocation.origin.uid] = Flow(invocation, deadline)

    def steer(self, envelope: Envelope) -> None:
        """Take a client's word about its stream; for one that has ended, it came too late. Raises `ProtocolError`."""
        flow = self.flows.get(envelope.uid)
        try:
            payload = payloads.decode(self.session.open(envelope))
            if flow is not None:
                _obey(flow, payload, envelope.deadline)
        except ProtocolError:
            if flow is not None:
                del self.flows[envelope.uid]
                flow.state = FlowState.GONE
            raise
        finally:
            if flow is not None:
                self._stirred.append(flow)

    def leave(self) -> None:
        """Forget the session; nobody waits for the streams any more."""
        self.session.drop()
        self._slow.discard(self.session.peer)
        for flow in self.flows.values():
            flow.state = FlowState.GONE
            self._stirred.append(flow)
        self.flows.clear()


def _obey(flow: Flow, payload: payloads.Payload, answers: Microseconds) -> None:
    if flow.invocation.origin.sequence != answers:
        raise AuthenticationFailed
    match payload:
        case payloads.Pull(items):
            flow.pull(items)
        case payloads.Halt():
            flow.state = FlowState.HALTED
        case _:
            raise Malformed
