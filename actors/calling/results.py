"""What a reply or an item means to its caller: the value, the error, or what is sealed to the core UI.

May import: our messages. Invariant: what is sealed is opened for the handler and the arguments of the call only, and
without a ring key not at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from trollbridge.messages import payloads
from trollbridge.messages.errors import AuthenticationFailed, Malformed, Quarantined, from_wire
from trollbridge.messages.ids import HandlerName
from trollbridge.messages.ring_key import SEALED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trollbridge.actors.calling.pending import Pending
    from trollbridge.actors.calling.route import Route
    from trollbridge.messages.ring_key import RingKey, Sealed

    Routes: TypeAlias = Mapping[HandlerName, Route]


def value_of(pending: Pending, payload: payloads.Payload, routes: Routes, key: RingKey | None) -> object:
    """Return what a reply says; raises the error that it is, or `ProtocolError` for what cannot be one."""
    of, intake = pending.route, pending.intake
    match payload:
        case payloads.Result(value) if not of.entry.sensitive:
            return of.result.decode(value if intake is None else intake.ended(value))
        case payloads.SealedResult(sealed) if of.entry.sensitive:
            inner = SEALED.decode(sealed if intake is None else intake.ended(sealed))
            return sealed_of(pending, of.name, inner, routes, key)
        case payloads.Fault(code, name, text):
            raise Quarantined(handler=of.name) if code == Quarantined.code else from_wire(code, name, text)
        case _:
            raise Malformed


def sealed_of(pending: Pending, name: str, sealed: Sealed, routes: Routes, key: RingKey | None) -> object:
    """Return what a call's own sealed result or item of this name holds; without a ring key, itself."""
    if key is None:
        return sealed
    if sealed.handler != name:
        raise AuthenticationFailed
    return opened(routes, key, sealed, pending.asked())


def opened(routes: Routes, key: RingKey | None, sealed: Sealed, what: bytes | None) -> object:
    """Return the result or item that `sealed` holds, of a call that `asked` for `what`, or for anything.

    Raises `AuthenticationFailed` for another one, and without its epoch's ring key.
    """
    name, numbered, _ = sealed.handler.partition("[")
    of = routes.get(HandlerName(name))
    codec = None if of is None else of.item if numbered else of.result
    if key is None or codec is None:
        raise AuthenticationFailed
    return codec.decode(key.open(sealed, what))
