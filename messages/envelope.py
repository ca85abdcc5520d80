"""The envelope: what travels, immutable and sealed, the same body at every hop.

May import: `msgspec`, our ids. Invariant: an `Envelope` is frozen and hashable; whoever relays it changes none of its
fields, and every field but the body is authenticated end to end as the body's associated data.
"""

from __future__ import annotations

import enum
import struct
from typing import Final

import msgspec

from trollbridge.messages import labels
from trollbridge.messages.ids import Epoch, HandlerUID, MemberId, Microseconds, Role

VERSION: Final = 1


class Kind(enum.IntEnum):
    """What the body is."""

    HANDSHAKE = 1
    """A Noise message of a session that is being founded."""
    SESSION = 2
    """A sealed payload about the session itself: Welcome, RingKeyOffer, RingKeyAccepted."""
    CALL = 3
    REPLY = 4
    PART = 5
    """A piece of the content of the CALL, REPLY or ITEM with the same UID, which follows."""
    ITEM = 6
    """An item of the stream that the CALL with the same UID asked for, or how far it has come."""
    STEER = 7
    """From a stream's client: it takes more items, or wants no more."""


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """One message on its way; `body` is ciphertext and tag."""

    kind: int
    sender: MemberId
    receiver: MemberId
    uid: HandlerUID
    sequence: int
    deadline: Microseconds
    body: bytes

    def __repr__(self) -> str:
        """Show the header and the body's length."""
        size = len(self.body)
        return f"<Envelope {self.sender} to {self.receiver}, kind {self.kind}, no. {self.sequence}, {size} bytes>"


_VARYING: Final = struct.Struct(">BQQ16s")


def context(epoch: Epoch, sender: MemberId, receiver: MemberId, *, forward: bool) -> bytes:
    """Return 32 bytes that stand for version, epoch, sender, receiver and direction."""
    return labels.digest(
        labels.CONTEXT,
        bytes((VERSION, forward)),
        epoch.to_bytes(8, "big"),
        sender.encode("ascii"),
        receiver.encode("ascii"),
    )


def prologue(epoch: Epoch, client: MemberId, client_role: Role, server: MemberId, server_role: Role) -> bytes:
    """Return the prologue of a handshake: 32 bytes that bind version, epoch and both members with their roles."""
    names = (client, client_role, server, server_role)
    return labels.digest(
        labels.PROLOGUE, bytes((VERSION,)), epoch.to_bytes(8, "big"), *(name.encode("ascii") for name in names)
    )


def associated(direction: bytes, kind: int, uid: bytes, sequence: int, deadline: int) -> bytes:
    """Return a body's associated data: context (32) | kind (1) | sequence (8) | deadline (8) | UID (16)."""
    return direction + _VARYING.pack(kind, sequence, deadline, uid)
