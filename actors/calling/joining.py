"""How a UI or an extension joins: it founds its link, then its sessions, in a thread that waits for each answer.

May import: our messages, `endpoint`, `founding`. Invariants: each step blocks at most `JOIN_TIMEOUT`; whatever fails
on the way raises `HandshakeFailed`, and nothing of a ring that was not joined whole is returned.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from trollbridge.actors.calling.founding import Founding
from trollbridge.actors.isolation import secret_memory
from trollbridge.actors.processes.endpoint import Endpoint, found_link
from trollbridge.actors.processes.sockets import LinkLost
from trollbridge.messages.aead import KEY_SIZE
from trollbridge.messages.envelope import prologue
from trollbridge.messages.errors import HandshakeFailed, ProtocolError
from trollbridge.messages.ids import BROKER, SERVING, Epoch, MemberId, Role
from trollbridge.messages.limits import LARGEST_RECORD
from trollbridge.messages.ring_key import RingKey

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    import msgspec

    from trollbridge.actors.calling.membership import Membership
    from trollbridge.messages import control

COMING: Final = MappingProxyType(
    {
        Role.ENCLAVE: frozenset({Role.EXTENSION, Role.HOST}),
        Role.HOST: frozenset({Role.UI, Role.EXTENSION, *SERVING}),
    }
)
"""As what a client may be admitted to a server of this role once the ring is sealed; only a host's process is new."""
JOIN_TIMEOUT: Final = 20.0
"""Seconds that broker and servers may take."""


def _new_ring_key(epoch: Epoch) -> RingKey:
    key = secret_memory.secret(KEY_SIZE)
    secret_memory.fill_random(key.view)
    return RingKey(key, epoch)


class Joining:
    """One client's way into one epoch."""

    def __init__(self, member: MemberId, role: Role, vocabulary: Mapping[str, type[msgspec.Struct]]) -> None:
        """Take who joins, and the record types that its results may use."""
        self._member = member
        self._role = role
        self._vocabulary = vocabulary

    def join(self, end: socket.socket, message: control.Join) -> Membership:
        """Join over `end` and return what this client holds of the epoch; raises `HandshakeFailed`."""
        epoch = Epoch(message.epoch)
        key = _new_ring_key(epoch) if self._role is Role.UI else None
        words = prologue(epoch, self._member, self._role, BROKER, Role.BROKER)
        endpoint = Endpoint(end, found_link(end, message.token, words, JOIN_TIMEOUT))
        founding = Founding(self._member, self._role, epoch, self._vocabulary, endpoint, key)
        founding.begin(message.tickets)
        buffer = bytearray(LARGEST_RECORD)
        end.settimeout(JOIN_TIMEOUT)
        try:
            while not founding.complete:
                endpoint.flush()
                for item, body in endpoint.receive(buffer):
                    founding.take(item, body)
            endpoint.flush()
        except (LinkLost, ProtocolError, BlockingIOError):
            raise HandshakeFailed from None
        end.settimeout(None)
        return founding.membership(endpoint, key)
